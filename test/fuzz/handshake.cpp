// The bytes of whoever connects: as each of the handshake's messages they make one that says the same when it is sent
// again, or are refused.
#include <algorithm>
#include <cstring>
#include <tensair/net/handshake.hpp>

#include "fuzz.hpp"

using namespace tensair::net;

namespace {

template <class HelloOrVerdict, class Reader>
auto read(std::span<const std::byte>& stream) -> std::optional<HelloOrVerdict> {
  Reader reader;
  try {
    while (!stream.empty()) {
      const auto room = reader.room();
      fuzz::require(!room.empty(), "there is room until it is complete");
      const auto bytes = std::min(room.size(), stream.size());
      std::memcpy(room.data(), stream.data(), bytes);
      stream = stream.subspan(bytes);
      if (auto complete = reader.advance(bytes)) return complete;
    }
  } catch (const Malformed&) {
    return std::nullopt;
  }
  return std::nullopt;
}

auto text(const std::vector<std::byte>& bytes) -> std::string {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

auto fuzz::examples() -> std::vector<std::string> {
  const Hello hello{.rank = 1, .nodes = 2, .plan = "source\nmap\nsink\n"};
  const Opening opening{.kind = ProofKind::hmac_sha256, .rank = 1};
  return {text(encode(opening)), text(encode(Opening{.version = 1})), text(encode(hello)), text(encode(Verdict{})),
          text(encode(Verdict{false, "another pipeline", "Start the same."}))};
}

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  const auto stream = std::as_bytes(std::span{data, size});
  auto rest = stream;
  const auto is_what_was_read = [&](const std::vector<std::byte>& again) {
    const auto used = stream.first(stream.size() - rest.size());
    return std::equal(again.begin(), again.end(), used.begin(), used.end());
  };
  if (const auto opening = read<Opening, OpeningReader>(rest); opening && opening->version == protocol_version) {
    fuzz::require(is_what_was_read(encode(*opening)), "an opening is encoded in one way");
    // Who knows only what goes over the wire has no proof: neither the other side's, nor one of another connection.
    const Opening mine{.kind = opening->kind, .rank = 0, .nonce = {std::byte{1}}};
    const auto proof = prove("the token", Role::listener, *opening, mine);
    auto bytes = rest;
    const auto claimed = read<Proof, ProofReader>(bytes);
    fuzz::require(!claimed || !equal(*claimed, proof), "nobody guesses a proof");
    fuzz::require(!equal(proof, prove("the token", Role::caller, *opening, mine)), "a proof has a role");
  }
  rest = stream;
  if (const auto hello = read<Hello, HelloReader>(rest)) {
    fuzz::require(is_what_was_read(encode(*hello)), "a hello is encoded in one way");
  }
  rest = stream;
  if (const auto verdict = read<Verdict, VerdictReader>(rest)) {
    const auto again = encode(*verdict);
    std::span<const std::byte> bytes = again;
    const auto second = read<Verdict, VerdictReader>(bytes);
    fuzz::require(second && second->accepted == verdict->accepted && second->reason == verdict->reason &&
                      second->remedy == verdict->remedy,
                  "a verdict says the same when it is sent again");
  }
  return 0;
}
