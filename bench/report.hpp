#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tensair/error.hpp>
#include <utility>
#include <vector>

namespace bench {

/// What one system reached.
struct Row {
  std::string system;  ///< for `--json`: "tensair", "limit", or a rival's name
  double value;
  std::optional<double> of_limit{};
  std::string label{};  ///< for people, where the system's name does not say enough
};

/// What a benchmark has measured: a table for each workload on standard output, and all rows for `--json`.
class Report {
 public:
  void table(const std::string& workload, const std::string& unit, const std::vector<Row>& rows) {
    fmt::print("{:<52}{:>18}{:>13}\n", workload, unit, "of limit");
    for (const auto& row : rows) {
      fmt::print("  {:<50}{:>18}{:>13}\n", row.label.empty() ? row.system : row.label, readable(row.value),
                 row.of_limit ? fmt::format("{:.3f}", *row.of_limit) : "");
      rows_.push_back({{"workload", workload}, {"system", row.system}, {"value", row.value}, {"unit", unit}});
      rows_.back()["of_limit"] = row.of_limit ? nlohmann::json(*row.of_limit) : nlohmann::json();
    }
    std::fflush(stdout);
  }

  /// A line below a table.
  template <class... Args>
  void note(fmt::format_string<Args...> format, Args&&... args) {
    fmt::print("  {}\n", fmt::format(format, std::forward<Args>(args)...));
    std::fflush(stdout);
  }

  void end_of_section() { fmt::print("\n"); }

  void write(const std::filesystem::path& file) const {
    auto out = std::ofstream{file};
    out << nlohmann::json(rows_).dump(2) << '\n';
    if (!out.flush()) throw tensair::Error{"the figures cannot be written", file.string(), "Check the folder."};
  }

 private:
  static auto readable(double value) -> std::string {
    if (value >= 1e6) return fmt::format("{:.2f} M", value / 1e6);
    return fmt::format("{:.{}f}", value, value >= 1000 ? 0 : value >= 10 ? 1 : 3);
  }

  std::vector<nlohmann::json> rows_;
};

}  // namespace bench
