// CSV of any bytes: every row is read or refused, and reading goes on behind it and ends.
#include <tensair/io/csv.hpp>

#include "fuzz.hpp"

auto fuzz::examples() -> std::vector<std::string> {
  return {"a,b,c\n1,2,3\n4,\"five, \"\"5\"\"\",6\r\n\n",
          "\xEF\xBB\xBF"
          "b;a\n1;2\n",
          "a,b\n\"one\ntwo\",2\n\"open,3\n", "a,b\nx\n1,2,3\n"};
}

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  static fuzz::File file;
  file.fill(fuzz::text_of(data, size));
  for (const char delimiter : {',', ';'}) {
    tensair::CsvOptions options;
    options.delimiter = delimiter;
    options.max_row = 256;
    try {
      tensair::CsvReader reader{file.path(), {"b", "a"}, options};
      for (std::size_t rows = 0;; ++rows) {
        fuzz::require(rows <= size + 1, "there are no more rows than bytes");
        try {
          if (!reader.next()) break;
          fuzz::require(reader.field(0).size() + reader.field(1).size() <= size, "fields are parts of the row");
        } catch (const tensair::BadRecord&) {
          continue;  // the row is refused; the next one is read
        }
      }
      fuzz::require(reader.offset().byte <= size, "the offset lies in the file");
    } catch (const tensair::BadRecord&) {
      fuzz::require(false, "bad rows are told by next()");
    } catch (const tensair::Error&) {
      continue;  // the header has no such column
    }
  }
  return 0;
}
