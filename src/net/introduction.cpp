// g++ 12 destroys some temporaries of a co_await's expression twice: what is passed there is named first.

#include "introduction.hpp"

#include <utility>

namespace tensair::net::detail {
namespace {

auto opening_of(const std::string& token, Rank rank) -> Opening {
  return {.kind = token.empty() ? ProofKind::none : ProofKind::hmac_sha256, .rank = rank, .nonce = fresh_nonce()};
}

auto bytes_of(const Proof& proof) -> std::vector<std::byte> {
  return {proof.begin(), proof.end()};
}

}  // namespace

auto joined(std::vector<std::byte> front, const std::vector<std::byte>& back) -> std::vector<std::byte> {
  front.insert(front.end(), back.begin(), back.end());
  return front;
}

auto write_all(Stream& stream, std::vector<std::byte> bytes) -> asio::awaitable<void> {
  const auto buffer = asio::buffer(bytes);
  co_await asio::async_write(stream, buffer, asio::use_awaitable);
}

auto introduce_caller(Stream& stream, const std::string& token, Rank rank) -> asio::awaitable<Introduction> {
  Introduction result;
  const auto mine = opening_of(token, rank);
  result.there = co_await read_exactly<OpeningReader>(stream);
  result.verdict = compare(mine, result.there);
  auto greeting = encode(mine);
  if (!result.verdict.accepted) {
    result.last_word = std::move(greeting);
    co_return result;
  }
  co_await write_all(stream, std::move(greeting));
  if (token.empty()) co_return result;

  const Proof theirs = co_await read_exactly<ProofReader>(stream);
  if (!equal(theirs, prove(token, Role::caller, result.there, mine))) {
    result.verdict = other_token();
    result.last_word = bytes_of(refused_proof);
    co_return result;
  }
  auto proof = bytes_of(prove(token, Role::listener, result.there, mine));
  co_await write_all(stream, std::move(proof));
  co_return result;
}

auto introduce_listener(Stream& stream, const std::string& token, const Hello& hello) -> asio::awaitable<Introduction> {
  Introduction result;
  const auto mine = opening_of(token, hello.rank);
  auto greeting = token.empty() ? joined(encode(mine), encode(hello)) : encode(mine);
  co_await write_all(stream, std::move(greeting));
  result.there = co_await read_exactly<OpeningReader>(stream);
  result.verdict = compare(mine, result.there);
  if (!result.verdict.accepted || token.empty()) co_return result;

  auto proof = bytes_of(prove(token, Role::caller, mine, result.there));
  co_await write_all(stream, std::move(proof));
  const Proof theirs = co_await read_exactly<ProofReader>(stream);
  if (theirs == refused_proof) {
    result.verdict = other_token();
    co_return result;
  }
  if (!equal(theirs, prove(token, Role::listener, mine, result.there))) {
    throw Malformed("it does not know the cluster's token");
  }
  auto encoded = encode(hello);
  co_await write_all(stream, std::move(encoded));
  co_return result;
}

}  // namespace tensair::net::detail
