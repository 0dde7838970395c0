#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <tensair/pipeline.hpp>
#include <tensair/runtime/source.hpp>
#include <tensair/testing/cluster.hpp>
#include <thread>

#include "catch.hpp"
#include "support/topologies.hpp"

using namespace tensair;
using namespace std::chrono_literals;

namespace {

/// Gives 0, 1, …, one each second, the first at once.
class Seconds {
 public:
  using value_type = long;
  explicit Seconds(long n) : n_(n) {}

  void open(runtime::Node& node) {
    clock_ = &node.clock();
    due_ = clock_->now();
  }
  auto poll() -> Poll<long> {
    if (count_ == n_) return Poll<long>::end();
    if (clock_->now() < due_) return Poll<long>::wait(due_);
    due_ += 1s;
    return count_++;
  }
  auto offset() const -> long { return count_; }
  void seek(long offset) { count_ = offset; }

 private:
  long n_, count_ = 0;
  const Clock* clock_ = nullptr;
  Time due_;
};

/// What a thread outside puts in, a stream gives out.
struct Mailbox {
  std::mutex mutex;
  std::deque<int> letters;
  bool closed = false;
  runtime::Waker waker;

  void put(int letter) {
    const std::lock_guard lock{mutex};
    letters.push_back(letter);
    waker.wake();
  }
  void close() {
    const std::lock_guard lock{mutex};
    closed = true;
    waker.wake();
  }
};

class Letters {
 public:
  using value_type = int;
  explicit Letters(Mailbox& box) : box_(&box) {}
  void open(runtime::Node&, runtime::Waker waker) {
    const std::lock_guard lock{box_->mutex};
    box_->waker = std::move(waker);
  }
  auto poll() -> Poll<int> {
    const std::lock_guard lock{box_->mutex};
    if (!box_->letters.empty()) {
      const int letter = box_->letters.front();
      box_->letters.pop_front();
      return letter;
    }
    return box_->closed ? Poll<int>::end() : Poll<int>::wait();
  }

 private:
  Mailbox* box_;
};

/// Numbers below n, shared out, that can be gone on with; counts how often it is asked where it is or told where to go.
class Resumable {
 public:
  using value_type = int;
  explicit Resumable(int n, int* asked = nullptr) : n_(n), asked_(asked) {}

  void split(int part, int parts) {
    next_ = part;
    step_ = parts;
  }
  auto next() -> std::optional<int> {
    return next_ < n_ ? std::optional(std::exchange(next_, next_ + step_)) : std::nullopt;
  }
  auto offset() const -> int {
    if (asked_ != nullptr) ++*asked_;
    return next_;
  }
  void seek(int offset) {
    if (asked_ != nullptr) ++*asked_;
    next_ = offset;
  }

 private:
  int n_, next_ = 0, step_ = 1;
  int* asked_;
};

static_assert(RestorableSource<Resumable>);
static_assert(Source<Seconds> && PollingSource<Seconds> && !BlockingSource<Seconds> && RestorableSource<Seconds>);
static_assert(Source<Letters> && !RestorableSource<Letters>);
static_assert(BlockingSource<Collection<int>> && !PollingSource<Collection<int>>);
static_assert(!Source<int>);

}  // namespace

TEST_CASE("a source that polls gets its records when they are due, in virtual time", "[source]") {
  for (const int nodes : {1, 2, 5}) {
    testing::Cluster cluster{{.nodes = nodes, .seed = 3}};
    std::vector<std::pair<long, Duration>> arrivals;
    cluster.run([&](Pipeline& pipeline) {
      pipeline.source(Seconds{4}).sink([&](long n) { arrivals.emplace_back(n, cluster.elapsed()); });
    });
    REQUIRE(arrivals.size() == 4);
    for (long n = 0; n < 4; ++n) {
      const auto& [record, at] = arrivals[static_cast<std::size_t>(n)];
      CHECK(record == n);
      CHECK(at >= n * 1s);
      CHECK(at < n * 1s + 10ms);
    }
  }
}

