#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tensair/io/text_reader.hpp>
#include <type_traits>
#include <utility>

namespace tensair {

/// A source of JSON values, one a line: what `json` makes.
template <class T>
class Json {
 public:
  using value_type = T;
  static constexpr bool occupies_thread = true;

  Json(FileList files, TextOptions options) : reader_(std::move(files), options) {}

  void split(int part, int parts) { reader_.split_by_bytes(part, parts); }
  void open(runtime::Node& node) { reader_.stop_with(node.stop_token()); }
  auto next() -> std::optional<T> {
    auto line = reader_.next();
    while (line && line->find_first_not_of(" \t\r") == std::string_view::npos) line = reader_.next();
    if (!line) return std::nullopt;
    try {
      auto value = nlohmann::json::parse(*line);
      if constexpr (std::is_same_v<T, nlohmann::json>) {
        return value;
      } else {
        return value.template get<T>();
      }
    } catch (const nlohmann::json::parse_error& error) {
      reject("a line is no JSON", ", byte " + std::to_string(error.byte), error, *line);
    } catch (const nlohmann::json::exception& error) {
      reject("a line is JSON of another form", {}, error, *line);
    }
  }
  auto offset() const -> FileOffset { return reader_.offset(); }
  void seek(const FileOffset& offset) { reader_.seek(offset); }

 private:
  [[noreturn]] void reject(const std::string& failed, const std::string& where, const std::exception& error,
                           std::string_view line) const {
    throw BadRecord(failed + ": " + error.what(), reader_.place() + where, "Correct the line.", std::string(line));
  }

  TextReader reader_;
};

/// A source of JSON Lines: one JSON value a line, as `T`, from one file or several, shared out among the nodes by
/// bytes. Empty lines are skipped.
///
/// Needs nlohmann-json: `T` is an `nlohmann::json`, or has a `from_json` (`NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE` makes
/// one).
/// @throws Error      a file cannot be read
/// @throws BadRecord  a line is no JSON (UTF-8 is part of that), or none that makes a `T`, or longer than `max_line`;
///                    names file, line and byte
///
/// @code
/// struct Sample { std::string sensor; double celsius = 0; };
/// NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Sample, sensor, celsius)
///
/// void build(tensair::Pipeline& pipeline) {
///   pipeline.source(tensair::json<Sample>("readings.jsonl")).sink(print);
/// }
/// @endcode
template <class T>
auto json(FileList files, TextOptions options = {}) -> Json<T> {
  return {std::move(files), options};
}

}  // namespace tensair
