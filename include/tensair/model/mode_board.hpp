#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <tensair/model/mode.hpp>
#include <tensair/net/transport.hpp>
#include <tensair/runtime/node.hpp>
#include <vector>

namespace tensair {

/// What all replicas of a model know about whether to train, on one node.
///
/// There are two kinds of news: a command says the mode, and a replica says whether it has converged. Whoever has news
/// gives it a number, one more than the greatest that its node has seen, and tells every node with replicas. Of
/// commands the one with the greatest number counts (of two with the same, the one of the higher node), of each
/// replica's opinions the latest, and of those only what was said after that command. Whether to train follows from
/// these alone: in `automatic`, while a replica that has an opinion has not converged, or none has one yet. So nobody
/// is asked and nobody waits; two nodes differ while news is under way between them, and agree when it has arrived.
class ModeBoard {
 public:
  struct Verdict {
    Mode mode;
    bool training;
    std::uint64_t command;  ///< its number
    // The news that made it so:
    Cause cause;
    std::int32_t by;
    std::uint64_t number;
  };

  explicit ModeBoard(Mode initial) : command_{0, -1, initial} {}

  /// @param replicas  on all nodes; `owners`: the nodes that have them
  void attach(runtime::Node& node, net::ChannelId channel, std::size_t replicas, const std::vector<net::Rank>& owners);
  /// A replica of this node, woken when there is news.
  void add(runtime::Task& replica);

  /// From any thread, at any time. It counts once one of this node's replicas has read it (`read_requests`).
  /// @throws UsageError  the node has no replica
  void request(Mode mode);
  /// The mode as far as this node knows.
  auto mode() const -> Mode;

  // From tasks of the node, while it runs:
  void read_requests();
  void command(Mode mode);
  void opinion(std::int32_t replica, bool converged, Cause cause);

  auto verdict() const -> Verdict;

 private:
  enum class Kind : std::uint8_t { command, opinion };
  struct News {
    Kind kind;
    std::uint64_t number;
    std::int32_t by;  // node or replica
    Mode mode;
    bool converged;
    Cause cause;
  };
  struct Command {
    std::uint64_t number;
    std::int32_t by;
    Mode mode;
  };
  struct Opinion {
    std::uint64_t number = 0;
    bool converged = false;
    Cause cause = Cause::converged;
  };

  void tell(const News& news);
  void arrive(const net::Payload& payload);
  void take(const News& news);
  void wake() const;
  auto number() -> std::uint64_t { return ++greatest_; }
  auto judge() const -> bool;

  mutable std::mutex mutex_;
  Command command_;
  std::vector<Opinion> opinions_;  // by replica; number 0: none
  std::uint64_t greatest_ = 0;
  Verdict verdict_{command_.mode, command_.mode != Mode::never, 0, Cause::command, -1, 0};
  std::optional<Mode> requested_;
  runtime::Node* node_ = nullptr;
  net::ChannelId channel_ = 0;
  std::vector<net::Rank> others_;
  std::vector<runtime::Waker> replicas_;
  net::Rank rank_ = 0;
  bool has_replicas_ = false;
};

/// One replica's part in it: judges by its own losses, and says where it begins and ends to train.
class ModeWatch {
 public:
  ModeWatch(std::shared_ptr<ModeBoard> board, std::int32_t replica, const Convergence& rule);

  /// Reads what is new; what this replica must change, if it must.
  auto read() -> std::optional<ModeBoard::Verdict>;
  auto training() const -> bool { return now_.training; }
  /// Whether batches that are not trained on are to be scored.
  auto watching() const -> bool { return now_.mode == Mode::automatic; }
  /// The number of the command that the mode is from.
  auto command() const -> std::uint64_t { return now_.command; }
  /// The mean loss of a batch that was trained on or scored.
  void saw(double loss);
  /// The replica gets no more batches: the others no longer wait for its opinion.
  void leave();

 private:
  void saw_in_training(double loss);
  auto has_changed(double loss) -> bool;

  std::shared_ptr<ModeBoard> board_;
  std::int32_t replica_;
  Convergence rule_;
  DriftTest drift_;
  LossWindows windows_;
  double converged_at_ = 0;  // the window's mean with which training ended here
  std::optional<bool> said_;
  ModeBoard::Verdict now_;
};

}  // namespace tensair
