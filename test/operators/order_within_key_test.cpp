#include <mutex>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support/everywhere.hpp"

// Records of a key keep the order in which one source gives them, wherever the key is. (For reduce: key_by_test.cpp.)

using namespace tensair;
using namespace tensair::test;

namespace {

constexpr int count = 4'800, keys = 7;

/// Passes on each number that comes behind all that its source has given before, and else -1.
struct InOrder {
  using State = std::vector<int>;  // the last number of each source
  using Output = int;
  int sources;

  void operator()(int n, State& last, ProcessContext<int, int>& context) const {
    last.resize(static_cast<std::size_t>(sources), -1);
    const int before = std::exchange(last[static_cast<std::size_t>(n % sources)], n);
    context.emit(before < n ? n : -1);
  }
};

/// A service that answers eight questions at once, the last one first.
class Service {
 public:
  void ask(int question, Reply<int> reply) {
    std::vector<std::pair<int, Reply<int>>> all;
    {
      const std::lock_guard lock{mutex_};
      waiting_.emplace_back(question, std::move(reply));
      if (waiting_.size() == 8) all.swap(waiting_);
    }
    for (; !all.empty(); all.pop_back()) all.back().second(all.back().first);
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<int, Reply<int>>> waiting_;
};

}  // namespace

TEST_CASE("process gets the records of a key in the order in which each source gives them, everywhere",
          "[operators][keyed][everywhere]") {
  check_everywhere(numbers(count), [](Pipeline& pipeline, int parallel) {
    return pipeline.source(SharedNumbers{count})
        .parallel(parallel)
        .key_by([](int n) { return n % keys; })
        .parallel(parallel)
        .process(InOrder{parallel * pipeline.options().node_count()});
  });
}

TEST_CASE("answers of an ordered async_map keep the order within a key, however they come, everywhere",
          "[operators][async_map][everywhere]") {
  Service service;
  check_everywhere(numbers(count), [&](Pipeline& pipeline, int parallel) {
    return pipeline.source(SharedNumbers{count})
        .parallel(parallel)
        .async_map<int>([&](int n, Reply<int> reply) { service.ask(n, std::move(reply)); }, {.concurrency = 16})
        .key_by([](int n) { return n % keys; })
        .parallel(parallel)
        .process(InOrder{parallel * pipeline.options().node_count()});
  });
}

TEST_CASE("an ordered async_map behind key_by keeps the order within a key, everywhere",
          "[operators][async_map][everywhere]") {
  Service service;
  check_everywhere(numbers(count), [&](Pipeline& pipeline, int parallel) {
    return pipeline.source(numbers(count))
        .key_by([](int n) { return n % keys; })
        .parallel(parallel)
        .process(InOrder{1})
        .async_map<int>([&](int n, Reply<int> reply) { service.ask(n, std::move(reply)); }, {.concurrency = 16})
        .key_by([](int n) { return n % keys; })
        .process(InOrder{1});
  });
}
