#pragma once

#include <memory>
#include <mutex>
#include <thread>

#include "net/asio.hpp"

namespace tensair::io {

/// The one thread that serves all TCP sources and sinks of this process; there while any of them is.
class Reactor {
 public:
  static auto shared() -> std::shared_ptr<Reactor> {
    static std::mutex mutex;
    static std::weak_ptr<Reactor> current;
    const std::lock_guard lock{mutex};
    auto reactor = current.lock();
    if (!reactor) current = reactor = std::make_shared<Reactor>();
    return reactor;
  }

  Reactor() : work_(context_.get_executor()), thread_([this] { context_.run(); }) {}
  Reactor(const Reactor&) = delete;
  auto operator=(const Reactor&) -> Reactor& = delete;
  ~Reactor() {
    context_.stop();
    thread_.join();
  }

  auto context() -> net::detail::asio::io_context& { return context_; }

 private:
  net::detail::asio::io_context context_{1};
  net::detail::asio::executor_work_guard<net::detail::asio::io_context::executor_type> work_;
  std::thread thread_;
};

}  // namespace tensair::io
