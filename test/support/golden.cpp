#include "support/golden.hpp"

#include <fstream>
#include <sstream>

namespace tensair::test {

namespace {

auto fields(const std::string& line) -> std::vector<std::string> {
  std::vector<std::string> all(1);
  for (const char c : line) {
    if (c == '\t') {
      all.emplace_back();
    } else if (c != '\r') {
      all.back() += c;
    }
  }
  all.resize(std::max<std::size_t>(all.size(), 5));
  return all;
}

template <class T>
auto numbers_in(const std::string& text) -> std::vector<T> {
  std::vector<T> all;
  auto stream = std::istringstream{text};
  for (T one{}; stream >> one;) all.push_back(one);
  return all;
}

}  // namespace

auto beginnings(const std::vector<std::uint64_t>& warnings) -> std::vector<std::uint64_t> {
  std::vector<std::uint64_t> begin;
  for (std::size_t i = 0; i < warnings.size(); ++i) {
    if (i == 0 || warnings[i - 1] + 1 != warnings[i]) begin.push_back(warnings[i]);
  }
  return begin;
}

auto read_golden(const std::filesystem::path& folder) -> Golden {
  Golden golden;
  std::string line;
  for (auto file = std::ifstream{folder / "streams.tsv"}; std::getline(file, line);) {
    const auto row = fields(line);
    if (row[0] != "scenario") golden.streams[row[0] + " " + row[1]] = numbers_in<double>(row[2]);
  }
  for (auto file = std::ifstream{folder / "detections.tsv"}; std::getline(file, line);) {
    const auto row = fields(line);
    if (row[0] == "scenario") continue;
    golden.said[row[0] + " " + row[1]][row[2]] = {numbers_in<std::uint64_t>(row[3]), numbers_in<std::uint64_t>(row[4])};
  }
  return golden;
}

}  // namespace tensair::test
