#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <tensair/model/exchange.hpp>
#include <tensair/overlay.hpp>
#include <tensair/runtime/thread_scheduler.hpp>
#include <vector>

#include "catch.hpp"

using namespace tensair;

namespace {

auto ranks(int n) -> std::vector<net::Rank> {
  std::vector<net::Rank> all;
  for (int i = 0; i < n; ++i) all.push_back(i);
  return all;
}

// Hops to the farthest member; every member must be reached.
auto eccentricity(const Overlay& overlay, net::Rank from) -> int {
  std::map<net::Rank, int> hops{{from, 0}};
  std::deque<net::Rank> next{from};
  int most = 0;
  while (!next.empty()) {
    const auto here = next.front();
    next.pop_front();
    for (const auto there : overlay.neighbours(here)) {
      if (!hops.emplace(there, hops[here] + 1).second) continue;
      most = std::max(most, hops[there]);
      next.push_back(there);
    }
  }
  CHECK(hops.size() == overlay.members().size());
  return most;
}

constexpr std::size_t parameters = 64;
constexpr net::ChannelId channel = 7;

// Links in one process, on which messages move when the test says so.
class Wires {
 public:
  explicit Wires(int nodes, std::uint64_t seed)
      : receivers_(static_cast<std::size_t>(nodes)), sent_(receivers_.size()), random_(seed) {}

  struct Wire final : net::Link {
    Wire(Wires& of, net::Rank sender, net::Rank receiver) : wires(of), from(sender), to(receiver) {}
    void send(net::Lane, net::Message) override { FAIL("deltas go through outboxes"); }
    void ready(net::Lane lane, std::shared_ptr<net::Outbox> outbox) override {
      CHECK(lane == net::Lane::delta);
      waiting = std::move(outbox);
      wires.busy_.insert(this);
    }
    auto bytes_sent(net::Lane) const -> std::uint64_t override { return 0; }
    Wires& wires;
    net::Rank from, to;
    std::shared_ptr<net::Outbox> waiting;
  };

  // Any message that may move now, does: one.
  auto move_one() -> bool {
    while (!busy_.empty()) {
      auto at = busy_.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(random_() % busy_.size()));
      if (deliver(**at)) return true;
    }
    return false;
  }
  // Each link moves one message.
  void tick() {
    const std::vector<Wire*> now(busy_.begin(), busy_.end());
    for (auto* wire : now) deliver(*wire);
  }

  auto link(net::Rank from, net::Rank to) -> Wire& {
    auto& wire = wires_[{from, to}];
    if (!wire) wire = std::make_unique<Wire>(*this, from, to);
    return *wire;
  }
  void receive(net::Rank at, net::Transport::Receiver receiver) {
    receivers_[static_cast<std::size_t>(at)] = std::move(receiver);
  }
  auto most_sent() const -> std::uint64_t { return *std::max_element(sent_.begin(), sent_.end()); }

 private:
  auto deliver(Wire& wire) -> bool {
    auto message = wire.waiting->next();
    if (!message) {
      busy_.erase(&wire);
      return false;
    }
    net::Payload payload = message->head;
    for (const auto part : message->bulk) payload.insert(payload.end(), part.begin(), part.end());
    sent_[static_cast<std::size_t>(wire.from)] += payload.size();
    receivers_[static_cast<std::size_t>(wire.to)](wire.from, std::move(payload));
    return true;
  }

  std::map<std::pair<net::Rank, net::Rank>, std::unique_ptr<Wire>> wires_;
  std::vector<net::Transport::Receiver> receivers_;
  std::vector<std::uint64_t> sent_;
  struct ByEnds {
    auto operator()(const Wire* a, const Wire* b) const -> bool {
      return std::pair(a->from, a->to) < std::pair(b->from, b->to);
    }
  };
  std::set<Wire*, ByEnds> busy_;
  std::mt19937_64 random_;
};

class WireTransport final : public net::Transport {
 public:
  WireTransport(Wires& wires, net::Rank rank) : wires_(wires), rank_(rank) {}
  void receive(net::ChannelId, Receiver receiver) override { wires_.receive(rank_, std::move(receiver)); }
  void on_loss(Loss) override {}
  void connect(const net::Identity&) override {}
  auto link(net::Rank peer) -> net::Link& override { return wires_.link(rank_, peer); }
  void disconnect() override {}
  void abort(const std::string&) override {}

