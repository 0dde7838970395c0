#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <tensair/net/malformed.hpp>
#include <tensair/net/message.hpp>
#include <vector>

// The first bytes of either side, and how two nodes prove to each other that they know the cluster's token: a
// challenge-response in three passes with HMAC-SHA256, as ISO/IEC 9798-4 has it. The order is in handshake.hpp.
//
// It says who may join. It neither hides nor signs what the nodes say afterwards: who can change packets on their way
// needs no token.

namespace tensair::net {

/// Raised when the opening, the hello or frames change. Nodes of different versions refuse each other.
inline constexpr std::uint32_t protocol_version = 2;

/// How a node proves that it belongs to the cluster.
enum class ProofKind : std::uint32_t {
  none = 0,         ///< not at all: the cluster has no token
  hmac_sha256 = 1,  ///< HMAC-SHA256 (RFC 2104) of both openings, with the token as its key
};

/// A number that is used once: 32 bytes of the operating system's randomness.
using Nonce = std::array<std::byte, 32>;

/// An HMAC-SHA256.
using Proof = std::array<std::byte, 32>;

/// The proof of who has seen that the other side's is wrong.
inline constexpr Proof refused_proof{};

/// What either side says first. Its first 16 bytes (magic, version, kind of proof) are the same in every version of the
/// protocol, so that versions can tell themselves apart.
struct Opening {
  std::uint32_t version = protocol_version;
  ProofKind kind = ProofKind::none;  ///< of a peer of another version unknown, as is the rest
  Rank rank = 0;
  Nonce nonce{};
};

/// The caller's and the listener's proof differ, so that neither can be sent back as the other.
enum class Role : std::uint32_t { caller = 1, listener = 2 };

/// @throws Error  the operating system gives none
auto fresh_nonce() -> Nonce;

/// What the node of this role proves that it knows `token` with.
auto prove(std::string_view token, Role role, const Opening& caller, const Opening& listener) -> Proof;

/// Whether two proofs are the same; takes as long for any two.
auto equal(const Proof& a, const Proof& b) -> bool;

/// As bytes on the wire.
auto encode(const Opening& opening) -> std::vector<std::byte>;

/// Reads an opening from a stream of bytes, and not one byte more. Sans I/O, as `Assembler`.
class OpeningReader {
 public:
  /// Where the next bytes belong; never empty before the opening is complete.
  auto room() -> std::span<std::byte>;

  /// Tells that the first `bytes` bytes of `room()` are filled; gives the opening they complete. One of another
  /// protocol version is complete after 16 bytes.
  /// @throws Malformed  the magic or the kind of proof is wrong, the rank impossible
  auto advance(std::size_t bytes) -> std::optional<Opening>;

 private:
  auto read_preface() -> std::optional<Opening>;

  std::array<std::byte, 56> bytes_{};
  std::size_t have_ = 0;
  std::size_t wanted_ = 16;
  Opening opening_;
};

/// Reads a proof from a stream of bytes, and not one byte more.
class ProofReader {
 public:
  auto room() -> std::span<std::byte> { return std::span{proof_}.subspan(have_); }
  auto advance(std::size_t bytes) -> std::optional<Proof> {
    have_ += bytes;
    return have_ < proof_.size() ? std::nullopt : std::optional{proof_};
  }

 private:
  Proof proof_{};
  std::size_t have_ = 0;
};

}  // namespace tensair::net