TEST_CASE("a source of one's own goes on behind any of its records, and a run that begins is not told to", "[source]") {
  for (const int parts : {1, 3}) {
    for (int part = 0; part < parts; ++part) {
      Resumable whole{20};
      whole.split(part, parts);
      for (std::optional<int> last = -1; last; last = whole.next()) {
        Resumable again{20};
        again.split(part, parts);
        again.seek(whole.offset());
        Resumable ahead = whole;
        std::optional<int> expected;
        do {
          expected = ahead.next();
          CHECK(again.next() == expected);
        } while (expected);
      }
    }
  }
  int asked = 0;
  std::vector<int> all;
  test::run({2, 1, false}, [&](Pipeline& pipeline) {
    pipeline.source(Resumable{20, &asked}).sink([&](int n) { all.push_back(n); });
  });
  CHECK(all.size() == 20);
  CHECK(asked == 0);
  // One that has been told before is where it was told.
  all.clear();
  Resumable later{20};
  later.seek(17);
  test::run({1, 1, true}, [&](Pipeline& pipeline) {
    struct Whole {  // is not split
      using value_type = int;
      Resumable from;
      auto next() -> std::optional<int> { return from.next(); }
    };
    pipeline.source(Whole{later}).sink([&](int n) { all.push_back(n); });
  });
  CHECK(all == std::vector<int>{17, 18, 19});
}

TEST_CASE("a waker brings what another thread has made to a source that waits", "[source]") {
  constexpr int letters = 1'000;
  Mailbox box;
  std::vector<int> received;
  std::thread writer;
  test::run({1, 1, true}, [&](Pipeline& pipeline) {
    pipeline.source(Letters{box}).sink([&](int letter) {
      received.push_back(letter);
      if (letter == 0) {  // by now the waker is there
        writer = std::thread([&] {
          for (int n = 1; n < letters; ++n) box.put(n);
          box.close();
        });
      }
    });
    box.letters.push_back(0);
  });
  writer.join();
  REQUIRE(received.size() == letters);
  for (int n = 0; n < letters; ++n) CHECK(received[static_cast<std::size_t>(n)] == n);
}

TEST_CASE("a waker may outlive its task and its run", "[source]") {
  for (const bool threads : {false, true}) {
    Mailbox box;
    box.closed = true;
    test::run({1, 1, threads}, [&](Pipeline& pipeline) { pipeline.source(Letters{box}).collect(); });
    box.put(1);  // wakes nobody
    CHECK(box.letters.size() == 1);
  }
}

TEST_CASE("when the run fails a source that polls does not hold up its end", "[source][error]") {
  Mailbox box;  // never closed
  for (const auto& topology : test::topologies()) {
    INFO(topology.name());
    CHECK_THROWS_WITH(test::run(topology,
                                [&](Pipeline& pipeline) {
                                  pipeline.source(Letters{box}).collect();
                                  pipeline.source(std::vector{1}).sink([](int) { throw std::runtime_error("broken"); });
                                }),
                      Catch::Matchers::ContainsSubstring("threw: broken"));
  }
}

TEST_CASE("a lambda that waits is told when the run fails on its node", "[source][error]") {
  std::mutex mutex;
  std::condition_variable_any news;
  std::promise<void> waiting;
  bool told = false;
  CHECK_THROWS_WITH(test::run({1, 1, true},
                              [&](Pipeline& pipeline) {
                                pipeline
                                    .source([&](std::stop_token token) -> std::optional<int> {
                                      std::unique_lock lock{mutex};
                                      waiting.set_value();
                                      news.wait(lock, token, [] { return false; });
                                      told = token.stop_requested();
                                      return std::nullopt;
                                    })
                                    .collect();
                                pipeline
                                    .source([&]() -> std::optional<int> {
                                      waiting.get_future().wait();
                                      throw std::runtime_error("broken");
                                    })
                                    .collect();
                              }),
                    Catch::Matchers::ContainsSubstring("threw: broken"));
  CHECK(told);
}

TEST_CASE("a lambda that waits is told when another node fails", "[source][error]") {
  std::mutex mutex;
  std::condition_variable_any news;
  const auto wait = [&](std::stop_token token) -> std::optional<int> {
    std::unique_lock lock{mutex};
    news.wait(lock, token, [] { return false; });
    return std::nullopt;
  };
  class FailsOnNodeOne {
   public:
    using value_type = int;
    void split(int part, int) { fails_ = part == 1; }
    auto next() -> std::optional<int> {
      if (fails_) throw std::runtime_error("broken");
      return std::nullopt;
    }

   private:
    bool fails_ = false;
  };
  CHECK_THROWS_AS(test::run_tcp(2,
                                [&](Pipeline& pipeline) {
                                  pipeline.source(wait).collect();
                                  pipeline.source(FailsOnNodeOne{}).collect();
                                }),
                  NodeError);
}
