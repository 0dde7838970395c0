#include <fmt/format.h>

#include <tensair/operators/count_window.hpp>
#include <tensair/operators/window.hpp>
#include <tensair/operators/window_stage.hpp>

namespace tensair {
namespace {

using std::chrono::microseconds;

// Of times before all records, as far as anything is concerned; windows around them must not overflow.
constexpr microseconds longest = std::chrono::hours{24 * 365 * 1'000};

void require_length(microseconds length, const char* what, const char* where) {
  if (length <= microseconds::zero() || length > longest)
    throw UsageError(fmt::format("a window's {} of {} µs", what, length.count()), where,
                     "Give a time of more than nothing and of at most a thousand years.");
}

auto seconds(microseconds time) -> std::string {
  return fmt::format("{:g} s", static_cast<double>(time.count()) * 1e-6);
}

}  // namespace

auto SlidingWindows::describe() const -> std::string {
  return size == slide ? "tumbling, " + seconds(size) : "sliding, " + seconds(size) + " every " + seconds(slide);
}

auto SessionWindows::describe() const -> std::string {
  return "sessions with a gap of " + seconds(gap);
}

auto tumbling(microseconds size, microseconds offset) -> TumblingWindows {
  require_length(size, "size", "tumbling(size, offset)");
  return {{size, size, offset % size}};
}

auto sliding(microseconds size, microseconds slide, microseconds offset) -> SlidingWindows {
  require_length(size, "size", "sliding(size, slide, offset)");
  require_length(slide, "slide", "sliding(size, slide, offset)");
  return {size, slide, offset % slide};
}

auto session(microseconds gap) -> SessionWindows {
  require_length(gap, "gap", "session(gap)");
  return {gap};
}

auto CountWindows::describe() const -> std::string {
  return size == slide ? fmt::format("{} records", size) : fmt::format("{} records every {}", size, slide);
}

auto tumbling_count(std::uint64_t size) -> CountWindows {
  if (size == 0) throw UsageError("a window of 0 records", "tumbling_count(size)", "Give 1 or more.");
  return {size, size};
}

auto sliding_count(std::uint64_t size, std::uint64_t slide) -> CountWindows {
  if (size == 0 || slide == 0 || slide > size)
    throw UsageError(fmt::format("a window of {} records every {}", size, slide), "sliding_count(size, slide)",
                     "Give a size of 1 or more, and a slide of 1 to the size.");
  return {size, slide};
}

namespace operators {

auto checked_lateness(microseconds lateness) -> microseconds {
  if (lateness < microseconds::zero() || lateness > longest)
    throw UsageError("allowed_lateness", "after window", "Give a time of 0 to a thousand years.");
  return lateness;
}

void throw_too_remote(const plan::Operator& op) {
  throw Error("a record's time is more than ten thousand years from 1970", op.title(),
              "Check assign_timestamps, and its unit, in front of the window.");
}

}  // namespace operators
}  // namespace tensair
