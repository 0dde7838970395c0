// The life of a transport, and how it ends without leaving anything behind.
//
// The I/O thread runs as long as there is something to wait for. Nobody stops it from outside: to end is to close every
// socket and cancel every timer, and then the thread runs out of work by itself. So when it has been joined, no handler
// is left that could touch anything, whatever way the transport ended: by goodbyes, by an abort, or by a `connect` that
// failed.
//
// `life_` and `failure_` are what the threads share; all else belongs to the I/O thread, or is not changed after
// `connect`.

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <span>
#include <tensair/net/tcp_transport.hpp>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../entropy.hpp"
#include "rendezvous.hpp"
#include "tcp_address.hpp"
#include "tcp_link.hpp"

namespace tensair::net {

using namespace detail;

class TcpTransport::Cluster final : public LinkOwner, public RendezvousOwner {
 public:
  Cluster(const Options& options, const TcpLimits& limits, std::shared_ptr<const Clock> clock);
  Cluster(const Cluster&) = delete;
  auto operator=(const Cluster&) -> Cluster& = delete;
  ~Cluster();

  void receive(ChannelId channel, Receiver receiver);
  void after_burst(std::function<void()> action);
  void on_loss(Loss loss);
  void connect(const Identity& identity);
  auto link(Rank peer) -> Link&;
  auto turned_away() const -> std::map<std::string, std::uint64_t>;
  void disconnect();
  void abort(const std::string& reason);

 private:
  enum class Life { fresh, connecting, connected, ended };

  void prepare(const Identity& identity);
  void run();
  void give_up(const std::string& reason);
  void end_when_closed();
  void wait_for_end();

  // On the I/O thread.
  void joined(Rank peer, Stream stream) override;
  void failed(std::exception_ptr error) override;
  auto cut(Rank peer) -> LinkState override;
  void resumed(Rank peer, Stream stream, std::uint64_t peer_has) override;
  void given_up(Rank peer, const std::string& reason) override;
  void interrupted(Rank peer, const std::string& reason) override;
  void arrived(Rank peer, ChannelId channel, Payload payload) override;
  void burst_over() override;
  void lost(Rank peer, const std::string& reason) override;
  void closed(Rank peer) override;

  Options options_;
  const TcpLimits limits_;
  const std::shared_ptr<const Clock> clock_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  std::unique_ptr<Rendezvous> rendezvous_;       // from `connect` on, unless there is but one node
  std::vector<std::shared_ptr<TcpLink>> links_;  // by rank
  std::size_t joined_ = 0;
  std::size_t closed_ = 0;
  bool ending_ = false;

  std::thread thread_;
  std::mutex thread_mutex_;  // two threads may wait for the end

  std::mutex mutex_;
  std::condition_variable changed_;
  Life life_ = Life::fresh;
  std::exception_ptr failure_;  // of connect
  std::unordered_map<ChannelId, Receiver> receivers_;
  std::function<void()> after_burst_;
  Loss loss_;
  std::atomic<bool> all_linked_ = false;
  std::atomic<bool> aborted_ = false;  // what still arrives is nobody's concern
};

namespace {

thread_local const void* io_thread_of = nullptr;  // the cluster whose I/O thread this is

// Never 0, which is no run.
auto new_run() -> std::uint64_t {
  std::uint64_t run = 0;
  tensair::detail::fill_with_entropy(std::as_writable_bytes(std::span{&run, 1}));
  return run | 1U;
}

auto text_of(const std::exception_ptr& error) -> std::string {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "something that is no exception was thrown";
  }
}

}  // namespace

TcpTransport::Cluster::Cluster(const Options& options, const TcpLimits& limits, std::shared_ptr<const Clock> clock)
    : options_(options), limits_(limits), clock_(std::move(clock)), links_(options.nodes.size()) {
  try {
    if (options.rank < 0 || options.rank >= options.node_count()) {
      throw UsageError(fmt::format("rank {} is outside the list of {} nodes", options.rank, options.node_count()),
                       "--rank", "Ranks are counted from 0.");
    }
    for (const auto& node : options.nodes) parse_address(node);
    if (limits.piece == 0 || limits.piece > max_piece_bytes) {
      throw UsageError(fmt::format("pieces of {} bytes cannot be sent; up to {} can", limits.piece, max_piece_bytes));
    }
  } catch (...) {
    if (options.listen_socket >= 0) ::close(options.listen_socket);
    throw;
  }
}

TcpTransport::Cluster::~Cluster() {
  abort("it ended without saying goodbye");
  if (options_.listen_socket >= 0) ::close(options_.listen_socket);
}

void TcpTransport::Cluster::receive(ChannelId channel, Receiver receiver) {
  const std::lock_guard lock{mutex_};
  // One that is replaced might be running.
  if (!receivers_.emplace(channel, std::move(receiver)).second) {
    throw Error(fmt::format("channel {} has a receiver already", channel));
  }
}

