#pragma once

#include <cstdint>
#include <optional>

#include "events.hpp"

namespace nexmark {

/// Which events there are. The same ones whatever the number of nodes.
struct Events {
  std::uint64_t count = 100'000;
  std::uint64_t seed = 1;
};

/// How much later than the latest event one may come.
inline constexpr auto disorder = std::chrono::milliseconds{200};

/// Event number n: of every 50 one is a person, three are auctions and 46 are bids, half of which go to what is popular
/// at the moment. They are 10 ms apart, and up to `disorder` out of order.
auto event(const Events& events, std::uint64_t n) -> Event;

/// A source of all events, shared out among nodes and instances: each takes every n-th.
class Generator {
 public:
  using value_type = Event;

  explicit Generator(Events events) : events_(events) {}

  void split(int part, int parts) {
    next_ = static_cast<std::uint64_t>(part);
    step_ = static_cast<std::uint64_t>(parts);
  }
  auto next() -> std::optional<Event> {
    if (next_ >= events_.count) return std::nullopt;
    auto made = event(events_, next_);
    next_ += step_;
    return made;
  }

 private:
  Events events_;
  std::uint64_t next_ = 0, step_ = 1;
};

}  // namespace nexmark
