#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <set>
#include <tensair/compression.hpp>
#include <tensair/error.hpp>
#include <tensair/flags.hpp>
#include <utility>

#include "device_name.hpp"
#include "placement.hpp"
#include "token.hpp"

// CLI11 cuts the command line into flags and their texts; what a text means, the help and the words of every error are
// here, so that all flags of all programs speak alike and none depends on the CLI11 version.

namespace tensair {
namespace {

/// One flag: how it is written, shown and read.
struct Flag {
  enum class Kind { value, optional_value, toggle };

  Kind kind;
  std::string name;       ///< with its dashes
  std::string shape;      ///< its value in the help: "N"
  std::string takes;      ///< its value in an error: "a whole number"
  std::string help;       ///< one line
  std::string otherwise;  ///< shown as the default; may be empty
  std::function<void(const std::string& text)> assign;

  auto heading() const -> std::string {
    switch (kind) {
      case Kind::toggle:
        return "--[no-]" + name.substr(2);
      case Kind::optional_value:
        return fmt::format("{}[={}]", name, shape);
      default:
        return shape.empty() ? name : name + " " + shape;
    }
  }
};

auto number_flag(std::string name, std::string takes, std::string help, std::string otherwise,
                 std::function<void(const std::string&)> assign) -> Flag {
  return {Flag::Kind::value,    std::move(name),  "N", std::move(takes), std::move(help),
          std::move(otherwise), std::move(assign)};
}

/// @throws UsageError  unless the text is a number of type T
template <class T>
auto read_number(const std::string& name, const std::string& takes, const std::string& text) -> T {
  auto value = T{};
  const char* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, value);
  if (stop == end && failure == std::errc::result_out_of_range) {
    const auto range = fmt::format("{} from {} to {}", std::is_integral_v<T> ? "a whole number" : "a number",
                                   std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max());
    throw detail::bad_value(name, range, text);
  }
  if (text.empty() || stop != end || failure != std::errc{}) throw detail::bad_value(name, takes, text);
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) throw detail::bad_value(name, takes, text);
  }
  return value;
}

auto read_switch(const std::string& name, const std::string& text) -> bool {
  if (text == "true" || text == "yes" || text == "on" || text == "1") return true;
  if (text == "false" || text == "no" || text == "off" || text == "0") return false;
  throw detail::bad_value(name, "no value, or yes or no", text);
}

auto read_choice(const std::string& name, const std::vector<std::string>& choices, const std::string& text)
    -> std::string {
  if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
    throw detail::bad_value(name, fmt::format("one of {}", fmt::join(choices, ", ")), text);
  }
  return text;
}

auto read_compression(const std::string& name, const std::string& text) -> enum compression {
  const auto choice = read_choice(name, {"none", "lz4", "zstd"}, text);
  const auto method = choice == "lz4"    ? compression::lz4
                      : choice == "zstd" ? compression::zstd
                                         : compression::none;
  require_available(method, name + " " + choice);
  return method;
}

constexpr auto longest_deadline = 1e6;  // seconds: 11 days, and far from the end of any clock's arithmetic

auto read_seconds(const std::string& name, const std::string& takes, const std::string& text, bool may_be_zero) {
  const auto seconds = read_number<double>(name, takes, text);
  if (seconds < 0 || (seconds == 0 && !may_be_zero) || seconds > longest_deadline)
    throw detail::bad_value(name, takes, text);
  return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>{seconds});
}

auto seconds_text(std::chrono::milliseconds time) -> std::string {
  return fmt::format("{}", std::chrono::duration<double>{time}.count());
}

