#pragma once

#include <algorithm>
#include <deque>
#include <tensair/model/model_runtime.hpp>
#include <tensair/model/routing.hpp>
#include <tensair/runtime/queue_task.hpp>
#include <unordered_map>

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
  std::int32_t replica = 0;   ///< -1 when several have answered (`routing::all`); `version` is then the least of theirs
  std::vector<at::Tensor> more_outputs{};  ///< the rest, of a model with several; none when several have answered
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

/// The predict operator's task: forms batches by size or deadline, asks the replica that the routing says, and emits
/// the answers in the records' order. Records stay here; only tensors travel.
template <class T, class Collate, class Routing, class Fused>
class PredictTask final : public runtime::Task {
 public:
  PredictTask(runtime::Node& node, std::shared_ptr<plan::Operator> op, std::shared_ptr<ModelRuntime> model,
              std::size_t use, PredictOptions options, Collate collate, Routing routing, Fused fused)
      : Task(op->title()),
        node_(node),
        op_(std::move(op)),
        model_(std::move(model)),
        use_(use),
        options_(options),
        collate_(std::move(collate)),
        routing_(std::move(routing)),
        fused_(std::move(fused)),
        inlet_(runtime::Inlet<std::vector<T>>(node, operators::channel_of(*op_), 1)),
        replies_(runtime::Inlet<PredictReply>(node, ModelRuntime::reply_channel(*op_), 1, runtime::Granting::never)) {
    model_->set_reply_inlet(use_, replies_);
  }

  auto inlet() -> runtime::Inlet<std::vector<T>> { return inlet_; }

  void open() override {
    operators::StageContext context{node_, *this};
    fused_.open(context);
    inlet_.bind(*this);
    replies_.bind(*this);
    outlets_ = model_->request_outlets(node_, use_);
    for (auto& outlet : outlets_) outlet.bind(*this);
    order_ = local_first(outlets_, node_.rank());
    turn_ = static_cast<std::size_t>(node_.rank());
    lanes_.resize(Routing::kind == routing::Kind::by_key ? outlets_.size() : 1);
  }

  auto run() -> runtime::Turn override {
    auto turn = runtime::Turn::wait();
    runtime::with_record_number(node_, emitted_, [&] { turn = work(); });
    return turn;
  }

 private:
  static constexpr bool by_key = Routing::kind == routing::Kind::by_key;
  static constexpr bool to_all = Routing::kind == routing::Kind::all;

  /// Records that are asked about together and answered in order: all of them, or those of one replica if they go by
  /// key.
  struct Lane {
    std::deque<T> gathering;
    Time deadline = never;
    std::deque<std::uint64_t> under_way;  // requests
  };
  struct Asked {
    std::vector<T> records;
    PredictReply reply{};
    std::size_t missing = 1;            // replies
    std::vector<at::Tensor> outputs{};  // by replica, when all are asked
  };

  auto work() -> runtime::Turn {
    if (fused_.blocked()) fused_.flush();
    if (finished_) return fused_.blocked() ? runtime::Turn::wait() : runtime::Turn::done();
    if (!fused_.blocked()) runtime::tick_if_due(node_, fused_);
    while (auto reply = replies_.take()) take_answer(std::move(*reply));
    for (auto& lane : lanes_) emit(lane);
    const Time now = node_.clock().now();
    Time next = never;  // when a lane that can ask falls due
    bool ended = false;
    for (bool asked = true; asked;) {
      gather(now);
      ended = inlet_.ended();
      asked = false;
      next = never;
      for (std::size_t i = 0; i < lanes_.size(); ++i) {
        auto& lane = lanes_[i];
        if (lane.gathering.empty()) continue;
        if (lane.gathering.size() < batch_size() && now < lane.deadline && !ended) {
          next = std::min(next, lane.deadline);
        } else if (ask(i)) {
          lane.deadline = now + options_.max_delay;
          asked = true;
        }
      }
    }
    fused_.flush();
    if (ended && asked_.empty() && none_gathered()) {
      finished_ = true;
      for (auto& outlet : outlets_) outlet.end();
      fused_.finish();
      return runtime::Turn::again();
    }
    return runtime::Turn::wait(std::min(next, fused_.blocked() ? never : fused_.deadline()));
  }

  // Until a lane is full: then the stream waits for that one's replica, so that what the others gather stays bounded.
  void gather(Time now) {
    while (std::none_of(lanes_.begin(), lanes_.end(),
                        [this](const Lane& lane) { return lane.gathering.size() >= batch_size(); })) {
      auto chunk = inlet_.take();
      if (!chunk) return;
      for (auto& record : *chunk) {
        auto& lane = lanes_[lane_of(record)];
        if (lane.gathering.empty()) lane.deadline = now + options_.max_delay;
        lane.gathering.push_back(std::move(record));
      }
    }
  }

