#pragma once

#include <filesystem>
#include <tensair/io/to_lines.hpp>
#include <tensair/pipeline.hpp>

#include "generator.hpp"

namespace nexmark {

/// What a query works on and where its result goes.
struct Job {
  tensair::Pipeline& pipeline;
  Events events;
  std::filesystem::path result;  // a CSV file without a header
};

/// The events as a stream with event time.
inline auto stream(const Job& job) {
  return job.pipeline.source(Generator{job.events})
      .name("events")
      .assign_timestamps(time_of, tensair::bounded_out_of_orderness(disorder));
}

template <class T>
auto only(auto events) {
  return std::move(events)
      .filter([](const Event& event) { return std::holds_alternative<T>(event); })
      .map([](Event event) { return std::get<T>(std::move(event)); });
}

inline auto bids(const Job& job) {
  return only<Bid>(stream(job));
}
inline auto auctions(const Job& job) {
  return only<Auction>(stream(job));
}
inline auto persons(const Job& job) {
  return only<Person>(stream(job));
}

/// A query of the benchmark.
struct Query {
  const char* name;
  const char* what;
  void (*build)(const Job&);
};

// Numbers, names and meanings are Nexmark's, as its SQL for Apache Flink has them. Those without a number here are
// about other systems' user-defined functions and file sinks.
void pass_through(const Job& job);        // 0
void currency(const Job& job);            // 1
void selection(const Job& job);           // 2
void local_items(const Job& job);         // 3
void category_average(const Job& job);    // 4
void hot_items(const Job& job);           // 5
void seller_average(const Job& job);      // 6
void highest_bid(const Job& job);         // 7
void new_users(const Job& job);           // 8
void winning_bids(const Job& job);        // 9
void user_sessions(const Job& job);       // 11
void processing_time(const Job& job);     // 12
void side_input(const Job& job);          // 13
void channel_statistics(const Job& job);  // 16
void auction_statistics(const Job& job);  // 17
void last_bid(const Job& job);            // 18
void top_bids(const Job& job);            // 19
void bids_in_category(const Job& job);    // 20
void directories(const Job& job);         // 22

}  // namespace nexmark
