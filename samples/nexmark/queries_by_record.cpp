#include <fmt/format.h>

#include <string_view>

#include "queries.hpp"

// Queries that look at one bid at a time.

namespace nexmark {

void pass_through(const Job& job) {
  bids(job)
      .map([](const Bid& bid) {
        return fmt::format("{},{},{},{},{},{}", bid.auction, bid.bidder, bid.price, bid.channel, bid.url,
                           micros(bid.when));
      })
      .sink(tensair::to_lines(job.result));
}

void currency(const Job& job) {
  bids(job)
      .map([](const Bid& bid) {
        const auto euros = static_cast<double>(bid.price) * 0.908;
        return fmt::format("{},{},{:.3f},{}", bid.auction, bid.bidder, euros, micros(bid.when));
      })
      .sink(tensair::to_lines(job.result));
}

void selection(const Job& job) {
  bids(job)
      .filter([](const Bid& bid) { return bid.auction % 123 == 0; })
      .map([](const Bid& bid) { return fmt::format("{},{}", bid.auction, bid.price); })
      .sink(tensair::to_lines(job.result));
}

void directories(const Job& job) {
  const auto part = [](std::string_view url, int number) {
    for (; number > 0; --number) url.remove_prefix(url.find('/') + 1);
    return url.substr(0, url.find('/'));
  };
  bids(job)
      .map([part](const Bid& bid) {
        return fmt::format("{},{},{},{},{},{},{}", bid.auction, bid.bidder, bid.price, bid.channel, part(bid.url, 3),
                           part(bid.url, 4), part(bid.url, 5));
      })
      .sink(tensair::to_lines(job.result));
}

}  // namespace nexmark
