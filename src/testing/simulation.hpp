#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <tensair/net/transport.hpp>
#include <tensair/runtime/task.hpp>
#include <tensair/testing/cluster.hpp>
#include <unordered_map>
#include <utility>
#include <vector>

// The simulated cluster.
//
// There is one list of things that may happen now: a turn of a task that is ready, and the arrival of the message that
// is next on a link. One of them is drawn and happens; when the list is empty, time jumps to the next thing that will
// be ready. All of it is in one thread, so a wake or a message that tasks cause only changes the list.
//
// What happens costs the same however many nodes there are, but for a logarithm: the list is kept, not made anew, what
// comes later waits in a heap by time, and only links with something to do are looked at. An entry of the heap is not
// taken out when its time changes; it then says nothing when its turn comes, and there is another one.

namespace tensair::testing {

class Simulation;

class SimulatedClock final : public Clock {
 public:
  auto now() const -> Time override { return now_; }
  void advance(Time to) { now_ = to; }

 private:
  Time now_{};
};

/// One direction of a link. Messages are taken from the outboxes when the link is free, the most urgent lane first, as
/// over TCP.
class SimulatedLink final : public net::Link {
 public:
  SimulatedLink(Simulation& simulation, int from, int to) : simulation_(simulation), from_(from), to_(to) {}

  /// In order of the ends.
  friend auto operator<(const SimulatedLink& a, const SimulatedLink& b) -> bool {
    return std::pair(a.from_, a.to_) < std::pair(b.from_, b.to_);
  }

  void ready(net::Lane lane, std::shared_ptr<net::Outbox> outbox) override;
  void send(net::Lane lane, net::Message message) override;
  auto bytes_sent(net::Lane lane) const -> std::uint64_t override { return bytes_[static_cast<std::size_t>(lane)]; }

  /// When the message under way arrives; never when there is none.
  auto arrival() const -> Time { return under_way_.empty() ? never : under_way_.front().at; }
  void deliver();
  /// Takes the next message from the outboxes, when the link is free.
  void pump();
  auto free_at() const -> Time { return has_waiting() ? can_send_at() : never; }

 private:
  struct Flight {
    Time at;
    net::ChannelId channel;
    net::Payload payload;
  };
  class Queue;

  auto has_waiting() const -> bool;
  auto can_send_at() const -> Time;
  void put_under_way(net::ChannelId channel, net::Payload payload);

  Simulation& simulation_;
  int from_, to_;
  std::array<std::deque<std::shared_ptr<net::Outbox>>, net::lanes> waiting_;
  std::array<std::shared_ptr<Queue>, net::lanes> queues_;
  std::array<std::uint64_t, net::lanes> bytes_{};
  std::deque<Flight> under_way_;
  Time free_at_{};
};

/// One node's way to the others.
class SimulatedTransport final : public net::Transport {
 public:
  SimulatedTransport(Simulation& simulation, int rank, int nodes);

  void receive(net::ChannelId channel, Receiver receiver) override;
  void on_loss(Loss loss) override { loss_ = std::move(loss); }
  void connect(const net::Identity&) override {}
  /// Made when it is first asked for: of a thousand nodes few have to do with each other.
  auto link(net::Rank peer) -> net::Link& override;
  void disconnect() override {}
  void abort(const std::string&) override {}

  void arrive(int from, net::ChannelId channel, net::Payload payload);
  /// By peer; null where nobody has asked for it.
  auto links() const -> const std::vector<std::unique_ptr<SimulatedLink>>& { return links_; }

  /// When the network card can send, and receive, more; and the links that wait for it to send, which take turns.
  Time sends_at{}, receives_at{};
  std::deque<SimulatedLink*> senders{};

 private:
  Simulation& simulation_;
  int rank_;
  std::map<net::ChannelId, Receiver> receivers_;
  Loss loss_;
  std::vector<std::unique_ptr<SimulatedLink>> links_;
};

/// One node's scheduler: tells the simulation which tasks are its own.
class SimulatedScheduler final : public runtime::Scheduler {
 public:
  SimulatedScheduler(Simulation& simulation, int rank) : simulation_(simulation), rank_(rank) {}

