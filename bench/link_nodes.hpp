#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <tensair/net/codec.hpp>
#include <tensair/net/tcp_transport.hpp>
#include <tensair/pipeline.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "link_record.hpp"
#include "seconds.hpp"
#include "statistics.hpp"

// The two ends of a link.

namespace bench {

using namespace tensair::net;

inline constexpr ChannelId channel = 1;

/// As many messages as it is told, all with the same bytes.
class Repeated final : public Outbox {
 public:
  Repeated(std::uint64_t messages, std::function<std::unique_ptr<Message>()> make)
      : left_(messages), make_(std::move(make)) {}
  auto next() -> std::unique_ptr<Message> override { return left_ == 0 ? nullptr : (--left_, make_()); }

 private:
  std::uint64_t left_;
  std::function<std::unique_ptr<Message>()> make_;
};

/// A transport that is connected while it lives.
class End {
 public:
  explicit End(const tensair::Options& options, TcpLimits limits = {})
      : options_(options), transport_(options, limits) {
    transport_.on_loss([](Rank, const std::string& reason) {
      fmt::print(stderr, "link: {}\n", reason);
      std::abort();
    });
  }
  ~End() { transport_.disconnect(); }
  auto transport() -> TcpTransport& { return transport_; }
  auto connect() -> Link& {
    transport_.connect({.rank = options_.rank, .nodes = 2, .plan = "link"});
    return transport_.link(1 - options_.rank);
  }

 private:
  const tensair::Options options_;
  TcpTransport transport_;
};

/// Node 1 sends chunks of records, node 0 looks at each record, where it lies in the message.
/// @return  on node 0, seconds
inline auto link_throughput(const tensair::Options& options, std::uint64_t records, bool checked) -> double {
  std::promise<double> result;
  std::uint64_t received = 0, sum = 0;
  double begin = 0;
  End end{options, {.checksums = checked}};
  end.transport().receive(channel, [&](Rank, const Payload& payload) {
    if (begin == 0) begin = wall_seconds();
    Reader reader{payload};
    std::vector<Record> copied;
    for (const auto& record : view(reader, copied)) sum += record.key;
    received += records_of_chunk;
    if (received >= records) result.set_value(wall_seconds() - begin);
  });
  auto& link = end.connect();
  if (options.rank == 1) {
    const auto chunk = std::make_shared<std::vector<Record>>(records_of_chunk);
    for (std::size_t i = 0; i < chunk->size(); ++i) (*chunk)[i].key = i;
    link.ready(Lane::data, std::make_shared<Repeated>(records / records_of_chunk, [chunk] {
                 Writer writer{channel};
                 writer.write(*chunk);
                 return writer.finish(chunk);
               }));
    return 0;
  }
  const double seconds = result.get_future().get();
  check_sum(sum, records);
  return seconds;
}

/// A source of which only node 1's part has records.
template <class T>
class Records {
 public:
  using value_type = T;
  explicit Records(std::uint64_t records) : left_(records) {}
  void split(int part, int) {
    if (part == 0) left_ = 0;
  }
  auto next() -> std::optional<T> {
    if (left_ == 0) return std::nullopt;
    --left_;
    T record;
    record.key = static_cast<decltype(record.key)>(left_ % records_of_chunk);
    return record;
  }

