#include <array>
#include <cstring>
#include <mutex>
#include <tensair/io/tcp.hpp>
#include <vector>

#include "reactor.hpp"
#include "tcp_connect.hpp"

namespace tensair {

namespace asio = net::detail::asio;

// The reactor's thread fills a block and waits until the task has taken it, so a task that does not take stops the
// reading.
class TcpLines::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(io::TcpTarget target, bool reconnect, runtime::Waker waker)
      : target_(std::move(target)),
        reconnect_(reconnect),
        waker_(std::move(waker)),
        reactor_(io::Reactor::shared()),
        waits_(reactor_->context()) {}

  void start() { asio::co_spawn(reactor_->context(), run(shared_from_this()), asio::detached); }

  /// Lets go of everything on the reactor's thread; the reactor stays until the last source has let go of it.
  static void stop(std::shared_ptr<Connection> connection) {
    auto reactor = std::move(connection->reactor_);
    asio::post(reactor->context(), [connection] { connection->waits_.cancel(); });
    connection.reset();
  }

  struct News {
    std::size_t bytes = 0;
    bool new_connection = false, ended = false;
    std::string error;
  };

  /// What has come since the last question; bytes are put into `room`.
  auto take(std::span<char> room) -> News {
    News news;
    const std::lock_guard lock{mutex_};
    if (begin_ < end_) {
      news.bytes = std::min(room.size(), end_ - begin_);
      std::memcpy(room.data(), block_.data() + begin_, news.bytes);
      begin_ += news.bytes;
      if (begin_ == end_ && reactor_)
        asio::post(reactor_->context(), [self = shared_from_this()] { self->waits_.timer.cancel(); });
      return news;
    }
    news.new_connection = std::exchange(lost_, false);
    news.ended = ended_;
    news.error = error_;
    return news;
  }

 private:
  static auto run(std::shared_ptr<Connection> self) -> asio::awaitable<void> {
    auto& waits = self->waits_;
    while (true) {
      const auto failed = co_await io::connect(waits, self->target_);
      if (waits.cancelled) co_return;
      if (!failed.empty()) {
        self->end("no TCP connection: " + failed);
        co_return;
      }
      const auto why = co_await self->read_all();
      if (waits.cancelled) co_return;
      if (!self->reconnect_) {
        self->end(why == asio::error::eof ? "" : "a TCP connection was lost: " + why.message());
        co_return;
      }
      {
        const std::lock_guard lock{self->mutex_};
        self->lost_ = true;
      }
      self->waker_.wake();
      // The old connection's last lines first; also, a server that closes at once is not called in a tight loop.
      do {
        waits.timer.expires_after(self->target_.first_delay);
        boost::system::error_code woken;
        co_await waits.timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
        if (waits.cancelled) co_return;
      } while (self->has_news_of_loss());
    }
  }

  auto has_news_of_loss() -> bool {
    const std::lock_guard lock{mutex_};
    return lost_;
  }

  auto read_all() -> asio::awaitable<boost::system::error_code> {
    while (true) {
      boost::system::error_code failed;
      const auto bytes = co_await waits_.socket.async_read_some(asio::buffer(reading_),
                                                                asio::redirect_error(asio::use_awaitable, failed));
      if (failed || waits_.cancelled) co_return failed;
      {
        const std::lock_guard lock{mutex_};
        std::memcpy(block_.data(), reading_.data(), bytes);
        begin_ = 0;
        end_ = bytes;
      }
      waker_.wake();
      while (!taken()) {
        waits_.timer.expires_at(asio::steady_timer::time_point::max());
        boost::system::error_code woken;
        co_await waits_.timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
        if (waits_.cancelled) co_return boost::system::error_code{};
      }
    }
  }

  auto taken() -> bool {
    const std::lock_guard lock{mutex_};
    return begin_ == end_;
  }

  void end(std::string error) {
    {
      const std::lock_guard lock{mutex_};
      ended_ = true;
      error_ = std::move(error);
    }
    waker_.wake();
  }

  static constexpr std::size_t block = 64 * 1024;

  io::TcpTarget target_;
  bool reconnect_;
  runtime::Waker waker_;
  std::shared_ptr<io::Reactor> reactor_;  // the task's; the reactor's own thread only uses what is below
  io::TcpWaits waits_;
  std::array<char, block> reading_{};

  std::mutex mutex_;
  std::array<char, block> block_{};
  std::size_t begin_ = 0, end_ = 0;
  bool lost_ = false, ended_ = false;
  std::string error_;
};

TcpLines::TcpLines(std::string host, std::uint16_t port, TcpLinesOptions options)
    : host_(std::move(host)), port_(port), options_(options), splitter_(options.max_line) {}
TcpLines::TcpLines(TcpLines&&) noexcept = default;
TcpLines::~TcpLines() {
  if (connection_) Connection::stop(std::move(connection_));
}

void TcpLines::open(runtime::Node& node, runtime::Waker waker) {
  io::TcpTarget target{host_, port_, options_.connect_within, options_.first_delay, options_.longest_delay};
  io::refuse_simulation(node, target);
  connection_ = std::make_shared<Connection>(std::move(target), options_.reconnect, std::move(waker));
  connection_->start();
}

auto TcpLines::poll() -> Poll<std::string_view> {
  if (auto found = line(false)) return *found;
  while (!ended_) {
    const auto room = splitter_.room();
    const auto news = connection_->take(room);
    if (news.bytes > 0) {
      splitter_.filled(news.bytes);
      if (auto found = line(false)) return *found;
    } else if (!news.error.empty()) {
      throw Error(news.error, fmt::format("{}:{}", host_, port_), "Check that the server runs and can be reached.");
    } else if (news.ended) {
      ended_ = true;
      if (auto found = line(true)) return *found;
    } else if (news.new_connection) {
      splitter_.clear(0, splitter_.lines());
    } else {
      return Poll<std::string_view>::wait();
    }
  }
  return Poll<std::string_view>::end();
}

auto TcpLines::line(bool ended) -> std::optional<std::string_view> {
  while (true) {
    auto found = ended ? splitter_.rest() : splitter_.next();
    if (splitter_.too_long()) {
      throw BadRecord(fmt::format("a line is longer than {} bytes", options_.max_line),
                      fmt::format("{}:{}, line {}", host_, port_, splitter_.lines()),
                      "Raise max_line, or check that this is text.", splitter_.beginning());
    }
    if (found && found->ends_with('\r')) found->remove_suffix(1);
    if (found || !splitter_.pending()) return found;
  }
}

}  // namespace tensair
