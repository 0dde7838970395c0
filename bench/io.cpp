// How fast text comes from the page cache: the lines' source against a loop of read and memchr, and typed CSV against a
// loop that splits and converts by hand.

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <tensair/io/csv.hpp>
#include <tensair/io/lines.hpp>
#include <tensair/pipeline.hpp>
#include <vector>

#include "report.hpp"
#include "statistics.hpp"

namespace {

struct Reading {
  int number = 0;
  double celsius = 0;
};

auto processor_seconds() -> double {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void check(bool good) {
  if (!good) throw tensair::Error("two ways of reading the same file differ", "bench io", "");
}

struct Totals {
  std::size_t lines = 0, bytes = 0;
  friend auto operator==(const Totals&, const Totals&) -> bool = default;
};

auto read_by_hand(const std::string& file) -> Totals {
  const int in = ::open(file.c_str(), O_RDONLY);
  if (in < 0) throw tensair::Error("a file cannot be opened", file, "");
  std::vector<char> block(256 * 1024);
  Totals totals;
  std::size_t kept = 0;
  for (ssize_t n = 0; (n = ::read(in, block.data() + kept, block.size() - kept)) > 0;) {
    const char* begin = block.data();
    const char* const end = begin + kept + n;
    const char* from = begin + kept;
    while (const auto* newline =
               static_cast<const char*>(std::memchr(from, '\n', static_cast<std::size_t>(end - from)))) {
      ++totals.lines;
      totals.bytes += static_cast<std::size_t>(newline - begin);
      begin = from = newline + 1;
    }
    kept = static_cast<std::size_t>(end - begin);
    std::memmove(block.data(), begin, kept);
  }
  ::close(in);
  return totals;
}

auto read_lines(const std::string& file) -> Totals {
  Totals totals;
  tensair::Pipeline pipeline;
  pipeline.source(tensair::lines(file))
      .filter([&](std::string_view line) {
        ++totals.lines;
        totals.bytes += line.size();
        return false;
      })
      .sink([](std::string_view) {});
  pipeline.execute();
  return totals;
}

auto sum_by_hand(const std::string& file) -> double {
  double sum = 0;
  bool header = true;
  auto source = tensair::lines(file);  // of equal speed as the loop above
  while (const auto line = source.next()) {
    if (std::exchange(header, false)) continue;
    Reading reading;
    const auto [comma, bad] = std::from_chars(line->data(), line->data() + line->size(), reading.number);
    const auto [end, worse] = std::from_chars(comma + 1, line->data() + line->size(), reading.celsius);
    check(bad == std::errc{} && worse == std::errc{} && end == line->data() + line->size());
    sum += reading.celsius;
  }
  return sum;
}

auto sum_csv(const std::string& file) -> double {
  double sum = 0;
  tensair::Pipeline pipeline;
  pipeline.source(tensair::csv<Reading>(file, {{"number", &Reading::number}, {"celsius", &Reading::celsius}}))
      .filter([&](const Reading& reading) {
        sum += reading.celsius;
        return false;
      })
      .sink([](const Reading&) {});
  pipeline.execute();
  return sum;
}

/// Processor seconds of both ways, alternating: medians.
auto compare(int times, const std::function<void()>& limit, const std::function<void()>& ours) {
  std::vector<double> limits, own;
  const auto measure = [](const std::function<void()>& run) {
    const double begin = processor_seconds();
    run();
    return processor_seconds() - begin;
  };
  limit();  // the page cache
  for (int i = 0; i < times; ++i) {
    limits.push_back(measure(limit));
    own.push_back(measure(ours));
  }
  return std::pair{bench::median(limits), bench::median(own)};
}

auto run(bool quick, const std::string& json) -> int {
  const std::string text_file =
      (std::filesystem::temp_directory_path() / ("tensair-bench-io-" + std::to_string(::getpid()) + ".txt")).string();
  const std::string csv_file = text_file + ".csv";
  const std::size_t bytes = quick ? 100'000'000 : 400'000'000;
  std::size_t csv_bytes = 0;
  {
    auto text = std::ofstream{text_file, std::ios::binary};
    std::string line;
    for (std::size_t i = 0, written = 0; written < bytes; written += line.size(), ++i) {
      line.assign(20 + i * 7919 % 120, 'x');  // 80 on average, as text and logs have
      line += '\n';
      text << line;
    }
    auto csv = std::ofstream{csv_file, std::ios::binary};
    csv << "number,celsius\n";
    const long rows = quick ? 1'000'000 : 4'000'000;
    for (long i = 0; i < rows; ++i) csv << i << ',' << static_cast<double>(i * 7919 % 10'000) / 100.0 << '\n';
    csv_bytes = static_cast<std::size_t>(csv.tellp());
    if (!text.flush() || !csv.flush()) throw tensair::Error("a file cannot be written", text_file, "Make room.");
  }
  bench::Report report;
  const int times = quick ? 5 : 9;
  {
    Totals by_hand, own;
    const auto [limit, ours] = compare(
        times, [&] { by_hand = read_by_hand(text_file); }, [&] { own = read_lines(text_file); });
    check(by_hand == own);
    const auto rate = [&](double seconds) { return static_cast<double>(bytes) / seconds / 1e9; };
    report.table("lines of text, page cache", "GB/s of processor",
                 {{"limit", rate(limit), 1.0, "read and memchr by hand"}, {"tensair", rate(ours), limit / ours}});
  }
  {
    double by_hand = 0, own = 0;
    const auto [limit, ours] = compare(
        times, [&] { by_hand = sum_by_hand(csv_file); }, [&] { own = sum_csv(csv_file); });
    check(by_hand == own);
    const auto rate = [&](double seconds) { return static_cast<double>(csv_bytes) / seconds / 1e9; };
    report.table(
        "CSV, an int and a double a row", "GB/s of processor",
        {{"limit", rate(limit), 1.0, "two calls of from_chars by hand"}, {"tensair", rate(ours), limit / ours}});
  }
  ::unlink(text_file.c_str());
  ::unlink(csv_file.c_str());
  if (!json.empty()) report.write(json);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"How fast text and CSV are read."};
  bool quick = false;
  std::string json;
  app.add_flag("--quick", quick, "within 20 s");
  app.add_option("--json", json, "write the rows here");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(quick, json);
  } catch (const std::exception& error) {
    fmt::print(stderr, "io: {}\n", error.what());
    return 1;
  }
}
