#include "admission.hpp"

#include <algorithm>

namespace word2vec {
namespace {

constexpr std::size_t sketch_width = 1 << 16;  // 256 KiB a shard
constexpr int looked_at = 8;                   // rows, of which the least used is given away

}  // namespace

auto CountSketch::add(std::uint64_t hash, std::uint32_t times) -> std::uint32_t {
  std::uint8_t* cells[depth];
  std::uint32_t least = 255;
  for (std::size_t d = 0; d < depth; ++d) {
    // Kirsch and Mitzenmacher, "Less hashing, same performance", 2006.
    const auto place = ((hash & 0xffff'ffffU) + d * ((hash >> 32) | 1U)) % width_;
    cells[d] = &counters_[d * width_ + place];
    least = std::min<std::uint32_t>(least, *cells[d]);
  }
  const auto now = std::min<std::uint32_t>(least + times, 255);
  for (auto* cell : cells) *cell = static_cast<std::uint8_t>(std::max<std::uint32_t>(*cell, now));
  added_ += times;
  if (added_ > depth * width_) {
    for (auto& counter : counters_) counter = static_cast<std::uint8_t>(counter / 2);
    added_ /= 2;
  }
  return now;
}

Shard::Shard(const AdmissionRules& rules, std::uint32_t shard)
    : rules_(rules),
      shard_(shard),
      most_(rows_of_shard(rules.rows, shard)),
      sketch_(sketch_width),
      random_(shard + 1) {}

auto Shard::reserve(const std::string& word, std::uint64_t count) -> std::int32_t {
  if (rows_.size() == most_) return -1;
  places_[word] = rows_.size();
  rows_.push_back({word, static_cast<double>(count)});
  return static_cast<std::int32_t>((rows_.size() - 1) * shards + shard_);
}

auto Shard::count(const WordCounts& counts, std::int32_t node) -> std::vector<Admission> {
  std::vector<Admission> admissions;
  std::uint64_t words = 0;
  for (const auto& [word, times] : counts.words) {
    words += times;
    if (const auto found = places_.find(word); found != places_.end()) {
      rows_[found->second].count += times;
      continue;
    }
    const auto so_far = sketch_.add(hash_of(word), times);
    if (so_far < rules_.min_count) continue;
    std::size_t place = 0;
    if (!place_for(so_far, place)) continue;
    const bool again = place < rows_.size();
    if (again) {
      places_.erase(rows_[place].word);
      rows_[place] = {word, static_cast<double>(so_far)};
    } else {
      rows_.push_back({word, static_cast<double>(so_far)});
    }
    places_[word] = place;
    admissions.push_back({word, static_cast<std::int32_t>(place * shards + shard_), again, so_far, node});
  }
  decay_if_due(words);
  return admissions;
}

// A new row, or that of the least used of a few that are looked at by chance, if it is used less: as good as a list in
// order of use, without one (as caches do it, Redis's for one).
auto Shard::place_for(double count, std::size_t& place) -> bool {
  place = rows_.size();
  if (rows_.size() < most_) return true;
  if (rows_.empty()) return false;
  place = random_.below(rows_.size());
  for (int i = 1; i < looked_at; ++i) {
    const auto other = random_.below(rows_.size());
    if (rows_[other].count < rows_[place].count) place = other;
  }
  return rows_[place].count < count;
}

void Shard::decay_if_due(std::uint64_t words) {
  since_decay_ += words;
  if (since_decay_ * shards < rules_.horizon) return;
  since_decay_ = 0;
  for (auto& row : rows_) row.count /= 2;
}

}  // namespace word2vec
