#include <fmt/format.h>
#include <tensair/runtime/channel.hpp>

namespace tensair::runtime {
namespace detail {

void send_credits(Node& node, net::Rank to, net::ChannelId channel, SenderId sender, std::size_t credits) {
  net::Writer writer{channel | credit_bit};
  writer.write(sender);
  writer.write(static_cast<std::uint64_t>(credits));
  node.transport().link(to).send(net::Lane::control, std::move(*writer.finish()));
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

void receive_credits(Node& node, net::ChannelId channel, std::vector<std::shared_ptr<detail::CreditReturn>> by_rank,
                     std::size_t senders) {
  if (node.count() == 1) return;
  node.transport().receive(channel | detail::credit_bit, [by_rank = std::move(by_rank), channel, senders](
                                                             net::Rank from, const net::Payload& payload) {
    net::Reader reader{payload};
    const std::size_t sender = reader.read<detail::SenderId>();
    const auto credits = reader.read<std::uint64_t>();
    const auto at = static_cast<std::size_t>(from) * senders + sender;
    if (sender >= senders || at >= by_rank.size() || !by_rank[at]) {
      throw net::Malformed(
          fmt::format("credits for outlet {} of channel {}, which node {} has no inlet of", sender, channel, from));
    }
    by_rank[at]->give(credits);
  });
}

}  // namespace tensair::runtime
