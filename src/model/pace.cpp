#include <algorithm>
#include <tensair/model/pace.hpp>

namespace tensair {
namespace {

using Seconds = std::chrono::duration<double>;

// Peers whose steps take so much longer or shorter are not waited for: it cannot last.
constexpr double alike = 1.5;

// A wait may be so many times longer than waits are on average: cores that are shared make steps long and short.
constexpr double longest_over_average = 4;

// Waits are averaged over about so many steps.
constexpr double memory = 16;

// With more replicas patience gets less in proportion: all wait for the last of many, and few of them step together.
constexpr double patient = 16;

constexpr int first_pause = 64, longest_pause = 16'384;

}  // namespace

Pace::Pace(int replicas, int own, double patience)
    : peers_(static_cast<std::size_t>(replicas)),
      own_(static_cast<std::size_t>(own)),
      patience_(patience * std::min(1.0, patient / replicas)) {
  for (auto& peer : peers_) peer.next_pause = first_pause;
}

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

void Pace::stepped(Time began, Time ended, double core) {
  step_.add(ended - began);
  core_ += (core - core_) / memory;
  ended_ = ended;
  deciding_ = true;
}

auto Pace::wait_until(Time now, std::span<const Arrival> arrivals) -> Time {
  if (patience_ <= 0 || step_.value() == Duration{}) return now;
  for (std::size_t r = 0; r < peers_.size(); ++r) {
    learn(peers_[r], arrivals[r]);
    peers_[r].alike = r != own_ && is_alike(peers_[r], now);
  }
  if (deciding_) {
    const double longest = std::min(1.0, longest_over_average * patience_);
    const auto latest = ended_ + std::chrono::duration_cast<Duration>(longest * Seconds(step_.value()));
    if (now < latest && std::any_of(peers_.begin(), peers_.end(), [&](const Peer& peer) { return is_due(peer); }))
      return latest;
    account(now);
    deciding_ = false;
    finished_ = round_;
  }
  round_ = finished_;
  for (const auto& peer : peers_) {
    if (peer.alike) round_ = std::max(round_, peer.seen.round);
  }
  ++round_;
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

auto Pace::is_alike(const Peer& peer, Time now) const -> bool {
  if (peer.interval.value() == Duration{} || peers_[own_].interval.value() == Duration{}) return false;
  const double ratio = Seconds(peer.interval.value()) / Seconds(peers_[own_].interval.value());
  return ratio < alike && ratio > 1 / alike && now - peer.seen.last < peer.interval.value() * 2;
}

auto Pace::is_due(const Peer& peer) const -> bool {
  return peer.alike && peer.pause == 0 && peer.seen.round < round_;
}

// The next step begins: who was waited for, and for how long?
void Pace::account(Time now) {
  // Who has only a part of a core leaves it to others by waiting: then waits cost less, and nothing from half a core
  // on.
  const double price = std::clamp(2 * core_ - 1, 0.0, 1.0);
  for (auto& peer : peers_) {
    if (peer.pause > 0) {
      --peer.pause;
      continue;
    }
    if (!peer.alike) continue;
    const Time came = is_due(peer) ? now : std::clamp(peer.seen.last, ended_, std::max(ended_, now));
    peer.waited += (Seconds(came - ended_) / Seconds(step_.value()) * price - peer.waited) / memory;
    if (peer.waited > patience_) {
      peer.pause = peer.next_pause;
      peer.next_pause = std::min(2 * peer.next_pause, longest_pause);
      peer.waited = 0;
      peer.kept = 0;
    } else if (++peer.kept >= 2 * peer.next_pause) {
      peer.next_pause = first_pause;
    }
  }
}

}  // namespace tensair
