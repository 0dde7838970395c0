#include <fmt/format.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <tensair/launch.hpp>
#include <tensair/net/codec.hpp>
#include <tensair/net/tcp_transport.hpp>
#include <tensair/pipeline.hpp>
#include <tensair/runtime/thread_scheduler.hpp>
#include <thread>

#include "drain_switch.hpp"
#include "figures.hpp"
#include "io/replace_file.hpp"
#include "launch/interrupts.hpp"
#include "net/lone_transport.hpp"
#include "profile_file.hpp"

namespace tensair {
namespace {

// Operators' channels have the operator's number, from 1 on, in their low 16 bits.
constexpr net::ChannelId node_channel = 0;
constexpr net::ChannelId drain_channel = 1U << 16;

/// What node 0 knows of the others' ends. Filled on the transport's thread.
class Reports {
 public:
  explicit Reports(int nodes) : texts_(static_cast<std::size_t>(nodes)), missing_(nodes) {}

  void arrive(net::Rank from, std::string text) {
    const std::lock_guard lock{mutex_};
    texts_.at(static_cast<std::size_t>(from)) = std::move(text);
    --missing_;
    changed_.notify_all();
  }

  void fail(std::exception_ptr error) {
    const std::lock_guard lock{mutex_};
    if (!error_) error_ = std::move(error);
    changed_.notify_all();
  }

  auto wait() -> std::vector<std::string> {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return missing_ == 0 || error_; });
    if (missing_ != 0) std::rethrow_exception(error_);
    return texts_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> texts_;
  int missing_;
  std::exception_ptr error_;
};

/// Does something when a block is left, however it is.
class Finally {
 public:
  explicit Finally(std::function<void()> action) : action_(std::move(action)) {}
  Finally(const Finally&) = delete;
  auto operator=(const Finally&) -> Finally& = delete;
  ~Finally() { action_(); }

 private:
  std::function<void()> action_;
};

auto make_transport(const Options& options) -> std::unique_ptr<net::Transport> {
  if (options.node_count() == 1) return std::make_unique<net::LoneTransport>();
  const net::TcpLimits limits{.beat = options.heartbeat, .silence = options.silence, .outage = options.outage};
  return std::make_unique<net::TcpTransport>(options, limits);
}

// Without a cluster file all nodes are taken to be like this one; if they are not, their plans differ and say so.
auto specs_of(const Options& options) -> std::vector<NodeSpec> {
  const int threads = options.threads > 0 ? options.threads : static_cast<int>(std::thread::hardware_concurrency());
  const auto nodes = static_cast<std::size_t>(std::max(options.local, options.node_count()));
  std::vector<NodeSpec> specs(nodes, NodeSpec{.workers = std::max(threads, 1)});
  for (std::size_t i = 0; i < options.specs.size(); ++i) {
    specs[i].labels = options.specs[i].labels;
    if (options.specs[i].workers > 0) specs[i].workers = options.specs[i].workers;
  }
  return specs;
}

auto lost(const Options& options, net::Rank peer, const std::string& reason) -> std::exception_ptr {
  return std::make_exception_ptr(
      NodeError(peer, reason, fmt::format("node {} at {}", peer, options.nodes.at(static_cast<std::size_t>(peer))),
                "Every node stops; see what that node said, and start again."));
}

}  // namespace

Pipeline::Pipeline(Options options) : options_(std::move(options)), drain_(std::make_shared<detail::DrainSwitch>()) {
  graph_->compress(options_.compression);
}

Pipeline::Pipeline(int argc, const char* const* argv) {
  auto flags = Flags{argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "tensair"};
  *this = Pipeline{argc, argv, flags};
}

Pipeline::Pipeline(int argc, const char* const* argv, Flags& flags) : Pipeline(Options{}) {
  try {
    options_.program = flags.program();  // for errors of the flags themselves
    options_ = flags.parse(argc, argv);
    graph_->compress(options_.compression);
  } catch (const Error& error) {
    problem_ = error;
  } catch (const HelpRequested& help) {
    help_ = help.text;
  }
}

Pipeline::Pipeline(Pipeline&&) noexcept = default;
auto Pipeline::operator=(Pipeline&&) noexcept -> Pipeline& = default;
Pipeline::~Pipeline() = default;

auto Pipeline::run() -> int {
  return run([] {});
}

