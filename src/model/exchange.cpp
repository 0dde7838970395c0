#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include <tensair/model/exchange.hpp>
#include <utility>

namespace tensair {
namespace {

enum class Kind : std::uint8_t { delta = 0, end = 1, compressed = 2, sketches = 3, average = 4 };

auto has_compression(const ModelOptions& options) -> bool {
  return static_cast<bool>(options.compression.make);
}

}  // namespace

// What waits for one link: a sum of deltas, sketches, then the news that a node's replicas have finished.
class Exchange::LinkOutbox final : public net::Outbox {
 public:
  LinkOutbox(net::ChannelId channel, std::size_t parameters, const ModelOptions& options,
             std::shared_ptr<std::atomic<std::uint64_t>> sent)
      : channel_(channel), sent_(std::move(sent)), deltas_(parameters) {
    if (has_compression(options)) compressor_ = options.compression.make(parameters);
    // To an optimiser the rest of a gradient would be a step of its own.
    keeps_rest_ = options.exchange == exchange::gradients;
  }

  auto next() -> std::unique_ptr<net::Message> override {
    // Counted before the deltas are taken: what was added before an end is sent before it.
    const std::size_t ends = count_ends();
    if (const auto delta = deltas_.take()) {
      sent_->fetch_add(1, std::memory_order_relaxed);
      return compressor_ ? compressed(*delta) : plain(delta);
    }
    if (const auto sketches = take_sketches(); !sketches.empty()) {
      net::Writer writer{channel_};
      writer.write(Kind::sketches);
      writer.write(sketches);
      return writer.finish();
    }
    if (auto part = take_average()) {
      net::Writer writer{channel_};
      writer.write(Kind::average);
      writer.write(*part);
      return writer.finish();
    }
    if (ends == 0) return nullptr;
    if (compressor_ && !keeps_rest_) {
      if (const auto rest = compressor_->rest()) return plain(rest);
    }
    net::Writer writer{channel_};
    writer.write(Kind::end);
    writer.write(take_ends(ends));
    return writer.finish();
  }

  void add(const SharedDelta& delta) { deltas_.add(delta); }
  void end(net::Rank node) {
    const std::lock_guard lock{mutex_};
    ended_.push_back(node);
  }
  void tell(Sketch sketch) {
    const std::lock_guard lock{mutex_};
    sketches_.push_back(std::move(sketch));
  }
  void average(PartOfAverage part) {
    const std::lock_guard lock{mutex_};
    averages_.add(std::move(part));
  }

 private:
  auto plain(const SharedDelta& delta) const -> std::unique_ptr<net::Message> {
    net::Writer writer{channel_};
    writer.write(Kind::delta);
    writer.write(delta->contributions);
    writer.write(static_cast<std::uint64_t>(delta->segments.size()));
    writer.write(static_cast<std::uint64_t>(delta->values.size()));
    writer.refer(std::as_bytes(delta->segments));
    writer.refer(std::as_bytes(delta->values));
    return writer.finish(delta);
  }
  auto compressed(const Delta& delta) -> std::unique_ptr<net::Message> {
    net::Writer writer{channel_};
    writer.write(Kind::compressed);
    writer.write(delta.contributions);
    compressor_->encode(delta, writer);
    return writer.finish();
  }
  auto count_ends() const -> std::size_t {
    const std::lock_guard lock{mutex_};
    return ended_.size();
  }
  auto take_ends(std::size_t count) -> std::vector<net::Rank> {
    const std::lock_guard lock{mutex_};
    const auto end = ended_.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<net::Rank> ends(ended_.begin(), end);
    ended_.erase(ended_.begin(), end);
    return ends;
  }

  auto take_sketches() -> std::vector<Sketch> {
    const std::lock_guard lock{mutex_};
    return std::exchange(sketches_, {});
  }
  auto take_average() -> std::optional<PartOfAverage> {
    const std::lock_guard lock{mutex_};
    return averages_.take_first();
  }

