// What the exchange of deltas costs the thread that trains: nothing but passes over memory.
//
//   exchange [--json FILE] [--quick] [--peers N]
//
// A replica tells its step to so many peers on other nodes and applies one step of one of them, while what is on its
// way to the links stays in memory: a link's thread takes it outside of what is timed. Parameters: CIFAR-10's network,
// one of 30 million, and the touched rows of an embedding of 300 columns. The limit is this core's memory: reading and
// writing the same bytes in plain loops.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <tensair/model/exchange.hpp>
#include <tensair/model/optimizer.hpp>
#include <tensair/overlay.hpp>
#include <tensair/runtime/thread_scheduler.hpp>
#include <vector>

#include "report.hpp"
#include "seconds.hpp"
#include "statistics.hpp"

namespace {

using namespace tensair;

/// Links that take what there is when they are told to.
class Links final : public net::Transport {
 public:
  struct One final : net::Link {
    void ready(net::Lane, std::shared_ptr<net::Outbox> outbox) override { waiting = std::move(outbox); }
    void send(net::Lane, net::Message) override {}
    auto bytes_sent(net::Lane) const -> std::uint64_t override { return 0; }
    std::shared_ptr<net::Outbox> waiting;
  };

  void receive(net::ChannelId, Receiver receiver) override { receiver_ = std::move(receiver); }
  void on_loss(Loss) override {}
  void connect(const net::Identity&) override {}
  auto link(net::Rank peer) -> net::Link& override { return links_[peer]; }
  void disconnect() override {}
  void abort(const std::string&) override {}

  /// What a link's thread does; returns the last message's bytes.
  auto take_all() -> net::Payload {
    net::Payload last;
    for (auto& [peer, one] : links_) {
      if (!one.waiting) continue;
      while (const auto message = one.waiting->next()) {
        last.assign(message->head.begin(), message->head.end());
        for (const auto part : message->bulk) last.insert(last.end(), part.begin(), part.end());
      }
    }
    return last;
  }
  void arrive(net::Rank from, net::Payload payload) { receiver_(from, std::move(payload)); }

 private:
  std::map<net::Rank, One> links_;
  Receiver receiver_;
};

auto mesh(int nodes) -> Overlay {
  std::vector<net::Rank> members;
  for (int i = 0; i < nodes; ++i) members.push_back(i);
  return {members, overlay::mesh};
}

/// One replica and its peers.
class Replicas {
 public:
  Replicas(int peers, std::size_t parameters)
      : peers_(peers),
        node_(0, peers + 1, 1, links_, scheduler_),
        exchange_(node_, 1, mesh(peers + 1), peers + 1, parameters),
        peer_node_(1, peers + 1, 1, peer_links_, scheduler_),
        peer_(peer_node_, 1, mesh(peers + 1), peers + 1, parameters) {}

  /// Publishes the values, and applies the peer's; returns the seconds that took.
  template <class Make>
  auto step(Make make, std::span<float> parameters) -> double {
    peer_.publish(1, make(1U));
    links_.arrive(1, peer_links_.take_all());
    const double began = bench::wall_seconds();
    exchange_.publish(0, make(0U));
    if (const auto delta = exchange_.collect(0)) add(parameters, *delta);
    const double took = bench::wall_seconds() - began;
    links_.take_all();
    return took;
  }

  auto contribution(std::uint32_t replica) const -> Contribution {
    return {replica, 1, 128, VersionVector(static_cast<std::size_t>(peers_) + 1), 0, 0};
  }