 private:
  std::uint64_t left_;
};

/// The same through a pipeline: node 1's source, node 0's sink.
template <class T>
auto pipeline_throughput(const tensair::Options& options, std::uint64_t records) -> double {
  tensair::Pipeline pipeline{options};
  std::uint64_t sum = 0;
  double begin = 0, end = 0;
  pipeline.source(Records<T>{records}).sink([&](const T& record) {
    if (begin == 0) begin = wall_seconds();
    sum += static_cast<std::uint64_t>(record.key);
  });
  pipeline.execute();
  end = wall_seconds();
  if (options.rank == 0) check_sum(sum, records);
  return end - begin;
}

/// Node 0 sends a message of 16 bytes, node 1 sends it back.
/// @return  on node 0, seconds a round
inline auto link_ping_pong(const tensair::Options& options, int rounds) -> double {
  std::promise<void> over;
  int done = 0;
  End end{options};
  Link* link = nullptr;
  const auto send = [&] {
    Message message;
    message.channel = channel;
    message.head.resize(16);
    link->send(Lane::control, std::move(message));
  };
  end.transport().receive(channel, [&](Rank, const Payload&) {
    if (link == nullptr) link = &end.transport().link(1 - options.rank);
    if (++done == rounds) over.set_value();
    if (options.rank == 1 || done < rounds) send();
  });
  auto& own = end.connect();
  if (options.rank == 1) return over.get_future().wait(), 0;
  link = &own;
  const double begin = wall_seconds();
  send();
  over.get_future().wait();
  return (wall_seconds() - begin) / rounds;
}

struct Delays {
  double control_median = 0, control_p99 = 0, data_p99 = 0;  // ms
};

/// Node 0 sends a control message each millisecond and a record ten times as often, with or without deltas of 120 MB
/// all the time; node 1 tells how long they took. Both clocks are the machine's.
inline auto link_delays(const tensair::Options& options, double seconds, bool with_deltas) -> Delays {
  constexpr ChannelId control = 1, data = 2, deltas = 3, end_of_run = 4;
  std::promise<void> over;
  std::vector<double> of_control, of_data;
  End end{options};
  const auto note = [](std::vector<double>& delays) {
    return [&](Rank, const Payload& payload) {
      double sent = 0;
      std::memcpy(&sent, payload.data(), sizeof sent);
      delays.push_back(1e3 * (wall_seconds() - sent));
    };
  };
  end.transport().receive(control, note(of_control));
  end.transport().receive(data, note(of_data));
  end.transport().receive(deltas, [](Rank, const Payload&) {});
  end.transport().receive(end_of_run, [&](Rank, const Payload&) { over.set_value(); });
  auto& link = end.connect();
  if (options.rank == 1) {
    over.get_future().wait();
    return {median(of_control), quantile(of_control, 0.99), quantile(of_data, 0.99)};
  }
  std::atomic<bool> more = with_deltas;
  struct Deltas final : Outbox {
    explicit Deltas(const std::atomic<bool>& more) : more_(more) {}
    auto next() -> std::unique_ptr<Message> override {
      if (!more_) return nullptr;
      auto message = std::make_unique<Message>();
      message->channel = deltas;
      message->bulk = {std::as_bytes(std::span{*delta_})};
      message->owner = delta_;
      return message;
    }
    const std::atomic<bool>& more_;
    const std::shared_ptr<std::vector<float>> delta_ = std::make_shared<std::vector<float>>(30'000'000, 1.0F);
  };
  if (with_deltas) link.ready(Lane::delta, std::make_shared<Deltas>(more));
  const auto begin = std::chrono::steady_clock::now();
  const auto ticks = static_cast<int>(seconds * 10'000);
  for (int tick = 0; tick < ticks; ++tick) {
    std::this_thread::sleep_until(begin + tick * std::chrono::microseconds{100});
    const auto send = [&](Lane lane, ChannelId to) {
      Message message;
      message.channel = to;
      const double now = wall_seconds();
      message.head.resize(64);
      std::memcpy(message.head.data(), &now, sizeof now);
      link.send(lane, std::move(message));
    };
    send(Lane::data, data);
    if (tick % 10 == 0) send(Lane::control, control);
  }
  more = false;
  Message last;
  last.channel = end_of_run;
  link.send(Lane::data, std::move(last));
  return {};
}

/// A source, a part on each node, that has nothing for so long, and notes what the node takes meanwhile.
class Nothing {
 public:
  using value_type = Record;
  Nothing(double seconds, double& cpu) : seconds_(seconds), cpu_(&cpu) {}
  void split(int, int) {}
  void open(tensair::runtime::Node& node) { clock_ = &node.clock(); }
  auto poll() -> tensair::Poll<Record> {
    const auto now = clock_->now();
    if (!end_) {
      end_ = now + std::chrono::duration_cast<tensair::Duration>(std::chrono::duration<double>{seconds_});
      *cpu_ = -cpu_seconds();
    }
    if (now < *end_) return tensair::Poll<Record>::wait(*end_);
    *cpu_ += cpu_seconds();
    return tensair::Poll<Record>::end();
  }

 private:
  double seconds_;
  double* cpu_;
  const tensair::Clock* clock_ = nullptr;
  std::optional<tensair::Time> end_;
};

/// @return  the share of a core that a node takes on which a pipeline waits for records
inline auto pipeline_idle(const tensair::Options& options, double seconds) -> double {
  tensair::Pipeline pipeline{options};
  double cpu = 0;
  pipeline.source(Nothing{seconds, cpu})
      .key_by([](const Record& record) { return record.key; })
      .count()
      .sink([](const auto&) {});
  pipeline.execute();
  return cpu / seconds;
}

}  // namespace bench
