// Who proves what to whom.
//
// A proof is an HMAC over both openings and the prover's role. Both openings have a nonce made for this connection, so
// a recorded proof is worth nothing on another one, whichever side replays it. The role keeps a proof from being sent
// back to its maker, the ranks from being passed on to a third node. The caller proves first: a port that listens can
// be reached by anybody, and what it answers could be used to try out tokens elsewhere, without the node's noticing.

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstring>
#include <limits>
#include <tensair/net/authentication.hpp>
#include <type_traits>

#include "../entropy.hpp"

namespace tensair::net {
namespace {

constexpr std::array<char, 8> magic{'t', 'e', 'n', 's', 'a', 'i', 'r', '\n'};
constexpr int max_rank = 1 << 20;  // far above any cluster; keeps arithmetic on a stranger's numbers safe

struct PrefaceBytes {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t kind;
};

struct OpeningBytes {
  PrefaceBytes preface;
  std::int32_t rank;
  std::uint32_t reserved;
  Nonce nonce;
};

struct ProvedBytes {
  std::uint32_t role;
  std::uint32_t version;
  std::int32_t caller, listener;
  Nonce of_caller, of_listener;
};

static_assert(sizeof(PrefaceBytes) == 16 && sizeof(OpeningBytes) == 56 && sizeof(ProvedBytes) == 80);
static_assert(std::has_unique_object_representations_v<OpeningBytes> &&
              std::has_unique_object_representations_v<ProvedBytes>);

}  // namespace

auto fresh_nonce() -> Nonce {
  Nonce nonce;
  tensair::detail::fill_with_entropy(nonce);
  return nonce;
}

auto prove(std::string_view token, Role role, const Opening& caller, const Opening& listener) -> Proof {
  const ProvedBytes proved{
      static_cast<std::uint32_t>(role), caller.version, caller.rank, listener.rank, caller.nonce, listener.nonce};
  std::array<unsigned char, sizeof proved> bytes;
  std::memcpy(bytes.data(), &proved, sizeof proved);
  std::array<unsigned char, sizeof(Proof)> mac{};
  unsigned int size = mac.size();
  const bool made = token.size() <= std::size_t{std::numeric_limits<int>::max()} &&
                    HMAC(EVP_sha256(), token.data(), static_cast<int>(token.size()), bytes.data(), bytes.size(),
                         mac.data(), &size) != nullptr;
  if (!made || size != mac.size()) throw Error("the proof of the cluster's token cannot be made", "OpenSSL");
  Proof proof;
  std::memcpy(proof.data(), mac.data(), proof.size());
  return proof;
}

auto equal(const Proof& a, const Proof& b) -> bool {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

auto encode(const Opening& opening) -> std::vector<std::byte> {
  const OpeningBytes bytes{
      {magic, opening.version, static_cast<std::uint32_t>(opening.kind)}, opening.rank, 0, opening.nonce};
  std::vector<std::byte> encoded(sizeof bytes);
  std::memcpy(encoded.data(), &bytes, sizeof bytes);
  return encoded;
}

auto OpeningReader::room() -> std::span<std::byte> {
  return std::span{bytes_}.first(wanted_).subspan(have_);
}

auto OpeningReader::advance(std::size_t bytes) -> std::optional<Opening> {
  have_ += bytes;
  if (have_ < wanted_) return std::nullopt;
  if (wanted_ == sizeof(PrefaceBytes)) return read_preface();
  OpeningBytes read;
  std::memcpy(&read, bytes_.data(), sizeof read);
  if (read.rank < 0 || read.rank > max_rank) throw Malformed(fmt::format("malformed opening: rank {}", read.rank));
  if (read.reserved != 0) throw Malformed("malformed opening: a reserved field is not zero");
  opening_.rank = read.rank;
  opening_.nonce = read.nonce;
  return opening_;
}

auto OpeningReader::read_preface() -> std::optional<Opening> {
  PrefaceBytes preface;
  std::memcpy(&preface, bytes_.data(), sizeof preface);
  if (preface.magic != magic) throw Malformed("this is not a tensair node");
  opening_.version = preface.version;
  if (preface.version != protocol_version) return opening_;
  if (preface.kind > static_cast<std::uint32_t>(ProofKind::hmac_sha256)) {
    throw Malformed(fmt::format("malformed opening: unknown kind of proof {}", preface.kind));
  }
  opening_.kind = static_cast<ProofKind>(preface.kind);
  wanted_ = bytes_.size();
  return std::nullopt;
}

}  // namespace tensair::net
