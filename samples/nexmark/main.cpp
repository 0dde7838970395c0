#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <tensair/pipeline.hpp>

#include "queries.hpp"

// Runs queries of Nexmark, the benchmark of an auction house, over events that are generated from a seed.

namespace {

using namespace nexmark;

constexpr std::array queries{
    Query{"0", "every bid", pass_through},
    Query{"1", "prices in another currency", currency},
    Query{"2", "bids for some auctions", selection},
    Query{"3", "who sells in category 10 in three states", local_items},
    Query{"4", "the mean winning price of a category", category_average},
    Query{"5", "the auctions with most bids in the last ten seconds, every two", hot_items},
    Query{"6", "the mean of a seller's last ten winning prices", seller_average},
    Query{"7", "the highest bid of every ten seconds", highest_bid},
    Query{"8", "who registers and sells within the same ten seconds", new_users},
    Query{"9", "the winning bid of every auction", winning_bids},
    Query{"11", "how often somebody bids in a session", user_sessions},
    Query{"12", "how often somebody bids in ten seconds of processing time", processing_time},
    Query{"13", "bids with a value from a bounded table", side_input},
    Query{"16", "statistics of a channel and day", channel_statistics},
    Query{"17", "statistics of an auction and day", auction_statistics},
    Query{"18", "somebody's last bid for an auction", last_bid},
    Query{"19", "the ten highest bids for an auction", top_bids},
    Query{"20", "bids for auctions of category 10", bids_in_category},
    Query{"22", "the directories in a bid's address", directories},
};

/// The events as tables, for whoever wants to check the results.
void write_tables(tensair::Pipeline& pipeline, const Events& events, const std::filesystem::path& folder) {
  const Job job{pipeline, events, {}};
  persons(job)
      .map([](const Person& one) {
        return fmt::format("{},{},{},{},{}", one.id, one.name, one.city, one.state, micros(one.when));
      })
      .sink(tensair::to_lines(folder / "persons.csv"));
  auctions(job)
      .map([](const Auction& one) {
        return fmt::format("{},{},{},{},{},{},{},{},{}", one.id, one.item, one.description, one.initial_bid,
                           one.reserve, micros(one.when), micros(one.expires), one.seller, one.category);
      })
      .sink(tensair::to_lines(folder / "auctions.csv"));
  bids(job)
      .map([](const Bid& one) {
        return fmt::format("{},{},{},{},{},{}", one.auction, one.bidder, one.price, one.channel, one.url,
                           micros(one.when));
      })
      .sink(tensair::to_lines(folder / "bids.csv"));
}

}  // namespace

int main(int argc, char** argv) {
  std::string which = "all";
  Events events;
  std::filesystem::path output = ".";
  bool tables = false;
  auto flags = tensair::Flags{"nexmark", "Runs queries of the Nexmark benchmark; each writes a CSV file."};
  flags.add("--query", which, "its number, or all")
      .add("--events", events.count, "how many events are generated")
      .add("--output", output, "folder for q0.csv, q1.csv, …")
      .add("--tables", tables, "write the events too: persons.csv, auctions.csv, bids.csv");
  tensair::Pipeline pipeline{argc, argv, flags};
  return pipeline.run([&] {
    events.seed = pipeline.options().seed;
    const auto wanted = [&](const Query& query) { return which == "all" || which == query.name; };
    if (std::none_of(queries.begin(), queries.end(), wanted)) {
      throw tensair::UsageError(fmt::format("there is no query '{}'", which), "--query",
                                "There are 0 to 9, 11 to 13, 16 to 20, 22, and all.");
    }
    std::filesystem::create_directories(output);
    if (tables) write_tables(pipeline, events, output);
    for (const auto& query : queries) {
      if (wanted(query)) query.build({pipeline, events, output / fmt::format("q{}.csv", query.name)});
    }
  });
}
