#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <tensair/operators/event_time.hpp>
#include <variant>

// What happens at the auction house: the three kinds of events of Nexmark (Tucker et al., "NEXMark: a benchmark for
// queries over data streams", 2008).

namespace nexmark {

using tensair::EventTime;

/// Somebody registers.
struct Person {
  std::int64_t id = 0;
  std::string name, email, credit_card, city, state;
  EventTime when;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& id& name& email& credit_card& city& state& when;
  }
};

/// Something is put up for auction.
struct Auction {
  std::int64_t id = 0;
  std::string item, description;
  std::int64_t initial_bid = 0, reserve = 0;  // cents
  EventTime when, expires;
  std::int64_t seller = 0, category = 0;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& id& item& description& initial_bid& reserve& when& expires& seller& category;
  }
};

/// Somebody bids.
struct Bid {
  std::int64_t auction = 0, bidder = 0;
  std::int64_t price = 0;  // cents
  std::string channel, url;
  EventTime when;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& auction& bidder& price& channel& url& when;
  }
  friend auto operator==(const Bid&, const Bid&) -> bool = default;
};

using Event = std::variant<Person, Auction, Bid>;

inline auto time_of(const Event& event) -> EventTime {
  return std::visit([](const auto& one) { return one.when; }, event);
}

/// Microseconds since 1970, as the tables have times.
inline auto micros(EventTime time) -> std::int64_t {
  return time.time_since_epoch().count();
}

inline auto day_of(EventTime time) -> std::int64_t {
  return micros(time) / std::chrono::microseconds{std::chrono::days{1}}.count();
}

}  // namespace nexmark
