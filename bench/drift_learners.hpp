#pragma once

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

// Learners that need nothing to be set: naive Bayes, one record after another.

namespace bench {

/// An example whose features are numbers (`dense`), or the numbers of those that are there (`sparse`).
struct Example {
  std::vector<double> dense;
  std::vector<std::size_t> sparse;
  std::size_t label = 0;
};

/// Naive Bayes: of dense features with a normal distribution each, of sparse ones with add-one smoothing.
class NaiveBayes {
 public:
  NaiveBayes(std::size_t labels, std::size_t features) : features_(features), labels_(labels) {
    for (auto& label : labels_) label.moments.resize(features), label.counts.resize(features);
  }

  auto predict(const Example& example) const -> std::size_t {
    std::size_t best = 0;
    double highest = -HUGE_VAL;
    for (std::size_t i = 0; i < labels_.size(); ++i) {
      const double score = labels_[i].n == 0 ? -1e300 : labels_[i].score(example, features_);
      if (score > highest) highest = score, best = i;
    }
    return best;
  }
  void learn(const Example& example) { labels_[example.label].learn(example); }

 private:
  struct Moments {
    double mean = 0, squares = 0;
  };
  struct Label {
    double n = 0, total = 0;
    std::vector<Moments> moments;
    std::vector<double> counts;

    auto score(const Example& example, std::size_t features) const -> double {
      double sum = std::log(n);
      for (std::size_t f = 0; f < example.dense.size(); ++f) {
        const double variance = moments[f].squares / n + 1e-6, off = example.dense[f] - moments[f].mean;
        sum -= 0.5 * (std::log(variance) + off * off / variance);
      }
      const double all = std::log(total + static_cast<double>(features));
      for (const auto f : example.sparse) sum += std::log(counts[f] + 1) - all;
      return sum;
    }
    void learn(const Example& example) {
      n += 1;
      for (std::size_t f = 0; f < example.dense.size(); ++f) {
        const double before = example.dense[f] - moments[f].mean;
        moments[f].mean += before / n;
        moments[f].squares += before * (example.dense[f] - moments[f].mean);
      }
      for (const auto f : example.sparse) counts[f] += 1, total += 1;
    }
  };

  std::size_t features_;
  std::vector<Label> labels_;
};

}  // namespace bench
