#include <algorithm>
#include <tensair/model/adaptation_board.hpp>
#include <tensair/net/bytes.hpp>
#include <tensair/net/malformed.hpp>
#include <utility>

namespace tensair {

void AdaptationBoard::attach(runtime::Node& node, net::ChannelId channel, std::size_t replicas,
                             const std::vector<net::Rank>& owners, bool one_stream) {
  const std::lock_guard lock{mutex_};
  node_ = &node;
  channel_ = channel;
  one_stream_ = one_stream;
  for (std::size_t k = 0; k < replicas; ++k) next_.push_back(one_stream ? 0 : k);
  const bool here = std::find(owners.begin(), owners.end(), node.rank()) != owners.end();
  for (const net::Rank owner : owners) {
    if (owner != node.rank()) others_.push_back(owner);
  }
  if (here && node.count() > 1)
    node.transport().receive(channel, [this](net::Rank, const net::Payload& payload) { arrive(payload); });
}

void AdaptationBoard::add(std::size_t number, runtime::Task& replica) {
  const std::lock_guard lock{mutex_};
  given_[number] = 0;
  replicas_.push_back(replica.waker());
}

auto AdaptationBoard::place_of(std::size_t replica, std::uint64_t number) const -> std::uint64_t {
  const std::lock_guard lock{mutex_};
  return one_stream_ ? number : next_[replica];
}

auto AdaptationBoard::may_begin(std::size_t replica, std::uint64_t place) -> bool {
  {
    const std::lock_guard lock{mutex_};
    if (place - std::min<std::uint64_t>(place, lag_) <= first_missing()) return true;
    if (one_stream_ || place <= busiest_) return false;
    note(replica, Kind::waits, place);
    say(replica, Kind::waits);
  }
  wake();
  return false;
}

void AdaptationBoard::tell(std::size_t replica, const BatchOutcome& outcome) {
  {
    const std::lock_guard lock{mutex_};
    note(replica, Kind::outcome, one_stream_ ? 0 : outcome.batch + next_.size(), &outcome);
    say(replica, Kind::outcome, &outcome);
  }
  wake();
}

void AdaptationBoard::idle(std::size_t replica) {
  {
    const std::lock_guard lock{mutex_};
    if (one_stream_ || next_[replica] >= busiest_) return;
    const auto replicas = next_.size();
    note(replica, Kind::moves_on, busiest_ + (replica + replicas - busiest_ % replicas) % replicas);
    say(replica, Kind::moves_on);
  }
  wake();
}

void AdaptationBoard::end(std::size_t replica) {
  {
    const std::lock_guard lock{mutex_};
    note(replica, Kind::moves_on, none_to_come);
    say(replica, Kind::moves_on);
  }
  wake();
}

auto AdaptationBoard::ended() const -> bool {
  const std::lock_guard lock{mutex_};
  return all_ended();
}

// Here and not where outcomes arrive, so that what the rule throws is a replica's error.
void AdaptationBoard::read() {
  const std::lock_guard lock{mutex_};
  while (!waiting_.empty()) {
    const auto first = waiting_.begin();
    if (one_stream_ ? first->first != taken_ : first->first >= first_missing()) return;
    ++taken_;
    for (const auto& one : rule_.take(first->second)) decided_.push_back(one);
    waiting_.erase(first);
  }
}

auto AdaptationBoard::decisions(std::size_t replica, std::uint64_t place) -> std::vector<Decision> {
  const std::lock_guard lock{mutex_};
  std::vector<Decision> due;
  const auto until = std::max(place, first_missing());
  auto& last = given_.at(replica);
  for (const auto& one : decided_) {
    if (one.number <= last) continue;
    if (one.from > until) break;
    due.push_back(one);
  }
  if (due.empty()) return due;
  last = due.back().number;
  const auto least = std::min_element(given_.begin(), given_.end(), [](const auto& a, const auto& b) {
                       return a.second < b.second;
                     })->second;
  while (!decided_.empty() && decided_.front().number <= least) decided_.pop_front();
  return due;
}

auto AdaptationBoard::rejected() const -> std::uint64_t {
  const std::lock_guard lock{mutex_};
  return rule_.rejected();
}

namespace {

struct BoardState {
  std::string rule;
  std::vector<std::uint8_t> owed{};  // deeds, in order

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& rule& owed;
  }
};

// Of decisions that are not obeyed yet those to begin anew are all that there is something left of: whether to train is
// in the rule's state, and batches that were kept and challengers are gone.
auto outlives_run(Deed deed) -> bool {
  return deed == Deed::reset_optimizer || deed == Deed::reset_weights;
}

}  // namespace

