#pragma once

#include <map>
#include <tensair/model/model_runtime.hpp>
#include <tensair/runtime/queue_task.hpp>

namespace tensair {

/// How `predict` forms batches of single records.
struct PredictOptions {
  std::size_t max_batch = 64;
  Duration max_delay = std::chrono::milliseconds{2};  ///< how long the first record of a batch waits for others
};

/// A record with what a model said about it.
template <class T>
struct Prediction {
  T record;
  at::Tensor output;  ///< the model's output for this record: without the batch dimension, unless the record is a batch
  std::uint64_t version = 0;  ///< steps, of all replicas, that the answering parameters contained
  std::int32_t replica = 0;
  std::vector<at::Tensor> more_outputs{};  ///< the rest, of a model with several
};

namespace net {

template <Encodable T>
struct Codec<Prediction<T>> {
  static void write(Writer& out, const Prediction<T>& prediction) {
    out.write(prediction.record);
    out.write(prediction.output);
    out.write(prediction.version);
    out.write(prediction.replica);
    out.write(prediction.more_outputs);
  }
  static auto read(Reader& in) -> Prediction<T> {
    auto record = in.read<T>();
    auto output = in.read<at::Tensor>();
    const auto version = in.read<std::uint64_t>();
    const auto replica = in.read<std::int32_t>();
    return {std::move(record), std::move(output), version, replica, in.read<std::vector<at::Tensor>>()};
  }
};

}  // namespace net

/// One output of a batch's: `output[i]`. Compiled once, so that this header needs no more of LibTorch than its tensor.
auto select_output(const at::Tensor& output, std::int64_t i) -> at::Tensor;
/// @throws Error  the model's output has not one row an input
void check_output(const at::Tensor& output, std::size_t records, const std::string& model);

/// The predict operator's task: forms batches by size or deadline, asks a replica with room, and emits the answers in
/// the records' order. Records stay here; only tensors travel.
template <class T, class Collate, class Fused>
class PredictTask final : public runtime::Task {
 public:
  PredictTask(runtime::Node& node, std::shared_ptr<plan::Operator> op, std::shared_ptr<ModelRuntime> model,
              std::size_t use, PredictOptions options, Collate collate, Fused fused)
      : Task(op->title()),
        node_(node),
        op_(std::move(op)),
        model_(std::move(model)),
        use_(use),
        options_(options),
        collate_(std::move(collate)),
        fused_(std::move(fused)),
        inlet_(runtime::Inlet<std::vector<T>>(node, operators::channel_of(*op_), 1)),
        replies_(runtime::Inlet<PredictReply>(node, ModelRuntime::reply_channel(*op_), 1, runtime::Granting::never)) {
    model_->set_reply_inlet(use_, replies_);
  }

  auto inlet() -> runtime::Inlet<std::vector<T>> { return inlet_; }

  void open() {
    operators::StageContext context{node_, *this};
    fused_.open(context);
    inlet_.bind(*this);
    replies_.bind(*this);
    outlets_ = model_->request_outlets(node_, use_);
    for (auto& outlet : outlets_) outlet.bind(*this);
    order_ = local_first(outlets_, node_.rank());
  }

  auto run() -> runtime::Turn override {
    auto turn = runtime::Turn::wait();
    runtime::with_record_number(node_, emitted_, [&] { turn = work(); });
    return turn;
  }

 private:
  struct Asked {
    std::vector<T> records;
    std::optional<PredictReply> reply;
  };