void TcpTransport::Cluster::after_burst(std::function<void()> action) {
  after_burst_ = std::move(action);
}

void TcpTransport::Cluster::on_loss(Loss loss) {
  const std::lock_guard lock{mutex_};
  loss_ = std::move(loss);
}

void TcpTransport::Cluster::connect(const Identity& identity) {
  {
    const std::lock_guard lock{mutex_};
    if (failure_) std::rethrow_exception(failure_);
    if (life_ != Life::fresh) throw Error("a transport can be connected only once");
    life_ = Life::connecting;
  }
  try {
    prepare(identity);
  } catch (...) {
    rendezvous_.reset();
    const std::lock_guard lock{mutex_};
    life_ = Life::ended;
    throw;
  }
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [&] { return failure_ || life_ != Life::connecting; });
  if (!failure_) return;
  const auto failure = failure_;
  lock.unlock();
  give_up(text_of(failure));
  std::rethrow_exception(failure);
}

void TcpTransport::Cluster::prepare(const Identity& identity) {
  const auto deadline = std::chrono::steady_clock::now() + options_.connect_deadline;
  if (identity.rank != options_.rank || identity.nodes != options_.node_count()) {
    throw UsageError(fmt::format("the options say node {} of {}, the identity node {} of {}", options_.rank,
                                 options_.node_count(), identity.rank, identity.nodes));
  }
  if (identity.nodes == 1) {
    const std::lock_guard lock{mutex_};
    life_ = Life::connected;
    return;
  }
  Hello hello{.rank = identity.rank, .nodes = identity.nodes, .plan = identity.plan, .run = new_run()};
  encode(hello);  // throws when the plan is too long, and better here than on the I/O thread
  const int inherited = std::exchange(options_.listen_socket, -1);
  auto acceptor = inherited >= 0 ? adopt_listening(io_, inherited) : tcp::acceptor{io_};
  if (options_.token.empty()) require_loopback(io_, options_, acceptor);
  if (inherited < 0) acceptor = listen(io_, options_);
  std::vector<std::vector<tcp::endpoint>> endpoints;
  for (Rank peer = 0; peer < identity.rank; ++peer) endpoints.push_back(resolve(io_, options_, peer));

  rendezvous_ = std::make_unique<Rendezvous>(io_, *this, options_, limits_, std::move(hello), std::move(acceptor),
                                             std::move(endpoints));
  const std::lock_guard lock{thread_mutex_};
  thread_ = std::thread{[this] { run(); }};
  asio::post(io_, [this, deadline] { rendezvous_->start(deadline); });
}

auto TcpTransport::Cluster::link(Rank peer) -> Link& {
  const auto index = static_cast<std::size_t>(peer);
  if (!all_linked_ || peer < 0 || index >= links_.size() || !links_[index]) {
    throw Error(fmt::format("node {} has no link to node {}", options_.rank, peer));
  }
  return *links_[index];
}

auto TcpTransport::Cluster::turned_away() const -> std::map<std::string, std::uint64_t> {
  if (!all_linked_) return {};
  return rendezvous_->strangers();
}

void TcpTransport::Cluster::disconnect() {
  if (io_thread_of == this) throw Error("the transport's own thread cannot wait for the transport's end");
  if (all_linked_) {
    asio::post(io_, [this] {
      ending_ = true;
      for (const auto& link : links_) {
        if (link) link->finish();
      }
      end_when_closed();
    });
  }
  wait_for_end();
}

void TcpTransport::Cluster::abort(const std::string& reason) {
  {
    const std::lock_guard lock{mutex_};
    // Also of one that is not connected yet: a `connect` that comes a moment later must not wait, nor think all is
    // well.
    if ((life_ == Life::fresh || life_ == Life::connecting) && !failure_) {
      failure_ = std::make_exception_ptr(Error("this node gave up while the nodes were coming together: " + reason));
      changed_.notify_all();
    }
  }
  give_up(reason);
}

void TcpTransport::Cluster::give_up(const std::string& reason) {
  aborted_ = true;
  asio::post(io_, [this, reason] {
    ending_ = true;
    if (rendezvous_) rendezvous_->stop();
    for (const auto& link : links_) {
      if (link) link->abort(reason);
    }
    end_when_closed();
  });
  if (io_thread_of != this) wait_for_end();
}

void TcpTransport::Cluster::wait_for_end() {
  {
    const std::lock_guard lock{thread_mutex_};
    if (thread_.joinable()) thread_.join();
  }
  const std::lock_guard lock{mutex_};
  life_ = Life::ended;
}

// --- on the I/O thread -----------------------------------------------------------------------------------

