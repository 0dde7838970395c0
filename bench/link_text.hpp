#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <tensair/pipeline.hpp>
#include <utility>

#include "seconds.hpp"

// Text over an edge of a pipeline, compressed on its way or not.

namespace bench {

/// The lines of a text that is in memory; node 1's part has all of them.
class TextLines {
 public:
  using value_type = std::string;
  explicit TextLines(const std::filesystem::path& file) : file_(file) {}
  void split(int part, int) { mine_ = part == 1; }
  auto next() -> std::optional<std::string> {
    if (mine_ && text_.empty()) {
      std::ifstream in{file_, std::ios::binary};
      text_.assign(std::istreambuf_iterator<char>(in), {});
      if (text_.empty()) throw tensair::Error("no text to send", file_.string());
    }
    if (at_ >= text_.size()) return std::nullopt;
    const auto end = std::min(text_.find('\n', at_), text_.size());
    auto line = text_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }

 private:
  std::filesystem::path file_;
  std::string text_;
  std::size_t at_ = 0;
  bool mine_ = false;
};

struct TextRun {
  double seconds = 0;
  double bytes = 0;  ///< that both nodes have sent
};

/// Node 1 reads a text, node 0 counts its bytes.
/// @return  on node 0
inline auto text_over_edge(tensair::Options options, const std::filesystem::path& file,
                           enum tensair::compression method) -> TextRun {
  options.compression = method;
  options.json = std::filesystem::temp_directory_path() / ("tensair-link-" + std::to_string(::getpid()) + ".json");
  tensair::Pipeline pipeline{options};
  std::uint64_t bytes = 0;
  double begin = 0;
  pipeline.source(TextLines{file}).sink([&](const std::string& line) {
    if (begin == 0) begin = wall_seconds();
    bytes += line.size() + 1;
  });
  pipeline.execute();
  TextRun run{wall_seconds() - begin};
  if (options.rank != 0) return run;
  if (const auto all = std::filesystem::file_size(file); bytes != all && bytes != all + 1)
    throw tensair::Error("not all of the text has arrived");
  run.bytes = nlohmann::json::parse(std::ifstream{options.json}).at("bytes_sent").get<double>();
  std::filesystem::remove(options.json);
  return run;
}

}  // namespace bench
