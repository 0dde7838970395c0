#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <tensair/error.hpp>
#include <tensair/runtime/node.hpp>
#include <utility>

// What a source is, and how one waits.
//
// A source that has its records at hand, or may block its thread until it has, answers `next()`: a record or the end.
// One that waits for the world (a socket, a clock, a file that grows) answers `poll()` instead, which never blocks:
// "nothing yet" is an answer too, with a time to ask again, and a `Waker` for whoever brings news earlier. Such a
// source needs no thread, cannot hold up the end of a run that has failed or is drained, and obeys virtual time in
// tests. A `next()` that blocks all the same is told by `node.stop_token()` to give up.

namespace tensair {

/// What a source that does not block answers: a record, "nothing yet", or the end.
template <class T>
class [[nodiscard]] Poll {
 public:
  Poll(T record) : record_(std::move(record)) {}  // NOLINT(google-explicit-constructor): `return record;`

  /// Nothing yet: ask again at `until`, or when the source's waker is used.
  static auto wait(Time until = never) -> Poll { return Poll{false, until}; }
  /// Nothing more will come.
  static auto end() -> Poll { return Poll{true, never}; }

  auto has_record() const -> bool { return record_.has_value(); }
  auto record() -> T& { return *record_; }
  auto ended() const -> bool { return ended_; }
  auto until() const -> Time { return until_; }

 private:
  Poll(bool ended, Time until) : ended_(ended), until_(until) {}

  std::optional<T> record_;
  bool ended_ = false;
  Time until_ = never;
};

/// A source that may block: `next()` gives a record, or nothing at the end.
///
/// It may have `static constexpr bool occupies_thread = true`, when `next()` may wait for its input; it then has a
/// thread of its own, and should stop waiting and end when `node.stop_token()` asks for it.
template <class S>
concept BlockingSource = requires(S source) {
  { source.next() } -> std::same_as<std::optional<typename S::value_type>>;
};

/// A source that never blocks: `poll()` gives a record, "nothing yet", or the end.
template <class S>
concept PollingSource = requires(S source) {
  { source.poll() } -> std::same_as<Poll<typename S::value_type>>;
};

/// Where records come from: `next()` or `poll()`. It may also have
///  - `open(node)` or `open(node, waker)`, called before the first record: the node (its clock, its stop token), and
///  what
///    wakes the source's task when there is something new to poll;
///  - `split(part, parts)`, called before `open`, which makes it a source that every node reads its own part of;
///  - `offset()` and `seek(offset)`: see `RestorableSource`.
///
/// @code
/// /// A record each second, for as long as the run lasts.
/// class Seconds {
///  public:
///   using value_type = long;
///   void open(tensair::runtime::Node& node) { clock_ = &node.clock(); due_ = clock_->now(); }
///   auto poll() -> tensair::Poll<long> {
///     if (clock_->now() < due_) return tensair::Poll<long>::wait(due_);
///     due_ += std::chrono::seconds{1};
///     return count_++;
///   }
///
///  private:
///   const tensair::Clock* clock_ = nullptr;
///   tensair::Time due_;
///   long count_ = 0;
/// };
/// @endcode
template <class S>
concept Source = std::move_constructible<S> && requires {
  typename S::value_type;
} &&(BlockingSource<S> || PollingSource<S>);

/// A source that can go on where it once was. `offset()`, asked between two records, is the place behind the last one;
/// `seek(offset)`, called after `split` and before `open`, makes the source give exactly the records that followed. The
/// offset is a value that can be stored: copyable, comparable, and trivially copyable or with `serialize`.
template <class S>
concept RestorableSource = Source<S> && requires(S source, const S& there) {
  { there.offset() } -> std::equality_comparable;
  source.seek(there.offset());
};

/// One record is bad, and the source that throws this can go on behind it: `on_error` decides whether it does.
class BadRecord : public Error {
 public:
  /// @param text  the record as it was read, for dead letters; may be shortened
  BadRecord(std::string failed, std::string place, std::string remedy, std::string text = {})
      : Error(std::move(failed), std::move(place), std::move(remedy)), text_(std::move(text)) {}

  auto text() const noexcept -> const std::string& { return text_; }

 private:
  std::string text_;
};

}  // namespace tensair
