#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <numeric>
#include <optional>
#include <tuple>
#include <vector>

#include "queries.hpp"

// Queries that bring events of two kinds together.

namespace nexmark {
namespace {

using namespace std::chrono_literals;

constexpr auto longest_auction = 40s;
constexpr auto moment = EventTime::duration{1};

/// A bid for an auction while it ran.
struct Offer {
  Auction auction;
  Bid bid;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& auction& bid;
  }
};

/// An auction's columns.
auto text_of(const Auction& one) -> std::string {
  return fmt::format("{},{},{},{},{},{},{},{}", one.item, one.description, one.initial_bid, one.reserve,
                     micros(one.when), micros(one.expires), one.seller, one.category);
}

auto beats(const Bid& a, const Bid& b) -> bool {
  return std::tuple{a.price, b.when, b.bidder} > std::tuple{b.price, a.when, a.bidder};
}

/// Emits an auction's best offer when it has ended.
struct Winner {
  using State = std::optional<Offer>;
  using Output = Offer;

  void operator()(const Offer& offer, State& best, auto& context) {
    context.at(offer.auction.expires + moment);
    if (!best || beats(offer.bid, best->bid)) best = offer;
  }
  void on_event_time(EventTime, State& best, auto& context) {
    context.emit(*best);
    context.forget();
  }
};

auto won(const Job& job) {
  return auctions(job)
      .key_by(&Auction::id)
      .join(bids(job).key_by(&Bid::auction))
      .between(0s, longest_auction)
      .with([](const Auction& auction, const Bid& bid) {
        return Offer{auction, bid};
      })
      .filter([](const Offer& offer) { return offer.bid.when <= offer.auction.expires; })
      .key_by([](const Offer& offer) { return offer.auction.id; })
      .process(Winner{});
}

/// The mean of a seller's last ten prices, in the order in which the auctions ended.
struct LastTen {
  struct State {
    std::vector<Offer> waiting;
    std::deque<std::int64_t> prices;
  };
  using Output = std::tuple<std::int64_t, std::int64_t, double>;  // seller, auction, mean

  void operator()(const Offer& offer, State& state, auto& context) {
    state.waiting.push_back(offer);
    context.at(context.time() + moment);  // others that ended with it have come by then
  }
  void on_event_time(EventTime time, State& state, auto& context) {
    auto& waiting = state.waiting;
    const auto order = [](const Offer& one) { return std::tuple{one.auction.expires, one.auction.id}; };
    std::sort(waiting.begin(), waiting.end(), [&](const Offer& a, const Offer& b) { return order(a) < order(b); });
    const auto complete = std::find_if(waiting.begin(), waiting.end(),
                                       [&](const Offer& one) { return one.auction.expires + 2 * moment > time; });
    for (auto one = waiting.begin(); one != complete; ++one) {
      state.prices.push_back(one->bid.price);
      if (state.prices.size() > 10) state.prices.pop_front();
      const auto sum = std::accumulate(state.prices.begin(), state.prices.end(), std::int64_t{0});
      context.emit(
          {one->auction.seller, one->auction.id, static_cast<double>(sum) / static_cast<double>(state.prices.size())});
    }
    waiting.erase(waiting.begin(), complete);
  }
};

constexpr auto window = 10s;
auto window_of(EventTime time) -> std::int64_t {
  return micros(time) / EventTime::duration{window}.count();
}

}  // namespace

void local_items(const Job& job) {
  auto local = persons(job).filter(
      [](const Person& person) { return person.state == "OR" || person.state == "ID" || person.state == "CA"; });
  auctions(job)
      .filter([](const Auction& auction) { return auction.category == 10; })
      .key_by(&Auction::seller)
      .join(std::move(local).key_by(&Person::id))
      .with([](const Auction& auction, const Person& person) {
        return fmt::format("{},{},{},{}", person.name, person.city, person.state, auction.id);
      })
      .sink(tensair::to_lines(job.result));
}

void category_average(const Job& job) {
  won(job)
      .key_by([](const Offer& offer) { return offer.auction.category; })
      .mean([](const Offer& offer) { return static_cast<double>(offer.bid.price); }, tensair::at_end)
      .map([](const auto& one) { return fmt::format("{},{:.6f}", one.key, one.value); })
      .sink(tensair::to_lines(job.result));
}

void seller_average(const Job& job) {
  won(job)
      .key_by([](const Offer& offer) { return offer.auction.seller; })
      .process(LastTen{})
      .map([](const LastTen::Output& one) {
        const auto& [seller, auction, mean] = one;
        return fmt::format("{},{},{:.6f}", seller, auction, mean);
      })
      .sink(tensair::to_lines(job.result));
}

void new_users(const Job& job) {
  persons(job)
      .key_by([](const Person& person) {
        return std::tuple{person.id, window_of(person.when)};
      })
      .join(auctions(job).key_by([](const Auction& one) {
        return std::tuple{one.seller, window_of(one.when)};
      }))
      .with([](const Person& person, const Auction&) {
        return fmt::format("{},{},{}", person.id, person.name, window_of(person.when));
      })
      .key_by(std::identity{})
      .distinct()
      .sink(tensair::to_lines(job.result));
}

void winning_bids(const Job& job) {
  won(job)
      .map([](const Offer& offer) {
        return fmt::format("{},{},{},{},{},{}", offer.auction.id, text_of(offer.auction), offer.bid.auction,
                           offer.bid.bidder, offer.bid.price, micros(offer.bid.when));
      })
      .sink(tensair::to_lines(job.result));
}

void bids_in_category(const Job& job) {
  bids(job)
      .key_by(&Bid::auction)
      .join(auctions(job).filter([](const Auction& one) { return one.category == 10; }).key_by(&Auction::id))
      .with([](const Bid& bid, const Auction& auction) {
        return fmt::format("{},{},{},{},{},{},{}", bid.auction, bid.bidder, bid.price, bid.channel, bid.url,
                           micros(bid.when), text_of(auction));
      })
      .sink(tensair::to_lines(job.result));
}

void side_input(const Job& job) {
  constexpr std::int64_t rows = 10'000;
  struct Row {
    std::int64_t key = 0, value = 0;
  };
  std::vector<Row> table(rows);
  for (std::int64_t key = 0; key < rows; ++key) table[static_cast<std::size_t>(key)] = {key, key * key};
  // It has been there before the first bid.
  auto side = job.pipeline.source(std::move(table)).name("side input").assign_timestamps([](const Row&) {
    return EventTime{};
  });
  bids(job)
      .key_by([](const Bid& bid) { return bid.auction % rows; })
      .lookup(std::move(side).key_by(&Row::key))
      .as_of_event_time()
      .with([](const Bid& bid, const Row* row) {
        return fmt::format("{},{},{},{},{}", bid.auction, bid.bidder, bid.price, micros(bid.when),
                           row == nullptr ? -1 : row->value);
      })
      .sink(tensair::to_lines(job.result));
}

}  // namespace nexmark
