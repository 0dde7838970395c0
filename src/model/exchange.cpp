#include <fmt/format.h>

#include <tensair/model/exchange.hpp>

namespace tensair {
namespace {

enum class Kind : std::uint8_t { delta = 0, end = 1 };

// Nodes from 0 on have a replica each before any has a second one.
auto replicas_on(net::Rank node, int nodes, int replicas) -> int {
  return node >= replicas ? 0 : (replicas - 1 - node) / nodes + 1;
}

}  // namespace

// What waits for one link: a sum of deltas, then the news that this node's replicas have finished.
class Exchange::LinkOutbox final : public net::Outbox {
 public:
  LinkOutbox(net::ChannelId channel, std::shared_ptr<std::atomic<std::uint64_t>> sent)
      : channel_(channel), sent_(std::move(sent)) {}

  auto next() -> std::unique_ptr<net::Message> override {
    // Read before the deltas: what was added before the end is sent before it.
    const bool ending = ending_.load(std::memory_order_acquire);
    if (auto delta = deltas_.take()) {
      net::Writer writer{channel_};
      writer.write(Kind::delta);
      writer.write(delta->contributions);
      writer.write(static_cast<std::uint64_t>(delta->values.size()));
      writer.refer(std::as_bytes(delta->values));
      sent_->fetch_add(1, std::memory_order_relaxed);
      return writer.finish(std::move(delta));
    }
    if (!ending || end_sent_) return nullptr;
    end_sent_ = true;
    net::Writer writer{channel_};
    writer.write(Kind::end);
    return writer.finish();
  }

  void add(const SharedDelta& delta) { deltas_.add(delta); }
  void end() { ending_.store(true, std::memory_order_release); }

 private:
  net::ChannelId channel_;
  std::shared_ptr<std::atomic<std::uint64_t>> sent_;
  Accumulator deltas_;
  std::atomic<bool> ending_{false};
  bool end_sent_ = false;  // the link's thread only
};

Exchange::Exchange(runtime::Node& node, net::ChannelId channel, int replicas, std::size_t parameters)
    : node_(node),
      channel_(channel),
      replicas_(replicas),
      parameters_(parameters),
      arrivals_(static_cast<std::size_t>(replicas)) {
  for (int i = 0; i < replicas_on(node.rank(), node.count(), replicas); ++i)
    locals_.push_back(std::make_unique<Local>());
  for (net::Rank peer = 0; peer < node.count(); ++peer) {
    if (peer == node.rank() || replicas_on(peer, node.count(), replicas) == 0) continue;
    if (!locals_.empty()) outboxes_.emplace_back(peer, std::make_shared<LinkOutbox>(channel, deltas_sent_));
  }
  locals_unfinished_ = locals_.size();
  unfinished_ = locals_.size() + outboxes_.size();
  if (!outboxes_.empty()) {
    node.transport().receive(channel, [this](net::Rank, net::Payload payload) { arrive(std::move(payload)); });
  }
}

Exchange::~Exchange() = default;

void Exchange::bind(int replica, runtime::Task& task) {
  local(replica).task.store(&task, std::memory_order_release);
}

void Exchange::publish(int replica, const SharedDelta& delta) {
  const auto* own = &local(replica);
  for (auto& other : locals_) {
    if (other.get() != own) other->inbox.add(delta);
  }
  note_arrival(*delta);
  wake_locals(own);
  for (auto& [peer, outbox] : outboxes_) {
    outbox->add(delta);
    node_.transport().link(peer).ready(net::Lane::delta, outbox);
  }
}

auto Exchange::collect(int replica) -> SharedDelta {
  return local(replica).inbox.take();
}

void Exchange::finish(int) {
  if (locals_unfinished_.fetch_sub(1) == 1) {
    for (auto& [peer, outbox] : outboxes_) {
      outbox->end();
      node_.transport().link(peer).ready(net::Lane::delta, outbox);
    }
  }
  count_finished();
}

auto Exchange::finished() const -> bool {
  return unfinished_.load(std::memory_order_acquire) == 0;
}

void Exchange::arrive(net::Payload payload) {
  auto shared = std::make_shared<const net::Payload>(std::move(payload));
  net::Reader reader{*shared};
  if (reader.read<Kind>() == Kind::end) {
    count_finished();
    return;
  }
  auto delta = std::make_shared<Delta>();
  delta->contributions = reader.read<std::vector<Contribution>>();
  for (const auto& one : delta->contributions) {
    if (one.replica >= static_cast<std::uint32_t>(replicas_) ||
        one.seen.size() != static_cast<std::size_t>(replicas_)) {
      throw net::Malformed(fmt::format("a delta of replica {}, of a model that has {}", one.replica, replicas_));
    }
  }
  const auto size = reader.read<std::uint64_t>();
  if (size != parameters_)
    throw net::Malformed(fmt::format("a delta of {} values for a model of {} parameters", size, parameters_));
  const auto bytes = reader.bulk(size * sizeof(float));
  // Messages are aligned to 16 bytes, and so is the bulk within them.
  delta->values = {reinterpret_cast<const float*>(bytes.data()), size};
  delta->owner = std::move(shared);
  const SharedDelta arrived = std::move(delta);
  for (auto& local : locals_) local->inbox.add(arrived);
  note_arrival(*arrived);
  wake_locals(nullptr);
}

auto Exchange::arrivals() const -> std::vector<Arrival> {
  const std::lock_guard lock{arrivals_mutex_};
  return arrivals_;
}

void Exchange::wake_locals(const Local* but) {
  for (auto& local : locals_) {
    if (local.get() == but) continue;
    if (auto* task = local->task.load(std::memory_order_acquire)) task->wake();
  }
}

// After the delta has been added and before anybody is woken for it: who sees the arrival can collect the delta.
void Exchange::note_arrival(const Delta& delta) {
  const Time now = node_.clock().now();
  const std::lock_guard lock{arrivals_mutex_};
  for (const auto& one : delta.contributions) {
    auto& arrival = arrivals_[one.replica];
    arrival.last = now;
    arrival.steps += one.steps;
    arrival.round = one.round;
  }
}

void Exchange::count_finished() {
  if (unfinished_.fetch_sub(1) == 1) wake_locals(nullptr);
}

}  // namespace tensair