 private:
  Wires& wires_;
  net::Rank rank_;
};

// One replica on each node, which publishes what the test says.
class Nodes {
 public:
  Nodes(int count, overlay shape, std::uint64_t seed, const std::vector<net::Rank>& members)
      : wires_(count, seed), overlay_(members, shape) {
    for (const net::Rank rank : members) {
      auto& one = nodes_.emplace_back();
      one.transport = std::make_unique<WireTransport>(wires_, rank);
      one.node = std::make_unique<runtime::Node>(rank, count, 1, *one.transport, scheduler_);
      one.exchange =
          std::make_unique<Exchange>(*one.node, channel, overlay_, static_cast<int>(members.size()), parameters);
      one.sum.resize(parameters);
      one.steps.resize(members.size());
    }
  }

  auto size() const -> int { return static_cast<int>(nodes_.size()); }
  auto wires() -> Wires& { return wires_; }
  auto overlay() const -> const Overlay& { return overlay_; }

  // Replica i adds 1 to value i, modulo their number.
  void publish(int i) {
    auto values = std::make_shared<std::vector<float>>(parameters);
    (*values)[static_cast<std::size_t>(i) % parameters] = 1;
    auto delta = std::make_shared<Delta>();
    delta->values = *values;
    delta->owner = std::move(values);
    auto& one = nodes_[static_cast<std::size_t>(i)];
    const bool in_full = one.exchange->tells_seen();
    delta->contributions.push_back({static_cast<std::uint32_t>(i), 1, 1, in_full ? one.steps : VersionVector{}, 0, 0});
    one.exchange->publish(i, std::move(delta));
  }
  void finish(int i) { nodes_[static_cast<std::size_t>(i)].exchange->finish(i); }
  auto finished(int i) const -> bool { return nodes_[static_cast<std::size_t>(i)].exchange->finished(); }
  void collect(int i) {
    auto& one = nodes_[static_cast<std::size_t>(i)];
    while (const auto delta = one.exchange->collect(i)) {
      add(one.sum, delta->values);
      for (const auto& part : delta->contributions) one.steps[part.replica] += part.steps;
    }
  }
  // Whether replica i has had each step of every other once, and nothing of its own.
  auto has_all(int i, std::uint64_t steps_each) const -> bool {
    const auto& one = nodes_[static_cast<std::size_t>(i)];
    std::vector<float> expected(parameters);
    for (int other = 0; other < size(); ++other) {
      if (one.steps[static_cast<std::size_t>(other)] != (other == i ? 0 : steps_each)) return false;
      if (other != i) expected[static_cast<std::size_t>(other) % parameters] += static_cast<float>(steps_each);
    }
    return expected == one.sum;
  }

 private:
  struct One {
    std::unique_ptr<WireTransport> transport;
    std::unique_ptr<runtime::Node> node;
    std::unique_ptr<Exchange> exchange;
    std::vector<float> sum;
    VersionVector steps;
  };

  runtime::ThreadScheduler scheduler_{1};
  Wires wires_;
  Overlay overlay_;
  std::vector<One> nodes_;
};

}  // namespace

TEST_CASE("a tree reaches everybody within twice the logarithm, over four neighbours at most", "[model][overlay]") {
  for (int n = 2; n <= 1024; n = n < 64 ? n + 1 : n * 2) {
    INFO(n << " nodes");
    const Overlay tree{ranks(n), overlay::tree};
    int diameter = 0;
    for (const net::Rank rank : ranks(n)) {
      CHECK(tree.neighbours(rank).size() <= Overlay::children + 1);
      for (const net::Rank neighbour : tree.neighbours(rank)) {
        const auto back = tree.neighbours(neighbour);
        CHECK(std::find(back.begin(), back.end(), rank) != back.end());
      }
      if (n <= 64 || rank % 97 == 0 || rank == n - 1) diameter = std::max(diameter, eccentricity(tree, rank));
    }
    CHECK(diameter <= std::max(1.0, 2 * std::log(n) / std::log(Overlay::children)) + 1e-9);
  }
}

TEST_CASE("a mesh of up to eight nodes, a tree of more, unless somebody says otherwise", "[model][overlay]") {
  CHECK_FALSE(Overlay(ranks(8), overlay::automatic).passes_on());
  CHECK(Overlay(ranks(9), overlay::automatic).passes_on());
  CHECK(Overlay(ranks(3), overlay::tree).passes_on());
  CHECK(Overlay(ranks(30), overlay::mesh).neighbours(7).size() == 29);
  CHECK(Overlay({2, 5, 9}, overlay::mesh).neighbours(5) == std::vector<net::Rank>{2, 9});
  CHECK(Overlay({2, 5, 9}, overlay::mesh).neighbours(3).empty());
}

