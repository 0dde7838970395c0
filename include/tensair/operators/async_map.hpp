#pragma once

#include <fmt/format.h>
#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tensair/error.hpp>
#include <tensair/operators/stage.hpp>
#include <utility>
#include <vector>

// A map whose function answers later.
//
// Answers come from any thread and land in a mailbox that stage and replies share; it outlives whichever goes first. A
// reply puts its answer in and wakes the task, which collects all that is there in its next turn. So nobody waits for
// anybody, the lock is held for moments, and everything else is the task's own. A call counts against the concurrency
// until its answer has been passed on, so that what waits for an earlier one's answer is bounded too.

namespace tensair {

/// How `async_map` calls its function.
struct AsyncOptions {
  std::size_t concurrency = 16;        ///< calls without an answer, on each node; at least 1
  bool ordered = true;                 ///< results in the order of the records, else as answers come
  Duration timeout = Duration::max();  ///< a call that takes longer has failed; by default it may take for ever
};

namespace operators {

/// Where answers wait for their stage.
template <class Out>
struct AsyncMailbox {
  struct Answer {
    std::uint64_t call;
    std::optional<Out> value;
    std::string error;
  };

  explicit AsyncMailbox(runtime::Waker owner) : waker(std::move(owner)) {}

  void put(Answer answer) {
    {
      const std::lock_guard lock{mutex};
      answers.push_back(std::move(answer));
    }
    waker.wake();
  }

  std::mutex mutex;
  std::vector<Answer> answers;
  runtime::Waker waker;
};

}  // namespace operators

/// How an asynchronous call answers: `reply(value)` or `reply.fail("why")`, once, from any thread, at any time, even
/// when the run is over. It may be copied; later answers than the first have no effect. When the last copy is gone
/// without an answer the call has failed. (In a simulated cluster: from its one thread.)
template <class Out>
class Reply {
 public:
  Reply(std::shared_ptr<operators::AsyncMailbox<Out>> mailbox, std::uint64_t call)
      : once_(std::make_shared<Once>(std::move(mailbox), call)) {}

  void operator()(Out value) const { once_->answer(std::move(value), {}); }
  void fail(std::string why) const { once_->answer(std::nullopt, std::move(why)); }

 private:
  class Once {
   public:
    Once(std::shared_ptr<operators::AsyncMailbox<Out>> mailbox, std::uint64_t call)
        : mailbox_(std::move(mailbox)), call_(call) {}
    Once(const Once&) = delete;
    auto operator=(const Once&) -> Once& = delete;
    ~Once() { answer(std::nullopt, "the call was dropped without an answer"); }

    void answer(std::optional<Out> value, std::string error) {
      if (!answered_.exchange(true)) mailbox_->put({call_, std::move(value), std::move(error)});
    }

   private:
    std::shared_ptr<operators::AsyncMailbox<Out>> mailbox_;
    std::uint64_t call_;
    std::atomic<bool> answered_{false};
  };

  std::shared_ptr<Once> once_;
};

namespace operators {

/// A call that fails stops the pipeline.
class StopHandler {
 public:
  static constexpr bool keeps_record = false;
  void open(StageContext&) {}
  void flush() {}
  void finish() {}
  static constexpr auto blocked() -> bool { return false; }
};

/// The stage of `stream.async_map<Out>(f)`.
template <class T, class Out, class F, class Handler, class Next>
class AsyncMapStage : public StageBase<Next> {
 public:
  AsyncMapStage(std::shared_ptr<plan::Operator> op, F f, AsyncOptions options, Handler handler, Next next)
      : StageBase<Next>(std::move(next)),
        op_(std::move(op)),
        f_(std::move(f)),
        options_(options),
        handler_(std::move(handler)) {}

  void open(StageContext& context) {
    node_ = &context.node;
    task_ = &context.task;
    mailbox_ = std::make_shared<AsyncMailbox<Out>>(context.task.waker());
    handler_.open(context);
    this->next_.open(context);
  }

  void operator()(T record) {
    const auto call = first_ + calls_.size();
    auto& mine = calls_.emplace_back();
    ++under_way_;
    if (options_.timeout != Duration::max()) mine.deadline = node_->clock().now() + options_.timeout;
    if constexpr (Handler::keeps_record) mine.record.emplace(record);
    try {
      std::invoke(f_, std::move(record), Reply<Out>{mailbox_, call});
    } catch (const std::exception& error) {
      settle({call, std::nullopt, error.what()});
    }
  }

