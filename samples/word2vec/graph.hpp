#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tensair/model/model.hpp>
#include <utility>
#include <vector>

#include "admission.hpp"
#include "encoder.hpp"
#include "text.hpp"

namespace word2vec {

/// What the job is made of, on one node.
struct Job {
  std::shared_ptr<Encoder> encoder;
  AdmissionRules rules;
  std::shared_ptr<const std::vector<std::pair<std::string, std::uint64_t>>>
      start;         ///< words that have rows from the start, and counts
  bool live = true;  ///< words come and go; else there are no others than those
  std::int32_t node = 0;
  tensair::BatchOptions batch{.size = 4};  ///< in blocks
};

/// How often the words of some blocks came, for each shard that has any of them.
auto count_words(std::span<const Block> blocks) -> std::vector<WordCounts>;

/// A shard in which the words that have rows from the start have them.
auto make_shard(const Job& job, std::uint32_t shard) -> Shard;

/// The whole job: text → rows → batches → model, on every node; and, where the vocabulary lives, text → counts → who
/// keeps the word's shard → all nodes.
template <class Blocks>
auto learn(Blocks blocks, const tensair::ModelHandle& net, const Job& job) {
  const auto encoder = job.encoder;
  const auto collate = [encoder](std::span<const Encoded> some) { return encoder->collate(some); };
  if (!job.live) {
    return std::move(blocks)
        .map([encoder](const Block& block) { return encoder->encode(block); })
        .batch(job.batch)
        .model(net, collate)
        .train();
  }
  struct Nothing {};
  auto admissions =
      blocks.batch(job.batch)
          .flat_map([](const tensair::Batch<Block>& some) { return count_words(some.records); })
          .key_by(&WordCounts::shard)
          .template with_state<std::optional<Shard>>([job](std::optional<Shard>& shard, const WordCounts& counts) {
            if (!shard) shard.emplace(make_shard(job, counts.shard));
            return shard->count(counts, job.node);
          })
          .flat_map([](std::vector<Admission> some) { return some; });
  return blocks
      .template broadcast_join<Nothing>(
          std::move(admissions), [encoder](Nothing&, const Admission& one) { encoder->admit(one); },
          [encoder](const Block& block, const Nothing&) { return encoder->encode(block); })
      .batch(job.batch)
      .model(net, collate)
      .train();
}

}  // namespace word2vec
