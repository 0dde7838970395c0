#include "vectors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>
#include <string_view>
#include <tensair/error.hpp>

namespace word2vec {
namespace {

auto is_binary(const std::filesystem::path& file) -> bool {
  return file.extension() == ".bin";
}

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& what) {
  throw tensair::Error("a file of word vectors " + what, file.string(),
                       "It should be in word2vec's format: text, or binary if its name ends in .bin.");
}

// The text in front of the next space or end of line, which is behind it then.
auto take_word(std::string_view& rest) -> std::string_view {
  while (!rest.empty() && (rest.front() == '\n' || rest.front() == ' ')) rest.remove_prefix(1);
  const auto end = rest.find_first_of(" \n");
  const auto word = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end);
  return word;
}

template <class T>
auto number_of(std::string_view text, T& value) -> bool {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc{} && end == text.data() + text.size() && !text.empty();
}

}  // namespace

auto read_vectors(const std::filesystem::path& file) -> NamedVectors {
  std::ifstream stream(file, std::ios::binary);
  if (!stream || std::filesystem::is_directory(file))
    throw tensair::Error("a file of word vectors cannot be opened", file.string(), "Check its name.");
  const std::string content{std::istreambuf_iterator<char>(stream), {}};
  std::string_view rest = content;
  std::size_t count = 0;
  NamedVectors vectors;
  auto header = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(header.size());
  if (!number_of(take_word(header), count) || !number_of(take_word(header), vectors.dim) ||
      !take_word(header).empty() || count == 0 || vectors.dim == 0 || vectors.dim > 1'000'000)
    refuse(file, "begins with another line than its number of words and its dimension");
  const bool binary = is_binary(file);
  const std::size_t row_bytes = vectors.dim * (binary ? sizeof(float) : 2);
  if (count > content.size() / row_bytes + 1)
    refuse(file, fmt::format("says it has {} vectors of dimension {}, but is too short for that", count, vectors.dim));
  vectors.words.reserve(count);
  vectors.values.reserve(count * vectors.dim);
  for (std::size_t i = 0; i < count; ++i) {
    const auto word = take_word(rest);
    if (word.empty()) refuse(file, fmt::format("has {} words, where its first line says {}", i, count));
    vectors.words.emplace_back(word);
    if (binary) {
      if (rest.size() < row_bytes + 1) refuse(file, fmt::format("ends in the midst of word {}", i + 1));
      const auto before = vectors.values.size();
      vectors.values.resize(before + vectors.dim);
      std::copy_n(rest.data() + 1, row_bytes, reinterpret_cast<char*>(vectors.values.data() + before));
      rest.remove_prefix(row_bytes + 1);
    } else {
      auto line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(line.size());
      std::size_t values = 0;
      for (auto text = take_word(line); !text.empty(); text = take_word(line), ++values) {
        float value = 0;
        if (!number_of(text, value)) refuse(file, fmt::format("has '{}' for a number, at «{}»", text, word));
        if (values < vectors.dim) vectors.values.push_back(value);
      }
      if (values != vectors.dim)
        refuse(file, fmt::format("has {} values for «{}», where its first line says {}", values, word, vectors.dim));
    }
    for (std::size_t k = i * vectors.dim; k < vectors.values.size(); ++k) {
      if (!std::isfinite(vectors.values[k])) refuse(file, fmt::format("has a value of «{}» that is not finite", word));
    }
  }
  if (!take_word(rest).empty()) refuse(file, fmt::format("has more than the {} words that its first line says", count));
  return vectors;
}

void write_vectors(const std::filesystem::path& file, const NamedVectors& vectors) {
  auto part = file;
  part += ".part";
  {
    std::ofstream stream(part, std::ios::binary);
    stream << vectors.words.size() << ' ' << vectors.dim << '\n';
    const bool binary = is_binary(file);
    fmt::memory_buffer line;
    for (std::size_t i = 0; i < vectors.words.size(); ++i) {
      const std::span row{vectors.values.data() + i * vectors.dim, vectors.dim};
      stream << vectors.words[i];
      if (binary) {
        stream << ' ';
        stream.write(reinterpret_cast<const char*>(row.data()), static_cast<std::streamsize>(row.size_bytes()));
      } else {
        line.clear();
        for (const float value : row) fmt::format_to(std::back_inserter(line), " {}", value);
        stream.write(line.data(), static_cast<std::streamsize>(line.size()));
      }
      stream << '\n';
    }
    stream.flush();
    if (!stream)
      throw tensair::Error("word vectors cannot be written", file.string(), "Check the folder and the disk.");
  }
  std::error_code problem;
  std::filesystem::rename(part, file, problem);
  if (problem) throw tensair::Error("word vectors cannot be written: " + problem.message(), file.string());
}

}  // namespace word2vec
