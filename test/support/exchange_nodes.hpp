#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <tensair/model/exchange.hpp>
#include <tensair/overlay.hpp>
#include <tensair/runtime/thread_scheduler.hpp>
#include <vector>

#include "catch.hpp"

namespace tensair::test {

inline constexpr std::size_t parameters = 64;
inline constexpr net::ChannelId channel = 7;

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
class ExchangeNodes {
 public:
  ExchangeNodes(int count, overlay shape, std::uint64_t seed, const std::vector<net::Rank>& members,
                const ModelOptions& options = {})
      : wires_(count, seed), overlay_(members, shape) {
    for (const net::Rank rank : members) {
      auto& one = nodes_.emplace_back();
      one.transport = std::make_unique<WireTransport>(wires_, rank);
      one.node = std::make_unique<runtime::Node>(rank, count, 1, *one.transport, scheduler_);
      one.exchange = std::make_unique<Exchange>(*one.node, channel, overlay_, static_cast<int>(members.size()),
                                                parameters, options);
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
  auto exchange(int i) -> Exchange& { return *nodes_[static_cast<std::size_t>(i)].exchange; }
  // What replica i has collected.
  auto sum(int i) const -> const std::vector<float>& { return nodes_[static_cast<std::size_t>(i)].sum; }
  void finish(int i) { nodes_[static_cast<std::size_t>(i)].exchange->finish(i); }
  auto finished(int i) const -> bool { return nodes_[static_cast<std::size_t>(i)].exchange->finished(); }
  void collect(int i) {
    auto& one = nodes_[static_cast<std::size_t>(i)];
    while (const auto delta = one.exchange->collect(i)) {
      add(one.sum, *delta);
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

}  // namespace tensair::test
