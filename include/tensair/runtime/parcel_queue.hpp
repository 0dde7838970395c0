#pragma once

#include <memory>
#include <tensair/runtime/channel.hpp>

namespace tensair::runtime {

/// What a task has to send through one outlet, in order, as credits allow; then the end.
class ParcelQueue {
 public:
  void connect(detail::AnyOutlet outlet, Task& task);

  /// Parcels sent to the inlet before, empty, come back here.
  auto spare() -> std::unique_ptr<Parcel> { return outlet_.spare(); }
  void push(std::unique_ptr<Parcel> parcel);
  /// Sends what there are credits for.
  void send();
  /// Nothing more comes.
  void finish();
  /// Whether something waits for a credit.
  auto blocked() const -> bool { return !waiting_.empty() || (finishing_ && !ended_); }

 private:
  detail::AnyOutlet outlet_;
  Ring<std::unique_ptr<Parcel>> waiting_;
  bool finishing_ = false, ended_ = false;
};

}  // namespace tensair::runtime
