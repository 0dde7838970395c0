#include <fmt/format.h>
#include <tensair/runtime/channel.hpp>

namespace tensair::runtime {
namespace detail {

void send_credits(Node& node, net::Rank to, net::ChannelId channel, std::size_t credits) {
  net::Writer writer{channel | credit_bit};
  writer.write(static_cast<std::uint64_t>(credits));
  node.transport().link(to).send(net::Lane::control, std::move(*writer.finish()));
}

auto read_credits(const net::Payload& payload) -> std::size_t {
  return net::Reader{payload}.read<std::uint64_t>();
}

void MessageQueue::push(std::unique_ptr<net::Message> message) {
  const std::lock_guard lock{mutex_};
  messages_.push_back(std::move(message));
}

auto MessageQueue::next() -> std::unique_ptr<net::Message> {
  const std::lock_guard lock{mutex_};
  if (messages_.empty()) return nullptr;
  auto message = std::move(messages_.front());
  messages_.pop_front();
  return message;
}

}  // namespace detail

void receive_credits(Node& node, net::ChannelId channel, std::vector<std::shared_ptr<detail::CreditReturn>> by_rank) {
  if (node.count() == 1) return;
  node.transport().receive(channel | detail::credit_bit, [by_rank = std::move(by_rank), channel](
                                                             net::Rank from, const net::Payload& payload) {
    const auto& target = by_rank.at(static_cast<std::size_t>(from));
    if (!target)
      throw net::Malformed(fmt::format("credits for channel {}, which node {} has no inlet of", channel, from));
    target->give(detail::read_credits(payload));
  });
}

}  // namespace tensair::runtime
