#include "profile_file.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tensair/error.hpp>

#include "read_file.hpp"

namespace tensair::detail {
namespace {

using nlohmann::json;

void add(json& sums, const json& values, double unit) {
  for (const auto& [title, value] : values.items()) sums[title] = sums.value(title, 0.0) + unit * value.get<double>();
}

}  // namespace

auto profile_of(const std::vector<std::string>& reports, double seconds) -> std::string {
  json busy = json::object(), bytes = json::object();
  for (const auto& text : reports) {
    const auto report = json::parse(text);
    add(busy, report.at("busy_microseconds"), 1e-6);
    add(bytes, report.at("edge_bytes"), 1);
  }
  return json{{"seconds", seconds}, {"busy_seconds", busy}, {"bytes", bytes}}.dump(2);
}

auto read_profile(const std::filesystem::path& file) -> plan::Profile {
  const std::string remedy = "Make one with --profile.";
  const auto text = read_file(file, "the profile", remedy);
  try {
    const auto document = json::parse(text);
    plan::Profile profile;
    document.at("seconds").get_to(profile.seconds);
    document.at("busy_seconds").get_to(profile.busy);
    document.at("bytes").get_to(profile.bytes);
    const auto negative = [](const auto& figure) { return figure.second < 0; };
    if (profile.seconds < 0 || std::any_of(profile.busy.begin(), profile.busy.end(), negative) ||
        std::any_of(profile.bytes.begin(), profile.bytes.end(), negative)) {
      throw UsageError("this profile has times or bytes that there cannot be", file.string(), remedy);
    }
    return profile;
  } catch (const json::exception&) {
    throw UsageError("this is no profile", file.string(), remedy);
  }
}

}  // namespace tensair::detail
