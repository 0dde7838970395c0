#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>

#include "catch.hpp"
#include "support/co_groups.hpp"
#include "support/everywhere.hpp"
#include "support/streams.hpp"

// Each operator gives the same on 1, 2 and 5 nodes, with 1 and 3 workers, in the simulation and over TCP. What is
// expected comes from a loop over all records, and does not depend on the order in which they come. (Windows are in
// everywhere_test.cpp.)

using namespace tensair;
using namespace tensair::test;
using namespace std::chrono_literals;

namespace {

struct Sale {
  int shop = 0, cents = 0;
  friend auto operator<=>(const Sale&, const Sale&) = default;
};

constexpr int count = 400, shops = 7;

auto sale(int i) -> Sale {
  return {i % shops, i * i % 1009};
}
auto sales(Pipeline& pipeline, int parallel) {
  return pipeline.source(SharedNumbers{count}).parallel(parallel).map(sale);
}
auto by_shop(Pipeline& pipeline, int parallel) {
  return sales(pipeline, parallel).key_by(&Sale::shop).parallel(parallel);
}
/// The cents of each shop, least first.
auto cents_by_shop() -> std::map<int, std::vector<int>> {
  std::map<int, std::vector<int>> all;
  for (int i = 0; i < count; ++i) all[sale(i).shop].push_back(sale(i).cents);
  for (auto& [shop, cents] : all) std::sort(cents.begin(), cents.end());
  return all;
}

/// The same of a value for each shop, which `value(cents)` makes of its cents.
template <class V, class Value, class Compose>
void check_by_shop(Value value, Compose compose) {
  std::vector<KeyValue<int, V>> expected;
  for (const auto& [shop, cents] : cents_by_shop()) expected.push_back({shop, value(cents)});
  check_everywhere(expected, [&](Pipeline& pipeline, int parallel) { return compose(by_shop(pipeline, parallel)); });
}

using Cents = std::vector<int>;

auto total(const Cents& cents) -> std::int64_t {
  return std::accumulate(cents.begin(), cents.end(), std::int64_t{0});
}

}  // namespace

TEST_CASE("sum, min, max, mean, top_k, reduce and aggregate are the naive ones everywhere",
          "[operators][keyed][everywhere]") {
  check_by_shop<std::int64_t>(total, [](auto keyed) { return std::move(keyed).sum(&Sale::cents, at_end); });
  check_by_shop<int>([](const Cents& cents) { return cents.front(); },
                     [](auto keyed) { return std::move(keyed).min(&Sale::cents, at_end); });
  check_by_shop<int>([](const Cents& cents) { return cents.back(); },
                     [](auto keyed) { return std::move(keyed).max(&Sale::cents, at_end); });
  const auto millionths = [](double mean) { return std::lround(mean * 1e6); };
  check_by_shop<long>(
      [&](const Cents& cents) {
        return millionths(static_cast<double>(total(cents)) / static_cast<double>(cents.size()));
      },
      [&](auto keyed) {
        return std::move(keyed).mean(&Sale::cents, at_end).map([&](const auto& one) {
          return KeyValue<int, long>{one.key, millionths(one.value)};
        });
      });
  check_by_shop<Cents>(
      [](const Cents& cents) {
        return Cents{cents.rbegin(), cents.rbegin() + 3};
      },
      [](auto keyed) {
        return std::move(keyed).top_k(3, &Sale::cents, at_end).map([](const auto& top) {
          Cents cents;
          for (const auto& one : top.value) cents.push_back(one.cents);
          return KeyValue<int, Cents>{top.key, cents};
        });
      });
  check_by_shop<int>([](const Cents& cents) { return static_cast<int>(total(cents)); },
                     [](auto keyed) {
                       return std::move(keyed)
                           .reduce(
                               [](const Sale& a, const Sale& b) {
                                 return Sale{a.shop, a.cents + b.cents};
                               },
                               at_end)
                           .map([](const auto& one) {
                             return KeyValue<int, int>{one.key, one.value.cents};
                           });
                     });
  check_by_shop<int>([](const Cents& cents) { return cents.back() - cents.front(); },
                     [](auto keyed) {
                       return std::move(keyed).aggregate(
                           std::pair(1'000'000, -1),
                           [](auto& range, const Sale& one) {
                             range = {std::min(range.first, one.cents), std::max(range.second, one.cents)};
                           },
                           [](auto& range, const auto& other) {
                             range = {std::min(range.first, other.first), std::max(range.second, other.second)};
                           },
                           [](const auto& range) { return range.second - range.first; }, at_end);
                     });
}

TEST_CASE("distinct, with_state, split and project are the naive ones everywhere", "[operators][everywhere]") {
  check_everywhere(numbers(shops), [](Pipeline& pipeline, int parallel) {
    return by_shop(pipeline, parallel).distinct().map(&Sale::shop);
  });
  std::vector<std::pair<int, int>> nth;  // shop, and how many of it have come
  for (const auto& [shop, cents] : cents_by_shop()) {
    for (std::size_t i = 0; i < cents.size(); ++i) nth.emplace_back(shop, static_cast<int>(i));
  }
  check_everywhere(nth, [](Pipeline& pipeline, int parallel) {
    return by_shop(pipeline, parallel).template with_state<int>([](int& before, const Sale& one) {
      return std::pair(one.shop, before++);
    });
  });
  std::vector<std::tuple<int, int>> members;
  std::vector<int> even, odd;
  for (int i = 0; i < count; ++i) {
    members.emplace_back(sale(i).cents, sale(i).shop);
    (sale(i).cents % 2 == 0 ? even : odd).push_back(sale(i).cents);
  }
  check_everywhere(members, [](Pipeline& pipeline, int parallel) {
    return sales(pipeline, parallel).project(&Sale::cents, &Sale::shop);
  });
  check_everywhere(even, [](Pipeline& pipeline, int parallel) {
    auto parity = sales(pipeline, parallel).map(&Sale::cents).split([](int cents) { return cents % 2; });
    parity.output(1).sink([](int) {});
    return parity.output(0);
  });
  check_everywhere(odd, [](Pipeline& pipeline, int parallel) {
    auto parity = sales(pipeline, parallel).map(&Sale::cents).split([](int cents) { return cents % 2; });
    parity.output(0).sink([](int) {});
    return parity.output(1);
  });
}

