#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tensair/io/line_splitter.hpp>
#include <tensair/runtime/source.hpp>
#include <utility>

namespace tensair {

/// How lines come from a TCP server.
struct TcpLinesOptions {
  bool reconnect = false;  ///< when the connection ends or is lost: connect again, else end, or fail if it was lost
  Duration connect_within = std::chrono::seconds{30};     ///< so long connecting is tried, each time
  Duration first_delay = std::chrono::milliseconds{100};  ///< between two tries; doubles each time …
  Duration longest_delay = std::chrono::seconds{10};      ///< … up to this
  std::size_t max_line = 16 << 20;                        ///< bytes; a longer line is a `BadRecord`
};

/// A source of lines that a TCP server sends: what `tcp_lines` makes.
class TcpLines {
 public:
  using value_type = std::string_view;

  TcpLines(std::string host, std::uint16_t port, TcpLinesOptions options);
  TcpLines(TcpLines&&) noexcept;
  auto operator=(TcpLines&&) -> TcpLines& = delete;
  ~TcpLines();

  void open(runtime::Node& node, runtime::Waker waker);
  auto poll() -> Poll<std::string_view>;

 private:
  class Connection;
  auto line(bool ended) -> std::optional<std::string_view>;

  std::string host_;
  std::uint16_t port_;
  TcpLinesOptions options_;
  LineSplitter splitter_;
  bool ended_ = false;
  std::shared_ptr<Connection> connection_;
};

/// A source of the lines that a TCP server sends, on node 0, as its client. Records are views, as those of `lines` are.
/// It has no thread: all TCP sources and sinks of a process share one. What is not taken is not read, so that a slow
/// pipeline slows the server.
///
/// When the server closes the connection the stream ends, and a last line without an end counts; with `reconnect`
/// another connection is made. A line that is cut by the loss of a connection is left out.
/// @throws Error       no connection within `connect_within`; it was lost
/// @throws BadRecord   a line is longer than `max_line`
/// @throws UsageError  in a simulated cluster, which has no network
///
/// @code
/// pipeline.source(tensair::tcp_lines("feed.example.org", 9000, {.reconnect = true})).map(parse).sink(print);
/// @endcode
inline auto tcp_lines(std::string host, std::uint16_t port, TcpLinesOptions options = {}) -> TcpLines {
  return {std::move(host), port, options};
}

/// Sends text to a TCP server: what `to_tcp` is made of.
class TcpWriter {
 public:
  TcpWriter(std::string host, std::uint16_t port, Duration connect_within);
  TcpWriter(TcpWriter&&) noexcept;
  auto operator=(TcpWriter&&) -> TcpWriter& = delete;
  ~TcpWriter();

  void open(runtime::Node& node, runtime::Waker waker);
  /// Adds to what is to be sent.
  void write(std::string_view text);
  /// Hands over what there is. @throws Error  no connection; it was lost
  void flush();
  /// Closes when everything has been sent; `blocked` until then.
  void finish();
  auto blocked() -> bool;

 private:
  class Connection;

  std::string host_;
  std::uint16_t port_;
  Duration connect_within_;
  std::string buffer_;
  bool finishing_ = false;
  std::shared_ptr<Connection> connection_;
};

/// The sink that `to_tcp` makes.
template <class ToText>
class ToTcp {
 public:
  ToTcp(std::string host, std::uint16_t port, ToText to_text, Duration connect_within)
      : writer_(std::move(host), port, connect_within), to_text_(std::move(to_text)) {}

  void open(runtime::Node& node, runtime::Waker waker) { writer_.open(node, std::move(waker)); }
  template <class T>
  requires std::invocable<ToText&, const T&>
  void operator()(const T& record) {
    line_ = std::invoke(to_text_, record);
    line_ += '\n';
    writer_.write(line_);
  }
  void flush() { writer_.flush(); }
  void finish() { writer_.finish(); }
  auto blocked() -> bool { return writer_.blocked(); }

 private:
  TcpWriter writer_;
  ToText to_text_;
  std::string line_;
};

/// A sink that sends a line of text a record to a TCP server, from node 0: records are text, or `to_text(record)` makes
/// it. A server that reads slowly slows the pipeline. The stream has ended when the system has taken everything;
/// whether the server has read it TCP does not tell.
/// @throws Error       (stops the pipeline) no connection within `connect_within`; it was lost
/// @throws UsageError  in a simulated cluster, which has no network
///
/// @code
/// log_lines.filter(is_error).sink(tensair::to_tcp("10.0.0.9", 9000));
/// @endcode
inline auto to_tcp(std::string host, std::uint16_t port, Duration connect_within = std::chrono::seconds{30}) {
  const auto as_it_is = [](std::string_view text) { return text; };
  return ToTcp<decltype(as_it_is)>{std::move(host), port, as_it_is, connect_within};
}
template <class ToText>
requires(!std::convertible_to<ToText, Duration>) auto to_tcp(std::string host, std::uint16_t port, ToText to_text,
                                                             Duration connect_within = std::chrono::seconds{30})
    -> ToTcp<ToText> {
  return {std::move(host), port, std::move(to_text), connect_within};
}

}  // namespace tensair
