#include <fmt/format.h>
#include <tensair/error.hpp>
#include <utility>

namespace tensair {
namespace {

auto one_line(std::string text) -> std::string {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

auto compose(const std::string& failed, const std::string& place, const std::string& remedy) -> std::string {
  std::string line = failed;
  if (!place.empty()) line += fmt::format(" ({})", place);
  if (!remedy.empty()) line += fmt::format("{}{}", failed.ends_with('.') && place.empty() ? " " : ". ", remedy);
  return one_line(std::move(line));
}

}  // namespace

Error::Error(std::string failed, std::string place, std::string remedy, ExitCode exit_code)
    : std::runtime_error(compose(failed, place, remedy)),
      failed_(std::move(failed)),
      place_(std::move(place)),
      remedy_(std::move(remedy)),
      exit_code_(exit_code) {}

UsageError::UsageError(std::string failed, std::string place, std::string remedy)
    : Error(std::move(failed), std::move(place), std::move(remedy), ExitCode::usage) {}

UserError::UserError(std::string operator_name, int node, std::uint64_t record, const std::string& thrown,
                     const std::string& called_for)
    : Error(fmt::format("{} threw: {}", operator_name, thrown), called_for.empty()
                                                                    ? fmt::format("node {}, record {}", node, record)
                                                                    : fmt::format("node {}, {}", node, called_for)),
      operator_name_(std::move(operator_name)),
      node_(node),
      record_(record) {}

NodeError::NodeError(int node, std::string failed, std::string place, std::string remedy)
    : Error(std::move(failed), std::move(place), std::move(remedy)), node_(node) {}

}  // namespace tensair
