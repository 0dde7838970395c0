#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "queries.hpp"

// Queries by windows of time.

namespace nexmark {
namespace {

using namespace std::chrono_literals;

/// How often an auction was bid for in a window.
struct Popularity {
  std::int64_t auction = 0;
  std::uint64_t bids = 0;
  EventTime end;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& auction& bids& end;
  }
};

/// Keeps the records with the greatest `measure`: all of them, where several are equal.
template <class T, class Measure>
struct Greatest {
  Measure measure;

  auto init() const -> std::vector<T> { return {}; }
  void add(std::vector<T>& best, const T& record) const {
    if (!best.empty() && std::invoke(measure, record) < std::invoke(measure, best.front())) return;
    if (!best.empty() && std::invoke(measure, best.front()) < std::invoke(measure, record)) best.clear();
    best.push_back(record);
  }
  void merge(std::vector<T>& best, std::vector<T> other) const {
    for (const T& record : other) add(best, record);
  }
  auto result(const std::vector<T>& best) const -> const std::vector<T>& { return best; }
};

}  // namespace

void hot_items(const Job& job) {
  bids(job)
      .key_by(&Bid::auction)
      .window(tensair::sliding(10s, 2s))
      .count()
      .map([](const auto& one) {
        return Popularity{one.key, one.value, one.window.end};
      })
      .key_by([](const Popularity& one) { return micros(one.end); })
      .window(tensair::tumbling(2s))
      .aggregate(Greatest<Popularity, std::uint64_t Popularity::*>{&Popularity::bids})
      .flat_map<std::string>([](const auto& one, auto emit) {
        for (const Popularity& best : one.value)
          emit(fmt::format("{},{},{}", best.auction, best.bids, micros(best.end)));
      })
      .sink(tensair::to_lines(job.result));
}

void highest_bid(const Job& job) {
  bids(job)
      .window(tensair::tumbling(10s))
      .aggregate(Greatest<Bid, std::int64_t Bid::*>{&Bid::price})
      .flat_map<std::string>([](const auto& one, auto emit) {
        for (const Bid& bid : one.value)
          emit(fmt::format("{},{},{},{}", bid.auction, bid.price, bid.bidder, micros(bid.when)));
      })
      .sink(tensair::to_lines(job.result));
}

void user_sessions(const Job& job) {
  bids(job)
      .key_by(&Bid::bidder)
      .window(tensair::session(10s))
      .count()
      .map([](const auto& one) {
        return fmt::format("{},{},{},{}", one.key, one.value, micros(one.window.start), micros(one.window.end));
      })
      .sink(tensair::to_lines(job.result));
}

void processing_time(const Job& job) {
  bids(job)
      .key_by(&Bid::bidder)
      .window(tensair::processing_time(tensair::tumbling(10s)))
      .count()
      .map([](const auto& one) { return fmt::format("{},{}", one.key, one.value); })
      .sink(tensair::to_lines(job.result));
}

}  // namespace nexmark