  auto work() -> runtime::Turn {
    if (fused_.blocked()) fused_.flush();
    if (finished_) return fused_.blocked() ? runtime::Turn::wait() : runtime::Turn::done();
    if (!fused_.blocked()) runtime::tick_if_due(node_, fused_);
    while (auto reply = replies_.take()) asked_.at(reply->number).reply = std::move(*reply);
    emit();
    bool room = true, ended = false;
    const Time now = node_.clock().now();
    do {
      gather(now);
      ended = inlet_.ended();
      if (gathering_.empty() || (gathering_.size() < batch_size() && now < deadline_ && !ended)) break;
      room = ask();
      deadline_ = now + options_.max_delay;
    } while (room);
    fused_.flush();
    if (ended && gathering_.empty() && asked_.empty()) {
      finished_ = true;
      for (auto& outlet : outlets_) outlet.end();
      fused_.finish();
      return runtime::Turn::again();
    }
    return runtime::Turn::wait(
        std::min(gathering_.empty() || !room ? never : deadline_, fused_.blocked() ? never : fused_.deadline()));
  }

  void gather(Time now) {
    while (gathering_.size() < batch_size()) {
      auto chunk = inlet_.take();
      if (!chunk) return;
      if (gathering_.empty()) deadline_ = now + options_.max_delay;
      for (auto& record : *chunk) gathering_.push_back(std::move(record));
    }
  }

  auto batch_size() const -> std::size_t { return is_batch<T> ? 1 : options_.max_batch; }

  auto ask() -> bool {
    auto* outlet = outlet_with_room(outlets_, order_);
    if (!outlet) return false;
    const auto count = static_cast<std::ptrdiff_t>(std::min(gathering_.size(), batch_size()));
    Asked asked;
    asked.records.assign(std::make_move_iterator(gathering_.begin()),
                         std::make_move_iterator(gathering_.begin() + count));
    gathering_.erase(gathering_.begin(), gathering_.begin() + count);
    auto batch = batch_of(asked.records);
    PredictRequest request{next_number_, node_.rank(), std::move(batch.input), std::move(batch.more_inputs)};
    asked_.emplace(next_number_++, std::move(asked));
    outlet->put(std::move(request));
    return true;
  }

  auto batch_of(const std::vector<T>& records) -> TensorBatch {
    if constexpr (is_batch<T>) {
      using Record = typename T::value_type;
      return detail::to_batch(operators::call(op_, collate_, std::span<const Record>{records.front().records}));
    } else {
      return detail::to_batch(operators::call(op_, collate_, std::span<const T>{records}));
    }
  }

  void emit() {
    while (!asked_.empty() && asked_.begin()->second.reply && !fused_.blocked()) {
      auto [records, reply] = std::move(asked_.begin()->second);
      asked_.erase(asked_.begin());
      if constexpr (is_batch<T>) {
        ++emitted_;
        fused_(Prediction<T>{std::move(records.front()), std::move(reply->output), reply->version, reply->replica,
                             std::move(reply->more_outputs)},
               operators::Untimed{});
      } else {
        check_output(reply->output, records.size(), model_->name());
        for (const auto& output : reply->more_outputs) check_output(output, records.size(), model_->name());
        for (std::size_t i = 0; i < records.size(); ++i) {
          ++emitted_;
          auto one = Prediction<T>{std::move(records[i]),
                                   select_output(reply->output, static_cast<std::int64_t>(i)),
                                   reply->version,
                                   reply->replica,
                                   {}};
          for (const auto& output : reply->more_outputs)
            one.more_outputs.push_back(select_output(output, static_cast<std::int64_t>(i)));
          fused_(std::move(one), operators::Untimed{});
        }
      }
    }
  }

  runtime::Node& node_;
  std::shared_ptr<plan::Operator> op_;
  std::shared_ptr<ModelRuntime> model_;
  std::size_t use_;
  PredictOptions options_;
  Collate collate_;
  Fused fused_;
  runtime::Inlet<std::vector<T>> inlet_;
  runtime::Inlet<PredictReply> replies_;
  std::vector<runtime::Outlet<PredictRequest>> outlets_;
  std::vector<std::size_t> order_;
  std::deque<T> gathering_;
  Time deadline_ = never;
  std::map<std::uint64_t, Asked> asked_;  // by number: the order of the records
  std::uint64_t next_number_ = 0, emitted_ = 0;
  bool finished_ = false;
};

}  // namespace tensair
