#include "arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace detect {

namespace {

auto replaced(std::string text, char from, char to) -> std::string {
  std::replace(text.begin(), text.end(), from, to);
  return text;
}

}  // namespace

auto parse(const std::vector<std::string>& words) -> Arguments {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto& word = words[i];
    if (!word.starts_with("--")) {
      if (!arguments.detector.empty() || word.starts_with("-") || word.empty())
        throw tensair::UsageError{"«" + word + "» is no flag", "", "See detect --help."};
      arguments.detector = replaced(word, '-', '_');
      continue;
    }
    const auto equals = word.find('=');
    const auto name = replaced(word.substr(2, equals - 2), '-', '_');
    if (equals != word.npos) {
      arguments.parameters[name] = word.substr(equals + 1);
    } else if (name == "list") {
      arguments.list = true;
    } else if (name == "help") {
      arguments.help = true;
    } else if (name == "json") {
      arguments.json = true;
    } else if (name == "skip_bad") {
      arguments.skip_bad = true;
    } else if (i + 1 < words.size() && !words[i + 1].starts_with("--")) {
      arguments.parameters[name] = words[++i];
    } else {
      arguments.parameters[name] = "";
    }
  }
  return arguments;
}

auto help() -> std::string {
  return "detect DETECTOR [--PARAMETER VALUE]... [--json] [--skip-bad] < numbers\n"
         "detect --list [--json]\n\n"
         "Reads one number a line and prints a line when the detector signals: INDEX drift, or INDEX warning where\n"
         "a warning begins. INDEX is how many lines there have been.\n\n"
         "  --list       the detectors, with their parameters and defaults\n"
         "  --json       print objects with index, level, statistic and estimate\n"
         "  --skip-bad   count lines that the detector cannot take, instead of stopping at the first\n";
}

auto list(bool json) -> std::string {
  std::string text;
  nlohmann::ordered_json all;
  tensair::drift::for_each_detector([&](auto parameters) {
    using P = decltype(parameters);
    const auto name = std::string{P::Detector::name};
    if (!text.empty()) text += '\n';
    text += name + '\n';
    P::each(parameters,
            [&](std::string_view parameter, auto value, double least, double greatest, std::string_view what) {
              const auto flag = replaced(std::string{parameter}, '_', '-');
              text += fmt::format("  --{:<16}{:<10}{}\n", flag, value, what);
              all[name][std::string{parameter}] = {
                  {"default", value}, {"least", least}, {"greatest", greatest}, {"what", what}};
            });
  });
  return json ? all.dump(2) + '\n' : text;
}

}  // namespace detect
