#include <tensair/net/codec.hpp>

namespace tensair::net {

Writer::Writer(ChannelId channel) : message_(std::make_unique<Message>()) {
  message_->channel = channel;
  message_->head.resize(prefix);
}

Writer::~Writer() = default;

void Writer::refer(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  message_->bulk.push_back(bytes);
  bulk_bytes_ += bytes.size();
}

void Writer::refer_copy(std::span<const std::byte> bytes) {
  copies_.push_back(std::make_unique<std::vector<std::byte>>(bytes.begin(), bytes.end()));
  refer(*copies_.back());
}

auto Writer::finish(std::shared_ptr<const void> owner) -> std::unique_ptr<Message> {
  // Bulk starts on a multiple of 16, so that a receiver may use floats where they lie.
  message_->head.resize((message_->head.size() + 15) / 16 * 16, std::byte{0});
  const auto size = static_cast<std::uint64_t>(message_->head.size());
  std::memcpy(message_->head.data(), &size, sizeof size);
  if (copies_.empty()) {
    message_->owner = std::move(owner);
  } else {
    using Owners = std::pair<std::shared_ptr<const void>, std::vector<std::unique_ptr<std::vector<std::byte>>>>;
    message_->owner = std::make_shared<const Owners>(std::move(owner), std::move(copies_));
  }
  return std::move(message_);
}

Reader::Reader(std::span<const std::byte> payload) {
  std::uint64_t size = 0;
  if (payload.size() < sizeof size) throw Malformed("a message is shorter than its prefix");
  std::memcpy(&size, payload.data(), sizeof size);
  if (size < sizeof size || size > payload.size()) throw Malformed("a message's head is longer than the message");
  head_ = payload.subspan(sizeof size, size - sizeof size);
  bulk_ = payload.subspan(size);
}

void Reader::throw_ends_early() {
  throw Malformed("a message ends in the middle of a value");
}

void Reader::throw_too_few_elements() {
  throw Malformed("a message announces more elements than it holds");
}

}  // namespace tensair::net