void TcpTransport::Cluster::run() {
  io_thread_of = this;
  for (;;) {
    try {
      io_.run();
      return;
    } catch (const std::exception& error) {
      // Out of memory, most likely: no link can be trusted to be whole.
      failed(std::current_exception());
      for (const auto& link : links_) {
        if (link) link->fail(error.what());
      }
    }
  }
}

void TcpTransport::Cluster::end_when_closed() {
  if (!ending_ || closed_ < joined_) return;
  rendezvous_->stop();
  work_.reset();
}

void TcpTransport::Cluster::joined(Rank peer, Stream stream) {
  const auto& link = links_[static_cast<std::size_t>(peer)] =
      std::make_shared<TcpLink>(*this, peer, std::move(stream), limits_, *clock_);
  ++joined_;
  link->start();
  if (joined_ + 1 < links_.size()) return;
  {
    const std::lock_guard lock{mutex_};
    if (failure_ || life_ != Life::connecting) return;
    all_linked_ = true;
    life_ = Life::connected;
    changed_.notify_all();
  }
  rendezvous_->complete();
  for (const auto& each : links_) {
    if (each) each->deliver();
  }
}

void TcpTransport::Cluster::failed(std::exception_ptr error) {
  const std::lock_guard lock{mutex_};
  if (life_ != Life::connecting || failure_) return;
  failure_ = std::move(error);
  changed_.notify_all();
}

auto TcpTransport::Cluster::cut(Rank peer) -> LinkState {
  const auto& link = links_[static_cast<std::size_t>(peer)];
  link->interrupt();
  return {!link->is_closed(), link->is_quiet(), link->received()};
}

void TcpTransport::Cluster::resumed(Rank peer, Stream stream, std::uint64_t peer_has) {
  links_[static_cast<std::size_t>(peer)]->resume(std::move(stream), peer_has);
}

void TcpTransport::Cluster::given_up(Rank peer, const std::string& reason) {
  links_[static_cast<std::size_t>(peer)]->give_up(reason);
}

void TcpTransport::Cluster::interrupted(Rank peer, const std::string& reason) {
  rendezvous_->resume(peer, reason);
}

void TcpTransport::Cluster::arrived(Rank peer, ChannelId channel, Payload payload) {
  if (aborted_) return;
  const Receiver* receiver = nullptr;  // entries stay where they are
  {
    const std::lock_guard lock{mutex_};
    if (const auto found = receivers_.find(channel); found != receivers_.end()) receiver = &found->second;
  }
  if (receiver == nullptr) throw Malformed(fmt::format("a message for channel {}, which nobody receives", channel));
  (*receiver)(peer, std::move(payload));
}

void TcpTransport::Cluster::burst_over() {
  if (after_burst_ && !aborted_) after_burst_();
}

void TcpTransport::Cluster::lost(Rank peer, const std::string& reason) {
  if (aborted_) return;
  Loss loss;
  {
    const std::lock_guard lock{mutex_};
    if (life_ == Life::connected) loss = loss_;
  }
  if (loss) {
    loss(peer, reason);
  } else {
    const auto& address = options_.nodes[static_cast<std::size_t>(peer)];
    failed(std::make_exception_ptr(NodeError(
        peer, fmt::format("node {} ({}) was lost while the nodes were coming together: {}", peer, address, reason), {},
        "See what that node says.")));
  }
}

void TcpTransport::Cluster::closed(Rank) {
  ++closed_;
  end_when_closed();
}

// --- the public face -------------------------------------------------------------------------------------

TcpTransport::TcpTransport(const Options& options, TcpLimits limits, std::shared_ptr<const Clock> clock)
    : cluster_(std::make_unique<Cluster>(options, limits, std::move(clock))) {}
TcpTransport::~TcpTransport() {
  cluster_.reset();  // it has payloads that have not arrived whole
  release_spare_payloads();
}

void TcpTransport::receive(ChannelId channel, Receiver receiver) {
  cluster_->receive(channel, std::move(receiver));
}
auto TcpTransport::after_burst(std::function<void()> action) -> bool {
  cluster_->after_burst(std::move(action));
  return true;
}
void TcpTransport::on_loss(Loss loss) {
  cluster_->on_loss(std::move(loss));
}
void TcpTransport::connect(const Identity& identity) {
  cluster_->connect(identity);
}
auto TcpTransport::link(Rank peer) -> Link& {
  return cluster_->link(peer);
}
auto TcpTransport::turned_away() const -> std::map<std::string, std::uint64_t> {
  return cluster_->turned_away();
}
void TcpTransport::disconnect() {
  cluster_->disconnect();
}
void TcpTransport::abort(const std::string& reason) {
  cluster_->abort(reason);
}

}  // namespace tensair::net
