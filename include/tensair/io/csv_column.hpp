#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <tensair/io/text_value.hpp>
#include <tensair/plan/graph.hpp>
#include <typeinfo>
#include <utility>

namespace tensair {

/// A column of CSV and the member of `Row` that it is bound to.
///
/// @code
/// const std::vector<tensair::CsvColumn<Reading>> columns{{"sensor", &Reading::sensor},
///                                                        {"celsius", &Reading::celsius}};
/// @endcode
template <class Row>
class CsvColumn {
 public:
  template <class Value>
  CsvColumn(std::string name, Value Row::*member)
      : name_(std::move(name)),
        type_(plan::type_name(typeid(Value).name())),
        parse_([member](std::string_view text, Row& row) { return parse_value(text, row.*member); }),
        print_([member](const Row& row, std::string& text) { print_value(row.*member, text); }) {}

  auto name() const -> const std::string& { return name_; }
  /// The member's type, for errors.
  auto type() const -> const std::string& { return type_; }
  auto parse(std::string_view text, Row& row) const -> bool { return parse_(text, row); }
  void print(const Row& row, std::string& text) const { print_(row, text); }

 private:
  std::string name_, type_;
  std::function<bool(std::string_view, Row&)> parse_;
  std::function<void(const Row&, std::string&)> print_;
};

/// How CSV is written: what there is beside RFC 4180.
struct CsvOptions {
  char delimiter = ',';            ///< a tab for TSV, ';' where the comma is in numbers
  bool header = true;              ///< the first row has the columns' names; else columns are bound in order
  std::size_t max_row = 16 << 20;  ///< bytes; a longer row is a `BadRecord`
};

}  // namespace tensair
