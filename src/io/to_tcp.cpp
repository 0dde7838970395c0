#include <mutex>
#include <tensair/io/tcp.hpp>

#include "reactor.hpp"
#include "tcp_connect.hpp"

namespace tensair {

namespace asio = net::detail::asio;

// The task fills a buffer and hands it over when the one before has been sent; it is blocked while both are full.
class TcpWriter::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(io::TcpTarget target, runtime::Waker waker)
      : target_(std::move(target)),
        waker_(std::move(waker)),
        reactor_(io::Reactor::shared()),
        waits_(reactor_->context()) {}

  void start() { asio::co_spawn(reactor_->context(), run(shared_from_this()), asio::detached); }

  static void stop(std::shared_ptr<Connection> connection) {
    auto reactor = std::move(connection->reactor_);
    asio::post(reactor->context(), [connection] { connection->waits_.cancel(); });
    connection.reset();
  }

  /// Takes what is there if it has sent what it had. @throws Error
  void hand_over(std::string& text, bool last) {
    const std::lock_guard lock{mutex_};
    if (!error_.empty()) throw Error(error_, target_.place(), "Check that the server runs and can be reached.");
    if (sending_) return;
    if (text.empty() && !(last && !last_)) return;
    to_send_.swap(text);
    text.clear();
    sending_ = true;
    last_ = last;
    asio::post(reactor_->context(), [self = shared_from_this()] { self->waits_.timer.cancel(); });
  }

  auto busy() -> bool {
    const std::lock_guard lock{mutex_};
    return sending_ && error_.empty();
  }
  auto done() -> bool {
    const std::lock_guard lock{mutex_};
    return done_;
  }

 private:
  static auto run(std::shared_ptr<Connection> self) -> asio::awaitable<void> {
    auto& waits = self->waits_;
    const auto failed = co_await io::connect(waits, self->target_);
    if (waits.cancelled) co_return;
    if (!failed.empty()) {
      self->fail("no TCP connection: " + failed);
      co_return;
    }
    while (true) {
      while (!self->has_work()) {
        waits.timer.expires_at(asio::steady_timer::time_point::max());
        boost::system::error_code woken;
        co_await waits.timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
        if (waits.cancelled) co_return;
      }
      boost::system::error_code lost;
      co_await asio::async_write(waits.socket, asio::buffer(self->to_send_),
                                 asio::redirect_error(asio::use_awaitable, lost));
      if (waits.cancelled) co_return;
      if (!lost && self->last_) waits.socket.shutdown(net::detail::tcp::socket::shutdown_send, lost);
      if (lost) {
        self->fail("a TCP connection was lost: " + lost.message());
        co_return;
      }
      if (self->sent()) co_return;
    }
  }

  auto has_work() -> bool {
    const std::lock_guard lock{mutex_};
    return sending_;
  }
  auto sent() -> bool {
    bool done = false;
    {
      const std::lock_guard lock{mutex_};
      to_send_.clear();
      sending_ = false;
      done_ = done = last_;
    }
    waker_.wake();
    return done;
  }
  void fail(std::string error) {
    {
      const std::lock_guard lock{mutex_};
      error_ = std::move(error);
    }
    waker_.wake();
  }

  io::TcpTarget target_;
  runtime::Waker waker_;
  std::shared_ptr<io::Reactor> reactor_;  // the task's; the reactor's own thread only uses what is below
  io::TcpWaits waits_;

  std::mutex mutex_;
  std::string to_send_;  // the reactor's while `sending_`
  bool sending_ = false, last_ = false, done_ = false;
  std::string error_;
};

namespace {

constexpr std::size_t full = 256 * 1024;  // bytes that wait, beside as many that are being sent

}  // namespace

TcpWriter::TcpWriter(std::string host, std::uint16_t port, Duration connect_within)
    : host_(std::move(host)), port_(port), connect_within_(connect_within) {}
TcpWriter::TcpWriter(TcpWriter&&) noexcept = default;
TcpWriter::~TcpWriter() {
  if (connection_) Connection::stop(std::move(connection_));
}

void TcpWriter::open(runtime::Node& node, runtime::Waker waker) {
  io::TcpTarget target{host_, port_, connect_within_, std::chrono::milliseconds{100}, std::chrono::seconds{10}};
  io::refuse_simulation(node, target);
  connection_ = std::make_shared<Connection>(std::move(target), std::move(waker));
  connection_->start();
}

void TcpWriter::write(std::string_view text) {
  buffer_ += text;
  if (buffer_.size() >= full) connection_->hand_over(buffer_, false);
}

void TcpWriter::flush() {
  connection_->hand_over(buffer_, finishing_);
}

void TcpWriter::finish() {
  finishing_ = true;
  flush();
}

auto TcpWriter::blocked() -> bool {
  if (finishing_) return !connection_->done();
  return buffer_.size() >= full && connection_->busy();
}

}  // namespace tensair
