#pragma once

#include <filesystem>
#include <string>
#include <tensair/io/csv_column.hpp>
#include <tensair/io/output_file.hpp>
#include <tensair/runtime/node.hpp>
#include <utility>
#include <vector>

namespace tensair {

/// Appends a field of CSV, in quotes where RFC 4180 wants them.
/// @param alone  the only field of its row: then an empty one is quoted, so that its line is not empty
void append_csv_field(std::string_view field, char delimiter, bool alone, std::string& line);

/// The sink that `to_csv` makes.
template <class Row>
class ToCsv {
 public:
  ToCsv(std::filesystem::path path, std::vector<CsvColumn<Row>> columns, CsvOptions options, Roll roll)
      : file_(std::move(path), roll), columns_(std::move(columns)), options_(options) {}

  void open(runtime::Node& node) {
    std::string header;
    if (options_.header) write_row([&](std::size_t i) { field_ = columns_[i].name(); }, header);
    file_.open(node.clock(), std::move(header));
  }
  void operator()(const Row& row) {
    line_.clear();
    write_row([&](std::size_t i) { columns_[i].print(row, field_); }, line_);
    file_.write(line_);
  }
  void flush() { file_.flush(); }
  void finish() { file_.close(); }
  auto deadline() const -> Time { return file_.deadline(); }
  void tick(Time) { file_.flush(); }

 private:
  template <class Print>
  void write_row(Print print, std::string& line) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) line += options_.delimiter;
      field_.clear();
      print(i);
      append_csv_field(field_, options_.delimiter, columns_.size() == 1, line);
    }
    line += '\n';
  }

  OutputFile file_;
  std::vector<CsvColumn<Row>> columns_;
  CsvOptions options_;
  std::string field_, line_;
};

/// A sink that writes CSV, on node 0: a header (unless `options.header` is false) and a row a record. Numbers are
/// written so that `csv` reads back the same value. The file appears whole, when the stream has ended or it rolls; see
/// `OutputFile`.
/// @throws Error  (stops the pipeline) the file cannot be made or written, the disk is full
///
/// @code
/// readings.sink(tensair::to_csv<Reading>("hot.csv", {{"sensor", &Reading::sensor}, {"celsius", &Reading::celsius}}));
/// @endcode
template <class Row>
auto to_csv(std::filesystem::path path, std::vector<CsvColumn<Row>> columns, CsvOptions options = {}, Roll roll = {})
    -> ToCsv<Row> {
  return {std::move(path), std::move(columns), options, roll};
}

}  // namespace tensair
