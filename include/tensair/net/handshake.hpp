#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tensair/net/authentication.hpp>
#include <tensair/net/malformed.hpp>
#include <tensair/net/message.hpp>
#include <vector>

// How two nodes find out whether they belong together.
//
//   caller (the higher rank)                      listener
//     opening               ────────────────▶      reads, compares
//     reads, compares       ◀────────────────      opening
//     proof                 ────────────────▶      checks                    (both only if the cluster has a token)
//     checks                ◀────────────────      proof, or zeros: refused
//     hello                 ────────────────▶      reads, compares
//     reads, compares       ◀────────────────      hello, verdict
//     verdict               ────────────────▶      link is up
//
// Up to its proof a peer makes a node read 88 bytes, of fixed places, and nothing else.

namespace tensair::net {

/// The longest plan that a hello carries.
inline constexpr std::size_t max_plan_bytes = 64 * 1024;

/// The longest text of a verdict.
inline constexpr std::size_t max_verdict_bytes = 2 * 1024;

/// What a node says of itself.
struct Hello {
  Rank rank = 0;  ///< the opening's
  int nodes = 1;
  std::string plan;            ///< one line an operator
  std::uint64_t run = 0;       ///< a number that no other run of this node has
  std::uint64_t resumes = 0;   ///< the peer's run, whose link this connection goes on with; 0: a new link
  std::uint64_t received = 0;  ///< bytes of that link's stream that have arrived here
};

/// Whether a node takes a peer, and if not, why and what to do.
struct Verdict {
  bool accepted = true;
  std::string reason;
  std::string remedy;
};

/// As bytes on the wire.
/// @throws Error  when the plan is longer than `max_plan_bytes`
auto encode(const Hello& hello) -> std::vector<std::byte>;

/// As bytes on the wire; reason and remedy are shortened to `max_verdict_bytes`.
auto encode(const Verdict& verdict) -> std::vector<std::byte>;

/// Reads a hello from a stream of bytes, and not one byte more. Sans I/O, as `Assembler`.
class HelloReader {
 public:
  /// Where the next bytes belong; never empty before the hello is complete.
  auto room() -> std::span<std::byte>;

  /// Tells that the first `bytes` bytes of `room()` are filled; gives the hello they complete.
  /// @throws Malformed  a number is impossible, the plan too long
  auto advance(std::size_t bytes) -> std::optional<Hello>;

 private:
  auto read_header() -> std::optional<Hello>;

  std::array<std::byte, 40> fixed_{};
  std::size_t have_ = 0;
  bool fixed_done_ = false;
  Hello hello_;
};

/// Reads a verdict from a stream of bytes, and not one byte more.
class VerdictReader {
 public:
  auto room() -> std::span<std::byte>;
  /// @throws Malformed  an impossible verdict, a text too long
  auto advance(std::size_t bytes) -> std::optional<Verdict>;

 private:
  std::array<std::byte, 8> fixed_{};
  std::string text_;
  std::size_t have_ = 0;
  bool fixed_done_ = false;
};

/// Compares two openings as one of the nodes sees it: the protocol version, and whether both have a token or neither.
auto compare(const Opening& here, const Opening& there) -> Verdict;

/// The verdict on a peer that has proved another token.
auto other_token() -> Verdict;

/// Compares two nodes as one of them sees it: the verdict on `there` names the first of number of nodes, rank and plan
/// that differs, with what stands here and there.
auto compare(const Hello& here, const Hello& there) -> Verdict;

/// The error of either side of a refusal: "node 2 (10.0.0.7:7002) was refused by node 0: the pipelines differ. operator
/// 3: here …".
/// @param refused  -1 if it could not say
/// @param address  of the refused node
auto refusal(Rank refused, std::string_view address, Rank by, const Verdict& verdict) -> NodeError;

/// Text of a peer as it may be shown: one line of at most `limit` bytes, control characters replaced.
auto printable(std::string_view text, std::size_t limit) -> std::string;

}  // namespace tensair::net
