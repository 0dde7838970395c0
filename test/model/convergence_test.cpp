// Problems whose optimum is known in closed form, and every way in which replicas may be late: from 1 to 64 of them,
// deltas that take many steps' time, a straggler, links that are cut and come back.

#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <tensair/error.hpp>
#include <tensair/model/model.hpp>
#include <tensair/testing/cluster.hpp>
#include <utility>
#include <vector>

#include "catch.hpp"

using namespace tensair;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Examples 0 to n - 1 of a problem, each node its own share.
template <class Problem>
class Examples {
 public:
  using value_type = typename Problem::Example;
  explicit Examples(int n) : n_(n) {}
  void split(int part, int parts) {
    next_ = part;
    step_ = parts;
  }
  auto next() -> std::optional<value_type> {
    if (next_ >= n_) return std::nullopt;
    return Problem::example(static_cast<std::uint32_t>(std::exchange(next_, next_ + step_)));
  }

 private:
  int n_, next_ = 0, step_ = 1;
};

/// 32 bits that look drawn (the finaliser of MurmurHash3).
auto scrambled(std::uint32_t n) -> std::uint32_t {
  n ^= n >> 16;
  n *= 0x85ebca6bU;
  n ^= n >> 13;
  n *= 0xc2b2ae35U;
  return n ^ n >> 16;
}

/// y = w·x with x of variance 1 and no noise: the squared error has its only minimum at w, and curvature 2 in every
/// direction.
struct LeastSquares {
  static constexpr std::array<float, 4> w{1, -2, 3, 0.5};
  struct Example {
    std::array<float, w.size()> x;
    float y;
  };

  static auto example(std::uint32_t n) -> Example {
    Example one{};
    for (std::uint32_t k = 0; k < w.size(); ++k) {
      const double unit = static_cast<double>(scrambled(4 * n + k)) / 4294967296.0;
      one.x[k] = static_cast<float>(std::sqrt(3.0) * (2 * unit - 1));
      one.y += w[k] * one.x[k];
    }
    return one;
  }
  static auto collate(std::span<const Example> batch) -> std::pair<at::Tensor, at::Tensor> {
    const auto size = static_cast<std::int64_t>(batch.size());
    auto x = torch::empty({size, static_cast<std::int64_t>(w.size())}), y = torch::empty({size, 1});
    for (std::size_t i = 0; i < batch.size(); ++i) {
      std::copy(batch[i].x.begin(), batch[i].x.end(), x.data_ptr<float>() + i * w.size());
      y.data_ptr<float>()[i] = batch[i].y;
    }
    return {x, y};
  }
  static auto make() -> torch::nn::Linear {
    return torch::nn::Linear(torch::nn::LinearOptions(static_cast<std::int64_t>(w.size()), 1).bias(false));
  }
  static auto options() -> ModelOptions { return {.loss = mean_squared_error}; }
  static auto distance(std::span<const float> parameters) -> double {
    double sum = 0;
    for (std::size_t k = 0; k < w.size(); ++k) sum += std::pow(parameters[k] - w[k], 2);
    return std::sqrt(sum);
  }
};

/// One input, 1 or -1 as often; class 1 has probability 0.8 at 1 and 0.3 at -1. So a logistic model's likelihood is
/// greatest where the difference of its outputs is log(0.8 / 0.2) at 1 and log(0.3 / 0.7) at -1.
struct LogisticRegression {
  struct Example {
    float x;
    std::int64_t y;
  };

  // Of every 20 examples 10 have each input, and exactly 8 and 3 of these are of class 1; which, is scrambled.
  static auto example(std::uint32_t n) -> Example {
    const std::uint32_t round = n / 20, place = (n % 20 + scrambled(round) % 20) * 7 % 20;
    return place < 10 ? Example{1, place < 8} : Example{-1, place < 13};
  }
  static auto collate(std::span<const Example> batch) -> std::pair<at::Tensor, at::Tensor> {
    const auto size = static_cast<std::int64_t>(batch.size());
    auto x = torch::empty({size, 1}), y = torch::empty({size}, torch::kLong);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      x.data_ptr<float>()[i] = batch[i].x;
      y.data_ptr<std::int64_t>()[i] = batch[i].y;
    }
    return {x, y};
  }
  static auto make() -> torch::nn::Linear { return torch::nn::Linear(1, 2); }
  static auto options() -> ModelOptions {
    // Its gradients have noise at the optimum: the rate goes down.
    return {.loss = cross_entropy, .schedule = schedule([](const TrainingProgress& at) {
                                     return 1 / (1 + static_cast<double>(at.examples) / 10'000);
                                   })};
  }
  static auto distance(std::span<const float> p) -> double {  // p: two weights, two biases
    const double at_one = p[1] + p[3] - p[0] - p[2], at_minus_one = p[3] - p[1] - p[2] + p[0];
    return std::hypot(at_one - std::log(0.8 / 0.2), at_minus_one - std::log(0.3 / 0.7));
  }
};

struct Circumstances {
  std::string name;
  Duration delay = 100us;  // a step takes 1 ms
  double straggler = 1;    // how much slower the last replica is
  bool cuts = false;
};

