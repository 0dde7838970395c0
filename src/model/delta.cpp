#include <algorithm>
#include <tensair/model/delta.hpp>
#include <tensair/net/malformed.hpp>

namespace tensair {
namespace {

// A sparse sum with more values than this share of the model becomes a dense one: adding to that is quicker.
constexpr std::size_t densest = 4;

// So many values may wait to be added up: 4 MiB.
constexpr std::size_t most_waiting = std::size_t{1} << 20;

/// Values of some segments, being made.
struct Sparse {
  std::vector<Segment> segments;
  std::vector<float> values;

  // Values for the parameters from `first` on, which are behind all that are there.
  void append(std::uint32_t first, std::span<const float> more) {
    if (more.empty()) return;
    if (!segments.empty() && segments.back().end() == first) {
      segments.back().count += static_cast<std::uint32_t>(more.size());
    } else {
      segments.push_back({first, static_cast<std::uint32_t>(more.size())});
    }
    values.insert(values.end(), more.begin(), more.end());
  }
};

/// Walks through the segments of a sparse delta.
class Walk {
 public:
  Walk(std::span<const Segment> segments, std::span<const float> values) : segments_(segments), values_(values) {}

  auto ended() const -> bool { return segments_.empty(); }
  /// The parameter that comes next.
  auto at() const -> std::uint64_t { return std::uint64_t{segments_.front().first} + into_; }
  /// Where the values that follow without a gap end.
  auto end() const -> std::uint64_t { return segments_.front().end(); }
  /// The values up to the parameter `to`, which is not behind `end()`.
  auto take(std::uint64_t to) -> std::span<const float> {
    const auto count = static_cast<std::size_t>(to - at());
    const auto taken = values_.first(count);
    values_ = values_.subspan(count);
    into_ += static_cast<std::uint32_t>(count);
    if (into_ == segments_.front().count) {
      segments_ = segments_.subspan(1);
      into_ = 0;
    }
    return taken;
  }

 private:
  std::span<const Segment> segments_;
  std::span<const float> values_;
  std::uint32_t into_ = 0;  // the first segment
};

auto sum_of(Walk a, Walk b) -> Sparse {
  Sparse sum;
  while (!a.ended() && !b.ended()) {
    if (b.at() < a.at()) std::swap(a, b);
    const auto first = static_cast<std::uint32_t>(a.at());
    if (a.at() < b.at()) {
      sum.append(first, a.take(std::min(a.end(), b.at())));
      continue;
    }
    const auto to = std::min(a.end(), b.end());
    sum.append(first, a.take(to));
    const auto more = b.take(to);
    add(std::span(sum.values).last(more.size()), more);
  }
  for (auto* rest : {&a, &b}) {
    while (!rest->ended()) {
      const auto first = static_cast<std::uint32_t>(rest->at());
      sum.append(first, rest->take(rest->end()));
    }
  }
  return sum;
}

}  // namespace

void add(std::span<float> to, std::span<const float> from) {
  const float* __restrict source = from.data();
  float* __restrict target = to.data();
  const std::size_t count = std::min(to.size(), from.size());
  for (std::size_t i = 0; i < count; ++i) target[i] += source[i];
}

void add(std::span<float> to, const Delta& delta) {
  if (!delta.is_sparse()) {
    add(to, delta.values);
    return;
  }
  auto values = delta.values;
  for (const auto& segment : delta.segments) {
    add(to.subspan(segment.first, segment.count), values.first(segment.count));
    values = values.subspan(segment.count);
  }
}

void check_segments(std::span<const Segment> segments, std::size_t parameters, std::size_t values) {
  std::uint64_t end = 0, count = 0;
  for (const auto& segment : segments) {
    if (segment.count == 0 || segment.first < end || segment.end() > parameters)
      throw net::Malformed("a delta's segments are not a model's parameters in order");
    end = segment.end();
    count += segment.count;
  }
  if (count != values) throw net::Malformed("a delta has not as many values as its segments");
}

class Accumulator::Sum {
 public:
  Sparse sparse;  // where there are segments; else `values` are dense
  std::size_t parameters;
  std::vector<Contribution> contributions;

