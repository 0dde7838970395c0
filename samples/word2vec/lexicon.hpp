#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

// Rows, and who says which word has which.
//
// Words are dealt out to shards by their hash, the same everywhere, and each shard has its stretch of the rows. One
// instance of the pipeline keeps a shard: it alone says which word gets which of these rows, and tells all nodes. So
// all agree on rows without a master, whatever the number of nodes, and no two can say different things about a row.

namespace word2vec {

inline constexpr std::uint32_t shards = 16;

/// The same on all nodes: FNV-1a, mixed.
auto hash_of(std::string_view word) -> std::uint64_t;
inline auto shard_of(std::uint64_t hash) -> std::uint32_t {
  return static_cast<std::uint32_t>(hash % shards);
}
/// The rows of a shard are row s, s + 16, …: these are so many, of all.
inline auto rows_of_shard(std::size_t rows, std::uint32_t shard) -> std::size_t {
  return (rows + shards - 1 - shard) / shards;
}

/// A word gets a row.
struct Admission {
  std::string word;
  std::int32_t row = 0;
  bool again = false;       ///< the row was another word's
  std::uint64_t count = 0;  ///< how often the word had come
  std::int32_t by = 0;      ///< the node whose shard says so

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& word& row& again& count& by;
  }
};

struct TextHash {
  using is_transparent = void;
  auto operator()(std::string_view word) const -> std::size_t { return hash_of(word); }
};

/// Which words have which rows, as a node knows. One thread changes it; any may ask.
class Lexicon {
 public:
  explicit Lexicon(std::size_t rows) : words_(rows), counts_(rows) {}

  auto rows() const -> std::size_t { return words_.size(); }

  /// For the thread that changes it: without a lock.
  auto find(std::string_view word) const -> std::int32_t {
    const auto found = rows_.find(word);
    return found == rows_.end() ? -1 : found->second;
  }
  auto count(std::int32_t row) const -> double { return counts_[static_cast<std::size_t>(row)]; }
  auto counts() const -> const std::vector<double>& { return counts_; }
  void add_count(std::int32_t row) { counts_[static_cast<std::size_t>(row)] += 1; }
  void admit(const Admission& one);
  auto changes() const -> std::uint64_t { return changes_; }

  /// For all others.
  auto row_of(std::string_view word) const -> std::optional<std::int32_t>;
  auto word_of(std::int32_t row) const -> std::string;
  auto words() const -> std::vector<std::string>;  ///< by row; empty: nobody has it
  auto size() const -> std::size_t;

 private:
  mutable std::shared_mutex mutex_;  // of rows_ and words_
  boost::unordered_flat_map<std::string, std::int32_t, TextHash, std::equal_to<>> rows_;
  std::vector<std::string> words_;
  std::vector<double> counts_;
  std::uint64_t changes_ = 0;
};

}  // namespace word2vec
