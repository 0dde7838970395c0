#include "simulation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <tensair/error.hpp>

namespace tensair::testing {
namespace {

// A turn of a task that gives its thread back quickly. Not nothing, so that time goes on whatever such tasks do.
constexpr auto short_turn = std::chrono::microseconds{2};

auto flatten(const net::Message& message) -> net::Payload {
  net::Payload payload;
  payload.reserve(message.size());
  payload.insert(payload.end(), message.head.begin(), message.head.end());
  for (const auto part : message.bulk) payload.insert(payload.end(), part.begin(), part.end());
  return payload;
}

}  // namespace

// --- Links

class SimulatedLink::Queue final : public net::Outbox {
 public:
  void push(net::Message message) { messages_.push_back(std::make_unique<net::Message>(std::move(message))); }
  auto next() -> std::unique_ptr<net::Message> override {
    if (messages_.empty()) return nullptr;
    auto message = std::move(messages_.front());
    messages_.pop_front();
    return message;
  }

 private:
  std::deque<std::unique_ptr<net::Message>> messages_;
};

void SimulatedLink::ready(net::Lane lane, std::shared_ptr<net::Outbox> outbox) {
  auto& waiting = waiting_[static_cast<std::size_t>(lane)];
  if (std::find(waiting.begin(), waiting.end(), outbox) == waiting.end()) waiting.push_back(std::move(outbox));
  simulation_.activate(*this);
}

void SimulatedLink::send(net::Lane lane, net::Message message) {
  auto& queue = queues_[static_cast<std::size_t>(lane)];
  if (!queue) queue = std::make_shared<Queue>();
  queue->push(std::move(message));
  ready(lane, queue);
}

auto SimulatedLink::has_waiting() const -> bool {
  return std::any_of(waiting_.begin(), waiting_.end(), [](const auto& lane) { return !lane.empty(); });
}

void SimulatedLink::pump() {
  auto& senders = simulation_.transport(from_).senders;
  const bool take_turns = simulation_.options().node_bytes_per_second > 0;
  if (take_turns && has_waiting() && std::find(senders.begin(), senders.end(), this) == senders.end())
    senders.push_back(this);
  while (has_waiting() && can_send_at() <= simulation_.clock().now() && (!take_turns || senders.front() == this)) {
    const auto lane = static_cast<std::size_t>(
        std::find_if(waiting_.begin(), waiting_.end(), [](const auto& outboxes) { return !outboxes.empty(); }) -
        waiting_.begin());
    auto outbox = std::move(waiting_[lane].front());
    waiting_[lane].pop_front();
    const auto message = outbox->next();
    if (!message) continue;
    waiting_[lane].push_back(std::move(outbox));
    if (simulation_.dead(to_)) continue;
    auto payload = flatten(*message);
    bytes_[lane] += payload.size();
    put_under_way(message->channel, std::move(payload));
    if (take_turns) std::rotate(senders.begin(), senders.begin() + 1, senders.end());
  }
  if (take_turns && !has_waiting()) std::erase(senders, this);
}

auto SimulatedLink::can_send_at() const -> Time {
  return std::max(free_at_, simulation_.transport(from_).sends_at);
}

// A message takes its time on the link, on the sender's card and on the receiver's, all at once unless one is busy.
void SimulatedLink::put_under_way(net::ChannelId channel, net::Payload payload) {
  const auto& options = simulation_.options();
  const auto takes = [&](double bytes_per_second) {
    if (bytes_per_second <= 0) return Duration{};
    return Duration{static_cast<Duration::rep>(static_cast<double>(payload.size()) / bytes_per_second * 1e9)};
  };
  const Time now = simulation_.clock().now();
  const Duration on_card = takes(options.node_bytes_per_second);
  free_at_ = now + std::max(takes(options.bytes_per_second), on_card);
  simulation_.transport(from_).sends_at = now + on_card;
  auto& receives_at = simulation_.transport(to_).receives_at;
  if (on_card > Duration{}) receives_at = std::max(free_at_, receives_at + on_card);
  auto at = std::max(free_at_, receives_at) + simulation_.draw(options.delay);
  at = simulation_.after_outages(from_, to_, at);
  if (!under_way_.empty()) at = std::max(at, under_way_.back().at);  // one connection: nothing overtakes
  under_way_.push_back({at, channel, std::move(payload)});
}

void SimulatedLink::deliver() {
  auto flight = std::move(under_way_.front());
  under_way_.pop_front();
  if (!simulation_.dead(to_)) simulation_.transport(to_).arrive(from_, flight.channel, std::move(flight.payload));
}

// --- Transports and schedulers

SimulatedTransport::SimulatedTransport(Simulation& simulation, int rank, int nodes)
    : simulation_(simulation), rank_(rank), links_(static_cast<std::size_t>(nodes)) {}

auto SimulatedTransport::link(net::Rank peer) -> net::Link& {
  auto& link = links_.at(static_cast<std::size_t>(peer));
  if (!link) link = std::make_unique<SimulatedLink>(simulation_, rank_, peer);
  return *link;
}

void SimulatedTransport::receive(net::ChannelId channel, Receiver receiver) {
  if (!receivers_.emplace(channel, std::move(receiver)).second)
    throw Error(fmt::format("channel {} has two receivers", channel));
}

void SimulatedTransport::arrive(int from, net::ChannelId channel, net::Payload payload) {
  const auto receiver = receivers_.find(channel);
  if (receiver == receivers_.end())
    throw Error(fmt::format("a message for channel {}, which nobody receives", channel));
  receiver->second(from, std::move(payload));
}

void SimulatedScheduler::spawn(std::shared_ptr<runtime::Task> task) {
  adopt(*task);
  simulation_.spawn(rank_, std::move(task));
}

auto SimulatedScheduler::clock() const -> const Clock& {
  return simulation_.clock();
}
void SimulatedScheduler::wake_all() {
  simulation_.wake_all(rank_);
}

void SimulatedScheduler::wake(runtime::Task& task) {
  simulation_.wake(task);
}

// --- What happens

Simulation::Simulation(ClusterOptions options)
    : options_(std::move(options)), random_(options_.seed), dead_(static_cast<std::size_t>(options_.nodes)) {
  for (int rank = 0; rank < options_.nodes; ++rank) {
    transports_.push_back(std::make_unique<SimulatedTransport>(*this, rank, options_.nodes));
    schedulers_.push_back(std::make_unique<SimulatedScheduler>(*this, rank));
  }
}

void Simulation::spawn(int rank, std::shared_ptr<runtime::Task> task) {
  auto* key = task.get();
  by_task_[key] = &entries_.emplace_back(Entry{std::move(task), rank});
}

void Simulation::wake(runtime::Task& task) {
  auto& entry = *by_task_.at(&task);
  if (&entry == running_) {
    entry.woken = true;
  } else if (entry.waiting) {
    entry.waiting = false;
    entry.ready_at = clock_.now();
  } else {
    entry.woken = true;  // its turn takes until `ready_at`, and it is run again then
  }
}

void Simulation::wake_all(int rank) {
  for (auto& entry : entries_) {
    if (entry.rank == rank && !entry.done) wake(*entry.task);
  }
}

auto Simulation::after_outages(int from, int to, Time time) const -> Time {
  const std::pair<int, int> nodes = std::minmax(from, to);
  for (bool moved = true; moved;) {  // outages may overlap
    moved = false;
    for (const auto& outage : outages_) {
      if (outage.nodes != nodes || time < outage.begin || time >= outage.end) continue;
      time = outage.end;
      moved = true;
    }
  }
  return time;
}

auto Simulation::draw(Duration average, double spread) -> Duration {
  // Own arithmetic: the standard's distributions differ between libraries, and a seed must run the same way everywhere.
  const double unit = static_cast<double>(random_() >> 11) * 0x1.0p-53;
  return Duration{static_cast<Duration::rep>(static_cast<double>(average.count()) * (1 + spread * (2 * unit - 1)))};
}

void Simulation::turn(Entry& entry) {
  entry.woken = false;
  running_ = &entry;
  const auto turn = scheduler(entry.rank).turn_of(*entry.task);
  running_ = nullptr;
  Duration length = short_turn;
  if (entry.task->occupies_thread()) {
    const auto rank = static_cast<std::size_t>(entry.rank);
    const double slowness = rank < options_.slowness.size() ? options_.slowness[rank] : 1.0;
    length = Duration{
        static_cast<Duration::rep>(static_cast<double>(draw(options_.turn, options_.turn_spread).count()) * slowness)};
  }
  switch (turn.state) {
    case runtime::Turn::State::done:
      entry.done = true;
      return;
    case runtime::Turn::State::again:
      entry.ready_at = clock_.now() + length;
      return;
    case runtime::Turn::State::wait:
      entry.waiting = !entry.woken;
      entry.ready_at = entry.woken ? clock_.now() + short_turn : turn.deadline;
      return;
  }
}

void Simulation::die(int rank) {
  dead_[static_cast<std::size_t>(rank)] = true;
  throw NodeError(rank, "the connection was lost", fmt::format("node {}", rank), "");
}

auto Simulation::next_time() -> Time {
  Time next = std::min(drain_at_, deaths_.empty() ? never : deaths_.begin()->first);
  for (const auto& entry : entries_) {
    if (!entry.done && !dead(entry.rank)) next = std::min(next, entry.ready_at);
  }
  for (const auto* link : active_) next = std::min({next, link->arrival(), link->free_at()});
  return next;
}

void Simulation::report_deadlock() const {
  std::string tasks;
  for (const auto& entry : entries_) {
    if (!entry.done) tasks += fmt::format("{}{} on node {}", tasks.empty() ? "" : ", ", entry.task->name(), entry.rank);
  }
  throw Error("nothing can happen any more, and these still wait: " + tasks, fmt::format("seed {}", options_.seed));
}

void Simulation::run() {
  try {
    run_until_done();
  } catch (...) {
    for (auto& scheduler : schedulers_) scheduler->request_stop();
    throw;
  }
}

void Simulation::run_until_done() {
  std::vector<Entry*> ready;
  std::vector<SimulatedLink*> arriving;
  while (true) {
    const Time now = clock_.now();
    if (drain_at_ <= now) {
      drain_at_ = never;
      for (auto& scheduler : schedulers_) scheduler->drain();
    }
    while (!deaths_.empty() && deaths_.begin()->first <= now) {
      const int rank = deaths_.begin()->second;
      deaths_.erase(deaths_.begin());
      die(rank);
    }
    ready.clear();
    arriving.clear();
    bool unfinished = false;
    for (auto& entry : entries_) {
      unfinished = unfinished || !entry.done;
      if (!entry.done && entry.ready_at <= now) ready.push_back(&entry);
    }
    bool flying = false;
    for (auto at = active_.begin(); at != active_.end();) {
      SimulatedLink& link = **at;
      link.pump();
      flying = flying || link.arrival() != never;
      if (link.arrival() <= now) arriving.push_back(&link);
      at = link.active() ? std::next(at) : active_.erase(at);
    }
    if (!unfinished && !flying) return;
    const auto choices = ready.size() + arriving.size();
    if (choices == 0) {
      const Time next = next_time();
      if (next == never) report_deadlock();
      clock_.advance(std::max(now, next));
      continue;
    }
    const auto choice = static_cast<std::size_t>(random_() % choices);
    if (choice < ready.size()) {
      ready[choice]->waiting = false;
      turn(*ready[choice]);
    } else {
      arriving[choice - ready.size()]->deliver();
    }
  }
}

}  // namespace tensair::testing
