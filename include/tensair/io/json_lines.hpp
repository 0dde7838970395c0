#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <tensair/runtime/node.hpp>
#include <utility>

namespace tensair {

/// A file of lines that is written through a buffer; every failure to write is an error that names the file.
class LineFile {
 public:
  explicit LineFile(std::filesystem::path path) : path_(std::move(path)) {}

  /// @throws Error  the file cannot be made
  void open();
  /// @throws Error  the disk is full, …
  void write(const std::string& line);
  void flush();
  void close();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  void check(bool good);

  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
};

/// The sink that `json_lines` makes.
template <class ToJson>
class JsonLines {
 public:
  JsonLines(std::filesystem::path path, ToJson to_json) : file_(std::move(path)), to_json_(std::move(to_json)) {}

  void open(runtime::Node&) { file_.open(); }
  template <class T>
  void operator()(T&& record) {
    auto json = to_json_(std::forward<T>(record));
    if constexpr (requires { json.dump(); }) {
      file_.write(json.dump());
    } else {
      file_.write(json);
    }
  }
  void flush() { file_.flush(); }
  void finish() { file_.close(); }

 private:
  LineFile file_;
  ToJson to_json_;
};

/// A sink that writes one JSON value a line (JSON Lines) to `path`, on node 0, replacing a file that is there.
///
/// @param to_json  from a record to an `nlohmann::json`, or to a `std::string` that is JSON on one line
///
/// @code
/// stream.sink(tensair::json_lines("words.jsonl", [](const Word& word) {
///   return nlohmann::json{{"word", word.text}, {"count", word.count}};
/// }));
/// @endcode
/// @throws Error  (stops the pipeline) the file cannot be made or written
template <class ToJson>
auto json_lines(std::filesystem::path path, ToJson to_json) -> JsonLines<ToJson> {
  return {std::move(path), std::move(to_json)};
}

}  // namespace tensair