auto AdaptationBoard::state(std::size_t replica) const -> std::string {
  const std::lock_guard lock{mutex_};
  BoardState state{rule_.state()};
  for (const auto& one : decided_) {
    if (one.number > given_.at(replica) && outlives_run(one.deed))
      state.owed.push_back(static_cast<std::uint8_t>(one.deed));
  }
  return net::to_bytes(state);
}

auto AdaptationBoard::restore(std::string_view bytes) -> bool {
  const auto state = net::from_bytes<BoardState>(bytes);
  const std::lock_guard lock{mutex_};
  const bool training = rule_.restore(state.rule);
  decided_.clear();
  for (const auto number : state.owed) {
    const auto deed = static_cast<Deed>(number);
    if (outlives_run(deed)) decided_.push_back(rule_.again(deed));
  }
  return training;
}

void AdaptationBoard::note(std::size_t replica, Kind kind, std::uint64_t next, const BatchOutcome* outcome) {
  next_[replica] = std::max(next_[replica], next);
  if (kind != Kind::moves_on) busiest_ = std::max(busiest_, next);
  if (!outcome) return;
  end_ = std::max(end_, outcome->batch + 1);
  waiting_.emplace(outcome->batch, *outcome);
}

void AdaptationBoard::say(std::size_t replica, Kind kind, const BatchOutcome* outcome) const {
  for (const net::Rank peer : others_) {
    net::Writer writer{channel_};
    writer.write(kind);
    writer.write(static_cast<std::uint32_t>(replica));
    writer.write(next_[replica]);
    if (outcome) writer.write(*outcome);
    node_->transport().link(peer).send(net::Lane::control, std::move(*writer.finish()));
  }
}

void AdaptationBoard::arrive(const net::Payload& payload) {
  net::Reader reader{payload};
  const auto kind = reader.read<Kind>();
  const auto replica = reader.read<std::uint32_t>();
  const auto next = reader.read<std::uint64_t>();
  const bool has_outcome = kind == Kind::outcome;
  BatchOutcome outcome;
  if (has_outcome) outcome = reader.read<BatchOutcome>();
  {
    const std::lock_guard lock{mutex_};
    const bool known = kind <= Kind::outcome && replica < next_.size();
    if (!known || (has_outcome && (outcome.batch >= none_to_come - next_.size() || waiting_.contains(outcome.batch))))
      throw net::Malformed("the outcome of a batch that makes no sense");
    note(replica, kind, next, has_outcome ? &outcome : nullptr);
  }
  wake();
}

// The first place of which the outcome is not there; when nothing is to come, the one behind all.
auto AdaptationBoard::first_missing() const -> std::uint64_t {
  if (all_ended()) return end_;
  if (!one_stream_) return *std::min_element(next_.begin(), next_.end());
  // `taken_` only grows when somebody reads.
  auto first = taken_;
  for (auto one = waiting_.begin(); one != waiting_.end() && one->first == first; ++one) ++first;
  return first;
}

auto AdaptationBoard::all_ended() const -> bool {
  return std::all_of(next_.begin(), next_.end(), [](std::uint64_t next) { return next == none_to_come; });
}

void AdaptationBoard::wake() const {
  std::vector<runtime::Waker> replicas;
  {
    const std::lock_guard lock{mutex_};
    replicas = replicas_;
  }
  for (const auto& one : replicas) one.wake();
}

}  // namespace tensair