 private:
  int peers_;
  runtime::ThreadScheduler scheduler_{1};
  Links links_, peer_links_;
  runtime::Node node_;
  Exchange exchange_;
  runtime::Node peer_node_;
  Exchange peer_;
};

/// Seconds for a pass that reads `count` floats twice and writes them once: what applying a delta is.
auto plain_pass(std::span<float> to, std::span<const float> from) -> double {
  const double began = bench::wall_seconds();
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
  return bench::wall_seconds() - began;
}

struct Figures {
  double step, extra, limit;  // seconds: publish and apply; what telling the change costs the optimiser; a plain pass
};

auto measure_dense(std::size_t count, int peers, int repetitions) -> Figures {
  Replicas replicas{peers, count};
  const auto buffers = std::make_shared<DeltaBuffers>(count);
  std::vector<float> parameters(count, 1), gradient(count, 1e-3F), change(count), other(count, 1e-3F);
  auto optimizer = adam()(count);
  std::vector<double> steps, plain, tracked, passes;
  for (int i = 0; i < repetitions; ++i) {
    const auto make = [&](std::uint32_t replica) -> SharedDelta {
      auto buffer = buffers->get();
      auto delta = std::make_shared<Delta>();
      delta->values = *buffer;
      delta->owner = std::move(buffer);
      delta->contributions.push_back(replicas.contribution(replica));
      return delta;
    };
    steps.push_back(replicas.step(make, parameters));
    double began = bench::wall_seconds();
    optimizer->step(parameters, gradient);
    plain.push_back(bench::wall_seconds() - began);
    began = bench::wall_seconds();
    optimizer->tracked_step(parameters, gradient, change);
    tracked.push_back(bench::wall_seconds() - began);
    passes.push_back(plain_pass(parameters, other));
  }
  return {bench::median(steps), bench::median(tracked) - bench::median(plain), bench::median(passes)};
}

/// Seconds a touched row.
auto measure_sparse(std::uint32_t rows, std::uint32_t touched, std::uint32_t columns, int peers, int repetitions)
    -> double {
  const std::size_t count = std::size_t{rows} * columns;
  Replicas replicas{peers, count};
  std::vector<float> parameters(count);
  const auto values = std::make_shared<const std::vector<float>>(std::size_t{touched} * columns, 1e-3F);
  std::vector<double> steps;
  for (int i = 0; i < repetitions; ++i) {
    const auto make = [&](std::uint32_t replica) -> SharedDelta {
      auto segments = std::make_shared<std::vector<Segment>>();
      for (std::uint32_t row = 0; row < touched; ++row)
        segments->push_back({(row * (rows / touched) + static_cast<std::uint32_t>(i) % 7) * columns, columns});
      auto delta = std::make_shared<Delta>();
      delta->values = *values;
      delta->segments = *segments;
      delta->owner =
          std::make_shared<std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>>(values, segments);
      delta->contributions.push_back(replicas.contribution(replica));
      return delta;
    };
    steps.push_back(replicas.step(make, parameters) / touched);
  }
  return bench::median(steps);
}

auto verdict(bool met) -> const char* {
  return met ? "met" : "not met";
}

void run(int peers, bool quick, const std::filesystem::path& json) {
  bench::Report report;
  const auto row = [](const char* what, const Figures& figures) {
    return bench::Row{what, 1e6 * (figures.step + figures.extra), (figures.step + figures.extra) / figures.limit,
                      fmt::format("{}: telling {} µs more of the optimiser, publishing and applying {} µs", what,
                                  std::llround(1e6 * figures.extra), std::llround(1e6 * figures.step))};
  };
  const auto cifar = measure_dense(122'570, peers, quick ? 300 : 2'000);
  const auto large = measure_dense(30'000'000, 1, quick ? 5 : 15);
  report.table(fmt::format("exchange, µs of the training thread a step, {} peers (1 for the large model)", peers), "µs",
               {{"limit, 122,570", 1e6 * cifar.limit, 1, "a plain pass over 122,570 parameters (the limit)"},
                row("122,570 parameters", cifar),
                {"limit, 30 M", 1e6 * large.limit, 1, "a plain pass over 30 M parameters (the limit)"},
                row("30 M parameters", large)});
  const double cifar_us = 1e6 * (cifar.step + cifar.extra);
  report.note("required: at most 60 µs for 122,570 parameters: {:.0f}: {}", cifar_us, verdict(cifar_us <= 60));
  // The optimiser's change is written once and the peer's applied once: 4 + 12 bytes a parameter, where the plain pass
  // has 12.
  const double passes = (large.step + large.extra) / (large.limit * 16 / 12);
  report.note("required: at most 2 × memory's limit for 30 M parameters: {:.2f}: {}", passes, verdict(passes <= 2));
  const double row_us = 1e6 * measure_sparse(100'000, 1'000, 300, peers, quick ? 20 : 100);
  report.note("required: at most 2 µs a touched row of 300 floats: {:.2f}: {}", row_us, verdict(row_us <= 2));
  if (!json.empty()) report.write(json);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"What the exchange of deltas costs the thread that trains."};
  std::filesystem::path json;
  int peers = 8;
  bool quick = false;
  app.add_option("--json", json, "where to write the rows");
  app.add_option("--peers", peers, "replicas on other nodes")->check(CLI::Range(1, 64));
  app.add_flag("--quick", quick, "within 20 s");
  CLI11_PARSE(app, argc, argv);
  try {
    run(peers, quick, json);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "exchange: {}\n", error.what());
    return 1;
  }
}
