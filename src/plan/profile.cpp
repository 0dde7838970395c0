#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tensair/error.hpp>
#include <tensair/plan/place.hpp>
#include <tensair/plan/profile.hpp>
#include <tensair/runtime/edge_shape.hpp>
#include <tuple>
#include <utility>
#include <vector>

namespace tensair::plan {
namespace {

using Operators = std::deque<std::shared_ptr<Operator>>;

auto at(const Operators& operators, int id) -> const Operator& {
  return *operators[static_cast<std::size_t>(id)];
}

auto share(const Operator& op, net::Rank rank) -> double {
  return static_cast<double>(op.sites.on(rank)) / op.sites.total();
}

auto value_of(const std::map<std::string, double>& values, const std::string& name) -> double {
  const auto found = values.find(name);
  return found == values.end() ? 0 : found->second;
}

// Of what goes from one to the other, the share that leaves its node.
auto share_on_network(const Operator& from, const Operator& to, runtime::Reach reach) -> double {
  const runtime::EdgeShape shape{reach, from.sites, to.sites};
  if (reach == runtime::Reach::own_node || shape.one_to_one()) return 0;
  double stays = 0;
  for (net::Rank rank = 0; rank < from.sites.nodes(); ++rank) stays += share(from, rank) * share(to, rank);
  return 1 - stays;
}

// Bytes a second that the edges in front of an operator put on the network.
auto bytes_in_front_of(const Operator& op, const Operators& operators, const Profile& profile) -> double {
  const auto over = [&](const Operator& from, const Operator& named, runtime::Reach reach, double copies) {
    return copies * value_of(profile.bytes, named.title()) * share_on_network(from, op, reach) / profile.seconds;
  };
  switch (op.edge) {
    case Edge::gather:
    case Edge::rebalance:
      return over(at(operators, op.input), op, op.reach, 1);
    case Edge::broadcast:
      return over(at(operators, op.input), op, op.reach, op.sites.total());
    case Edge::key: {
      if (op.more_inputs.empty()) return over(at(operators, op.input), op, op.reach, 1);
      // Of two inputs, each edge has the name of its own key_by.
      double sum = 0;
      for (const int input : {op.input, op.more_inputs.front()})
        sum += over(at(operators, input), at(operators, input), runtime::Reach::every_instance, 1);
      return sum;
    }
    case Edge::local:
    case Edge::fork:
      // A broadcast_join: its rules come from everywhere.
      if (op.more_inputs.empty()) return 0;
      return over(at(operators, op.more_inputs.front()), at(operators, op.more_inputs.front()),
                  runtime::Reach::every_instance, op.sites.total());
    default:
      return 0;
  }
}

void check(const Operators& operators, const Profile& profile) {
  std::set<std::string> titles;
  for (const auto& op : operators) titles.insert(op->title());
  for (const auto* values : {&profile.busy, &profile.bytes}) {
    for (const auto& [title, value] : *values) {
      if (!titles.contains(title))
        throw UsageError("the profile is of another program", "operator " + title, "Run it again with --profile.");
    }
  }
  if (!(profile.seconds > 0))
    throw UsageError("the profile is of a run that took no time", {}, "Profile a longer one.");
}

auto is_movable(const Operator& op) -> bool {
  return std::holds_alternative<std::monostate>(op.where) && (op.edge == Edge::key || op.edge == Edge::rebalance);
}

class Search {
 public:
  Search(const Operators& operators, std::span<const NodeSpec> nodes, const Profile& profile)
      : operators_(operators), nodes_(nodes), profile_(profile) {
    for (const auto& op : operators) {
      if (is_movable(*op)) movable_.push_back(op.get());
    }
  }

  void run() {
    descend({});
    for (net::Rank rank = 0; rank < std::ssize(nodes_); ++rank) descend(rank);
    for (std::size_t i = 0; i < movable_.size(); ++i) movable_[i]->where = best_[i];
    place(operators_, nodes_);
  }

 private:
  // Lower is better. Of what costs the same, the first that was found stays.
  using Score = std::pair<double, double>;

  void descend(Where start) {
    for (auto* op : movable_) op->where = start;
    Score now = score();
    for (bool better = true; better;) {
      better = false;
      for (auto* op : movable_) better = move(*op, now) || better;
    }
    if (!best_.empty() && !is_less(now, best_score_)) return;
    best_score_ = now;
    best_.clear();
    for (const auto* op : movable_) best_.push_back(op->where);
  }

  auto move(Operator& op, Score& now) -> bool {
    const Where before = op.where;
    Where best = before;
    for (net::Rank rank = -1; rank < std::ssize(nodes_); ++rank) {
      op.where = rank < 0 ? Where{} : Where{rank};
      const Score there = score();
      if (!is_less(there, now)) continue;
      now = there;
      best = op.where;
    }
    op.where = best;
    return best != before;
  }

  static auto is_less(const Score& a, const Score& b) -> bool {
    constexpr double least = 1e-9;  // of a difference that is no rounding error
    if (std::abs(a.first - b.first) > least) return a.first < b.first;
    return a.second < b.second * (1 - least);
  }

  auto score() -> Score {
    place(operators_, nodes_);
    const auto cost = plan::cost(operators_, nodes_, profile_);
    return {cost.overload, cost.bytes_per_second};
  }

  const Operators& operators_;
  std::span<const NodeSpec> nodes_;
  const Profile& profile_;
  std::vector<Operator*> movable_;
  std::vector<Where> best_;
  Score best_score_{};
};

}  // namespace

auto cost(const Operators& operators, std::span<const NodeSpec> nodes, const Profile& profile) -> Cost {
  Cost cost;
  std::vector<double> load(nodes.size());
  for (const auto& op : operators) {
    cost.bytes_per_second += bytes_in_front_of(*op, operators, profile);
    const double busy = value_of(profile.busy, op->title()) / profile.seconds;
    for (std::size_t node = 0; node < nodes.size() && busy > 0; ++node)
      load[node] += busy * share(*op, static_cast<net::Rank>(node));
  }
  for (std::size_t node = 0; node < nodes.size(); ++node)
    cost.overload += std::max(0.0, load[node] - load_limit * std::max(nodes[node].workers, 1));
  return cost;
}

void place(const Operators& operators, std::span<const NodeSpec> nodes, const Profile& profile) {
  check(operators, profile);
  Search{operators, nodes, profile}.run();
}

void check_titles(const Operators& operators) {
  std::set<std::string> titles;
  for (const auto& op : operators) {
    if (!titles.insert(op->title()).second) {
      throw UsageError(fmt::format("two operators are called {}", op->title()), {},
                       "A profile tells operators by their names: give each its own.");
    }
  }
}

}  // namespace tensair::plan
