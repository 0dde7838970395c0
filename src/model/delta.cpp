#include <algorithm>
#include <tensair/model/delta.hpp>

namespace tensair {

void add(std::span<float> to, std::span<const float> from) {
  const float* __restrict source = from.data();
  float* __restrict target = to.data();
  const std::size_t count = std::min(to.size(), from.size());
  for (std::size_t i = 0; i < count; ++i) target[i] += source[i];
}

struct Accumulator::Sum {
  std::vector<float> values;
  std::vector<Contribution> contributions;

  explicit Sum(const Delta& first)
      : values(first.values.begin(), first.values.end()), contributions(first.contributions) {}

  void add(const Delta& delta) {
    tensair::add(values, delta.values);
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
};

void Accumulator::add(const SharedDelta& delta) {
  const std::lock_guard lock{mutex_};
  if (sum_) {
    sum_->add(*delta);
  } else if (single_) {
    sum_ = std::make_shared<Sum>(*single_);
    single_.reset();
    sum_->add(*delta);
  } else {
    single_ = delta;
  }
}

auto Accumulator::take() -> SharedDelta {
  std::shared_ptr<Sum> sum;
  {
    const std::lock_guard lock{mutex_};
    if (single_) return std::exchange(single_, nullptr);
    sum = std::exchange(sum_, nullptr);
  }
  if (!sum) return nullptr;
  auto delta = std::make_shared<Delta>();
  delta->values = sum->values;
  delta->contributions = std::move(sum->contributions);
  delta->owner = std::move(sum);
  return delta;
}

auto Accumulator::empty() const -> bool {
  const std::lock_guard lock{mutex_};
  return !single_ && !sum_;
}

auto DeltaBuffers::get() -> std::shared_ptr<std::vector<float>> {
  std::unique_ptr<std::vector<float>> buffer;
  {
    const std::lock_guard lock{mutex_};
    if (!free_.empty()) {
      buffer = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (!buffer) buffer = std::make_unique<std::vector<float>>(parameters_);
  return {buffer.release(), [home = weak_from_this()](std::vector<float>* raw) {
            auto back = std::unique_ptr<std::vector<float>>(raw);
            if (const auto buffers = home.lock()) {
              const std::lock_guard lock{buffers->mutex_};
              buffers->free_.push_back(std::move(back));
            }
          }};
}

}  // namespace tensair
