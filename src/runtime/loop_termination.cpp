#include <tensair/net/codec.hpp>
#include <tensair/runtime/loop_termination.hpp>

namespace tensair::runtime {

LoopTermination::LoopTermination(Node& node, net::ChannelId channel, std::size_t heads)
    : node_(node),
      channel_(channel),
      heads_(heads),
      of_heads_{heads},
      of_nodes_{static_cast<std::size_t>(node.count())} {
  if (node.count() == 1) return;
  // Node 0 hears what nodes report, the others what node 0 announces: a wave and yes or no.
  node.transport().receive(channel, [this](net::Rank from, const net::Payload& payload) {
    net::Reader reader{payload};
    const auto wave = reader.read<std::uint64_t>();
    const bool yes = reader.read<bool>();
    if (node_.rank() == 0) {
      report_of_node(wave, yes);
    } else if (from == 0) {
      begin(wave, yes);
    }
  });
}

void LoopTermination::bind(Task& head) {
  const std::lock_guard lock{mutex_};
  tasks_.push_back(&head);
}

auto LoopTermination::wave() const -> std::uint64_t {
  const std::lock_guard lock{mutex_};
  return wave_;
}

// Messages are sent and tasks woken without the lock: both take locks of their own.

void LoopTermination::report(std::uint64_t wave, bool quiet) {
  {
    const std::lock_guard lock{mutex_};
    of_heads_.quiet = of_heads_.quiet && quiet;
    if (--of_heads_.missing > 0) return;
    quiet = of_heads_.quiet;
    of_heads_ = {heads_};
  }
  if (node_.rank() == 0) {
    report_of_node(wave, quiet);
  } else {
    net::Writer writer{channel_};
    writer.write(wave);
    writer.write(quiet);
    node_.transport().link(0).send(net::Lane::control, std::move(*writer.finish()));
  }
}

void LoopTermination::report_of_node(std::uint64_t wave, bool quiet) {
  {
    const std::lock_guard lock{mutex_};
    if (wave != wave_ || ended_) throw net::Malformed("a report of a wave of a loop that is not under way");
    of_nodes_.quiet = of_nodes_.quiet && quiet;
    if (--of_nodes_.missing > 0) return;
    quiet = of_nodes_.quiet;
    of_nodes_ = {static_cast<std::size_t>(node_.count())};
    // Before others hear of it: their reports of the new wave may come at once.
    ++wave_;
    ended_ = quiet;
  }
  for (net::Rank to = 1; to < node_.count(); ++to) {
    net::Writer writer{channel_};
    writer.write(wave + 1);
    writer.write(quiet);
    node_.transport().link(to).send(net::Lane::control, std::move(*writer.finish()));
  }
  wake_heads();
}

void LoopTermination::begin(std::uint64_t wave, bool end) {
  {
    const std::lock_guard lock{mutex_};
    wave_ = wave;
    ended_ = end;
  }
  wake_heads();
}

void LoopTermination::wake_heads() {
  std::vector<Task*> tasks;
  {
    const std::lock_guard lock{mutex_};
    tasks = tasks_;
  }
  for (auto* task : tasks) task->wake();
}

}  // namespace tensair::runtime
