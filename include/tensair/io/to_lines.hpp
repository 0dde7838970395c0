#pragma once

#include <concepts>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <tensair/io/output_file.hpp>
#include <tensair/runtime/node.hpp>
#include <utility>

namespace tensair {

/// The sink that `to_lines` makes.
template <class ToText>
class ToLines {
 public:
  ToLines(std::filesystem::path path, ToText to_text, Roll roll)
      : file_(std::move(path), roll), to_text_(std::move(to_text)) {}

  void open(runtime::Node& node) { file_.open(node.clock()); }
  template <class T>
  requires std::invocable<ToText&, const T&>
  void operator()(const T& record) {
    line_ = std::invoke(to_text_, record);
    line_ += '\n';
    file_.write(line_);
  }
  void flush() { file_.flush(); }
  void finish() { file_.close(); }
  auto deadline() const -> Time { return file_.deadline(); }
  void tick(Time) { file_.flush(); }

 private:
  OutputFile file_;
  ToText to_text_;
  std::string line_;
};

/// A sink that writes a line of text a record, on node 0: records are text, or `to_text(record)` makes it. The file
/// appears whole, when the stream has ended or it rolls; see `OutputFile`.
/// @throws Error  (stops the pipeline) the file cannot be made or written, the disk is full
///
/// @code
/// words.sink(tensair::to_lines("words.txt"));
/// readings.sink(tensair::to_lines("sensors.txt", [](const Reading& one) { return one.sensor; }, {.bytes = 64 << 20}));
/// @endcode
inline auto to_lines(std::filesystem::path path, Roll roll = {}) {
  const auto as_it_is = [](std::string_view text) { return text; };
  return ToLines<decltype(as_it_is)>{std::move(path), as_it_is, roll};
}
template <class ToText>
requires(!std::same_as<std::remove_cvref_t<ToText>, Roll>) auto to_lines(std::filesystem::path path, ToText to_text,
                                                                         Roll roll = {}) -> ToLines<ToText> {
  return {std::move(path), std::move(to_text), roll};
}

}  // namespace tensair