  net::ChannelId channel_;
  std::shared_ptr<std::atomic<std::uint64_t>> sent_;
  Accumulator deltas_;
  std::unique_ptr<Compressor> compressor_;
  bool keeps_rest_ = false;
  std::vector<Sketch> sketches_;
  OpenAverages averages_;
  mutable std::mutex mutex_;
  std::vector<net::Rank> ended_;  // nodes; not told yet
};

Exchange::Exchange(runtime::Node& node, net::ChannelId channel, Overlay overlay, int replicas, std::size_t parameters,
                   const ModelOptions& options)
    : node_(node),
      channel_(channel),
      overlay_(std::move(overlay)),
      replicas_(replicas),
      parameters_(parameters),
      arrivals_(static_cast<std::size_t>(replicas)),
      divergence_(replicas),
      bound_(options.averaging.above) {
  if (has_compression(options)) decompressor_ = options.compression.make(parameters);
  const auto& members = overlay_.members();
  for (std::size_t i = 0; i < static_cast<std::size_t>(replicas); ++i) {
    if (members[i % members.size()] == node.rank()) locals_.push_back(std::make_unique<Local>(parameters));
  }
  for (const net::Rank peer : overlay_.neighbours(node.rank()))
    outboxes_.emplace_back(peer, std::make_shared<LinkOutbox>(channel, parameters, options, deltas_sent_));
  locals_unfinished_ = locals_.size();
  unfinished_ = locals_.size() + members.size() - 1;
  if (!outboxes_.empty()) {
    node.transport().receive(channel,
                             [this](net::Rank from, net::Payload payload) { arrive(from, std::move(payload)); });
  }
}

Exchange::~Exchange() = default;

void Exchange::bind(int replica, runtime::Task& task) {
  local(replica).task.store(&task, std::memory_order_release);
}

void Exchange::publish(int replica, const SharedDelta& delta) {
  const auto* own = &local(replica);
  for (auto& other : locals_) {
    if (other.get() != own) other->inbox.add(delta);
  }
  note_arrival(*delta);
  wake_locals(own);
  pass_on(delta, node_.rank());
}

template <class Give>
void Exchange::to_neighbours(net::Rank from, Give give) {
  for (auto& [peer, outbox] : outboxes_) {
    if (peer == from) continue;
    give(*outbox);
    node_.transport().link(peer).ready(net::Lane::delta, outbox);
  }
}

void Exchange::pass_on(const SharedDelta& delta, net::Rank from) {
  to_neighbours(from, [&](LinkOutbox& outbox) { outbox.add(delta); });
}

void Exchange::end(net::Rank node, net::Rank from) {
  to_neighbours(from, [&](LinkOutbox& outbox) { outbox.end(node); });
}

auto Exchange::collect(int replica) -> SharedDelta {
  return local(replica).inbox.take();
}

void Exchange::finish(int) {
  if (locals_unfinished_.fetch_sub(1) == 1) end(node_.rank(), node_.rank());
  count_finished();
}

auto Exchange::finished() const -> bool {
  return unfinished_.load(std::memory_order_acquire) == 0;
}

void Exchange::arrive(net::Rank from, net::Payload payload) {
  auto shared = std::make_shared<const net::Payload>(std::move(payload));
  net::Reader reader{*shared};
  const auto kind = reader.read<Kind>();
  if (kind == Kind::end) {
    for (const net::Rank node : reader.read<std::vector<net::Rank>>()) {
      if (overlay_.passes_on()) end(node, from);
      count_finished();
    }
    return;
  }
  if (kind == Kind::sketches) {
    for (auto& sketch : reader.read<std::vector<Sketch>>()) {
      if (sketch.replica >= static_cast<std::uint32_t>(replicas_) || sketch.values.size() != sketch_size)
        throw net::Malformed("a sketch of no replica of the model");
      if (overlay_.passes_on()) pass_on(sketch, from);
      compare(std::move(sketch));
    }
    return;
  }
  if (kind == Kind::average) {
    auto part = reader.read<PartOfAverage>();
    if (part.sum.size() != parameters_ || part.replicas == 0 || part.replicas >= static_cast<std::uint64_t>(replicas_))
      throw net::Malformed("a part of an average that is not the model's");
    if (overlay_.passes_on()) pass_on(part, from);
    take_part(std::move(part));
    return;
  }
  const SharedDelta arrived = read_delta(reader, kind == Kind::compressed, std::move(shared));
  for (auto& local : locals_) local->inbox.add(arrived);
  note_arrival(*arrived);
  wake_locals(nullptr);
  if (overlay_.passes_on()) pass_on(arrived, from);
}

auto Exchange::read_delta(net::Reader& reader, bool compressed, std::shared_ptr<const net::Payload> payload) const
    -> SharedDelta {
  auto contributions = reader.read<std::vector<Contribution>>();
  for (const auto& one : contributions) {
    const std::size_t told = tells_seen() ? static_cast<std::size_t>(replicas_) : 0;
    if (one.replica >= static_cast<std::uint32_t>(replicas_) || one.seen.size() != told) {
      throw net::Malformed(fmt::format("a delta of replica {}, of a model that has {}", one.replica, replicas_));
    }
  }
  auto delta = std::make_shared<Delta>();
  if (compressed) {
    if (!decompressor_) throw net::Malformed("a compressed delta, of a model whose deltas are not");
    *delta = decompressor_->decode(reader);
    delta->contributions = std::move(contributions);
    return delta;
  }
  delta->contributions = std::move(contributions);
  const auto segments = reader.read<std::uint64_t>();
  const auto size = reader.read<std::uint64_t>();
  const bool fits = segments == 0 ? size == parameters_ || size == 0 : size <= parameters_ && segments <= size;
  if (!fits) throw net::Malformed(fmt::format("a delta of {} values for a model of {} parameters", size, parameters_));
  const auto stretches = reader.bulk(segments * sizeof(Segment));
  const auto bytes = reader.bulk(size * sizeof(float));
  // Messages are aligned to 16 bytes, and so is the bulk within them; a segment has eight.
  delta->segments = {reinterpret_cast<const Segment*>(stretches.data()), segments};
  delta->values = {reinterpret_cast<const float*>(bytes.data()), size};
  if (segments > 0) check_segments(delta->segments, parameters_, size);
  delta->owner = std::move(payload);
  return delta;
}

void Exchange::tell(Sketch sketch) {
  pass_on(sketch, node_.rank());
  compare(std::move(sketch));
}

void Exchange::pass_on(const Sketch& sketch, net::Rank from) {
  to_neighbours(from, [&](LinkOutbox& outbox) { outbox.tell(sketch); });
}

void Exchange::compare(Sketch sketch) {
  {
    const std::lock_guard lock{divergence_mutex_};
    const auto mark = sketch.mark;
    const auto apart = divergence_.add(std::move(sketch));
    if (!apart || bound_ <= 0 || *apart <= bound_) return;
    diverged_.push_back(mark);
  }
  wake_locals(nullptr);
}

auto Exchange::diverged(std::size_t first) const -> std::vector<std::uint64_t> {
  const std::lock_guard lock{divergence_mutex_};
  return {diverged_.begin() + static_cast<std::ptrdiff_t>(first), diverged_.end()};
}

void Exchange::average(const PartOfAverage& part) {
  pass_on(part, node_.rank());
  take_part(part);
}

void Exchange::pass_on(const PartOfAverage& part, net::Rank from) {
  to_neighbours(from, [&](LinkOutbox& outbox) { outbox.average(part); });
}

void Exchange::take_part(PartOfAverage part) {
  const auto round = part.round;
  auto mean = std::make_shared<std::vector<float>>();
  {
    const std::lock_guard lock{averages_mutex_};
    if (averages_.add(std::move(part)).replicas < static_cast<std::uint64_t>(replicas_)) return;
    *mean = std::move(averages_.take(round).sum);
  }
  for (float& value : *mean) value /= static_cast<float>(replicas_);
  for (auto& local : locals_) {
    const std::lock_guard lock{local->means_mutex};
    local->means.push_back({round, mean});
  }
  wake_locals(nullptr);
}

auto Exchange::means(int replica) -> std::vector<Mean> {
  auto& one = local(replica);
  const std::lock_guard lock{one.means_mutex};
  return std::exchange(one.means, {});
}

auto Exchange::divergence() const -> Divergence {
  const std::lock_guard lock{divergence_mutex_};
  return {divergence_.last(), divergence_.largest(), divergence_.measured()};
}

auto Exchange::arrivals() const -> std::vector<Arrival> {
  const std::lock_guard lock{arrivals_mutex_};
  return arrivals_;
}

void Exchange::wake_locals(const Local* but) {
  for (auto& local : locals_) {
    if (local.get() == but) continue;
    if (auto* task = local->task.load(std::memory_order_acquire)) task->wake();
  }
}

// After the delta has been added and before anybody is woken for it: who sees the arrival can collect the delta.
void Exchange::note_arrival(const Delta& delta) {
  const Time now = node_.clock().now();
  const std::lock_guard lock{arrivals_mutex_};
  for (const auto& one : delta.contributions) {
    auto& arrival = arrivals_[one.replica];
    arrival.last = now;
    arrival.steps += one.steps;
    arrival.round = one.round;
  }
}

void Exchange::count_finished() {
  if (unfinished_.fetch_sub(1) == 1) wake_locals(nullptr);
}

}  // namespace tensair
