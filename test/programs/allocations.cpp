// What a running pipeline allocates, and how much memory it has: a program of its own, because it counts what the whole
// process asks `operator new` for.

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <map>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <tensair/net/codec.hpp>
#include <tensair/pipeline.hpp>

#include "catch.hpp"
#include "support/sanitized.hpp"

namespace {

std::atomic<std::uint64_t> allocated{0};
std::atomic<std::uint64_t> largest{0};  // bytes asked for at once

auto counted(std::size_t size, std::size_t alignment) -> void* {
  allocated.fetch_add(1, std::memory_order_relaxed);
  for (auto most = largest.load(std::memory_order_relaxed);
       most < size && !largest.compare_exchange_weak(most, size, std::memory_order_relaxed);) {
  }
  void* memory = alignment <= alignof(std::max_align_t)
                     ? std::malloc(std::max<std::size_t>(size, 1))
                     : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// Arrays' versions call these; so does the library's nothrow version, but not a sanitizer's. Not inlined: g++ warns of
// a free() that it can see and a malloc() that it cannot.
[[gnu::noinline]] auto operator new(std::size_t size) -> void* {
  return counted(size, 1);
}
[[gnu::noinline]] auto operator new(std::size_t size, std::align_val_t alignment) -> void* {
  return counted(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] auto operator new(std::size_t size, const std::nothrow_t&) noexcept -> void* {
  allocated.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(std::max<std::size_t>(size, 1));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace {

using namespace tensair;
using tensair::test::sanitized;

constexpr std::uint64_t records = sanitized ? 1'000'000 : 4'000'000;
// A chunk is allocated when a channel is fuller than it ever was, and its memory is then used again: so once in a while
// one, but never one a chunk, of which there are some 16,000.
constexpr std::uint64_t once_in_a_while = 100;

/// Some numbers; a part of it, of as many as there are.
class Numbers {
 public:
  using value_type = std::uint64_t;
  explicit Numbers(std::uint64_t n) : n_(n) {}
  void split(int part, int parts) {
    next_ = static_cast<std::uint64_t>(part);
    step_ = static_cast<std::uint64_t>(parts);
  }
  auto next() -> std::optional<std::uint64_t> {
    if (next_ >= n_) return std::nullopt;
    const auto number = next_;
    next_ += step_;
    return number;
  }

 private:
  std::uint64_t n_, next_ = 0, step_ = 1;
};

/// What is allocated while the second half of some number of results come.
class Watch {
 public:
  explicit Watch(std::uint64_t results) : results_(results) {}
  void see() {
    ++seen_;
    if (seen_ == results_ / 2) before_ = allocated;
    if (seen_ == results_) during_ = allocated - before_;
  }
  auto all_came() const -> bool { return seen_ == results_; }
  auto during() const -> std::uint64_t { return during_; }

 private:
  std::uint64_t results_, seen_ = 0, before_ = 0, during_ = 0;
};

template <class Build>
auto allocations_of(std::uint64_t results, Build build) -> std::uint64_t {
  Watch watch{results};
  Options options;
  options.threads = 2;
  Pipeline pipeline{options};
  build(pipeline, watch);
  pipeline.execute();
  CHECK(watch.all_came());
  return watch.during();
}

auto timed_numbers(Pipeline& pipeline, std::uint64_t n) {
  return pipeline.source(Numbers{n}).assign_timestamps([](std::uint64_t number) {
    return EventTime{std::chrono::microseconds{number}};
  });
}

auto resident_bytes() -> std::uint64_t {
  std::uint64_t all = 0, resident = 0;
  std::ifstream{"/proc/self/statm"} >> all >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_CASE("what is allocated is counted") {
  const std::uint64_t before = allocated;
  ::operator delete(::operator new(1));
  CHECK(allocated == before + 1);
}

namespace {

/// Much larger than what it sends.
struct Large {
  std::string text;
  std::array<std::byte, 4'000> own{};
  friend auto operator<(const Large& a, const Large& b) -> bool { return a.text < b.text; }
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& text;
  }
};

struct Nothing {
  friend auto operator<(Nothing, Nothing) -> bool { return false; }
  template <class Archive>
  void serialize(Archive&, unsigned) {}
};

/// Bytes asked for at once, at most, by who reads a T of a message that it is not in.
template <class T>
auto largest_allocation_of(const net::Payload& payload) -> std::uint64_t {
  largest = 0;
  CHECK_THROWS_AS(net::Reader{payload}.template read<T>(), net::Malformed);
  return largest;
}

template <class T>
void check_allocations_of(const net::Payload& payload) {
  // An exception takes some itself.
  const auto most = std::max<std::uint64_t>(payload.size(), 1'000);
  const auto or_one = std::max<std::uint64_t>(most, sizeof(T) + 100);  // element, and its container's node
  CHECK(largest_allocation_of<std::vector<T>>(payload) <= most);
  CHECK(largest_allocation_of<std::deque<T>>(payload) <= or_one);
  CHECK(largest_allocation_of<std::set<T>>(payload) <= or_one);
  CHECK(largest_allocation_of<std::map<int, T>>(payload) <= or_one);
}

}  // namespace

TEST_CASE("a message that announces more than it holds makes its reader allocate no more than its own size") {
  for (const std::uint64_t announced : {100'000ULL, 1ULL << 31U, 1ULL << 60U, ~0ULL}) {
    for (const std::size_t bytes : {std::size_t{8}, std::size_t{100'000}}) {
      INFO(announced << " elements in " << bytes << " bytes");
      net::Writer writer{1};
      writer.write(announced);
      const std::vector<std::byte> rest(bytes - 8, std::byte{0xff});
      writer.copy(rest.data(), rest.size());
      const auto payload = writer.finish()->head;
      check_allocations_of<Large>(payload);
      check_allocations_of<std::string>(payload);
      if (announced > bytes) check_allocations_of<Nothing>(payload);
    }
  }
}

TEST_CASE("operators fused in one loop allocate nothing for a record") {
  CHECK(allocations_of(records / 2, [](Pipeline& pipeline, Watch& watch) {
          pipeline.source(Numbers{records})
              .map([](std::uint64_t n) { return n * 3; })
              .filter([](std::uint64_t n) { return n % 2 == 0; })
              .sink([&](std::uint64_t) { watch.see(); });
        }) == 0);
}

TEST_CASE("keyed operators fused in one loop allocate nothing for a record") {
  CHECK(allocations_of(records, [](Pipeline& pipeline, Watch& watch) {
          pipeline.source(Numbers{records})
              .key_by([](std::uint64_t n) { return n % 1'000; })
              .count()
              .sink([&](const auto&) { watch.see(); });
        }) == 0);
}

TEST_CASE("an exchange by key among parallel instances allocates nothing for a record nor a chunk") {
  CHECK(allocations_of(records, [](Pipeline& pipeline, Watch& watch) {
          pipeline.source(Numbers{records})
              .parallel(2)
              .key_by([](std::uint64_t n) { return n % 1'000; })
              .parallel(2)
              .count()
              .sink([&](const auto&) { watch.see(); });
        }) <= once_in_a_while);
}

TEST_CASE("a stream that is used twice and merged allocates nothing for a record nor a chunk") {
  CHECK(allocations_of(2 * records, [](Pipeline& pipeline, Watch& watch) {
          auto all = pipeline.source(Numbers{records});
          auto twice = all.map([](std::uint64_t n) { return 2 * n; });
          all.merge(std::move(twice)).sink([&](std::uint64_t) { watch.see(); });
        }) <= once_in_a_while);
}

TEST_CASE("a loop allocates nothing for a record nor a chunk") {
  CHECK(allocations_of(records / 4, [](Pipeline& pipeline, Watch& watch) {
          pipeline.source(Numbers{records / 4})
              .map([](std::uint64_t) { return 3; })
              .iterate([](auto loop) {
                auto less = std::move(loop).map([](int n) { return n - 1; });
                return Iteration{less.filter([](int n) { return n > 0; }), less.filter([](int n) { return n == 0; })};
              })
              .sink([&](int) { watch.see(); });
        }) <= once_in_a_while);
}

TEST_CASE("windows allocate nothing for a record") {
  // 100 keys in windows of 10,000 records: a result for 100 records.
  CHECK(allocations_of(records / 100, [](Pipeline& pipeline, Watch& watch) {
          pipeline.source(Numbers{records})
              .assign_timestamps([](std::uint64_t n) { return EventTime{std::chrono::microseconds{n}}; })
              .key_by([](std::uint64_t n) { return n % 100; })
              .parallel(2)
              .window(tumbling(std::chrono::microseconds{10'000}))
              .count()
              .sink([&](const auto&) { watch.see(); });
        }) <= once_in_a_while);
}

TEST_CASE("overlapping windows allocate for a slice, not for a record") {
  // 100 keys in windows of 400,000 records, a slice of 100,000: at most 20 slices in half of all, each of some tables.
  CHECK(allocations_of((records / 100'000 + 3) * 100, [](Pipeline& pipeline, Watch& watch) {
          timed_numbers(pipeline, records)
              .key_by([](std::uint64_t n) { return n % 100; })
              .window(sliding(std::chrono::microseconds{400'000}, std::chrono::microseconds{100'000}))
              .count()
              .sink([&](const auto&) { watch.see(); });
        }) <= 10 * once_in_a_while);
}

TEST_CASE("sessions allocate nothing for a record") {
  // A key comes ten times in a thousand microseconds, and again ten thousand later: 100,000 keys, at most 10 at a time.
  CHECK(allocations_of(records / 10, [](Pipeline& pipeline, Watch& watch) {
          timed_numbers(pipeline, records)
              .key_by([](std::uint64_t n) { return n / 1'000 % 10 * 100 + n % 100; })
              .window(session(std::chrono::microseconds{500}))
              .count()
              .sink([&](const auto&) { watch.see(); });
        }) <= once_in_a_while);
}

TEST_CASE("windows of a number of records allocate nothing for a record") {
  CHECK(allocations_of(records / 10, [](Pipeline& pipeline, Watch& watch) {
          timed_numbers(pipeline, records)
              .key_by([](std::uint64_t n) { return n % 100; })
              .window(tumbling_count(10))
              .sum()
              .sink([&](const auto&) { watch.see(); });
        }) <= once_in_a_while);
}

TEST_CASE("joins allocate nothing for a record") {
  const auto key = [](std::uint64_t n) { return n % 1'000; };
  const auto sum = [](std::uint64_t a, std::uint64_t b) { return a + b; };
  // How far one stream may be ahead of the other is for the scheduler to say: when it is further than it ever was, each
  // key's list grows once more.
  constexpr std::uint64_t for_lists = 1'000 * 5;
  // Each number meets itself.
  CHECK(allocations_of(records, [&](Pipeline& pipeline, Watch& watch) {
          timed_numbers(pipeline, records)
              .key_by(key)
              .join(timed_numbers(pipeline, records).key_by(key))
              .between(std::chrono::microseconds{0}, std::chrono::microseconds{0})
              .with(sum)
              .sink([&](std::uint64_t) { watch.see(); });
        }) <= for_lists);
  CHECK(allocations_of(records, [&](Pipeline& pipeline, Watch& watch) {
          pipeline.source(Numbers{records})
              .key_by(key)
              .lookup(pipeline.source(Numbers{1'000}).key_by(key),
                      [](std::uint64_t n, const std::uint64_t* row) { return row == nullptr ? n : n + *row; })
              .sink([&](std::uint64_t) { watch.see(); });
        }) <= once_in_a_while);
  CHECK(allocations_of(records, [&](Pipeline& pipeline, Watch& watch) {
          timed_numbers(pipeline, records)
              .key_by(key)
              .lookup(timed_numbers(pipeline, records).key_by(key), as_of_event_time,
                      [](std::uint64_t n, const std::uint64_t* row) { return row == nullptr ? n : n + *row; })
              .sink([&](std::uint64_t) { watch.see(); });
        }) <= for_lists);
}

TEST_CASE("a join in windows allocates for lists that grow, not for each record") {
  // Three keys, each with a thousand records of either side in a window.
  constexpr std::uint64_t some = sanitized ? 6'000 : 300'000;
  CHECK(allocations_of(some / 3'000 * 3 * 1'000 * 1'000, [](Pipeline& pipeline, Watch& watch) {
          const auto key = [](std::uint64_t n) { return n % 3; };
          timed_numbers(pipeline, some)
              .key_by(key)
              .join(timed_numbers(pipeline, some).key_by(key))
              .window(tumbling(std::chrono::microseconds{3'000}))
              .with([](std::uint64_t a, std::uint64_t b) { return a + b; })
              .sink([&](std::uint64_t) { watch.see(); });
        }) <= 2 * some / 50);
}

TEST_CASE("memory stays flat over ten million records") {
  constexpr std::uint64_t many = sanitized ? 1'000'000 : 10'000'000;
  const auto idle = resident_bytes();
  std::uint64_t most = 0, seen = 0;
  Options options;
  options.threads = 2;
  Pipeline pipeline{options};
  pipeline.source(Numbers{many})
      .assign_timestamps([](std::uint64_t n) { return EventTime{std::chrono::microseconds{n}}; })
      .key_by([](std::uint64_t n) { return n % 1'000; })
      .parallel(2)
      .with_state<std::uint64_t>([](std::uint64_t& count, std::uint64_t) { return ++count; })
      .rebalance()
      .sink([&](std::uint64_t) {
        if (++seen % 100'000 == 0) most = std::max(most, resident_bytes());
      });
  pipeline.execute();
  CHECK(seen == many);
  if (!sanitized) CHECK(most - std::min(most, idle) <= 64'000'000);
}

TEST_CASE("memory of windows and joins stays flat over ten million records") {
  // Of each of two streams.
  constexpr std::uint64_t many = sanitized ? 500'000 : 5'000'000;
  const auto key = [](std::uint64_t n) { return n % 1'000; };
  const auto idle = resident_bytes();
  // Of each sink: they run at the same time.
  struct Seen {
    std::uint64_t results = 0, most = 0;
    void see() {
      if (++results % 10'000 == 0) most = std::max(most, resident_bytes());
    }
  } sliding_counts, sessions;
  Options options;
  options.threads = 2;
  Pipeline pipeline{options};
  auto joined = timed_numbers(pipeline, many)
                    .key_by(key)
                    .parallel(2)
                    .join(timed_numbers(pipeline, many).key_by(key))
                    .between(std::chrono::microseconds{-2'000}, std::chrono::microseconds{2'000})
                    .with([](std::uint64_t a, std::uint64_t b) { return a + b; });
  joined.key_by([](std::uint64_t n) { return n % 100; })
      .window(sliding(std::chrono::microseconds{10'000}, std::chrono::microseconds{1'000}))
      .count()
      .sink([&](const auto&) { sliding_counts.see(); });
  joined.key_by([](std::uint64_t n) { return n / 1'000 % 1'000; })
      .window(session(std::chrono::microseconds{100}))
      .count()
      .sink([&](const auto&) { sessions.see(); });
  pipeline.execute();
  CHECK(sliding_counts.results + sessions.results > many / 25);
  const auto most = std::max(sliding_counts.most, sessions.most);
  if (!sanitized) CHECK(most - std::min(most, idle) <= 64'000'000);
}