auto Pipeline::run(const std::function<void()>& build) -> int {
  try {
    if (help_) {
      fmt::print("{}", *help_);
      return static_cast<int>(ExitCode::success);
    }
    if (problem_) throw *problem_;
    const bool explain = options_.explain != Options::Explain::none;
    if (options_.local > 1 && !explain) return launch_local(options_);
    build();
    if (explain) {
      graph_->check();
      place_graph(specs_of(options_));
      fmt::print("{}", options_.explain == Options::Explain::text ? graph_->explain() : graph_->explain_dot());
    } else {
      const detail::Interrupts interrupts{[drain = drain_] { drain->drain(); }};
      execute();
    }
    return static_cast<int>(ExitCode::success);
  } catch (const Error& error) {
    fmt::print(stderr, "{}: {}\n", options_.program, error.what());
    return static_cast<int>(error.exit_code());
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", options_.program, error.what());
    return static_cast<int>(ExitCode::failure);
  }
}

void Pipeline::drain() {
  drain_->drain();
}

void Pipeline::figure(std::string name, std::function<std::string()> value) {
  own_figures_.of_run.emplace_back(std::move(name), std::move(value));
}

void Pipeline::node_figure(std::string name, std::function<std::string(int)> value) {
  own_figures_.by_node.emplace_back(std::move(name), std::move(value));
}

void Pipeline::execute() {
  if (problem_) throw *problem_;
  graph_->check();
  for (const auto& file : {options_.json, options_.profile}) {
    if (!file.empty()) check_replaceable(file);
  }
  if (!options_.profile.empty()) plan::check_titles(graph_->operators());
  const auto specs = specs_of(options_);
  place_graph(specs);
  const int workers = options_.threads > 0 ? options_.threads : specs[static_cast<std::size_t>(options_.rank)].workers;
  // In this order, so that links are closed before the tasks that receive from them go.
  runtime::ThreadScheduler scheduler{workers};
  Reports reports{options_.node_count()};
  const auto transport = make_transport(options_);
  runtime::Node node{options_.rank, options_.node_count(), options_.seed, *transport, scheduler};

  transport->receive(node_channel, [&](net::Rank from, const net::Payload& payload) {
    reports.arrive(from, net::Reader{payload}.read<std::string>());
  });
  transport->receive(drain_channel, [&](net::Rank, const net::Payload&) { scheduler.drain(); });
  transport->on_loss([&](net::Rank peer, const std::string& reason) {
    const auto error = lost(options_, peer, reason);
    scheduler.fail(error);
    reports.fail(error);
  });

  node.set_quiet(options_.quiet);
  node.set_profiling(!options_.profile.empty());

  const auto drain_everywhere = [&] {
    scheduler.drain();
    for (net::Rank peer = 0; peer < options_.node_count(); ++peer) {
      if (peer == options_.rank) continue;
      transport->link(peer).send(net::Lane::control, std::move(*net::Writer{drain_channel}.finish()));
    }
  };
  const Finally no_drain{[&] { drain_->on_drain({}); }};

  std::string profile;
  try {
    graph_->build(node);
    drain_->on_drain([&] { transport->abort("interrupted"); });
    transport->connect({options_.rank, options_.node_count(), graph_->describe()});
    drain_->on_drain(drain_everywhere);
    const Time start = scheduler.clock().now();
    scheduler.run();
    drain_->on_drain({});
    node.end();
    const double seconds = std::chrono::duration<double>(scheduler.clock().now() - start).count();
    const auto own = node_figures(node, seconds);
    if (options_.rank == 0) {
      reports.arrive(0, own);
      const auto all = reports.wait();
      figures_ = run_figures(options_, seconds, all, own_figures_);
      if (node.profiling()) profile = detail::profile_of(all, seconds);
    } else {
      net::Writer writer{node_channel};
      writer.write(own);
      transport->link(0).send(net::Lane::control, std::move(*writer.finish()));
    }
    transport->disconnect();
  } catch (const std::exception& error) {
    transport->abort(error.what());
    throw;
  }
  if (options_.rank == 0 && !options_.json.empty()) replace_file(options_.json, figures_ + "\n");
  if (!profile.empty()) replace_file(options_.profile, profile + "\n");
}

void Pipeline::place_graph(const std::vector<NodeSpec>& specs) {
  if (options_.use_profile.empty()) return graph_->place(specs);
  plan::place(graph_->operators(), specs, detail::read_profile(options_.use_profile));
}

}  // namespace tensair
