#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <numeric>
#include <string>
#include <tensair/net/tcp_transport.hpp>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "net/loopback.hpp"

using namespace tensair;
using namespace tensair::net;
using namespace tensair::net::test;

namespace {

constexpr std::array all_lanes{Lane::control, Lane::delta, Lane::data};

// Bytes that depend on their place, so that one that is missing or moved is seen.
auto pattern(std::size_t size) -> Payload {
  Payload bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 2654435761U >> 13U);
  return bytes;
}

/// Gives what it is told to, in order.
class ListOutbox : public Outbox {
 public:
  explicit ListOutbox(std::vector<Message> messages) : messages_(std::move(messages)) {}

  auto next() -> std::unique_ptr<Message> override {
    ++asked;
    if (at_ == messages_.size()) return nullptr;
    return std::make_unique<Message>(messages_[at_++]);
  }

  std::atomic<int> asked = 0;

 private:
  std::vector<Message> messages_;
  std::size_t at_ = 0;
};

/// Holds one number, to which anyone adds, until the link asks: as a delta.
class SumOutbox : public Outbox {
 public:
  void add(std::uint64_t value) {
    const std::lock_guard lock{mutex_};
    sum_ += value;
    some_ = true;
  }

  auto next() -> std::unique_ptr<Message> override {
    const std::lock_guard lock{mutex_};
    if (!some_) return nullptr;
    some_ = false;
    ++asked;
    return std::make_unique<Message>(message(1, std::to_string(std::exchange(sum_, 0))));
  }

  std::atomic<int> asked = 0;  // and given something

 private:
  std::mutex mutex_;
  std::uint64_t sum_ = 0;
  bool some_ = false;
};

/// Does something when the link asks for the first time.
class HookOutbox : public Outbox {
 public:
  HookOutbox(std::function<void()> hook, Message message) : hook_(std::move(hook)), message_(std::move(message)) {}

  auto next() -> std::unique_ptr<Message> override {
    if (!hook_) return nullptr;
    std::exchange(hook_, nullptr)();
    return std::make_unique<Message>(std::move(message_));
  }

 private:
  std::function<void()> hook_;
  Message message_;
};

}  // namespace

TEST_CASE("every node reaches every other", "[net][tcp]") {
  for (const int count : {1, 2, 5}) {
    INFO(count << " nodes");
    Cluster nodes{count};
    std::vector<Mailbox<std::pair<Rank, std::string>>> inboxes(static_cast<std::size_t>(count));
    for (int rank = 0; rank < count; ++rank) {
      nodes[rank].transport.receive(
          7, [&inbox = inboxes[static_cast<std::size_t>(rank)]](Rank from, const Payload& payload) {
            inbox.put({from, to_text(payload)});
          });
    }
    nodes.connect();
    for (int from = 0; from < count; ++from) {
      for (int to = 0; to < count; ++to) {
        if (from != to)
          nodes.link(from, to).send(Lane::data, message(7, std::to_string(from) + " to " + std::to_string(to)));
      }
    }
    for (int to = 0; to < count; ++to) {
      std::vector<std::string> greetings(static_cast<std::size_t>(count));
      for (int i = 1; i < count; ++i) {
        auto [from, text] = inboxes[static_cast<std::size_t>(to)].take();
        greetings[static_cast<std::size_t>(from)] = std::move(text);
      }
      for (int from = 0; from < count; ++from) {
        CHECK(greetings[static_cast<std::size_t>(from)] ==
              (from == to ? "" : std::to_string(from) + " to " + std::to_string(to)));
      }
    }
    nodes.disconnect();
    for (int rank = 0; rank < count; ++rank) CHECK(nodes[rank].losses.size() == 0);
  }
}

