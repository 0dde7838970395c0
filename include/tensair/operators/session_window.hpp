#pragma once

#include <algorithm>
#include <tensair/operators/process.hpp>
#include <tensair/operators/state_map.hpp>
#include <tensair/operators/window_stage.hpp>
#include <utility>
#include <vector>

// Session windows: the sessions of each key that are not over, and one timer a key.
//
// A session that grows does not move its timer: when the timer comes too early, it is set anew. So a record of an open
// session costs one look-up.

namespace tensair::operators {

/// A session of a key. `fired`: its result has been emitted, and nothing has come since.
template <class State>
struct Session {
  Window window;
  State state;
  bool fired = false;
};

/// The sessions of a key, by time; they do not overlap.
template <class State>
struct KeySessions {
  std::vector<Session<State>> sessions{};
  EventTime timer = end_of_time;
};

/// The stage of session windows.
template <class Parts, class Next>
class SessionWindowStage : public WindowStage<SessionWindowStage<Parts, Next>, Parts, Next> {
  using Base = WindowStage<SessionWindowStage, Parts, Next>;
  friend Base;
  using typename Base::Key;
  using typename Base::State;
  using Sessions = KeySessions<State>;
  using Entry = typename StateMap<Key, Sessions>::Entry;

 public:
  SessionWindowStage(SessionWindows windows, Parts parts, Next next)
      : Base(std::move(parts), std::move(next)), windows_(windows) {}

 private:
  template <class R>
  void take(R&& record, EventTime time) {
    this->check_time(time);
    const auto& key = this->key_of(std::as_const(record));
    const auto hash = this->hash_of(key);
    const Window alone = windows_.window_of(time);
    auto* entry = keys_->find(key, hash);
    if (entry == nullptr || !overlaps_one(entry->value, alone)) {
      if (this->gone(alone.end)) {
        this->drop(std::forward<R>(record), time);
        return;
      }
      if (entry == nullptr) entry = &keys_->find_or_make(key, hash, [] { return Sessions{}; });
    }
    auto& session = session_of(entry->value.sessions, alone);
    this->add(session.state, std::as_const(record));
    session.fired = false;
    if (session.window.end <= this->watermark_) {
      session.fired = true;
      this->emit(entry->key, session.window, session.state);
    }
    set_timer(*entry);
  }

  static auto overlap(const Window& a, const Window& b) -> bool { return a.start < b.end && b.start < a.end; }
  static auto overlaps_one(const Sessions& sessions, const Window& window) -> bool {
    return std::any_of(sessions.sessions.rbegin(), sessions.sessions.rend(),
                       [&](const auto& one) { return overlap(one.window, window); });
  }

  // The session that a record with this window belongs to, grown by it.
  auto session_of(std::vector<Session<State>>& all, const Window& alone) -> Session<State>& {
    auto first = all.begin();
    while (first != all.end() && first->window.end <= alone.start) ++first;
    if (first == all.end() || !overlap(first->window, alone))
      return *all.insert(first, Session<State>{alone, this->new_state()});
    first->window = {std::min(first->window.start, alone.start), std::max(first->window.end, alone.end)};
    // A record lies within one gap of at most two sessions.
    const auto second = first + 1;
    if (second != all.end() && overlap(second->window, first->window)) {
      first->window.end = std::max(first->window.end, second->window.end);
      this->merge(first->state, std::move(second->state));
      all.erase(second);
    }
    return *first;
  }

  // When there is something to do for a session.
  auto due_of(const Session<State>& session) const -> EventTime {
    return session.fired ? session.window.end + this->parts_.lateness : session.window.end;
  }
  void set_timer(Entry& entry) {
    EventTime first = end_of_time;
    for (const auto& session : entry.value.sessions) first = std::min(first, due_of(session));
    if (first >= entry.value.timer) return;
    entry.value.timer = first;
    timers_->add(first, entry.key);
  }

  auto due() const -> EventTime { return timers_->first(); }

  auto fire() -> bool {
    while (timers_->due(this->watermark_)) {
      if (this->next_.blocked()) return false;
      if (timers_->first() == end_of_time) return true;
      const auto timer = timers_->take();
      auto* entry = keys_->find(timer.key, this->hash_of(timer.key));
      if (entry == nullptr || entry->value.timer != timer.time) continue;  // an earlier one did it
      auto& sessions = entry->value.sessions;
      for (auto& session : sessions) {
        if (session.fired || session.window.end > this->watermark_) continue;
        session.fired = true;
        this->emit(entry->key, session.window, session.state);
      }
      std::erase_if(sessions, [&](const auto& one) { return this->gone(one.window.end); });
      if (sessions.empty()) {
        keys_->erase(timer.key, this->hash_of(timer.key));
        continue;
      }
      entry->value.timer = end_of_time;
      set_timer(*entry);
    }
    return true;
  }

  SessionWindows windows_;
  Fresh<StateMap<Key, Sessions>> keys_;
  Fresh<Timers<EventTime, Key>> timers_;
};

}  // namespace tensair::operators
