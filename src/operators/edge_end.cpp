#include <tensair/operators/chunk.hpp>
#include <tensair/operators/edge_end.hpp>
#include <tensair/operators/stage.hpp>
#include <utility>

namespace tensair::operators {

void EdgeEnd::build(runtime::Node& node, const plan::Operator& numbered, const runtime::EdgeShape& shape,
                    runtime::detail::ReadParcel read, std::size_t credits_between_nodes) {
  shape_ = shape;
  rank_ = node.rank();
  channels_.emplace(node, channel_of(numbered), shape,
                    runtime::EdgeChannels::Credits{chunk_credits, credits_between_nodes}, read, numbered.compression);
  if (!node.profiling()) return;
  for (const auto& inlet : channels_->inlets()) inlet->count_bytes(node.edge_counter(numbered.title()));
}

auto EdgeEnd::senders_to(std::size_t receiver) const -> std::size_t {
  return shape_.senders_to(rank_, static_cast<int>(receiver));
}

auto EdgeEnd::key_slots() -> const runtime::KeySlots& {
  if (!key_slots_) key_slots_.emplace(shape_.receivers);
  return *key_slots_;
}

auto EdgeEnd::outlets_of(int sender) -> std::vector<runtime::detail::AnyOutlet> {
  if (outlets_.empty()) outlets_ = channels_->connect();
  return std::move(outlets_[static_cast<std::size_t>(sender)]);
}

}  // namespace tensair::operators
