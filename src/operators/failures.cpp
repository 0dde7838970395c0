#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cstdint>
#include <ctime>
#include <tensair/net/handshake.hpp>
#include <tensair/operators/failures.hpp>

namespace tensair::operators {
namespace {

// In UTC, with a fraction where there is one.
auto time_text(EventTime time) -> std::string {
  if (time == end_of_time) return "the end of the stream";
  // By hand: the library's floor overflows at the first times there are.
  constexpr std::int64_t second = 1'000'000;
  const std::int64_t count = time.time_since_epoch().count();
  const std::int64_t fraction = (count % second + second) % second;
  const std::time_t seconds = count / second - (count % second < 0 ? 1 : 0);
  const auto text = fmt::format("{:%F %T}", fmt::gmtime(seconds));
  return fraction == 0 ? text : text + fmt::format(".{:06}", fraction);
}

}  // namespace

auto key_text(std::string_view key) -> std::string {
  constexpr std::size_t most = 80;  // bytes: an error is one line
  return "key «" + net::printable(key, most) + "»";
}

auto window_text(const Window& window) -> std::string {
  return "window from " + time_text(window.start) + " to " + time_text(window.end);
}

auto timer_text(EventTime time) -> std::string {
  return "timer for " + time_text(time);
}

}  // namespace tensair::operators
