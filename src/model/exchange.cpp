#include <fmt/format.h>

#include <algorithm>

#include <tensair/model/exchange.hpp>
#include <utility>

namespace tensair {
namespace {

enum class Kind : std::uint8_t { delta = 0, end = 1 };

}  // namespace

// What waits for one link: a sum of deltas, then the news that a node's replicas have finished.
class Exchange::LinkOutbox final : public net::Outbox {
 public:
  LinkOutbox(net::ChannelId channel, std::shared_ptr<std::atomic<std::uint64_t>> sent)
      : channel_(channel), sent_(std::move(sent)) {}

  auto next() -> std::unique_ptr<net::Message> override {
    // Counted before the deltas are taken: what was added before an end is sent before it.
    const std::size_t ends = count_ends();
    if (auto delta = deltas_.take()) {
      net::Writer writer{channel_};
      writer.write(Kind::delta);
      writer.write(delta->contributions);
      writer.write(static_cast<std::uint64_t>(delta->values.size()));
      writer.refer(std::as_bytes(delta->values));
      sent_->fetch_add(1, std::memory_order_relaxed);
      return writer.finish(std::move(delta));
    }
    if (ends == 0) return nullptr;
    net::Writer writer{channel_};
    writer.write(Kind::end);
    writer.write(take_ends(ends));
    return writer.finish();
  }

  void add(const SharedDelta& delta) { deltas_.add(delta); }
  void end(net::Rank node) {
    const std::lock_guard lock{mutex_};
    ended_.push_back(node);
  }

 private:
  auto count_ends() const -> std::size_t {
    const std::lock_guard lock{mutex_};
    return ended_.size();
  }
  auto take_ends(std::size_t count) -> std::vector<net::Rank> {
    const std::lock_guard lock{mutex_};
    const auto end = ended_.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<net::Rank> ends(ended_.begin(), end);
    ended_.erase(ended_.begin(), end);
    return ends;
  }

  net::ChannelId channel_;
  std::shared_ptr<std::atomic<std::uint64_t>> sent_;
  Accumulator deltas_;
  mutable std::mutex mutex_;
  std::vector<net::Rank> ended_;  // nodes; not told yet
};

Exchange::Exchange(runtime::Node& node, net::ChannelId channel, Overlay overlay, int replicas, std::size_t parameters)
    : node_(node),
      channel_(channel),
      overlay_(std::move(overlay)),
      replicas_(replicas),
      parameters_(parameters),
      arrivals_(static_cast<std::size_t>(replicas)) {
  const auto& members = overlay_.members();
  for (std::size_t i = 0; i < static_cast<std::size_t>(replicas); ++i) {
    if (members[i % members.size()] == node.rank()) locals_.push_back(std::make_unique<Local>());
  }
  for (const net::Rank peer : overlay_.neighbours(node.rank()))
    outboxes_.emplace_back(peer, std::make_shared<LinkOutbox>(channel, deltas_sent_));
  locals_unfinished_ = locals_.size();
  unfinished_ = locals_.size() + members.size() - 1;
  if (!outboxes_.empty()) {
    node.transport().receive(channel,
                             [this](net::Rank from, net::Payload payload) { arrive(from, std::move(payload)); });
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
  pass_on(delta, node_.rank());
}

// To every neighbour but the one it came from.
void Exchange::pass_on(const SharedDelta& delta, net::Rank from) {
  for (auto& [peer, outbox] : outboxes_) {
    if (peer == from) continue;
    outbox->add(delta);
    node_.transport().link(peer).ready(net::Lane::delta, outbox);
  }
}

void Exchange::end(net::Rank node, net::Rank from) {
  for (auto& [peer, outbox] : outboxes_) {
    if (peer == from) continue;
    outbox->end(node);
    node_.transport().link(peer).ready(net::Lane::delta, outbox);
  }
}

auto Exchange::collect(int replica) -> SharedDelta {
  return local(replica).inbox.take();
}

void Exchange::finish(int) {
  if (locals_unfinished_.fetch_sub(1) == 1) end(node_.rank(), node_.rank());
  count_finished();
}

auto Exchange::finished() const -> bool {
  return unfinished_.load(std::memory_order_acquire) == 0;
}

void Exchange::arrive(net::Rank from, net::Payload payload) {
  auto shared = std::make_shared<const net::Payload>(std::move(payload));
  net::Reader reader{*shared};
  if (reader.read<Kind>() == Kind::end) {
    for (const net::Rank node : reader.read<std::vector<net::Rank>>()) {
      if (overlay_.passes_on()) end(node, from);
      count_finished();
    }
    return;
  }
  auto delta = std::make_shared<Delta>();
  delta->contributions = reader.read<std::vector<Contribution>>();
  for (const auto& one : delta->contributions) {
    const std::size_t told = tells_seen() ? static_cast<std::size_t>(replicas_) : 0;
    if (one.replica >= static_cast<std::uint32_t>(replicas_) || one.seen.size() != told) {
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
  if (overlay_.passes_on()) pass_on(arrived, from);
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
