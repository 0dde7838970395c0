#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <map>
#include <string>
#include <tuple>

#include "queries.hpp"

// Queries that keep figures by key, and tell them at the end.

namespace nexmark {
namespace {

/// Under 100, under 10,000, and above.
auto rank_of(std::int64_t price) -> std::size_t {
  return price < 10'000 ? 0 : price < 1'000'000 ? 1 : 2;
}

/// How many bids are of each rank.
struct Ranks {
  std::int64_t low = 0, middle = 0, high = 0;

  void add(std::int64_t price) {
    const auto rank = rank_of(price);
    ++(rank == 0 ? low : rank == 1 ? middle : high);
  }
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

/// Numbers that bids of each rank have.
class Distinct {
 public:
  void add(std::int64_t number, std::int64_t price) { ++seen_[number].at(rank_of(price)); }
  void add(const Distinct& other) {
    for (const auto& [number, bids] : other.seen_) {
      for (std::size_t rank = 0; rank < bids.size(); ++rank) seen_[number][rank] += bids[rank];
    }
  }
  /// How many there are: of any rank, then of each.
  auto counts() const -> std::array<std::size_t, 4> {
    std::array<std::size_t, 4> counts{seen_.size()};
    for (const auto& [number, bids] : seen_) {
      for (std::size_t rank = 0; rank < bids.size(); ++rank) counts[rank + 1] += bids[rank] > 0 ? 1 : 0;
    }
    return counts;
  }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& seen_;
  }

 private:
  std::map<std::int64_t, std::array<std::int64_t, 3>> seen_;
};

struct Channel {
  Ranks ranks;
  EventTime last;
  Distinct bidders, auctions;

  void add(const Bid& bid) {
    ranks.add(bid.price);
    last = std::max(last, bid.when);
    bidders.add(bid.bidder, bid.price);
    auctions.add(bid.auction, bid.price);
  }
  void add(const Channel& other) {
    ranks.add(other.ranks);
    last = std::max(last, other.last);
    bidders.add(other.bidders);
    auctions.add(other.auctions);
  }
  auto self() const -> const Channel& { return *this; }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& ranks& last& bidders& auctions;
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
        const auto& [ranks, last, bidders, auctions] = one.value;
        const std::chrono::hh_mm_ss time{last - std::chrono::floor<std::chrono::days>(last)};
        return fmt::format("{},{},{:02}:{:02},{},{},{},{},{},{}", channel, day, time.hours().count(),
                           time.minutes().count(), ranks.total(), ranks.low, ranks.middle, ranks.high,
                           fmt::join(bidders.counts(), ","), fmt::join(auctions.counts(), ","));
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
        return fmt::format("{},{},{},{},{},{}", bid.auction, bid.bidder, bid.price, bid.channel, bid.url,
                           micros(bid.when));
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
          emit(fmt::format("{},{},{},{},{},{},{}", bid.auction, bid.bidder, bid.price, bid.channel, bid.url,
                           micros(bid.when), ++rank));
      })
      .sink(tensair::to_lines(job.result));
}

}  // namespace nexmark