/// The flags of every program. What they say goes to `options` and `given`, which must outlive the list.
auto common_flags(Options& options, detail::Given& given) -> std::vector<Flag> {
  using Kind = Flag::Kind;
  const auto whole = [](std::string name, int low, int high, std::string help, std::optional<int>& target,
                        std::string otherwise = {}) {
    const auto takes = fmt::format("a whole number from {} to {}", low, high);
    return number_flag(name, takes, std::move(help), std::move(otherwise),
                       [=, &target](const auto& text) { target = detail::read_whole(name, text, low, high); });
  };
  const std::string seed = "a whole number from 0 on";

  auto flags = std::vector<Flag>{};
  flags.push_back(whole("--local", 1, detail::most_nodes, "run N nodes as N processes on this machine", given.local));
  flags.push_back({Kind::value, "--nodes", "HOST:PORT,...", "host:port of every node",
                   "the address of every node, in order of rank", "", [&](const auto& text) { given.nodes = text; }});
  flags.push_back({Kind::value, "--cluster", "FILE", "a file", "has every node's address, workers and labels, as JSON",
                   "", [&](const auto& text) { given.cluster = text; }});
  flags.push_back(whole("--rank", 0, detail::most_nodes - 1, "which of the nodes this one is, from 0", given.rank));
  flags.push_back({Kind::optional_value, "--explain", "text|dot", "one of text, dot",
                   "print the physical plan and exit", "", [&](const auto& text) {
                     const auto choice = read_choice("--explain", {"text", "dot"}, text);
                     options.explain = choice == "dot" ? Options::Explain::dot : Options::Explain::text;
                   }});
  flags.push_back({Kind::value, "--json", "FILE", "a file", "when the run ends, write its figures there", "",
                   [&](const auto& text) { options.json = text; }});
  flags.push_back({Kind::value, "--overlay", "mesh|tree", "one of mesh, tree",
                   "the links that models' deltas travel; a mesh of up to 8 nodes, else a tree", "",
                   [&](const auto& text) {
                     const auto choice = read_choice("--overlay", {"mesh", "tree"}, text);
                     options.overlay = choice == "mesh" ? overlay::mesh : overlay::tree;
                   }});
  flags.push_back({Kind::value, "--device", "DEVICE", detail::device_names,
                   "where models' replicas compute, where the program does not say; auto: on GPUs if there are any",
                   "cpu", [&](const auto& text) {
                     if (!detail::is_device_name(text)) throw detail::bad_value("--device", detail::device_names, text);
                     options.device = text;
                   }});
  flags.push_back({Kind::value, "--profile", "FILE", "a file",
                   "measure what the pipeline's parts cost, and write it there when the run ends", "",
                   [&](const auto& text) { options.profile = text; }});
  flags.push_back({Kind::value, "--use-profile", "FILE", "a file",
                   "place operators so that little is sent, as such a profile tells", "",
                   [&](const auto& text) { options.use_profile = text; }});
  flags.push_back(whole("--threads", 0, detail::most_threads, "worker threads of a node; 0: one for each core",
                        given.threads, "0"));
  flags.push_back(
      number_flag("--seed", seed, "all randomness follows from it", fmt::format("{}", options.seed),
                  [&, seed](const auto& text) { options.seed = read_number<std::uint64_t>("--seed", seed, text); }));
  flags.push_back({Kind::toggle, "--quiet", "", "", "no progress bar", "no",
                   [&](const auto& text) { options.quiet = read_switch("--quiet", text); }});
  flags.push_back({Kind::value, "--compress", "none|lz4|zstd", "one of none, lz4, zstd",
                   "how records that go to another node are compressed, where the program does not say", "none",
                   [&](const auto& text) { options.compression = read_compression("--compress", text); }});
  const auto duration = [](std::string name, std::string help, std::chrono::milliseconds& target, bool may_be_zero) {
    const std::string takes = may_be_zero ? "a number of seconds, from 0 on" : "a number of seconds, more than 0";
    const auto otherwise = seconds_text(target);
    return Flag{Kind::value, name, "SECONDS", takes, std::move(help), otherwise, [=, &target](const auto& text) {
                  target = read_seconds(name, takes, text, may_be_zero);
                }};
  };
  flags.push_back(
      duration("--connect-deadline", "how long to wait for the other nodes", options.connect_deadline, false));
  flags.push_back(duration(
      "--heartbeat", "how often a node tells the others that it is alive; 0: never, and a silent one is not missed",
      options.heartbeat, true));
  flags.push_back(duration("--silence", "how long nothing may be heard of a node before it is taken for lost",
                           options.silence, false));
  flags.push_back(duration("--outage",
                           "how long a connection that was cut may take to come back; 0: the run ends at once",
                           options.outage, true));
  flags.push_back({Kind::value, "--token-file", "FILE", "a file", "has the secret that every node must prove to have",
                   "", [&](const auto& text) { options.token = detail::read_token(text); }});
  flags.push_back({Kind::value, "--help", "", "", "this text", "", {}});
  return flags;
}

/// How many letters to insert, drop, change or swap with a neighbour to make `a` into `b`.
auto edit_distance(const std::string& a, const std::string& b) -> std::size_t {
  auto table = std::vector(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        table[i][j] = i + j;
        continue;
      }
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      table[i][j] = std::min({table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        table[i][j] = std::min(table[i][j], table[i - 2][j - 2] + 1);
      }
    }
  }
  return table[a.size()][b.size()];
}

