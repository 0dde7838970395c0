// JSON lines of any bytes: every line makes a value or is refused, and reading goes on behind it and ends.
#include <algorithm>
#include <tensair/io/json.hpp>

#include "fuzz.hpp"

namespace {
struct Reading {
  std::string sensor;
  double celsius = 0;
};
void from_json(const nlohmann::json& from, Reading& to) {
  from.at("sensor").get_to(to.sensor);
  from.at("celsius").get_to(to.celsius);
}
}  // namespace

auto fuzz::examples() -> std::vector<std::string> {
  return {"{\"sensor\":\"a\",\"celsius\":1.5}\n{\"sensor\":\"\\u00e4\",\"celsius\":-2e3}\n", "[1,2]\n\n{}\nnull\n",
          "{\"sensor\":1}"};
}

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  static fuzz::File file;
  const auto text = fuzz::text_of(data, size);
  file.fill(text);
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  auto source = tensair::json<Reading>(file.path(), {.max_line = 256});
  for (std::size_t read = 0;; ++read) {
    fuzz::require(read <= lines, "there are no more values than lines");
    try {
      if (!source.next()) break;
    } catch (const tensair::BadRecord&) {
      continue;  // the line is refused; the next one is read
    }
  }
  fuzz::require(source.offset().file == 1 || source.offset().byte == size, "it was read to the end");
  return 0;
}
