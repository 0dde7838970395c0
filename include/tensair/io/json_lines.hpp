#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <tensair/io/output_file.hpp>
#include <tensair/runtime/node.hpp>
#include <utility>

namespace tensair {

/// The sink that `json_lines` makes.
template <class ToJson>
class JsonLines {
 public:
  JsonLines(std::filesystem::path path, ToJson to_json, Roll roll)
      : file_(std::move(path), roll), to_json_(std::move(to_json)) {}

  void open(runtime::Node& node) { file_.open(node.clock()); }
  template <class T>
  void operator()(T&& record) {
    auto json = std::invoke(to_json_, std::forward<T>(record));
    if constexpr (requires { json.dump(); }) {
      using Handler = typename decltype(json)::error_handler_t;
      line_ = json.dump(-1, ' ', false, Handler::replace);
    } else {
      line_ = json;
    }
    line_ += '\n';
    file_.write(line_);
  }
  void flush() { file_.flush(); }
  void finish() { file_.close(); }
  auto deadline() const -> Time { return file_.deadline(); }
  void tick(Time) { file_.flush(); }

 private:
  OutputFile file_;
  ToJson to_json_;
  std::string line_;
};

/// A sink that writes one JSON value a line (JSON Lines) to `path`, on node 0. The file appears whole, in place of one
/// that is there, when the stream has ended; with `roll` there are several, and each appears when it is full or old
/// (see `OutputFile`).
///
/// JSON is UTF-8: bytes of an `nlohmann::json`'s strings that are not become U+FFFD. A `std::string` is written
/// as it is.
///
/// @param to_json  from a record to an `nlohmann::json`, or to a `std::string` that is JSON on one line
///
/// @code
/// #include <nlohmann/json.hpp>
///
/// const auto json = [](const Reading& one) {
///   return nlohmann::json{{"sensor", one.sensor}, {"celsius", one.celsius}};
/// };
/// readings.sink(tensair::json_lines("readings.jsonl", json, {.bytes = 64 << 20, .interval = 10min}));
/// @endcode
/// @throws Error  (stops the pipeline) the file cannot be made or written, the disk is full
template <class ToJson>
auto json_lines(std::filesystem::path path, ToJson to_json, Roll roll = {}) -> JsonLines<ToJson> {
  return {std::move(path), std::move(to_json), roll};
}

}  // namespace tensair