/// The name closest to `unknown`, or "" when none is near.
auto nearest(const std::string& unknown, const std::vector<std::string>& names) -> std::string {
  auto best = std::string{};
  auto distance = std::max<std::size_t>(2, unknown.size() / 3) + 1;  // a third of the letters wrong is another word
  for (const auto& name : names) {
    if (unknown.size() > 4 && name.starts_with(unknown)) return name;
    if (const auto d = edit_distance(unknown, name); d < distance && d + 2 < name.size()) {
      distance = d;
      best = name;
    }
  }
  return best;
}

auto help_lines(const std::vector<Flag>& flags, std::size_t width) -> std::string {
  auto text = std::string{};
  for (const auto& flag : flags) {
    const auto otherwise = flag.otherwise.empty() ? "" : fmt::format(" (default {})", flag.otherwise);
    text += fmt::format("  {:<{}}  {}{}\n", flag.heading(), width, flag.help, otherwise);
  }
  return text;
}

auto help_text(const std::string& program, const std::string& description, const std::vector<Flag>& own,
               const std::vector<Flag>& common) -> std::string {
  std::size_t width = 0;
  for (const auto* flags : {&own, &common}) {
    for (const auto& flag : *flags) width = std::max(width, flag.heading().size());
  }
  auto text = fmt::format("Usage: {} [FLAGS]\n", program);
  if (!description.empty()) text += description + "\n";
  if (!own.empty()) text += "\n" + help_lines(own, width);
  return text + "\nEvery tensair program:\n" + help_lines(common, width);
}

/// What CLI11 found: for each flag its last text, if it was given; and what belongs to none.
struct Cut {
  std::map<std::string, std::string> texts;
  std::vector<std::string> extras;
};

auto cut(const std::vector<std::string>& arguments, const std::vector<const Flag*>& flags) -> Cut {
  auto app = CLI::App{};
  app.set_help_flag();
  app.allow_extras();
  auto options = std::vector<std::pair<const Flag*, CLI::Option*>>{};
  for (const auto* flag : flags) {
    auto* option = [&] {
      if (flag->name == "--help") return app.add_flag("-h,--help");
      if (flag->kind == Flag::Kind::toggle) return app.add_flag(flag->name + ",!--no-" + flag->name.substr(2));
      if (flag->kind == Flag::Kind::optional_value) return app.add_flag(flag->name + "{text}");
      return app.add_option(flag->name, CLI::callback_t{[](const CLI::results_t&) { return true; }});
    }();
    options.emplace_back(flag, option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast));
  }

  auto reversed = std::vector<std::string>{arguments.rbegin(), arguments.rend()};
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ArgumentMismatch&) {
    // The only way not to match is to end before the value.
    for (const auto* flag : flags) {
      if (flag->name == arguments.back()) {
        throw UsageError{
            fmt::format("{} takes {}, and nothing follows it", flag->name, flag->takes), {}, "See --help."};
      }
    }
    throw;
  } catch (const CLI::ParseError& error) {
    throw UsageError{error.what(), "command line", "See --help."};
  }

  auto found = Cut{{}, app.remaining()};
  for (const auto& [flag, option] : options) {
    if (option->count() > 0) found.texts[flag->name] = option->results().back();
  }
  std::erase(found.extras, "--");
  return found;
}

[[noreturn]] void refuse(const std::string& extra, const std::vector<const Flag*>& flags) {
  if (!extra.starts_with('-')) throw UsageError{fmt::format("unexpected argument '{}'", extra), {}, "See --help."};
  auto names = std::vector<std::string>{};
  for (const auto* flag : flags) {
    names.push_back(flag->name);
    if (flag->kind == Flag::Kind::toggle) names.push_back("--no-" + flag->name.substr(2));
  }
  const auto unknown = extra.substr(0, extra.find('='));
  const auto near = nearest(unknown, names);
  throw UsageError{fmt::format("unknown flag {}", unknown),
                   {},
                   near.empty() ? "See --help." : fmt::format("Did you mean {}?", near)};
}

/// CLI11 would take the next argument for the value of `--json=`.
void refuse_empty_values(const std::vector<std::string>& arguments) {
  for (const auto& argument : arguments) {
    if (argument == "--") return;
    if (argument.starts_with("--") && argument.find('=') == argument.size() - 1) {
      throw UsageError{fmt::format("{} has no value", argument), {}, "See --help."};
    }
  }
}

}  // namespace

struct Flags::State {
  std::string program;
  std::string description;
  std::vector<Flag> flags;