  static void add_all(std::shared_ptr<Sum>& to, const std::vector<SharedDelta>& deltas, std::size_t parameters) {
    for (const auto& one : deltas) {
      if (to) {
        to->add(*one);
      } else {
        to = std::make_shared<Sum>(*one, parameters);
      }
    }
  }

  Sum(const Delta& first, std::size_t size)
      : sparse{{first.segments.begin(), first.segments.end()}, {first.values.begin(), first.values.end()}},
        parameters(size),
        contributions(first.contributions) {}

  void add(const Delta& delta) {
    add_values(delta);
    for (const auto& more : delta.contributions) {
      const auto same = std::find_if(contributions.begin(), contributions.end(),
                                     [&](const auto& one) { return one.replica == more.replica; });
      if (same == contributions.end()) {
        contributions.push_back(more);
      } else {
        same->steps += more.steps;
        same->examples += more.examples;
        same->seen = more.seen;  // links keep order, so this is the later one
        same->seen_steps = more.seen_steps;
        same->round = more.round;
      }
    }
  }

 private:
  void add_values(const Delta& delta) {
    if (delta.values.empty()) return;
    if (sparse.values.empty()) {
      sparse = {{delta.segments.begin(), delta.segments.end()}, {delta.values.begin(), delta.values.end()}};
      return;
    }
    const bool is_sparse = !sparse.segments.empty();
    if (is_sparse && delta.is_sparse()) {
      sparse = sum_of({sparse.segments, sparse.values}, {delta.segments, delta.values});
      if (sparse.values.size() > parameters / densest) make_dense();
    } else {
      if (is_sparse) make_dense();
      tensair::add(sparse.values, delta);
    }
  }

  void make_dense() {
    std::vector<float> dense(parameters);
    tensair::add(dense, Delta{sparse.values, sparse.segments, {}, {}});
    sparse = {{}, std::move(dense)};
  }
};

void Accumulator::add(const SharedDelta& delta) {
  const std::lock_guard lock{mutex_};
  waiting_.push_back(delta);
  waiting_values_ += delta->values.size();
  if (waiting_values_ <= most_waiting || (waiting_.size() == 1 && !sum_)) return;
  Sum::add_all(sum_, waiting_, parameters_);
  waiting_.clear();
  waiting_values_ = 0;
}

auto Accumulator::take() -> SharedDelta {
  std::shared_ptr<Sum> sum;
  std::vector<SharedDelta> waiting;
  {
    const std::lock_guard lock{mutex_};
    sum = std::exchange(sum_, nullptr);
    waiting.swap(waiting_);
    waiting_values_ = 0;
  }
  // Without the lock: nobody who adds waits for sums.
  if (!sum && waiting.empty()) return nullptr;
  if (!sum && waiting.size() == 1) return waiting.front();
  Sum::add_all(sum, waiting, parameters_);
  auto delta = std::make_shared<Delta>();
  delta->values = sum->sparse.values;
  delta->segments = sum->sparse.segments;
  delta->contributions = std::move(sum->contributions);
  delta->owner = std::move(sum);
  return delta;
}

auto Accumulator::empty() const -> bool {
  const std::lock_guard lock{mutex_};
  return waiting_.empty() && !sum_;
}

struct DeltaBuffers::Lent {
  std::span<float> values;
  std::shared_ptr<float> memory;
  std::weak_ptr<DeltaBuffers> home;

  ~Lent() {
    if (const auto buffers = home.lock()) {
      const std::lock_guard lock{buffers->mutex_};
      buffers->free_.push_back(std::move(memory));
    }
  }
};

DeltaBuffers::DeltaBuffers(std::size_t parameters, Allocate allocate)
    : parameters_(parameters), allocate_(std::move(allocate)) {}

auto DeltaBuffers::get() -> std::shared_ptr<const std::span<float>> {
  std::shared_ptr<float> memory;
  {
    const std::lock_guard lock{mutex_};
    if (!free_.empty()) {
      memory = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (!memory) memory = allocate_(parameters_);
  const std::span values{memory.get(), parameters_};
  const auto lent = std::make_shared<Lent>(values, std::move(memory), weak_from_this());
  return {lent, &lent->values};
}

auto DeltaBuffers::in_main_memory(std::size_t count) -> std::shared_ptr<float> {
  const auto values = std::make_shared_for_overwrite<float[]>(count);
  return {values, values.get()};
}

}  // namespace tensair