/// What training has come to: the distance of the replica that is farthest from the optimum, and of the two that are
/// farthest from each other.
struct Result {
  double distance = 0, spread = 0;
};

template <class Problem>
auto train(int replicas, const Circumstances& in, exchange currency, int examples, double rate, std::uint64_t seed = 3)
    -> Result {
  testing::ClusterOptions options{.nodes = replicas, .seed = seed, .turn = 1ms, .delay = in.delay};
  options.slowness.assign(static_cast<std::size_t>(replicas), 1);
  options.slowness.back() = in.straggler;
  testing::Cluster cluster{options};
  if (in.cuts) {
    // What each side of a cut has learnt meanwhile is added up afterwards, and is twice as much as it should be: there
    // must be time to take it back.
    for (int node = 1; node < std::min(replicas, 4); ++node) cluster.cut(0, node, 10ms * node, 30ms);
  }
  std::vector<ModelHandle> handles;
  cluster.run([&](Pipeline& pipeline) {
    auto how = Problem::options();
    how.optimizer = sgd({.lr = rate});
    how.exchange = currency;
    auto net = pipeline.model("net", Problem::make, how);
    handles.push_back(net);
    pipeline.source(Examples<Problem>{examples}).batch(16).model(net, Problem::collate).train();
  });
  Result result;
  const auto first = handles.front().runtime()->learners().front()->parameters();
  for (const auto& handle : handles) {
    const auto parameters = handle.runtime()->learners().front()->parameters();
    result.distance = std::max(result.distance, Problem::distance(parameters));
    for (std::size_t i = 0; i < first.size(); ++i)
      result.spread = std::max(result.spread, static_cast<double>(std::abs(parameters[i] - first[i])));
  }
  return result;
}

const std::vector<Circumstances> all_circumstances{{.name = "deltas at once"},
                                                   {.name = "deltas three steps late", .delay = 3ms},
                                                   {.name = "a straggler", .straggler = 4},
                                                   {.name = "links cut for 30 steps", .cuts = true}};

/// How many steps have not seen each other, about. A sum of them converges for rates below 1 / (curvature × so many).
auto unseen(int replicas, const Circumstances& in) -> double {
  const double hops = replicas > 8 ? 4 : 1;  // a tree's, there and back
  return replicas * std::max(1.0, hops * static_cast<double>(in.delay / 1ms));
}

}  // namespace

TEST_CASE("however late they are, replicas find the optimum of least squares", "[replica][convergence]") {
  for (const auto currency : {exchange::updates, exchange::gradients}) {
    for (const int replicas : {1, 2, 5, 16}) {
      for (const auto& in : all_circumstances) {
        INFO(replicas << " replicas, " << in.name << (currency == exchange::updates ? ", updates" : ", gradients"));
        const int examples = replicas > 8 ? 160'000 : 60'000;
        const auto result = train<LeastSquares>(replicas, in, currency, examples, 0.2 / unseen(replicas, in));
        CHECK(result.distance <= 1e-3);
        CHECK(result.spread <= 1e-4);
      }
    }
  }
}

TEST_CASE("so do they of logistic regression", "[replica][convergence]") {
  for (const int replicas : {1, 2, 5, 16}) {
    for (const auto& in : all_circumstances) {
      INFO(replicas << " replicas, " << in.name);
      const double rate = std::min(0.5, 2 / unseen(replicas, in));
      const auto result = train<LogisticRegression>(replicas, in, exchange::updates, 160'000, rate);
      CHECK(result.distance <= 0.15);
      CHECK(result.spread <= 1e-4);
    }
  }
}

TEST_CASE("sixty-four replicas find it too", "[replica][convergence]") {
  const auto result = train<LeastSquares>(64, {"", 100us, 4}, exchange::updates, 60'000, 0.2 / 64);
  CHECK(result.distance <= 1e-3);
  CHECK(result.spread <= 1e-4);
}

TEST_CASE("a rate that is too high for so many replicas is not silently trained on", "[replica][convergence]") {
  // One replica converges with it: it goes 0.8 of the way past the optimum. Five together go five times as far.
  CHECK(train<LeastSquares>(1, {}, exchange::updates, 20'000, 0.45).distance <= 1e-3);
  for (const auto currency : {exchange::updates, exchange::gradients}) {
    CHECK_THROWS_WITH(train<LeastSquares>(5, {}, currency, 60'000, 0.45),
                      ContainsSubstring("not finite") && ContainsSubstring("net"));
  }
}

TEST_CASE("a link that is cut delivers once it is back", "[testing]") {
  testing::Cluster cluster{{.nodes = 2, .seed = 9}};
  cluster.cut(0, 1, 0ms, 500ms);
  std::size_t arrived = 0;
  cluster.run([&](Pipeline& pipeline) {
    pipeline.source(Examples<LeastSquares>{100}).sink([&](const LeastSquares::Example&) { ++arrived; });
  });
  CHECK(arrived == 100);
  CHECK(cluster.elapsed() >= 500ms);
  CHECK_THROWS_AS(cluster.cut(1, 1, 0ms, 1ms), UsageError);
  CHECK_THROWS_AS(cluster.cut(0, 2, 0ms, 1ms), UsageError);
}