  void spawn(std::shared_ptr<runtime::Task> task) override;
  auto clock() const -> const Clock& override;
  auto simulated() const -> bool override { return true; }
  using Scheduler::request_stop;
  using Scheduler::turn_of;

 protected:
  void wake(runtime::Task& task) override;
  void wake_all() override;

 private:
  Simulation& simulation_;
  int rank_;
};

/// What happens, and when.
class Simulation {
 public:
  explicit Simulation(ClusterOptions options);

  auto options() const -> const ClusterOptions& { return options_; }
  auto clock() const -> const SimulatedClock& { return clock_; }
  auto transport(int rank) -> SimulatedTransport& { return *transports_.at(static_cast<std::size_t>(rank)); }
  auto scheduler(int rank) -> SimulatedScheduler& { return *schedulers_.at(static_cast<std::size_t>(rank)); }

  void spawn(int rank, std::shared_ptr<runtime::Task> task);
  void wake(runtime::Task& task);
  void wake_all(int rank);
  void drain_at(Duration at) { drain_at_ = Time{} + at; }
  void kill_at(int rank, Duration at) { deaths_.emplace(Time{} + at, rank); }
  void cut(int a, int b, Duration at, Duration outage) {
    outages_.push_back({std::minmax(a, b), Time{} + at, Time{} + at + outage});
  }
  /// The link may have something to send.
  void look_at(SimulatedLink& link) { looked_at_.insert(&link); }
  /// … not before `time`, which is to come.
  void look_at(SimulatedLink& link, Time time) { later_.push({time, next_event_++, nullptr, &link}); }
  /// When what would arrive at `time` on that link does: later if the link is cut then.
  auto after_outages(int from, int to, Time time) const -> Time;
  auto dead(int rank) const -> bool { return dead_.at(static_cast<std::size_t>(rank)); }

  /// Between half and one and a half of `average`.
  auto draw(Duration average, double spread = 0.5) -> Duration;

  /// @throws what a task throws; NodeError when a node dies; Error on a deadlock
  void run();

 private:
  struct Entry {
    std::shared_ptr<runtime::Task> task;
    int rank;
    std::size_t place;  // among all
    bool waiting = false, done = false, woken = false;
    Time ready_at{};  // when not waiting: not before; when waiting: its deadline
  };

  // A task or a link may have something to do then.
  struct Event {
    Time time;
    std::uint64_t place;  // those of the same time come in order
    Entry* entry;
    SimulatedLink* link;
    friend auto operator>(const Event& a, const Event& b) -> bool {
      return std::pair(a.time, a.place) > std::pair(b.time, b.place);
    }
  };

  struct Outage {
    std::pair<int, int> nodes;
    Time begin, end;
  };

  void run_until_done();
  void turn(Entry& entry);
  void deliver(SimulatedLink& link);
  void die(int rank);
  void take_due_events();
  void pump_links();
  auto next_time() -> Time;
  void expect(Entry& entry);
  void expect(SimulatedLink& link);
  [[noreturn]] void report_deadlock() const;

  ClusterOptions options_;
  SimulatedClock clock_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<SimulatedTransport>> transports_;
  std::vector<std::unique_ptr<SimulatedScheduler>> schedulers_;
  std::deque<Entry> entries_;
  std::vector<std::vector<Entry*>> by_rank_;
  std::unordered_map<runtime::Task*, Entry*> by_task_;
  std::size_t unfinished_ = 0;  // entries
  std::multimap<Time, int> deaths_;
  struct ByEnds {
    auto operator()(const SimulatedLink* a, const SimulatedLink* b) const -> bool { return *a < *b; }
  };
  // In order, so that a seed runs the same way wherever they lie in memory: what may happen now, and links that may
  // send.
  std::vector<Entry*> ready_;
  std::vector<SimulatedLink*> arriving_;
  std::set<SimulatedLink*, ByEnds> looked_at_;
  std::size_t flying_ = 0;  // links with messages under way
  std::priority_queue<Event, std::vector<Event>, std::greater<>> later_;
  std::uint64_t next_event_ = 0;
  std::vector<Outage> outages_;
  Time drain_at_ = never;
  std::vector<bool> dead_;
  Entry* running_ = nullptr;
};

}  // namespace tensair::testing
