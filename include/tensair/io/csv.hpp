#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tensair/io/csv_column.hpp>
#include <tensair/io/text_reader.hpp>
#include <utility>
#include <vector>

namespace tensair {

/// Reads the rows of CSV files as fields of text, after RFC 4180: fields in quotes may hold delimiters, line ends and
/// doubled quotes. Lines end in "\n" or "\r\n"; empty ones are skipped, and so is a byte order mark. A quote inside a
/// field that does not begin with one is text like any other.
class CsvReader {
 public:
  /// @param names  the columns that are wanted, in the order in which `field` knows them
  CsvReader(FileList files, std::vector<std::string> names, CsvOptions options);

  void split(int part, int parts) { reader_.split_by_files(part, parts); }
  void stop_with(std::stop_token token) { reader_.stop_with(std::move(token)); }

  /// Goes to the next row; false at the end of the last file.
  /// @throws Error      a file cannot be read, or has no such column
  /// @throws BadRecord  the row has too many or too few fields, or an unclosed quote
  auto next() -> bool;
  /// The text of a wanted column in this row. Valid until `next`.
  auto field(std::size_t wanted) const -> std::string_view { return fields_[places_[wanted]]; }

  /// The row's field is no value of its type.
  [[noreturn]] void reject(std::size_t wanted, const std::string& type) const;

  auto offset() const -> FileOffset { return reader_.offset(); }
  void seek(const FileOffset& offset) { sought_ = offset; }

 private:
  enum class State { field_start, plain, quoted, after_quote };

  auto read_row() -> bool;
  void split_plain(std::string_view line);
  void parse_line(std::string_view line);
  void end_field();
  void read_header();
  auto place() const -> std::string;
  auto place_of(std::size_t column) const -> std::string;
  [[noreturn]] void bad(const std::string& failed, const std::string& place, const std::string& remedy) const;

  TextReader reader_;
  std::vector<std::string> names_;
  CsvOptions options_;
  std::vector<std::size_t> places_;  // of the wanted columns in a row
  std::vector<std::string> header_;
  std::optional<std::size_t> header_file_{};  // whose header it is
  std::optional<FileOffset> sought_;

  std::vector<std::string_view> fields_;
  std::string_view line_;  // the row, while it is one line without quotes
  std::string text_;       // the row's fields without their quotes, one behind the other, where it has any
  std::vector<std::size_t> ends_;
  State state_ = State::field_start;
  std::uint64_t row_line_ = 0;  // where the row begins
};

/// A source of the rows of CSV files: what `csv` makes.
template <class Row>
class Csv {
 public:
  using value_type = Row;
  static constexpr bool occupies_thread = true;

  Csv(FileList files, std::vector<CsvColumn<Row>> columns, CsvOptions options)
      : reader_(std::move(files), names_of(columns), options), columns_(std::move(columns)) {}

  void split(int part, int parts) { reader_.split(part, parts); }
  void open(runtime::Node& node) { reader_.stop_with(node.stop_token()); }
  auto next() -> std::optional<Row> {
    if (!reader_.next()) return std::nullopt;
    std::optional<Row> row{std::in_place};
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (!columns_[i].parse(reader_.field(i), *row)) reader_.reject(i, columns_[i].type());
    }
    return row;
  }
  auto offset() const -> FileOffset { return reader_.offset(); }
  void seek(const FileOffset& offset) { reader_.seek(offset); }

 private:
  static auto names_of(const std::vector<CsvColumn<Row>>& columns) {
    std::vector<std::string> names;
    for (const auto& column : columns) names.push_back(column.name());
    return names;
  }

  CsvReader reader_;
  std::vector<CsvColumn<Row>> columns_;
};

/// A source of the rows of one CSV file or several; the files are shared out among the nodes.
///
/// Columns are found by the name in the header, whatever their order; others are ignored. `Row` is
/// default-constructible; what its members may be is told in `<tensair/io/text_value.hpp>`.
/// @throws Error      a file cannot be read, or lacks a column
/// @throws BadRecord  too few or too many fields, a field that is no value of its member's type, a quote that is not
///                    closed, a row over `max_row`; names file, line and column. `on_error` can go on behind it.
///
/// @code
/// pipeline
///     .source(tensair::csv<Reading>("readings.csv", {{"sensor", &Reading::sensor}, {"celsius", &Reading::celsius}}))
///     .filter([](const Reading& one) { return one.celsius > 40; })
///     .sink(print);
/// @endcode
template <class Row>
auto csv(FileList files, std::vector<CsvColumn<Row>> columns, CsvOptions options = {}) -> Csv<Row> {
  return {std::move(files), std::move(columns), options};
}

}  // namespace tensair
