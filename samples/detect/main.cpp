#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <iterator>
#include <string>

#include "arguments.hpp"
#include "numbers.hpp"

// A filter for the shell: numbers come in, a line goes out when a drift detector signals.

namespace {

using tensair::DriftLevel;

/// What is printed when a detector signals, and how many lines it could not take.
class Output {
 public:
  explicit Output(bool json) : json_(json) {}

  template <class D>
  void signal(std::uint64_t index, DriftLevel level, const D& detector) {
    const auto* name = level == DriftLevel::drift ? "drift" : "warning";
    if (json_) {
      // A statistic can be infinite, which JSON has no number for.
      const auto number = [](double value) { return std::isfinite(value) ? fmt::format("{}", value) : "null"; };
      fmt::format_to(std::back_inserter(text_), "{{\"index\":{},\"level\":\"{}\",\"statistic\":{},\"estimate\":{}}}\n",
                     index, name, number(detector.statistic()), number(detector.estimate()));
    } else {
      fmt::format_to(std::back_inserter(text_), "{} {}\n", index, name);
    }
  }

  /// Prints what has come together: whoever reads it need not wait for the end.
  void flush() {
    if (text_.size() == 0) return;
    if (std::fwrite(text_.data(), 1, text_.size(), stdout) != text_.size() || std::fflush(stdout) != 0)
      throw tensair::Error{"it cannot be written to", "standard output", "Check what reads it."};
    text_.clear();
  }

 private:
  bool json_;
  fmt::memory_buffer text_;
};

template <tensair::drift::Parameters P>
void filter(const P& parameters, const detect::Arguments& arguments) {
  auto detector = typename P::Detector{parameters};
  auto reader = detect::LineReader{STDIN_FILENO};
  auto output = Output{arguments.json};
  std::uint64_t index = 0, bad = 0;
  auto before = DriftLevel::none;

  const auto take = [&](std::string_view line) {
    double number = 0;
    if (!detect::read_number(line, number)) {
      constexpr std::size_t shown = 40;
      throw tensair::drift::BadValue{fmt::format("«{}» is not a number", line.substr(0, shown)),
                                     fmt::format("standard input, line {}", index)};
    }
    return detector.update(number);
  };
  for (auto lines = reader.next(); !lines.empty(); lines = reader.next()) {
    while (!lines.empty()) {
      const auto end = lines.find('\n');
      const auto line = lines.substr(0, end);
      lines.remove_prefix(end == lines.npos ? lines.size() : end + 1);
      ++index;
      auto level = DriftLevel::none;
      try {
        level = take(line);
      } catch (const tensair::drift::BadValue& error) {
        output.flush();
        if (!arguments.skip_bad) {
          throw tensair::Error{error.failed(), fmt::format("standard input, line {}", index),
                               error.remedy().empty() ? "Give one number a line, or --skip-bad."
                                                      : error.remedy() + " Or give --skip-bad."};
        }
        ++bad;
        continue;
      }
      if (level != DriftLevel::none && !(level == DriftLevel::warning && before == level))
        output.signal(index, level, detector);
      before = level;
    }
    output.flush();
  }
  if (bad != 0) fmt::print(stderr, "detect: skipped {} of {} lines\n", bad, index);
}

auto run(const detect::Arguments& arguments) -> int {
  if (arguments.help) {
    fmt::print("{}", detect::help());
    return 0;
  }
  if (arguments.list) {
    fmt::print("{}", detect::list(arguments.json));
    return 0;
  }
  bool found = false;
  tensair::drift::for_each_detector([&](auto parameters) {
    if (decltype(parameters)::Detector::name != arguments.detector) return;
    found = true;
    detect::set(parameters, arguments.parameters);
    filter(parameters, arguments);
  });
  if (!found) {
    throw tensair::UsageError{
        arguments.detector.empty() ? "no detector is named" : "there is no detector «" + arguments.detector + "»", "",
        "See detect --list."};
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(detect::parse({argv + 1, argv + argc}));
  } catch (const tensair::Error& error) {
    fmt::print(stderr, "detect: {}\n", error.what());
    return static_cast<int>(error.exit_code());
  }
}