TEST_CASE("messages of any size arrive intact, and in order on their lane", "[net][tcp]") {
  std::array<Mailbox<Payload>, lanes> inboxes;
  Cluster nodes{2};
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    nodes[1].transport.receive(static_cast<ChannelId>(lane),
                               [&inbox = inboxes[lane]](Rank, Payload payload) { inbox.put(std::move(payload)); });
  }
  nodes.connect();
  const std::array<std::size_t, 6> sizes{0, 1, 10'000'000, 64 * 1024, 1, 300'000};
  for (const auto size : sizes) {
    const auto content = std::make_shared<const Payload>(pattern(size));
    for (const auto lane : all_lanes) {
      // A head, then parts of uneven length, some of them too short to be worth a span of their own on the way.
      Message sent;
      sent.channel = static_cast<ChannelId>(lane);
      auto rest = std::span{*content};
      sent.head.assign(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(size / 3));
      rest = rest.subspan(size / 3);
      for (std::size_t part = 1; !rest.empty(); part = part * 5 + 3) {
        const auto bytes = std::min(part, rest.size());
        sent.bulk.push_back(rest.first(bytes));
        rest = rest.subspan(bytes);
      }
      sent.owner = content;
      nodes.link(0, 1).send(lane, std::move(sent));
    }
  }
  for (const auto lane : all_lanes) {
    for (const auto size : sizes) {
      const auto payload = inboxes[static_cast<std::size_t>(lane)].take();
      CHECK(payload.size() == size);
      CHECK((payload == pattern(size)));
    }
  }
  nodes.disconnect();
}

