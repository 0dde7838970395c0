#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tensair/error.hpp>
#include <tensair/model/mode_board.hpp>
#include <tensair/net/codec.hpp>
#include <tensair/net/malformed.hpp>
#include <tuple>
#include <utility>

namespace tensair {

void ModeBoard::attach(runtime::Node& node, net::ChannelId channel, std::size_t replicas,
                       const std::vector<net::Rank>& owners) {
  const std::lock_guard lock{mutex_};
  node_ = &node;
  rank_ = node.rank();
  channel_ = channel;
  opinions_.resize(replicas);
  for (const net::Rank owner : owners) {
    if (owner == node.rank()) has_replicas_ = true;
    if (owner != node.rank()) others_.push_back(owner);
  }
  if (has_replicas_ && node.count() > 1)
    node.transport().receive(channel, [this](net::Rank, const net::Payload& payload) { arrive(payload); });
}

void ModeBoard::add(runtime::Task& replica) {
  const std::lock_guard lock{mutex_};
  replicas_.push_back(replica.waker());
}

void ModeBoard::request(Mode mode) {
  {
    const std::lock_guard lock{mutex_};
    if (node_ == nullptr) {  // every node's program says it before its run begins
      command_.mode = mode;
      verdict_.mode = mode;
      verdict_.training = judge();
      return;
    }
    if (!has_replicas_)
      throw UsageError("a mode is set where the model has no replica", fmt::format("node {}", rank_),
                       "Set it on a node with one, or send it there with net.control(stream).");
    requested_ = mode;
  }
  wake();
}

auto ModeBoard::mode() const -> Mode {
  const std::lock_guard lock{mutex_};
  return requested_.value_or(command_.mode);
}

void ModeBoard::read_requests() {
  std::optional<Mode> mode;
  {
    const std::lock_guard lock{mutex_};
    mode = std::exchange(requested_, std::nullopt);
  }
  if (mode) command(*mode);
}

// News is numbered and told under one lock, so it leaves a node in the order of its numbers.
void ModeBoard::command(Mode mode) {
  {
    const std::lock_guard lock{mutex_};
    tell({Kind::command, number(), rank_, mode, false, Cause::command});
  }
  wake();
}

void ModeBoard::opinion(std::int32_t replica, bool converged, Cause cause) {
  {
    const std::lock_guard lock{mutex_};
    tell({Kind::opinion, number(), replica, Mode::automatic, converged, cause});
  }
  wake();
}

auto ModeBoard::verdict() const -> Verdict {
  const std::lock_guard lock{mutex_};
  return verdict_;
}

void ModeBoard::tell(const News& news) {
  take(news);
  for (const net::Rank peer : others_) {
    net::Writer writer{channel_};
    writer.write(news.kind);
    writer.write(news.number);
    writer.write(news.by);
    writer.write(news.mode);
    writer.write(static_cast<std::uint8_t>(news.converged));
    writer.write(news.cause);
    node_->transport().link(peer).send(net::Lane::control, std::move(*writer.finish()));
  }
}

void ModeBoard::arrive(const net::Payload& payload) {
  net::Reader reader{payload};
  News news{};
  news.kind = reader.read<Kind>();
  news.number = reader.read<std::uint64_t>();
  news.by = reader.read<std::int32_t>();
  news.mode = reader.read<Mode>();
  news.converged = reader.read<std::uint8_t>() != 0;
  news.cause = reader.read<Cause>();
  if (news.kind > Kind::opinion || news.mode > Mode::automatic || news.cause > Cause::drift ||
      (news.kind == Kind::opinion && (news.by < 0 || static_cast<std::size_t>(news.by) >= opinions_.size())))
    throw net::Malformed("news of a model's mode that makes no sense");
  {
    const std::lock_guard lock{mutex_};
    greatest_ = std::max(greatest_, news.number);
    take(news);
  }
  wake();
}

void ModeBoard::take(const News& news) {
  if (news.kind == Kind::command) {
    if (std::tie(news.number, news.by) > std::tie(command_.number, command_.by))
      command_ = {news.number, news.by, news.mode};
  } else {
    auto& opinion = opinions_[static_cast<std::size_t>(news.by)];
    if (news.number > opinion.number) opinion = {news.number, news.converged, news.cause};
  }
  const bool training = judge();
  if (training != verdict_.training || command_.mode != verdict_.mode)
    verdict_ = {command_.mode, training, 0, news.cause, news.by, news.number};
  verdict_.command = command_.number;
}

auto ModeBoard::judge() const -> bool {
  if (command_.mode != Mode::automatic) return command_.mode == Mode::always;
  bool any = false;
  for (const auto& one : opinions_) {
    if (one.number <= command_.number) continue;  // none, or from before the command
    if (!one.converged) return true;
    any = true;
  }
  return !any;
}

void ModeBoard::wake() const {
  std::vector<runtime::Waker> replicas;
  {
    const std::lock_guard lock{mutex_};
    replicas = replicas_;
  }
  for (const auto& one : replicas) one.wake();
}

ModeWatch::ModeWatch(std::shared_ptr<ModeBoard> board, std::int32_t replica, const Convergence& rule)
    : board_(std::move(board)), replica_(replica), rule_(rule), windows_(rule), now_(board_->verdict()) {}

auto ModeWatch::read() -> std::optional<ModeBoard::Verdict> {
  board_->read_requests();
  const auto verdict = board_->verdict();
  const bool changes = verdict.mode != now_.mode || verdict.training != now_.training;
  const bool commanded = verdict.command != now_.command;
  if (commanded) said_.reset();  // what was said before counts no longer
  if (changes || commanded) {
    if (now_.training) converged_at_ = windows_.latest();
    drift_ = rule_.drift;
    windows_.clear();
  }
  now_ = verdict;
  return changes ? std::optional(verdict) : std::nullopt;
}

void ModeWatch::saw(double loss) {
  if (now_.mode != Mode::automatic) return;
  if (now_.training) {
    saw_in_training(loss);
  } else if (has_changed(loss)) {
    said_ = false;
    board_->opinion(replica_, false, Cause::drift);
  }
}

void ModeWatch::leave() {
  if (now_.mode == Mode::automatic && said_ == false) board_->opinion(replica_, true, Cause::converged);
}

// Its first whole window gives a replica a say: then those that get hardly any batches do not keep the others training.
void ModeWatch::saw_in_training(double loss) {
  if (!windows_.add(loss)) return;
  if (said_ && !windows_.enough()) return;
  const bool converged = windows_.converged();
  if (said_ == converged) return;
  said_ = converged;
  board_->opinion(replica_, converged, Cause::converged);
}

auto ModeWatch::has_changed(double loss) -> bool {
  if (drift_) return std::isfinite(loss) && drift_(loss);
  // A replica that had no whole window takes the first one it sees as what the loss was.
  if (!windows_.add(loss)) return false;
  if (std::isnan(converged_at_)) converged_at_ = windows_.latest();
  return windows_.latest() > converged_at_ * rule_.rise;
}

}  // namespace tensair
