#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <tensair/io/csv.hpp>

namespace tensair {
namespace {

constexpr char quote = '"';
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
constexpr std::size_t shown = 80;  // of a text that is wrong, for people

auto shortened(std::string_view text) -> std::string {
  return text.size() <= shown ? std::string(text) : std::string(text.substr(0, shown)) + "…";
}

}  // namespace

CsvReader::CsvReader(FileList files, std::vector<std::string> names, CsvOptions options)
    : reader_(std::move(files), TextOptions{.max_line = options.max_row}), names_(std::move(names)), options_(options) {
  if (names_.empty()) throw UsageError("CSV without columns", {}, "Bind at least one: {\"name\", &Row::member}.");
  if (options.delimiter == quote || options.delimiter == '\n' || options.delimiter == '\r')
    throw UsageError("a quote or a line's end delimits columns of CSV", {}, "Take ',', ';' or '\\t'.");
  for (std::size_t i = 0; i < names_.size(); ++i) places_.push_back(i);  // without a header they stay so
}

auto CsvReader::next() -> bool {
  if (sought_) {
    // The header is at the file's start, whatever the offset.
    const auto offset = *std::exchange(sought_, std::nullopt);
    if (options_.header && offset.byte > 0) {
      reader_.seek({offset.file, 0, 0});
      if (!read_row()) return false;
      read_header();
    }
    reader_.seek(offset);
    if (offset.byte == 0) header_file_.reset();
  }
  if (!read_row()) return false;
  while (options_.header && header_file_ != reader_.file()) {
    read_header();
    if (!read_row()) return false;
  }
  const auto columns = options_.header ? header_.size() : names_.size();
  if (fields_.size() != columns) {
    bad(fmt::format("a row has {} {}, not {}", fields_.size(), fields_.size() == 1 ? "field" : "fields", columns),
        fmt::format("{}, column {}", place(), std::min(fields_.size(), columns) + 1),
        "Complete the row, or quote a field that holds the delimiter.");
  }
  return true;
}

// Fields of the next row that is not empty.
auto CsvReader::read_row() -> bool {
  auto line = reader_.next();
  while (line && (line->empty() || *line == "\r")) line = reader_.next();
  if (!line) return false;
  if (reader_.line() == 1 && line->starts_with(byte_order_mark)) line->remove_prefix(byte_order_mark.size());
  row_line_ = reader_.line();
  fields_.clear();
  if (std::memchr(line->data(), quote, line->size()) == nullptr) {
    split_plain(*line);
    return true;
  }
  line_ = {};
  text_.clear();
  ends_.clear();
  state_ = State::field_start;
  std::size_t bytes = line->size();
  parse_line(*line);
  while (state_ == State::quoted) {
    const auto opened = ends_.size();
    line = text_.size() > options_.max_row ? std::nullopt : reader_.next();
    if (!line) {
      bad("a quote is not closed", fmt::format("{}, column {}", place(), opened + 1),
          "Close it; a quote that is text is doubled.");
    }
    text_ += '\n';
    bytes += 1 + line->size();
    parse_line(*line);
  }
  if (bytes > options_.max_row) {
    bad(fmt::format("a row is longer than {} bytes", options_.max_row), place(),
        "Raise max_row, or check that no quote is missing.");
  }
  std::size_t begin = 0;
  for (const auto end : ends_) {
    fields_.emplace_back(text_.data() + begin, end - begin);
    begin = end;
  }
  return true;
}

void CsvReader::split_plain(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  line_ = line;
  while (true) {
    const auto end = line.find(options_.delimiter);
    fields_.push_back(line.substr(0, end));
    if (end == std::string_view::npos) return;
    line.remove_prefix(end + 1);
  }
}

// Goes on with a row at its next line: in quotes, or at the row's start.
void CsvReader::parse_line(std::string_view line) {
  std::size_t i = 0;
  while (i < line.size()) {
    switch (state_) {
      case State::field_start:
        state_ = line[i] == quote ? State::quoted : State::plain;
        if (state_ == State::quoted) ++i;
        break;
      case State::plain: {
        const auto end = std::min(line.find(options_.delimiter, i), line.size());
        text_ += line.substr(i, end - i);
        i = end;
        if (end == line.size()) {
          if (text_.ends_with('\r')) text_.pop_back();
        } else {
          end_field();
          ++i;
        }
        break;
      }
      case State::quoted: {
        const auto end = std::min(line.find(quote, i), line.size());
        text_ += line.substr(i, end - i);
        i = end;
        if (end < line.size()) {
          state_ = State::after_quote;
          ++i;
        }
        break;
      }
      case State::after_quote:
        if (line[i] == quote) {
          text_ += quote;
          state_ = State::quoted;
        } else if (line[i] == options_.delimiter) {
          end_field();
        } else if (line[i] != '\r' || i + 1 < line.size()) {
          bad("text behind a closing quote", fmt::format("{}, column {}", place(), ends_.size() + 1),
              "Double a quote that is text.");
        }
        ++i;
        break;
    }
  }
  if (state_ != State::quoted) end_field();
}

void CsvReader::end_field() {
  ends_.push_back(text_.size());
  state_ = State::field_start;
}

void CsvReader::read_header() {
  header_.assign(fields_.begin(), fields_.end());
  header_file_ = reader_.file();
  places_.clear();
  for (const auto& name : names_) {
    const auto found = std::find(header_.begin(), header_.end(), name);
    if (found == header_.end()) {
      throw Error(fmt::format("a column «{}» is missing: the header has {}", shortened(name),
                              shortened(fmt::format("{}", fmt::join(header_, ", ")))),
                  place(), "Correct the header, or the column's name.");
    }
    if (std::find(found + 1, header_.end(), name) != header_.end())
      throw Error(fmt::format("two columns are called «{}»", shortened(name)), place(), "Rename one.");
    places_.push_back(static_cast<std::size_t>(found - header_.begin()));
  }
}

void CsvReader::reject(std::size_t wanted, const std::string& type) const {
  const auto column = places_[wanted];
  bad(fmt::format("«{}» is no {}", shortened(fields_[column]), type),
      fmt::format("{}, column {} («{}»)", place(), column + 1, names_[wanted]), "Correct the field.");
}

auto CsvReader::place() const -> std::string {
  return fmt::format("{}, line {}", reader_.path().string(), row_line_);
}

void CsvReader::bad(const std::string& failed, const std::string& place, const std::string& remedy) const {
  throw BadRecord(failed, place, remedy, std::string(line_.data() != nullptr ? line_ : std::string_view(text_)));
}

}  // namespace tensair
