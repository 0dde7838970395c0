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
#include <tensair/operators/owned.hpp>
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
  static constexpr auto deadline() -> Time { return never; }
  void tick(Time) {}
};

/// The stage of `stream.async_map<Out>(f)`.
template <class T, class Stamp, class Out, class F, class Handler, class Next>
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

  void operator()(T record, Stamp stamp) {
    const auto number = state_->first + state_->calls.size();
    auto& call = state_->calls.emplace_back();
    ++state_->under_way;
    call.stamp = stamp;
    if (options_.timeout != Duration::max()) call.deadline = node_->clock().now() + options_.timeout;
    auto kept = OwnedRecord<T>::own(std::move(record));
    if constexpr (Handler::keeps_record) call.record.emplace(kept);
    try {
      std::invoke(f_, std::move(kept), Reply<Out>{mailbox_, number});
    } catch (const std::exception& error) {
      settle({number, std::nullopt, error.what()});
    }
  }

  // A watermark waits for the answers to the records before it. Those behind it may pass it: it arrives later than it
  // might, which is always right.
  void watermark(EventTime time) {
    // That the stream is back does not wait for answers.
    if (std::exchange(state_->told_idle, false)) this->next_.watermark(state_->passed_on);
    const auto behind = state_->first + state_->calls.size();
    auto& marks = state_->watermarks;
    if (!marks.empty() && marks.back().first == behind) marks.pop_back();
    marks.emplace_back(behind, time);
    state_->idle = false;
    pass_on_marks();
  }
  void idle() {
    state_->idle = true;
    pass_on_marks();
  }

  void flush() {
    work();
    this->next_.flush();
    handler_.flush();
  }

  void finish() {
    state_->finishing = true;
    work();
  }

  auto blocked() -> bool {
    const bool letters = handler_.blocked();
    return state_->under_way >= options_.concurrency || (state_->finishing && !state_->finished) ||
           this->next_.blocked() || letters;
  }

  auto deadline() -> Time { return std::min(handler_.deadline(), this->next_.deadline()); }
  void tick(Time now) {
    if (handler_.deadline() <= now) handler_.tick(now);
    if (this->next_.deadline() <= now) this->next_.tick(now);
  }

 private:
  using Answer = typename AsyncMailbox<Out>::Answer;

  struct NoRecord {};
  struct Call {
    std::optional<Out> value{};
    std::string error{};
    Time deadline = never;
    bool answered = false, passed_on = false;
    [[no_unique_address]] Stamp stamp{};
    [[no_unique_address]] std::conditional_t<Handler::keeps_record, std::optional<Owned<T>>, NoRecord> record{};
  };

  struct State {
    std::deque<Call> calls;              // from number `first` on
    std::deque<std::uint64_t> answered;  // out of order: what is to be passed on
    std::vector<Answer> arrived;
    std::deque<std::pair<std::uint64_t, EventTime>> watermarks;  // each behind the calls of lower numbers
    std::uint64_t first = 0;
    std::size_t under_way = 0;
    EventTime passed_on = beginning_of_time;
    bool idle = false, told_idle = false, finishing = false, finished = false;
  };

  void work() {
    auto& calls = state_->calls;
    {
      const std::lock_guard lock{mailbox_->mutex};
      state_->arrived.swap(mailbox_->answers);
    }
    for (auto& answer : state_->arrived) settle(std::move(answer));
    state_->arrived.clear();
    if (options_.timeout != Duration::max()) expire();
    if (options_.ordered) {
      for (std::size_t i = 0; i < calls.size() && calls[i].answered && may_go_on(); ++i) pass_on(i);
    } else {
      while (!state_->answered.empty() && may_go_on()) {
        const auto number = state_->answered.front();
        state_->answered.pop_front();
        pass_on(static_cast<std::size_t>(number - state_->first));
      }
    }
    while (!calls.empty() && calls.front().passed_on) {
      calls.pop_front();
      ++state_->first;
    }
    pass_on_marks();
    if (state_->finishing && !state_->finished && calls.empty()) {
      state_->finished = true;
      this->next_.finish();
      handler_.finish();
    }
  }

  auto may_go_on() -> bool { return !this->next_.blocked() && !handler_.blocked(); }

  void pass_on_marks() {
    auto& marks = state_->watermarks;
    while (!marks.empty() && marks.front().first <= state_->first) {
      this->next_.watermark(state_->passed_on = marks.front().second);
      marks.pop_front();
    }
    if (state_->calls.empty() && std::exchange(state_->idle, false)) {
      state_->told_idle = true;
      this->next_.idle();
    }
  }

  void settle(Answer answer) {
    if (answer.call < state_->first) return;  // it had timed out
    auto& call = state_->calls[static_cast<std::size_t>(answer.call - state_->first)];
    if (std::exchange(call.answered, true)) return;
    call.value = std::move(answer.value);
    call.error = std::move(answer.error);
    if (!options_.ordered) state_->answered.push_back(answer.call);
  }

  // All calls have the same time, so deadlines come in order. Not by `deadline()`: that is not asked of a stage which
  // is blocked, as this one is while all its calls are under way.
  void expire() {
    const Time now = node_->clock().now();
    for (std::size_t i = 0; i < state_->calls.size(); ++i) {
      if (state_->calls[i].answered) continue;
      if (state_->calls[i].deadline > now) {
        task_->wake_at(state_->calls[i].deadline);
        return;
      }
      settle({state_->first + i, std::nullopt,
              fmt::format("no answer within {} s", std::chrono::duration<double>(options_.timeout).count())});
    }
  }

  void pass_on(std::size_t index) {
    auto& call = state_->calls[index];
    call.passed_on = true;
    --state_->under_way;
    if (call.value) {
      this->next_(std::move(*call.value), call.stamp);
    } else if constexpr (std::is_same_v<Handler, StopHandler>) {
      throw UserError(op_->title(), node_->rank(), state_->first + index + 1, call.error);
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
  Fresh<State> state_;
};

/// The operator before it is bound to the stage behind it.
template <class T, class Stamp, class Out, class F, class Handler = StopHandler>
struct AsyncMap {
  std::shared_ptr<plan::Operator> op;
  F f;
  AsyncOptions options;
  Handler handler{};

  /// The same with another handler of failures.
  template <class Other>
  auto with(Other other) && -> AsyncMap<T, Stamp, Out, F, Other> {
    return {std::move(op), std::move(f), options, std::move(other)};
  }

  template <class Next>
  auto bind(Next next) && -> AsyncMapStage<T, Stamp, Out, F, Handler, Next> {
    return {std::move(op), std::move(f), options, std::move(handler), std::move(next)};
  }
};

}  // namespace operators
}  // namespace tensair
