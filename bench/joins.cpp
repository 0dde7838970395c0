// Interval join of two streams: tensair beside a loop by hand with the library's map.
//
//   joins [--json FILE] [--quick] [--records N] [--keys N] [--repetitions N]
//
// Records of both sides come in time order, one a microsecond on each; a pair's times may differ by half as many
// microseconds as there are keys. So a record has about one partner, and about as many records are kept as there are
// keys, on each side.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <tensair/pipeline.hpp>
#include <vector>

#include "report.hpp"
#include "seconds.hpp"
#include "statistics.hpp"

namespace {

struct Event {
  std::uint64_t key;
  std::int64_t time;  // µs
  std::uint32_t value;
};

/// Keys drawn evenly (Marsaglia's xorshift), a record a microsecond.
class Events {
 public:
  using value_type = Event;
  Events(std::uint64_t n, std::uint64_t keys, std::uint64_t seed) : n_(n), keys_(keys), state_(seed) {}
  auto next() -> std::optional<Event> {
    if (i_ == n_) return std::nullopt;
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    const auto time = static_cast<std::int64_t>(i_++);
    return Event{(state_ >> 11) % keys_, time, static_cast<std::uint32_t>(state_)};
  }

 private:
  std::uint64_t n_, keys_, state_;
  std::uint64_t i_ = 0;
};
constexpr std::uint64_t left_seed = 88172645463325252, right_seed = 2463534242;

/// What a join came to, so that sides can be compared and nothing is left out.
struct Joined {
  std::uint64_t pairs = 0, sum = 0;
  friend auto operator==(const Joined&, const Joined&) -> bool = default;
  void add(std::uint32_t a, std::uint32_t b) {
    ++pairs;
    sum += std::uint64_t{a} * 31 + b;
  }
};

struct Workload {
  std::uint64_t records, keys;  // records of each side
  std::int64_t bound;           // µs
};

/// As one would write it for this input alone: both sides alternate, so that each record's partners are there or yet to
/// come; a ring for each side's records in order of time, whose oldest leave their key's list.
auto by_hand(const Workload& work) -> Joined {
  struct Sides {
    std::vector<Event> left, right;
  };
  tensair::operators::StateMap<std::uint64_t, Sides> keys;
  std::deque<Event> left_order, right_order;
  Joined joined;
  Events left{work.records, work.keys, left_seed}, right{work.records, work.keys, right_seed};
  const auto sides_of = [&](std::uint64_t key) -> Sides& {
    return keys.find_or_make(key, tensair::hash_key(key), [] { return Sides{}; }).value;
  };
  const auto expire = [&](std::deque<Event>& order, std::int64_t now, auto side) {
    while (!order.empty() && order.front().time + work.bound < now) {
      const auto key = order.front().key;
      order.pop_front();
      auto& sides = sides_of(key);
      (sides.*side).erase((sides.*side).begin());
      if (sides.left.empty() && sides.right.empty()) keys.erase(key, tensair::hash_key(key));
    }
  };
  while (true) {
    const auto a = left.next();
    const auto b = right.next();
    if (!a) break;
    expire(left_order, a->time, &Sides::left);
    expire(right_order, a->time, &Sides::right);
    auto& of_a = sides_of(a->key);
    for (const auto& other : of_a.right) {
      if (std::abs(other.time - a->time) <= work.bound) joined.add(a->value, other.value);
    }
    of_a.left.push_back(*a);
    left_order.push_back(*a);
    auto& of_b = sides_of(b->key);
    for (const auto& other : of_b.left) {
      if (std::abs(other.time - b->time) <= work.bound) joined.add(other.value, b->value);
    }
    of_b.right.push_back(*b);
    right_order.push_back(*b);
  }
  return joined;
}

auto with_tensair(const Workload& work) -> Joined {
  tensair::Options options;
  options.threads = 1;
  tensair::Pipeline pipeline{options};
  const auto time = [](const Event& event) { return tensair::EventTime{std::chrono::microseconds{event.time}}; };
  const auto bound = std::chrono::microseconds{work.bound};
  auto right = pipeline.source(Events{work.records, work.keys, right_seed}).assign_timestamps(time);
  Joined joined;
  pipeline.source(Events{work.records, work.keys, left_seed})
      .assign_timestamps(time)
      .key_by(&Event::key)
      .join(std::move(right).key_by(&Event::key))
      .between(-bound, bound)
      .with([](const Event& a, const Event& b) { return std::pair(a.value, b.value); })
      .sink([&](const auto& pair) { joined.add(pair.first, pair.second); });
  pipeline.execute();
  return joined;
}

void run(const Workload& work, int repetitions, const std::filesystem::path& json) {
  const auto expected = by_hand(work);
  std::vector<double> hand, ours;
  const auto measure = [&](auto join, std::vector<double>& rates) {
    const double start = bench::cpu_seconds();
    const auto joined = join(work);
    rates.push_back(2.0 * static_cast<double>(work.records) / (bench::cpu_seconds() - start));
    if (joined != expected) throw tensair::Error("the pairs differ from those of the loop by hand");
  };
  for (int i = 0; i < repetitions; ++i) {
    measure(by_hand, hand);
    measure(with_tensair, ours);
  }
  const double limit = bench::median(hand), reached = bench::median(ours);
  bench::Report report;
  report.table(fmt::format("interval join, 2 × {} records, {} keys, {} pairs", work.records, work.keys, expected.pairs),
               "records/CPU s",
               {{"by hand", limit, 1.0, "loop by hand, tensair's map"}, {"tensair", reached, reached / limit}});
  report.note("required: at least 5 M records a second of one thread: {}", reached >= 5e6 ? "met" : "not met");
  if (!json.empty()) report.write(json);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"An interval join of two streams."};
  std::filesystem::path json;
  Workload work{10'000'000, 1'000'000, 0};
  int repetitions = 5;
  bool quick = false;
  app.add_option("--json", json, "where to write the rows");
  app.add_option("--records", work.records, "of each side")->check(CLI::PositiveNumber);
  app.add_option("--keys", work.keys, "how many different ones")->check(CLI::PositiveNumber);
  app.add_option("--repetitions", repetitions, "how often each side runs, in turn")->check(CLI::PositiveNumber);
  app.add_flag("--quick", quick, "within 20 s");
  CLI11_PARSE(app, argc, argv);
  if (quick) {
    work.records = std::min<std::uint64_t>(work.records, 4'000'000);
    repetitions = std::min(repetitions, 3);
  }
  work.bound = static_cast<std::int64_t>(work.keys / 2);
  try {
    run(work, repetitions, json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "joins: {}\n", error.what());
    return 1;
  }
}