TEST_CASE("inspect, project to one member and split by a text are the naive ones everywhere",
          "[operators][everywhere]") {
  std::vector<int> cents;
  std::vector<std::string> of_shop_six;
  for (int i = 0; i < count; ++i) {
    cents.push_back(sale(i).cents);
    if (sale(i).shop == 6) of_shop_six.push_back("shop 6: " + std::to_string(sale(i).cents));
  }
  check_everywhere(cents, [](Pipeline& pipeline, int parallel) {
    return sales(pipeline, parallel).rebalance().parallel(parallel).project(&Sale::cents);
  });
  std::atomic<std::int64_t> looked_at = 0;
  check_everywhere(cents, [&](Pipeline& pipeline, int parallel) {
    return sales(pipeline, parallel).map(&Sale::cents).rebalance().inspect([&](int one) { looked_at += one; });
  });
  CHECK(looked_at == total(cents) * 2 * static_cast<std::int64_t>(topologies().size()));
  const auto shop_six = [](auto tag) {
    return [tag](Pipeline& pipeline, int parallel) {
      auto by_shop = sales(pipeline, parallel)
                         .map([](const Sale& one) {
                           return "shop " + std::to_string(one.shop) + ": " + std::to_string(one.cents);
                         })
                         .rebalance()
                         .split(tag);
      by_shop.output("shop 3").sink([](const std::string&) {});
      return by_shop.output("shop 6");
    };
  };
  check_everywhere(of_shop_six, shop_six([](const std::string& text) { return text.substr(0, 6); }));
  check_everywhere(of_shop_six, shop_six([](std::string_view text) { return text.substr(0, 6); }));
}

TEST_CASE("a join without a window gives every pair of a key everywhere", "[operators][join][everywhere]") {
  std::vector<std::pair<int, int>> pairs;
  for (int i = 0; i < count; ++i) {
    for (int j = i % shops; j < 100; j += shops) pairs.emplace_back(sale(i).cents, j);
  }
  check_everywhere(pairs, [](Pipeline& pipeline, int parallel) {
    return by_shop(pipeline, parallel)
        .join(pipeline.source(SharedNumbers{100}).key_by([](int n) { return n % shops; }))
        .with([](const Sale& one, int n) { return std::pair(one.cents, n); });
  });
}

TEST_CASE("co-groups have all records of both sides everywhere", "[operators][co_group][everywhere]") {
  auto inputs = JoinInputs{some_join_events(300, 4, 30, 7), some_join_events(200, 4, 30, 8), 30, 1, {}};
  const auto in_sliding = naive_groups(inputs, naive_windows(inputs, 50, 20, 0));
  const auto in_sessions = naive_groups(inputs, naive_sessions(inputs, 9));
  const auto check = [&](auto windows, const std::vector<Group>& expected) {
    check_everywhere(expected, [&](Pipeline& pipeline, int parallel) {
      inputs.parallel = parallel;
      auto [left, right] = inputs.streams(pipeline);
      return std::move(left)
          .join(std::move(right))
          .window(windows)
          .template co_group<Group>([](int key, const Window& window, auto some, auto others, auto emit) {
            emit(Group{key, window.start.time_since_epoch().count(), window.end.time_since_epoch().count(),
                       sorted_numbers(some), sorted_numbers(others)});
          });
    });
  };
  check(sliding(50us, 20us), in_sliding);
  check(session(9us), in_sessions);
}

// What a look-up finds depends on whether the record or the row came first. But a row is of the record's key.

TEST_CASE("each record is looked up once, among the rows of its key, everywhere", "[operators][lookup][everywhere]") {
  std::vector<std::tuple<int, int, bool>> all;
  for (int i = 0; i < count; ++i) all.emplace_back(sale(i).shop, sale(i).cents, true);
  check_everywhere(all, [](Pipeline& pipeline, int parallel) {
    return by_shop(pipeline, parallel)
        .lookup(pipeline.source(SharedNumbers{100}).key_by([](int n) { return n % shops; }),
                [](const Sale& one, const int* row) {
                  return std::tuple(one.shop, one.cents, row == nullptr || *row % shops == one.shop);
                });
  });
}

TEST_CASE("each record meets what is known of a broadcast stream once, everywhere",
          "[operators][broadcast_join][everywhere]") {
  std::vector<std::tuple<int, int, bool>> all;
  for (int i = 0; i < count; ++i) all.emplace_back(sale(i).shop, sale(i).cents, true);
  check_everywhere(all, [](Pipeline& pipeline, int parallel) {
    return sales(pipeline, parallel)
        .broadcast_join(pipeline.source(SharedNumbers{100}), [](const Sale& one, const std::vector<int>& known) {
          const std::set<int> each(known.begin(), known.end());
          return std::tuple(
              one.shop, one.cents,
              each.size() == known.size() && (each.empty() || (*each.begin() >= 0 && *each.rbegin() < 100)));
        });
  });
}