TEST_CASE("when a member goes, the others are still linked", "[model][overlay]") {
  Overlay tree{ranks(40), overlay::tree};
  for (const net::Rank gone : {0, 39, 1, 17, 5}) {
    tree = tree.without(gone);
    CHECK(tree.neighbours(gone).empty());
    CHECK(eccentricity(tree, tree.members().front()) > 0);
  }
  CHECK(tree.members().size() == 35);
}

TEST_CASE("every delta reaches every node once, in whatever order messages move", "[model][overlay]") {
  for (const int n : {2, 3, 9, 33}) {
    for (const auto shape : {overlay::mesh, overlay::tree}) {
      for (const std::uint64_t seed : {1, 2, 3}) {
        INFO(n << " nodes, " << (shape == overlay::mesh ? "mesh" : "tree") << ", seed " << seed);
        Nodes nodes{n, shape, seed, ranks(n)};
        std::mt19937_64 random{seed};
        constexpr std::uint64_t steps = 5;
        std::vector<std::uint64_t> published(static_cast<std::size_t>(n));
        for (std::uint64_t left = steps * static_cast<std::uint64_t>(n); left > 0;) {
          const auto i = random() % published.size();
          if (published[i] < steps) {
            nodes.publish(static_cast<int>(i));
            --left;
            if (++published[i] == steps) nodes.finish(static_cast<int>(i));
          }
          for (auto moves = random() % 8; moves > 0; --moves) nodes.wires().move_one();
          nodes.collect(static_cast<int>(random() % published.size()));
        }
        while (nodes.wires().move_one()) {
          // Whoever has been told that all have ended has all that they sent.
          const auto i = static_cast<int>(random() % published.size());
          if (!nodes.finished(i)) continue;
          nodes.collect(i);
          CHECK(nodes.has_all(i, steps));
        }
        for (int i = 0; i < n; ++i) {
          CHECK(nodes.finished(i));
          nodes.collect(i);
          CHECK(nodes.has_all(i, steps));
        }
      }
    }
  }
}

TEST_CASE("only some nodes may have replicas", "[model][overlay]") {
  for (const auto shape : {overlay::mesh, overlay::tree}) {
    Nodes nodes{12, shape, 1, {1, 2, 3, 5, 8, 11}};
    for (int i = 0; i < nodes.size(); ++i) {
      nodes.publish(i);
      nodes.finish(i);
    }
    while (nodes.wires().move_one()) continue;
    for (int i = 0; i < nodes.size(); ++i) {
      nodes.collect(i);
      CHECK(nodes.finished(i));
      CHECK(nodes.has_all(i, 1));
    }
  }
}

TEST_CASE("up to a thousand nodes: what one sends grows with a mesh, and not with a tree", "[model][overlay]") {
  // Every node publishes a step a tick, every link moves a message a tick: what cannot move is summed.
  const auto sent_a_step = [](int n, overlay shape) {
    Nodes nodes{n, shape, 1, ranks(n)};
    constexpr std::uint64_t steps = 8;
    for (std::uint64_t step = 0; step < steps; ++step) {
      for (int i = 0; i < n; ++i) nodes.publish(i);
      nodes.wires().tick();
    }
    const auto bytes = static_cast<double>(nodes.wires().most_sent()) / steps;
    while (nodes.wires().move_one()) continue;
    bool all = true;
    for (int i = 0; i < n; ++i) {
      nodes.collect(i);
      all = all && nodes.has_all(i, steps);
    }
    CHECK(all);
    return bytes;
  };
  constexpr double delta = parameters * sizeof(float);
  for (const int n : {2, 8, 64, 256, 1024}) {
    const double tree = sent_a_step(n, overlay::tree);
    INFO(n << " nodes, " << tree << " bytes a step");
    // Four neighbours get a sum each, which also says for each replica in it who it was, and what it had done: 44
    // bytes.
    CHECK(tree <= 4 * (delta + 64 + 44.0 * n));
    if (n <= 64) CHECK(sent_a_step(n, overlay::mesh) >= (n - 1) * delta);
  }
}
