#include <algorithm>
#include <cmath>
#include <tensair/model/pace.hpp>
#include <utility>

namespace tensair {
namespace {

using Seconds = std::chrono::duration<double>;

// Peers whose steps take so much longer or shorter are not kept in phase with: it cannot last.
constexpr double alike = 1.5;

// A replica gives up when so many waits in a row were in vain. Getting into phase takes a step's time in all, which is
// a third of this many waits; more when others move at the same time.
auto hopeless_after(double patience) -> int {
  return static_cast<int>(std::ceil(3 / patience));
}

auto first_pause(double patience) -> int {
  return 10 * hopeless_after(patience);
}

constexpr int longest_pause = 10'000;

}  // namespace

Pace::Pace(int replicas, int own, double patience)
    : peers_(static_cast<std::size_t>(replicas)),
      own_(static_cast<std::size_t>(own)),
      patience_(patience),
      next_pause_(patience > 0 ? first_pause(patience) : 0) {}

void Pace::Typical::add(Duration sample) {
  if (latest_.size() < most) {
    latest_.push_back(sample);
  } else {
    latest_[oldest_] = sample;
    oldest_ = (oldest_ + 1) % most;
  }
  auto sorted = latest_;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  median_ = *middle;
}

void Pace::stepped(Time began, Time ended) {
  step_.add(ended - began);
  ended_ = ended;
  waiting_ = false;
  if (pause_ > 0) --pause_;
}

auto Pace::wait_until(Time now, std::span<const Arrival> arrivals) -> Time {
  if (patience_ <= 0 || step_.value() == Duration{} || pause_ > 0) return now;
  for (std::size_t r = 0; r < peers_.size(); ++r) learn(peers_[r], arrivals[r]);
  bool due = false;
  bool first = true;
  for (std::size_t r = 0; r < peers_.size(); ++r) {
    if (r == own_) {
      first = false;  // the others keep pace with this one
      continue;
    }
    auto& peer = peers_[r];
    if (!keeps_pace(peer, now)) continue;
    const double phase = Seconds(now - peer.seen.last) / Seconds(peer.interval.value());
    due = due || phase > (first ? patience_ : 1 - patience_);  // fall back to the first; let the others catch up
    first = false;
  }
  const auto latest = ended_ + std::chrono::duration_cast<Duration>(patience_ * Seconds(step_.value()));
  if (due && now < latest) {
    waiting_ = true;
    return latest;
  }
  if (std::exchange(waiting_, false)) {
    if (due) {
      missed();
    } else {
      misses_ = 0;
      next_pause_ = first_pause(patience_);
    }
  }
  return now;
}

void Pace::learn(Peer& peer, const Arrival& arrival) {
  if (arrival.steps == peer.seen.steps) return;
  if (peer.seen.steps > 0) {
    const auto steps = static_cast<std::int64_t>(arrival.steps - peer.seen.steps);
    peer.interval.add((arrival.last - peer.seen.last) / steps);
  }
  peer.seen = arrival;
}

auto Pace::keeps_pace(const Peer& peer, Time now) const -> bool {
  if (peer.interval.value() == Duration{} || peers_[own_].interval.value() == Duration{}) return false;
  const double ratio = Seconds(peer.interval.value()) / Seconds(peers_[own_].interval.value());
  return ratio < alike && ratio > 1 / alike && now - peer.seen.last < peer.interval.value() * 3 / 2;
}

void Pace::missed() {
  if (++misses_ < hopeless_after(patience_)) return;
  misses_ = 0;
  pause_ = next_pause_;
  next_pause_ = std::min(2 * next_pause_, longest_pause);
}

}  // namespace tensair