  void flush() {
    work();
    this->next_.flush();
    handler_.flush();
  }

  void finish() {
    finishing_ = true;
    work();
  }

  auto blocked() -> bool {
    const bool letters = handler_.blocked();
    return under_way_ >= options_.concurrency || (finishing_ && !finished_) || this->next_.blocked() || letters;
  }

 private:
  struct NoRecord {};
  struct Call {
    std::optional<Out> value{};
    std::string error{};
    Time deadline = never;
    bool answered = false, passed_on = false;
    std::conditional_t<Handler::keeps_record, std::optional<T>, NoRecord> record{};
  };

  void work() {
    {
      const std::lock_guard lock{mailbox_->mutex};
      arrived_.swap(mailbox_->answers);
    }
    for (auto& answer : arrived_) settle(std::move(answer));
    arrived_.clear();
    if (options_.timeout != Duration::max()) expire();
    if (options_.ordered) {
      for (std::size_t i = 0; i < calls_.size() && calls_[i].answered && may_go_on(); ++i) pass_on(calls_[i]);
    } else {
      while (!answered_.empty() && may_go_on()) {
        const auto call = answered_.front();
        answered_.pop_front();
        pass_on(calls_[static_cast<std::size_t>(call - first_)]);
      }
    }
    while (!calls_.empty() && calls_.front().passed_on) {
      calls_.pop_front();
      ++first_;
    }
    if (finishing_ && !finished_ && calls_.empty()) {
      finished_ = true;
      this->next_.finish();
      handler_.finish();
    }
  }

  auto may_go_on() -> bool { return !this->next_.blocked() && !handler_.blocked(); }

  void settle(typename AsyncMailbox<Out>::Answer answer) {
    if (answer.call < first_) return;  // it had timed out
    auto& call = calls_[static_cast<std::size_t>(answer.call - first_)];
    if (std::exchange(call.answered, true)) return;
    call.value = std::move(answer.value);
    call.error = std::move(answer.error);
    if (!options_.ordered) answered_.push_back(answer.call);
  }

  // All calls have the same time, so deadlines come in order.
  void expire() {
    const Time now = node_->clock().now();
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      if (calls_[i].answered) continue;
      if (calls_[i].deadline > now) {
        task_->wake_at(calls_[i].deadline);
        return;
      }
      settle({first_ + i, std::nullopt,
              fmt::format("no answer within {} s", std::chrono::duration<double>(options_.timeout).count())});
    }
  }

  void pass_on(Call& call) {
    call.passed_on = true;
    --under_way_;
    if (call.value) {
      this->next_(std::move(*call.value));
    } else if constexpr (std::is_same_v<Handler, StopHandler>) {
      const auto number = first_ + static_cast<std::uint64_t>(std::find_if(calls_.begin(), calls_.end(),
                                                                           [&](auto& one) { return &one == &call; }) -
                                                              calls_.begin());
      throw UserError(op_->title(), node_->rank(), number + 1, call.error);
    } else if constexpr (Handler::keeps_record) {
      handler_.handle(*call.record, call.error.c_str());
    } else {
      handler_.handle(NoRecord{}, call.error.c_str());
    }
  }

  std::shared_ptr<plan::Operator> op_;
  F f_;
  AsyncOptions options_;
  Handler handler_;
  runtime::Node* node_ = nullptr;
  runtime::Task* task_ = nullptr;
  std::shared_ptr<AsyncMailbox<Out>> mailbox_;
  std::vector<typename AsyncMailbox<Out>::Answer> arrived_;
  std::deque<Call> calls_;              // from number first_ on
  std::deque<std::uint64_t> answered_;  // out of order: what is to be passed on
  std::uint64_t first_ = 0;
  std::size_t under_way_ = 0;
  bool finishing_ = false, finished_ = false;
};

/// The operator before it is bound to the stage behind it.
template <class T, class Out, class F, class Handler = StopHandler>
struct AsyncMap {
  std::shared_ptr<plan::Operator> op;
  F f;
  AsyncOptions options;
  Handler handler{};

  /// The same with another handler of failures.
  template <class Other>
  auto with(Other other) && -> AsyncMap<T, Out, F, Other> {
    return {std::move(op), std::move(f), options, std::move(other)};
  }

  template <class Next>
  auto bind(Next next) && -> AsyncMapStage<T, Out, F, Handler, Next> {
    return {std::move(op), std::move(f), options, std::move(handler), std::move(next)};
  }
};

}  // namespace operators
}  // namespace tensair