  void add(Flag flag) {
    const auto allowed = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    };
    if (flag.name.size() < 3 || !flag.name.starts_with("--") || flag.name[2] == '-' ||
        !std::all_of(flag.name.begin(), flag.name.end(), allowed)) {
      throw Error{fmt::format("'{}' cannot be a flag", flag.name), program, "Name it --like-this."};
    }
    auto options = Options{};
    auto given = detail::Given{};
    auto taken = std::set<std::string>{};
    for (const auto& list : {flags, common_flags(options, given)}) {
      for (const auto& other : list) {
        taken.insert(other.name);
        if (other.kind == Flag::Kind::toggle) taken.insert("--no-" + other.name.substr(2));
      }
    }
    if (taken.contains(flag.name) ||
        (flag.kind == Flag::Kind::toggle && taken.contains("--no-" + flag.name.substr(2)))) {
      throw Error{fmt::format("there is a flag {} already", flag.name), program, "Give it another name."};
    }
    flags.push_back(std::move(flag));
  }
};

auto Flags::program() const -> const std::string& {
  return state_->program;
}

Flags::Flags(std::string program, std::string description)
    : state_(std::make_unique<State>(State{std::move(program), std::move(description), {}})) {}
Flags::Flags(Flags&&) noexcept = default;
auto Flags::operator=(Flags&&) noexcept -> Flags& = default;
Flags::~Flags() = default;

auto Flags::add(std::string name, int& variable, std::string help) -> Flags& {
  state_->add(
      number_flag(name, "a whole number", std::move(help), fmt::format("{}", variable),
                  [=, &variable](const auto& text) { variable = read_number<int>(name, "a whole number", text); }));
  return *this;
}

auto Flags::add(std::string name, std::uint64_t& variable, std::string help) -> Flags& {
  const std::string takes = "a whole number from 0 on";
  state_->add(number_flag(name, takes, std::move(help), fmt::format("{}", variable), [=, &variable](const auto& text) {
    variable = read_number<std::uint64_t>(name, takes, text);
  }));
  return *this;
}

auto Flags::add(std::string name, double& variable, std::string help) -> Flags& {
  state_->add(
      number_flag(name, "a number", std::move(help), fmt::format("{}", variable),
                  [=, &variable](const auto& text) { variable = read_number<double>(name, "a number", text); }));
  return *this;
}

auto Flags::add(std::string name, std::string& variable, std::string help) -> Flags& {
  state_->add({Flag::Kind::value, std::move(name), "TEXT", "a text", std::move(help), variable,
               [&variable](const auto& text) { variable = text; }});
  return *this;
}

auto Flags::add(std::string name, std::filesystem::path& variable, std::string help) -> Flags& {
  state_->add({Flag::Kind::value, std::move(name), "PATH", "a path", std::move(help), variable.string(),
               [&variable](const auto& text) { variable = text; }});
  return *this;
}

auto Flags::add(std::string name, std::string& variable, std::vector<std::string> choices, std::string help) -> Flags& {
  state_->add({Flag::Kind::value, name, fmt::format("{}", fmt::join(choices, "|")),
               fmt::format("one of {}", fmt::join(choices, ", ")), std::move(help), variable,
               [=, &variable](const auto& text) { variable = read_choice(name, choices, text); }});
  return *this;
}

auto Flags::add(std::string name, bool& variable, std::string help) -> Flags& {
  state_->add({Flag::Kind::toggle, name, "", "", std::move(help), variable ? "yes" : "no",
               [=, &variable](const auto& text) { variable = read_switch(name, text); }});
  return *this;
}

auto Flags::parse(int argc, const char* const* argv) -> Options {
  return parse(argc, argv, [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>{value};
  });
}

auto Flags::parse(int argc, const char* const* argv, const Environment& environment) -> Options {
  auto options = Options{};
  auto given = detail::Given{};
  const auto common = common_flags(options, given);
  auto flags = std::vector<const Flag*>{};
  for (const auto& flag : state_->flags) flags.push_back(&flag);
  for (const auto& flag : common) flags.push_back(&flag);

  options.program = state_->program;
  options.arguments.assign(argv, argv + argc);
  const auto rest = std::vector<std::string>{argv + std::min(argc, 1), argv + argc};
  refuse_empty_values(rest);
  const auto found = cut(rest, flags);
  if (found.texts.contains("--help")) {
    throw HelpRequested{help_text(state_->program, state_->description, state_->flags, common)};
  }
  if (!found.extras.empty()) refuse(found.extras.front(), flags);
  for (const auto* flag : flags) {
    if (const auto text = found.texts.find(flag->name); text != found.texts.end()) flag->assign(text->second);
  }
  if (options.silence < 2 * options.heartbeat) {
    throw UsageError{
        fmt::format("--silence {} is too short for --heartbeat {}: a node that is alive would be taken for lost",
                    seconds_text(options.silence), seconds_text(options.heartbeat)),
        "", "Let it be silent for two heartbeats at least."};
  }
  detail::place(options, given, environment);
  return options;
}

}  // namespace tensair
