#pragma once

#include <algorithm>
#include <concepts>
#include <memory>
#include <tensair/operators/chunk.hpp>
#include <tensair/operators/edge_end.hpp>
#include <tensair/operators/stage.hpp>
#include <utility>
#include <vector>

namespace tensair::operators {

/// Ends a chain: routes its records to the tasks behind an edge.
template <class T, class Stamp, class Routing>
class FanOutStage : public LastStage {
 public:
  /// @param edge  of chunks of these records
  FanOutStage(std::shared_ptr<EdgeEnd> edge, Routing routing) : edge_(std::move(edge)), routing_(std::move(routing)) {}

  TENSAIR_COLD void open(StageContext& context) {
    if constexpr (requires { routing_.open(context); }) routing_.open(context);
    if constexpr (requires { routing_.use(edge_->key_slots()); }) routing_.use(edge_->key_slots());
    const std::uint32_t number = edge_->shape().number_of(context.node.rank(), context.instance);
    auto outlets = edge_->outlets_of(context.instance);
    *senders_ = std::vector<ChunkSender<T, Stamp>>(outlets.size());
    for (std::size_t i = 0; i < outlets.size(); ++i)
      (*senders_)[i].connect(std::move(outlets[i]), context.task, number, outlets.size());
  }
  template <class R>
  void operator()(R&& record, Stamp stamp) {
    if constexpr (std::same_as<std::remove_cvref_t<R>, T>) {
      route(std::forward<R>(record), stamp);
    } else {
      route(T(std::forward<R>(record)), stamp);
    }
  }
  void watermark(EventTime time) {
    for (auto& sender : *senders_) sender.watermark(time);
  }
  void idle() {
    for (auto& sender : *senders_) sender.idle();
  }
  void flush() {
    for (auto& sender : *senders_) sender.flush();
    blocked_ = ask_senders();
  }
  void finish() {
    for (auto& sender : *senders_) sender.finish();
    blocked_ = ask_senders();
  }
  auto blocked() -> bool { return blocked_; }

 private:
  template <class R>
  void route(R&& record, Stamp stamp) {
    if constexpr (requires { Routing::to_all; }) {
      static_assert(std::copy_constructible<T>, "what every instance gets must be copyable");
      for (auto& sender : *senders_) sender.push(std::as_const(record), stamp);
      blocked_ = ask_senders();
    } else {
      auto& sender = (*senders_)[senders_->size() == 1 ? 0 : routing_(std::as_const(record), senders_->size())];
      sender.push(std::forward<R>(record), stamp);
      blocked_ = blocked_ || sender.blocked();
    }
  }
  auto ask_senders() const -> bool {
    return std::any_of(senders_->begin(), senders_->end(), [](const auto& sender) { return sender.blocked(); });
  }

  std::shared_ptr<EdgeEnd> edge_;
  [[no_unique_address]] Routing routing_;
  Fresh<std::vector<ChunkSender<T, Stamp>>> senders_;
  bool blocked_ = false;  // one of them is; asked for each record in front, so it is not looked for each time
};

}  // namespace tensair::operators