  auto lane_of(const T& record) -> std::size_t {
    if constexpr (by_key) {
      const auto hash = [this](const T& one) { return routing::hash_of(routing_, one); };
      return operators::call(op_, hash, record) % lanes_.size();
    } else {
      return 0;
    }
  }

  auto none_gathered() const -> bool {
    return std::all_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.gathering.empty(); });
  }

  auto batch_size() const -> std::size_t { return is_batch<T> ? 1 : options_.max_batch; }

  auto ask(std::size_t lane) -> bool {
    auto* outlet = to_all ? nullptr : outlet_for(lane);
    if (to_all ? !all_have_room() : outlet == nullptr) return false;
    auto& gathering = lanes_[lane].gathering;
    const auto count = static_cast<std::ptrdiff_t>(std::min(gathering.size(), batch_size()));
    Asked asked;
    asked.records.assign(std::make_move_iterator(gathering.begin()),
                         std::make_move_iterator(gathering.begin() + count));
    gathering.erase(gathering.begin(), gathering.begin() + count);
    if (to_all) {
      asked.outputs.resize(outlets_.size());
      asked.missing = outlets_.size();
    }
    auto batch = batch_of(asked.records);
    PredictRequest request{next_number_, node_.rank(), std::move(batch.input), std::move(batch.more_inputs)};
    lanes_[lane].under_way.push_back(next_number_);
    asked_.emplace(next_number_++, std::move(asked));
    if (to_all) {
      for (auto& one : outlets_) one.put(request);
    } else {
      outlet->put(std::move(request));
    }
    return true;
  }

  auto all_have_room() const -> bool {
    return std::all_of(outlets_.begin(), outlets_.end(), [](const auto& outlet) { return outlet.credits() > 0; });
  }
  // To the replica that is to be asked; null while it, or every one, has no room.
  auto outlet_for(std::size_t lane) -> runtime::Outlet<PredictRequest>* {
    if constexpr (Routing::kind == routing::Kind::room) return outlet_with_room(outlets_, order_);
    auto& outlet = outlets_[by_key ? lane : turn_ % outlets_.size()];
    if (outlet.credits() == 0) return nullptr;
    ++turn_;
    return &outlet;
  }

  auto batch_of(const std::vector<T>& records) -> TensorBatch {
    if constexpr (is_batch<T>) {
      using Record = typename T::value_type;
      return detail::to_batch(operators::call(op_, collate_, std::span<const Record>{records.front().records}));
    } else {
      return detail::to_batch(operators::call(op_, collate_, std::span<const T>{records}));
    }
  }

  void take_answer(PredictReply reply) {
    auto& asked = asked_.at(reply.number);
    if constexpr (to_all) {
      reply.version =
          asked.missing == asked.outputs.size() ? reply.version : std::min(asked.reply.version, reply.version);
      asked.outputs.at(static_cast<std::size_t>(reply.replica)) = std::move(reply.output);
      reply.replica = -1;
      if (asked.missing == 1)
        reply.output = operators::call(op_, routing_.combine, std::span<const at::Tensor>{asked.outputs});
    }
    asked.reply = std::move(reply);
    --asked.missing;
  }

  void emit(Lane& lane) {
    while (!lane.under_way.empty() && !fused_.blocked()) {
      const auto front = asked_.find(lane.under_way.front());
      if (front->second.missing > 0) return;
      auto records = std::move(front->second.records);
      auto reply = std::move(front->second.reply);
      asked_.erase(front);
      lane.under_way.pop_front();
      if constexpr (is_batch<T>) {
        ++emitted_;
        fused_(Prediction<T>{std::move(records.front()), std::move(reply.output), reply.version, reply.replica,
                             std::move(reply.more_outputs)},
               operators::Untimed{});
      } else {
        check_output(reply.output, records.size(), model_->name());
        for (const auto& output : reply.more_outputs) check_output(output, records.size(), model_->name());
        for (std::size_t i = 0; i < records.size(); ++i) {
          ++emitted_;
          auto one = Prediction<T>{std::move(records[i]),
                                   select_output(reply.output, static_cast<std::int64_t>(i)),
                                   reply.version,
                                   reply.replica,
                                   {}};
          for (const auto& output : reply.more_outputs)
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
  Routing routing_;
  Fused fused_;
  runtime::Inlet<std::vector<T>> inlet_;
  runtime::Inlet<PredictReply> replies_;
  std::vector<runtime::Outlet<PredictRequest>> outlets_;
  std::vector<std::size_t> order_;
  std::vector<Lane> lanes_;
  std::unordered_map<std::uint64_t, Asked> asked_;  // by the request's number
  std::uint64_t next_number_ = 0, emitted_ = 0;
  std::size_t turn_ = 0;  // in_turn: whose it is
  bool finished_ = false;
};

}  // namespace tensair
