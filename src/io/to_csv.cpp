#include <tensair/io/to_csv.hpp>

namespace tensair {

void append_csv_field(std::string_view field, char delimiter, bool alone, std::string& line) {
  const char special[] = {delimiter, '"', '\n', '\r', '\0'};
  if (field.find_first_of(special) == std::string_view::npos && !(alone && field.empty())) {
    line += field;
    return;
  }
  line += '"';
  for (const char c : field) {
    if (c == '"') line += '"';
    line += c;
  }
  line += '"';
}

}  // namespace tensair
