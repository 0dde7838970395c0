// The hello's bytes, the verdict's, and the comparison.
//
// Whoever calls is a stranger until its hello has been compared, the more so without a token. So a reader asks for a
// fixed number of bytes, checks them, and only then for the next: nothing is allocated but the plan's text, of a length
// checked before, and nothing beyond the hello is taken from the socket. Whatever a stranger says is shortened and made
// printable before it appears in a message.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <tensair/net/handshake.hpp>
#include <type_traits>
#include <utility>

namespace tensair::net {
namespace {

struct HelloBytes {
  std::int32_t rank;
  std::int32_t nodes;
  std::uint32_t plan;
  std::uint32_t reserved;
  std::uint64_t run, resumes, received;
};

struct VerdictBytes {
  std::uint16_t accepted;
  std::uint16_t reason;
  std::uint16_t remedy;
  std::uint16_t reserved;
};

static_assert(sizeof(HelloBytes) == 40 && sizeof(VerdictBytes) == 8);

constexpr int max_nodes = 1 << 20;            // far above any cluster; keeps arithmetic on a stranger's numbers safe
constexpr std::size_t max_shown_bytes = 200;  // of one line of a plan, in an error
constexpr auto give_all_the_token = "Give every node the same --token-file FILE (or TENSAIR_TOKEN).";
constexpr std::string_view nothing_there = "none";  // a plan that has ended

void append(std::vector<std::byte>& to, const void* from, std::size_t size) {
  if (size == 0) return;
  to.resize(to.size() + size);
  std::memcpy(to.data() + to.size() - size, from, size);
}

template <class T>
void append(std::vector<std::byte>& to, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  append(to, &value, sizeof value);
}

void append(std::vector<std::byte>& to, const std::string& text) {
  append(to, text.data(), text.size());
}

auto writable(std::string& text) -> std::span<std::byte> {
  return std::as_writable_bytes(std::span{text.data(), text.size()});
}

// Takes the first line off the front of `text`; nothing when the text has ended.
auto next_line(std::string_view& text) -> std::optional<std::string_view> {
  if (text.empty()) return std::nullopt;
  const auto end = text.find('\n');
  const auto line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  return line;
}

auto plan_difference(std::string_view here, std::string_view there) -> std::string {
  for (int number = 1;; ++number) {
    const auto mine = next_line(here);
    const auto theirs = next_line(there);
    if (!mine && !theirs) return "the pipelines differ in their last line break";
    if (mine != theirs) {
      const auto shown = [](const auto& line) { return printable(line.value_or(nothing_there), max_shown_bytes); };
      return fmt::format("the pipelines differ. operator {}: here {}, there {}", number, shown(mine), shown(theirs));
    }
  }
}

}  // namespace

auto encode(const Hello& hello) -> std::vector<std::byte> {
  if (hello.plan.size() > max_plan_bytes) {
    throw Error(fmt::format("the pipeline's plan has {} bytes; the nodes' handshake carries {}", hello.plan.size(),
                            max_plan_bytes),
                {}, "Give operators shorter names, or the pipeline fewer of them.");
  }
  std::vector<std::byte> bytes;
  bytes.reserve(sizeof(HelloBytes) + hello.plan.size());
  append(bytes, HelloBytes{hello.rank, hello.nodes, static_cast<std::uint32_t>(hello.plan.size()), 0, hello.run,
                           hello.resumes, hello.received});
  append(bytes, hello.plan);
  return bytes;
}

auto encode(const Verdict& verdict) -> std::vector<std::byte> {
  const auto reason = printable(verdict.reason, max_verdict_bytes / 2);
  const auto remedy = printable(verdict.remedy, max_verdict_bytes / 2);
  std::vector<std::byte> bytes;
  append(bytes, VerdictBytes{verdict.accepted ? std::uint16_t{1} : std::uint16_t{0},
                             static_cast<std::uint16_t>(reason.size()), static_cast<std::uint16_t>(remedy.size()), 0});
  append(bytes, reason);
  append(bytes, remedy);
  return bytes;
}

auto HelloReader::room() -> std::span<std::byte> {
  return (fixed_done_ ? writable(hello_.plan) : std::span<std::byte>{fixed_}).subspan(have_);
}

auto HelloReader::advance(std::size_t bytes) -> std::optional<Hello> {
  have_ += bytes;
  if (!room().empty()) return std::nullopt;
  have_ = 0;
  if (!fixed_done_) return read_header();
  return std::move(hello_);
}

auto HelloReader::read_header() -> std::optional<Hello> {
  HelloBytes header{};
  std::memcpy(&header, fixed_.data(), sizeof header);
  if (header.nodes < 1 || header.nodes > max_nodes)
    throw Malformed(fmt::format("malformed hello: {} nodes", header.nodes));
  if (header.rank < 0 || header.rank > max_nodes) throw Malformed(fmt::format("malformed hello: rank {}", header.rank));
  if (header.reserved != 0) throw Malformed("malformed hello: a reserved field is not zero");
  if (header.plan > max_plan_bytes) {
    throw Malformed(
        fmt::format("malformed hello: a plan of {} bytes is over the limit of {}", header.plan, max_plan_bytes));
  }
  hello_.rank = header.rank;
  hello_.nodes = header.nodes;
  hello_.run = header.run;
  hello_.resumes = header.resumes;
  hello_.received = header.received;
  if (header.plan == 0) return std::move(hello_);
  hello_.plan.resize(header.plan);
  fixed_done_ = true;
  return std::nullopt;
}

auto VerdictReader::room() -> std::span<std::byte> {
  return (fixed_done_ ? writable(text_) : std::span<std::byte>{fixed_}).subspan(have_);
}

auto VerdictReader::advance(std::size_t bytes) -> std::optional<Verdict> {
  have_ += bytes;
  if (!room().empty()) return std::nullopt;
  VerdictBytes header{};
  std::memcpy(&header, fixed_.data(), sizeof header);
  if (!fixed_done_) {
    const std::size_t text = std::size_t{header.reason} + header.remedy;
    if (header.accepted > 1 || header.reserved != 0) throw Malformed("malformed verdict");
    if (text > max_verdict_bytes) throw Malformed(fmt::format("malformed verdict: {} bytes of text", text));
    text_.resize(text);
    have_ = 0;
    fixed_done_ = true;
    if (text > 0) return std::nullopt;
  }
  // It will be shown: a stranger's control characters must not reach a terminal.
  return Verdict{header.accepted == 1, printable(text_.substr(0, header.reason), max_verdict_bytes / 2),
                 printable(text_.substr(header.reason), max_verdict_bytes / 2)};
}

auto compare(const Opening& here, const Opening& there) -> Verdict {
  if (here.version != there.version) {
    return {false, fmt::format("the protocol versions differ: here {}, there {}", here.version, there.version),
            "Start every node with the same version of tensair."};
  }
  if (here.kind != there.kind) {
    const auto has = [](const Opening& one) { return one.kind == ProofKind::none ? "none" : "one"; };
    return {false, fmt::format("only one of them has the cluster's token: here {}, there {}", has(here), has(there)),
            give_all_the_token};
  }
  return {};
}

auto other_token() -> Verdict {
  return {false, "the tokens differ", give_all_the_token};
}

auto compare(const Hello& here, const Hello& there) -> Verdict {
  if (here.nodes != there.nodes) {
    return {false, fmt::format("the numbers of nodes differ: here {}, there {}", here.nodes, there.nodes),
            "Give every node the same --nodes."};
  }
  if (there.rank >= here.nodes) {
    return {false, fmt::format("rank {} is outside the list of {} nodes", there.rank, here.nodes),
            "Give every node its own --rank, counted from 0."};
  }
  if (there.rank == here.rank) {
    return {false, fmt::format("both have rank {}", here.rank), "Give every node its own --rank, counted from 0."};
  }
  if (here.plan != there.plan) {
    return {false, plan_difference(here.plan, there.plan), "Start every node with the same binary and flags."};
  }
  return {};
}

auto refusal(Rank refused, std::string_view address, Rank by, const Verdict& verdict) -> NodeError {
  const auto name = refused < 0 ? std::string{"a node"} : fmt::format("node {}", refused);
  return {refused,
          fmt::format("{} ({}) was refused by node {}: {}", name, address, by, verdict.reason),
          {},
          verdict.remedy};
}

auto printable(std::string_view text, std::size_t limit) -> std::string {
  constexpr std::string_view ellipsis = "…";
  const bool too_long = text.size() > limit;
  if (too_long) {
    auto end = limit - std::min(limit, ellipsis.size());
    // Never cut within a UTF-8 character.
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    text = text.substr(0, end);
  }
  std::string shown{text};
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return too_long ? shown.append(ellipsis) : shown;
}

}  // namespace tensair::net
