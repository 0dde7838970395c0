#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "queries.hpp"

// Queries that keep figures by key, and tell them at the end.

namespace nexmark {
namespace {

/// How many bids are under 100, under 10,000, and above.
struct Ranks {
  std::int64_t low = 0, middle = 0, high = 0;

  void add(std::int64_t price) { ++(price < 10'000 ? low : price < 1'000'000 ? middle : high); }
  void add(const Ranks& other) {
    low += other.low;
    middle += other.middle;
    high += other.high;
  }
  auto total() const -> std::int64_t { return low + middle + high; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& low& middle& high;
  }
};

struct Channel {
  Ranks ranks;
  std::set<std::int64_t> bidders, auctions;

  void add(const Bid& bid) {
    ranks.add(bid.price);
    bidders.insert(bid.bidder);
    auctions.insert(bid.auction);
  }
  void add(const Channel& other) {
    ranks.add(other.ranks);
    bidders.insert(other.bidders.begin(), other.bidders.end());
    auctions.insert(other.auctions.begin(), other.auctions.end());
  }
  auto self() const -> const Channel& { return *this; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    std::vector<std::int64_t> some(bidders.begin(), bidders.end()), others(auctions.begin(), auctions.end());
    archive& ranks& some& others;
    bidders = {some.begin(), some.end()};
    auctions = {others.begin(), others.end()};
  }
};

struct Prices {
  Ranks ranks;
  std::int64_t least = std::numeric_limits<std::int64_t>::max(), greatest = 0, sum = 0;

  void add(const Bid& bid) {
    ranks.add(bid.price);
    least = std::min(least, bid.price);
    greatest = std::max(greatest, bid.price);
    sum += bid.price;
  }
  void add(const Prices& other) {
    ranks.add(other.ranks);
    least = std::min(least, other.least);
    greatest = std::max(greatest, other.greatest);
    sum += other.sum;
  }
  auto self() const -> const Prices& { return *this; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& ranks& least& greatest& sum;
  }
};

template <class Figures>
constexpr auto add_bid = [](Figures& figures, const Bid& bid) { figures.add(bid); };
template <class Figures>
constexpr auto add_all = [](Figures& figures, const Figures& other) { figures.add(other); };

}  // namespace

void channel_statistics(const Job& job) {
  bids(job)
      .key_by([](const Bid& bid) {
        return std::tuple{bid.channel, day_of(bid.when)};
      })
      .aggregate(Channel{}, add_bid<Channel>, add_all<Channel>, &Channel::self, tensair::at_end)
      .map([](const auto& one) {
        const auto& [channel, day] = one.key;
        const auto& ranks = one.value.ranks;
        return fmt::format("{},{},{},{},{},{},{},{}", channel, day, ranks.total(), ranks.low, ranks.middle, ranks.high,
                           one.value.bidders.size(), one.value.auctions.size());
      })
      .sink(tensair::to_lines(job.result));
}

void auction_statistics(const Job& job) {
  bids(job)
      .key_by([](const Bid& bid) {
        return std::tuple{bid.auction, day_of(bid.when)};
      })
      .aggregate(Prices{}, add_bid<Prices>, add_all<Prices>, &Prices::self, tensair::at_end)
      .map([](const auto& one) {
        const auto& [auction, day] = one.key;
        const auto& [ranks, least, greatest, sum] = one.value;
        return fmt::format("{},{},{},{},{},{},{},{},{:.6f},{}", auction, day, ranks.total(), ranks.low, ranks.middle,
                           ranks.high, least, greatest, static_cast<double>(sum) / static_cast<double>(ranks.total()),
                           sum);
      })
      .sink(tensair::to_lines(job.result));
}

void last_bid(const Job& job) {
  bids(job)
      .key_by([](const Bid& bid) {
        return std::tuple{bid.bidder, bid.auction};
      })
      .reduce([](const Bid& a,
                 const Bid& b) { return std::tie(a.when, a.price, a.url) < std::tie(b.when, b.price, b.url) ? b : a; },
              tensair::at_end)
      .map([](const auto& one) {
        const Bid& bid = one.value;
        return fmt::format("{},{},{},{},{}", bid.auction, bid.bidder, bid.price, bid.url, micros(bid.when));
      })
      .sink(tensair::to_lines(job.result));
}

void top_bids(const Job& job) {
  bids(job)
      .key_by(&Bid::auction)
      .top_k(
          10,
          [](const Bid& bid) {
            return std::tuple{bid.price, -micros(bid.when), -bid.bidder};
          },
          tensair::at_end)
      .flat_map<std::string>([](const auto& one, auto emit) {
        int rank = 0;
        for (const Bid& bid : one.value)
          emit(fmt::format("{},{},{},{},{}", bid.auction, bid.bidder, bid.price, micros(bid.when), ++rank));
      })
      .sink(tensair::to_lines(job.result));
}

}  // namespace nexmark
