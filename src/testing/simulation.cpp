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
  simulation_.look_at(*this);
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
  auto* const was_first = senders.empty() ? nullptr : senders.front();
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
  auto* const first = senders.empty() ? nullptr : senders.front();
  if (first != nullptr && first != was_first && first != this) simulation_.look_at(*first);
  const bool has_turn = !take_turns || first == this;
  if (has_waiting() && has_turn && can_send_at() > simulation_.clock().now()) simulation_.look_at(*this, can_send_at());
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
    : options_(std::move(options)),
      random_(options_.seed),
      by_rank_(static_cast<std::size_t>(options_.nodes)),
      dead_(static_cast<std::size_t>(options_.nodes)) {
  for (int rank = 0; rank < options_.nodes; ++rank) {
    transports_.push_back(std::make_unique<SimulatedTransport>(*this, rank, options_.nodes));
    schedulers_.push_back(std::make_unique<SimulatedScheduler>(*this, rank));
  }
}

void Simulation::spawn(int rank, std::shared_ptr<runtime::Task> task) {
  auto* key = task.get();
  auto& entry = entries_.emplace_back(Entry{std::move(task), rank, entries_.size()});
  by_task_[key] = &entry;
  by_rank_[static_cast<std::size_t>(rank)].push_back(&entry);
  ++unfinished_;
  expect(entry);
}

void Simulation::wake(runtime::Task& task) {
  auto& entry = *by_task_.at(&task);
  if (&entry == running_) {
    entry.woken = true;
  } else if (entry.waiting) {
    entry.waiting = false;
    entry.ready_at = clock_.now();
    expect(entry);
  } else {
    entry.woken = true;  // its turn takes until `ready_at`, and it is run again then
  }
}

void Simulation::wake_all(int rank) {
  for (auto* entry : by_rank_[static_cast<std::size_t>(rank)]) {
    if (!entry->done) wake(*entry->task);
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
      --unfinished_;
      return;
    case runtime::Turn::State::again:
      entry.ready_at = clock_.now() + length;
      break;
    case runtime::Turn::State::wait:
      entry.waiting = !entry.woken;
      entry.ready_at = entry.woken ? clock_.now() + short_turn : turn.deadline;
      break;
  }
  expect(entry);
}

void Simulation::deliver(SimulatedLink& link) {
  link.deliver();
  if (link.arrival() == never) --flying_;
  expect(link);
}

void Simulation::die(int rank) {
  dead_[static_cast<std::size_t>(rank)] = true;
  throw NodeError(rank, "the connection was lost", fmt::format("node {}", rank), "");
}

// Into the list of what may happen now, or on the heap of what comes later.
void Simulation::expect(Entry& entry) {
  if (entry.ready_at > clock_.now()) {
    if (entry.ready_at != never) later_.push({entry.ready_at, next_event_++, &entry, nullptr});
    return;
  }
  const auto place = std::lower_bound(ready_.begin(), ready_.end(), &entry,
                                      [](const Entry* a, const Entry* b) { return a->place < b->place; });
  if (place == ready_.end() || *place != &entry) ready_.insert(place, &entry);
}

void Simulation::expect(SimulatedLink& link) {
  if (link.arrival() > clock_.now()) {
    if (link.arrival() != never) look_at(link, link.arrival());
    return;
  }
  const auto place = std::lower_bound(arriving_.begin(), arriving_.end(), &link, ByEnds{});
  if (place == arriving_.end() || *place != &link) arriving_.insert(place, &link);
}

void Simulation::take_due_events() {
  while (!later_.empty() && later_.top().time <= clock_.now()) {
    const auto event = later_.top();
    later_.pop();
    if (event.link != nullptr) {
      look_at(*event.link);
    } else if (!event.entry->done && event.entry->ready_at <= clock_.now()) {
      expect(*event.entry);
    }
  }
}

// A link may let another one of its node send; that comes now if its turn is still to come, else next time.
void Simulation::pump_links() {
  for (auto at = looked_at_.begin(); at != looked_at_.end();) {
    auto* const link = *at;
    looked_at_.erase(at);
    const bool flew = link->arrival() != never;
    link->pump();
    if (!flew && link->arrival() != never) ++flying_;
    if (!flew || link->arrival() <= clock_.now()) expect(*link);
    at = looked_at_.upper_bound(link);
  }
}

auto Simulation::next_time() -> Time {
  Time next = std::min(drain_at_, deaths_.empty() ? never : deaths_.begin()->first);
  const auto says_something = [](const Event& event) {
    if (event.entry != nullptr) return !event.entry->done && event.entry->ready_at == event.time;
    return event.link->arrival() == event.time || event.link->free_at() == event.time;
  };
  while (!later_.empty() && !says_something(later_.top())) later_.pop();
  return later_.empty() ? next : std::min(next, later_.top().time);
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
    take_due_events();
    pump_links();
    if (unfinished_ == 0 && flying_ == 0) return;
    const auto choices = ready_.size() + arriving_.size();
    if (choices == 0) {
      if (!looked_at_.empty()) continue;
      const Time next = next_time();
      if (next == never) report_deadlock();
      clock_.advance(std::max(now, next));
      continue;
    }
    const auto choice = static_cast<std::size_t>(random_() % choices);
    if (choice < ready_.size()) {
      auto& entry = *ready_[choice];
      ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(choice));
      entry.waiting = false;
      turn(entry);
    } else {
      const auto at = arriving_.begin() + static_cast<std::ptrdiff_t>(choice - ready_.size());
      auto& link = **at;
      arriving_.erase(at);
      deliver(link);
    }
  }
}

}  // namespace tensair::testing