TEST_CASE("ten thousand small messages arrive in order", "[net][tcp]") {
  Mailbox<std::string> inbox;
  Cluster nodes{2};
  nodes[0].transport.receive(1, [&](Rank, const Payload& payload) { inbox.put(to_text(payload)); });
  nodes.connect();
  for (int i = 0; i < 10'000; ++i) nodes.link(1, 0).send(Lane::data, message(1, std::to_string(i)));
  bool in_order = true;
  for (int i = 0; i < 10'000; ++i) in_order = in_order && inbox.take() == std::to_string(i);
  CHECK(in_order);
  nodes.disconnect();
}

TEST_CASE("a message's owner is kept until it is written, and no longer", "[net][tcp]") {
  Mailbox<Payload> inbox;
  Cluster nodes{2};
  nodes[1].transport.receive(1, [&](Rank, Payload payload) { inbox.put(std::move(payload)); });
  nodes.connect();
  auto content = std::make_shared<const Payload>(pattern(5'000'000));
  const std::weak_ptr<const Payload> alive = content;
  Message sent;
  sent.channel = 1;
  sent.bulk = {std::span{*content}};
  sent.owner = std::move(content);
  nodes.link(0, 1).send(Lane::data, std::move(sent));
  CHECK((inbox.take() == pattern(5'000'000)));
  nodes.disconnect();
  CHECK(alive.expired());
}

TEST_CASE("a short message does not wait for a long one of a less urgent lane, nor deltas and data for each other",
          "[net][tcp]") {
  for (const auto& [slow, quick] : {std::pair{Lane::data, Lane::control}, std::pair{Lane::delta, Lane::control},
                                    std::pair{Lane::data, Lane::delta}, std::pair{Lane::delta, Lane::data}}) {
    Mailbox<ChannelId> order;
    Cluster nodes{2};
    for (const ChannelId channel : {1U, 2U}) {
      nodes[1].transport.receive(channel, [&, channel](Rank, const Payload&) { order.put(channel); });
    }
    nodes.connect();
    auto& link = nodes.link(0, 1);
    // The short one is sent when the link has already asked for the long one.
    const auto outbox = std::make_shared<HookOutbox>([&link, lane = quick] { link.send(lane, message(2)); },
                                                     message(1, std::string(5'000'000, 'x')));
    link.ready(slow, outbox);
    CHECK(order.take() == 2);
    CHECK(order.take() == 1);
    nodes.disconnect();
  }
}

TEST_CASE("outboxes of one lane take turns", "[net][tcp]") {
  Mailbox<std::string> inbox;
  Cluster nodes{2};
  const auto list = [](const std::string& name) {
    return std::make_shared<ListOutbox>(std::vector{message(1, name), message(1, name), message(1, name)});
  };
  // Both are ready before the link looks: this is its own thread.
  nodes[0].transport.receive(2, [&](Rank, const Payload&) {
    nodes.link(0, 1).ready(Lane::data, list("a"));
    nodes.link(0, 1).ready(Lane::data, list("b"));
  });
  nodes[1].transport.receive(1, [&](Rank, const Payload& payload) { inbox.put(to_text(payload)); });
  nodes.connect();
  nodes.link(1, 0).send(Lane::control, message(2));
  std::string order;
  for (int i = 0; i < 6; ++i) order += inbox.take();
  CHECK(order == "ababab");
  nodes.disconnect();
}

TEST_CASE("an outbox that has nothing is not asked again before it is ready again", "[net][tcp]") {
  Mailbox<std::string> inbox;
  Cluster nodes{2};
  nodes[1].transport.receive(1, [&](Rank, const Payload& payload) { inbox.put(to_text(payload)); });
  nodes.connect();
  auto& link = nodes.link(0, 1);
  const auto outbox = std::make_shared<ListOutbox>(std::vector{message(1, "first"), message(1, "second")});
  link.ready(Lane::data, outbox);
  CHECK(inbox.take() == "first");
  CHECK(inbox.take() == "second");
  for (int i = 0; i < 100; ++i) {
    link.send(Lane::data, message(1, "another"));
    CHECK(inbox.take() == "another");
  }
  CHECK(outbox->asked == 3);
  link.ready(Lane::data, outbox);
  nodes.disconnect();
  CHECK(outbox->asked == 4);
}

TEST_CASE("an outbox goes on adding to what a busy link has not asked for", "[net][tcp]") {
  Cluster nodes{2};
  std::promise<void> blocked;
  std::promise<void> release;
  std::uint64_t sum = 0;
  std::uint64_t largest = 0;
  nodes[1].transport.receive(3, [&](Rank, const Payload&) {
    blocked.set_value();
    release.get_future().wait();
  });
  nodes[1].transport.receive(2, [](Rank, const Payload&) {});
  nodes[1].transport.receive(1, [&](Rank, const Payload& payload) {
    const std::uint64_t value = std::stoull(to_text(payload));
    sum += value;
    largest = std::max(largest, value);
  });
  nodes.connect();
  auto& link = nodes.link(0, 1);
  link.send(Lane::control, message(3));
  blocked.get_future().wait();
  // Nobody reads over there: more than the kernel takes soon keeps the link busy.
  link.send(Lane::data, message(2, std::string(64'000'000, 'x')));

  const auto outbox = std::make_shared<SumOutbox>();
  std::uint64_t added = 0;
  for (int since_asked = 0, asked = 0; since_asked < 100'000; ++since_asked) {
    outbox->add(1);
    ++added;
    link.ready(Lane::delta, outbox);
    if (outbox->asked != asked) since_asked = 0;
    asked = outbox->asked;
  }
  release.set_value();
  nodes.disconnect();
  CHECK(sum == added);
  CHECK(largest >= 99'999);
}

TEST_CASE("bytes are counted by lane, frame headers included", "[net][tcp]") {
  Cluster nodes{2, TcpLimits{.piece = 1000}};
  for (const ChannelId channel : {0U, 1U, 2U}) nodes[1].transport.receive(channel, [](Rank, const Payload&) {});
  nodes.connect();
  auto& link = nodes.link(0, 1);
  link.send(Lane::delta, message(1, std::string(999, 'x')));
  link.send(Lane::data, message(2, std::string(3500, 'x')));
  link.send(Lane::data, message(2));
  nodes.disconnect();
  CHECK(link.bytes_sent(Lane::control) == 0);  // the goodbye is the link's own
  CHECK(link.bytes_sent(Lane::delta) == 999 + 24);
  CHECK(link.bytes_sent(Lane::data) == 3500 + 4 * 24 + 24);
}

TEST_CASE("any number of threads may send at the same time", "[net][tcp]") {
  Cluster nodes{2};
  std::array<std::uint64_t, 2> sums{};
  for (int rank = 0; rank < 2; ++rank) {
    nodes[rank].transport.receive(1, [&sum = sums[static_cast<std::size_t>(rank)]](Rank, const Payload& payload) {
      sum += std::stoull(to_text(payload));
    });
  }
  nodes.connect();
  const auto send_from = [&](Rank from, Rank to) {
    return [&nodes, from, to] {
      const auto outbox = std::make_shared<SumOutbox>();
      for (int i = 1; i <= 1000; ++i) {
        nodes.link(from, to).send(all_lanes[static_cast<std::size_t>(i) % lanes], message(1, std::to_string(i)));
        outbox->add(1);
        nodes.link(from, to).ready(Lane::delta, outbox);
      }
    };
  };
  at_the_same_time({send_from(0, 1), send_from(0, 1), send_from(1, 0), send_from(1, 0)});
  nodes.disconnect();
  CHECK(sums[0] == 2 * (500'500 + 1000));
  CHECK(sums[1] == 2 * (500'500 + 1000));
}

TEST_CASE("disconnecting first writes everything", "[net][tcp]") {
  Cluster nodes{2};
  std::size_t bytes = 0;
  for (const ChannelId channel : {1U, 2U, 3U}) {
    nodes[1].transport.receive(channel, [&](Rank, const Payload& payload) { bytes += payload.size(); });
  }
  nodes.connect();
  auto& link = nodes.link(0, 1);
  link.send(Lane::data, message(1, std::string(20'000'000, 'x')));
  link.ready(Lane::data, std::make_shared<ListOutbox>(std::vector<Message>(1000, message(2, std::string(1000, 'y')))));
  link.ready(Lane::delta,
             std::make_shared<ListOutbox>(std::vector<Message>(10, message(3, std::string(500'000, 'z')))));
  nodes.disconnect();
  CHECK(bytes == 20'000'000 + 1'000'000 + 5'000'000);
  CHECK(nodes[0].losses.size() + nodes[1].losses.size() == 0);
}

TEST_CASE("a node that says goodbye still gets what the other has to say", "[net][tcp]") {
  Mailbox<std::string> inbox;
  Cluster nodes{2};
  nodes[0].transport.receive(1, [&](Rank, const Payload& payload) { inbox.put(to_text(payload)); });
  nodes.connect();
  std::thread leaving{[&] { nodes[0].transport.disconnect(); }};
  for (int i = 0; i < 100; ++i) nodes.link(1, 0).send(Lane::data, message(1, std::to_string(i)));
  nodes[1].transport.disconnect();
  leaving.join();
  CHECK(inbox.size() == 100);
}

TEST_CASE("after the end a link may still be told things, and ignores them", "[net][tcp]") {
  Cluster nodes{2};
  nodes.connect();
  auto& link = nodes.link(0, 1);
  nodes.disconnect();
  link.send(Lane::data, message(1));
  link.ready(Lane::data, std::make_shared<ListOutbox>(std::vector{message(1)}));
  nodes[0].transport.disconnect();
  nodes[0].transport.abort("too late");
  CHECK(nodes[1].losses.size() == 0);
}

TEST_CASE("a message over the cap is an error of its sender", "[net][tcp][bad-input]") {
  Mailbox<std::string> inbox;
  Cluster nodes{2, TcpLimits{.message = 1000}};
  nodes[1].transport.receive(1, [&](Rank, const Payload& payload) { inbox.put(to_text(payload)); });
  nodes.connect();
  CHECK_THROWS_WITH(nodes.link(0, 1).send(Lane::data, message(1, std::string(1001, 'x'))),
                    "a message of 1001 bytes is over the limit of 1000 (channel 1)");
  nodes.link(0, 1).send(Lane::data, message(1, std::string(1000, 'x')));
  CHECK(inbox.take().size() == 1000);
  nodes.disconnect();
}

TEST_CASE("a channel has one receiver", "[net][tcp][bad-input]") {
  Node node{Options{}};
  node.transport.receive(1, [](Rank, const Payload&) {});
  CHECK_THROWS_WITH(node.transport.receive(1, [](Rank, const Payload&) {}), "channel 1 has a receiver already");
}

TEST_CASE("there is a link to every other node, once they are connected, and to nobody else", "[net][tcp][bad-input]") {
  Cluster nodes{2};
  CHECK_THROWS_WITH(nodes.link(0, 1), "node 0 has no link to node 1");
  nodes.connect();
  CHECK_NOTHROW(nodes.link(0, 1));
  for (const Rank nobody : {-1, 0, 2}) CHECK_THROWS_AS(nodes.link(0, nobody), Error);
  nodes.disconnect();
}
