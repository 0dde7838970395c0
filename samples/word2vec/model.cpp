#include "model.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <torch/torch.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>
#include <optional>
#include <tensair/error.hpp>
#include <utility>

#include "autograd.hpp"
#include "noise.hpp"
#include "threads.hpp"

namespace word2vec {

struct Freed {
  void operator()(float* values) const { std::free(values); }
};

namespace {

constexpr std::size_t words_a_piece = 512;
constexpr std::size_t words_a_graph = 64;   // of autograd, where all of a piece are learnt from the same parameters
constexpr std::size_t huge_page = 2 << 20;  // rows are read all over the tables: with 4 KiB pages half the time is
                                            // spent on finding where they are

auto make_table(std::size_t count) -> std::unique_ptr<float[], Freed> {
  const auto bytes = (count * sizeof(float) + huge_page - 1) / huge_page * huge_page;
  auto* const memory = static_cast<float*>(std::aligned_alloc(huge_page, bytes));
  if (!memory) throw std::bad_alloc();
  ::madvise(memory, bytes, MADV_HUGEPAGE);  // may fail: then it is slower
  std::fill_n(memory, count, 0.0F);
  return std::unique_ptr<float[], Freed>(memory);
}

void fill_randomly(std::span<float> row, Random& random) {
  for (float& value : row) value = (random.real() - 0.5F) / static_cast<float>(row.size());
}

auto dot(std::span<const float> a, std::span<const float> b) -> float {
  float sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

struct Word2Vec::State {
  State(const ModelSettings& from, std::shared_ptr<const Lexicon> words, Evaluate evaluation)
      : settings(from),
        lexicon(std::move(words)),
        evaluate(std::move(evaluation)),
        count(2 * settings.rows * settings.shape.dim),
        values(make_table(count)),
        touched_rows((2 * settings.rows + 63) / 64),
        threads(settings.threads),
        autograd(settings.shape, settings.rows) {
    for (std::size_t i = 0; i < threads.count(); ++i) kernels.emplace_back(settings.shape);
    Random random{settings.seed};
    for (std::size_t row = 0; row < settings.rows; ++row)
      fill_randomly({values.get() + row * settings.shape.dim, settings.shape.dim}, random);
    for (std::size_t i = 0; i < settings.start.size(); ++i) {
      if (!std::isnan(settings.start[i])) values[i] = settings.start[i];
    }
    settings.start = {};
  }

  auto learn(std::size_t thread, const Text& text, std::size_t first, std::size_t last, const Tables& tables) {
    return settings.autograd ? autograd.learn(text, first, last, tables)
                             : kernels[thread].learn(text, first, last, tables);
  }

  auto in() -> float* { return values.get(); }
  auto out() -> float* { return values.get() + count / 2; }

  void check(const Batch& batch) const {
    const auto rows = static_cast<std::int32_t>(settings.rows);
    const auto outside = [&](std::int32_t least) {
      return [least, rows](std::int32_t row) { return row < least || row >= rows; };
    };
    const auto none = [](auto list, auto bad) { return std::none_of(list.begin(), list.end(), bad); };
    if (none(batch.rows, outside(-1)) && none(batch.noise, outside(0)) && none(batch.renewed, outside(0)) &&
        (batch.rows.empty() || batch.noise.size() >= static_cast<std::size_t>(settings.shape.negative)))
      return;
    throw tensair::Error(fmt::format("a batch has a row that none of {} is, or too little noise", rows), "word2vec",
                         "Give every node the same --vocab and --negative.");
  }

  // The rows of words that are new where others were: of an input table's small and random, of an output table's zero.
  void renew(const Batch& batch) {
    const auto dim = settings.shape.dim;
    for (const auto row : batch.renewed) {
      Random random{batch.seed ^ static_cast<std::uint64_t>(row) << 20};
      const auto first = static_cast<std::size_t>(row) * dim;
      fill_randomly({in() + first, dim}, random);
      std::fill_n(out() + first, dim, 0.0F);
    }
  }

  ModelSettings settings;
  std::shared_ptr<const Lexicon> lexicon;
  Evaluate evaluate;
  std::size_t count;
  std::unique_ptr<float[], Freed> values;
  std::vector<std::uint64_t> touched_rows;  // a bit for each row of both tables
  std::vector<tensair::Segment> segments;
  Threads threads;
  std::vector<Kernel> kernels;
  Autograd autograd;
};

Word2Vec::Word2Vec(const ModelSettings& settings, std::shared_ptr<const Lexicon> lexicon, Evaluate evaluate)
    : state_(std::make_unique<State>(settings, std::move(lexicon), std::move(evaluate))) {}
Word2Vec::Word2Vec(Word2Vec&&) noexcept = default;
auto Word2Vec::operator=(Word2Vec&&) noexcept -> Word2Vec& = default;
Word2Vec::~Word2Vec() = default;

auto Word2Vec::parameters() -> std::span<float> {
  return {state_->values.get(), state_->count};
}
auto Word2Vec::vectors() const -> VectorsView {
  return {{state_->values.get(), state_->count / 2}, state_->settings.shape.dim};
}

auto Word2Vec::touched(const tensair::TensorBatch& tensors) -> std::span<const tensair::Segment> {
  auto& state = *state_;
  const Batch batch{tensors};
  state.check(batch);
  auto& bits = state.touched_rows;
  const auto mark = [&](std::size_t row) { bits[row / 64] |= std::uint64_t{1} << row % 64; };
  const auto rows = state.settings.rows;
  for (const auto list : {batch.rows, batch.renewed}) {
    for (const auto row : list) {
      if (row < 0) continue;
      mark(static_cast<std::size_t>(row));
      mark(rows + static_cast<std::size_t>(row));
    }
  }
  for (const auto row : batch.noise) mark(rows + static_cast<std::size_t>(row));
  const auto dim = static_cast<std::uint32_t>(state.settings.shape.dim);
  state.segments.clear();
  for (std::size_t word = 0; word < bits.size(); ++word) {
    for (auto left = std::exchange(bits[word], 0); left != 0; left &= left - 1) {
      const auto first = static_cast<std::uint32_t>(word * 64 + static_cast<std::size_t>(std::countr_zero(left))) * dim;
      if (!state.segments.empty() && state.segments.back().end() == first) {
        state.segments.back().count += dim;
      } else {
        state.segments.push_back({first, dim});
      }
    }
  }
  return state.segments;
}

auto Word2Vec::step(const tensair::TensorBatch& tensors) -> tensair::Score {
  auto& state = *state_;
  const Batch batch{tensors};
  state.check(batch);
  state.renew(batch);
  const Text text{batch.rows, batch.noise, batch.lr, batch.seed};
  const Tables tables{state.in(), state.out(), state.in(), state.out()};
  const auto words = state.settings.autograd ? words_a_graph : words_a_piece;
  const auto pieces = (batch.rows.size() + words - 1) / words;
  std::vector<Learnt> learnt(state.threads.count());
  state.threads.run(pieces, [&](std::size_t thread, std::size_t piece) {
    const auto first = piece * words;
    const auto last = std::min(first + words, batch.rows.size());
    const auto one = state.learn(thread, text, first, last, tables);
    learnt[thread].loss += one.loss;
    learnt[thread].windows += one.windows;
    learnt[thread].pairs += one.pairs;
  });
  Learnt all;
  for (const auto& one : learnt) {
    all.loss += one.loss;
    all.windows += one.windows;
    all.pairs += one.pairs;
  }
  if (state.settings.pairs) *state.settings.pairs += all.pairs;
  return {all.windows > 0 ? all.loss / static_cast<double>(all.windows) : 0.0, batch.words};
}

auto Word2Vec::predict(const tensair::TensorBatch& queries) -> at::Tensor {
  auto& state = *state_;
  if (queries.input.scalar_type() != at::kInt || queries.input.dim() != 2 || queries.input.size(1) != 3)
    throw tensair::Error("a query is not three rows", "word2vec", "Give int32 [n, 3].");
  const auto input = queries.input.contiguous();
  const auto view = vectors();
  const auto words = state.lexicon->words();
  const auto n = input.size(0);
  auto output = torch::empty({n, static_cast<std::int64_t>(2 * answers)});
  for (std::int64_t i = 0; i < n; ++i) {
    const auto* const asked = input.data_ptr<std::int32_t>() + 3 * i;
    float* const answer = output.data_ptr<float>() + static_cast<std::size_t>(i) * 2 * answers;
    std::fill_n(answer, answers, -1.0F);
    std::fill_n(answer + answers, answers, 0.0F);
    const auto known = [&](std::int32_t row) { return row >= 0 && static_cast<std::size_t>(row) < view.rows(); };
    if (!known(asked[1])) continue;
    std::vector<float> wanted(view.dim);
    const auto add = [&](std::int32_t number, float sign) {
      const auto row = view.row(static_cast<std::size_t>(number));
      const float norm = std::sqrt(dot(row, row));
      for (std::size_t k = 0; k < view.dim && norm > 0; ++k) wanted[k] += sign * row[k] / norm;
    };
    add(asked[1], 1);
    if (known(asked[0]) && known(asked[2])) {
      add(asked[0], -1);
      add(asked[2], 1);
    }
    const float length = std::sqrt(dot(wanted, wanted));
    std::vector<std::pair<float, std::size_t>> all;
    for (std::size_t row = 0; row < view.rows(); ++row) {
      const auto number = static_cast<std::int32_t>(row);
      if (words[row].empty() || number == asked[0] || number == asked[1] || number == asked[2]) continue;
      const float norm = std::sqrt(dot(view.row(row), view.row(row)));
      if (norm > 0 && length > 0) all.emplace_back(dot(view.row(row), wanted) / norm / length, row);
    }
    const auto count = std::min(answers, all.size());
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end(), std::greater{});
    for (std::size_t k = 0; k < count; ++k) {
      answer[k] = static_cast<float>(all[k].second);
      answer[answers + k] = all[k].first;
    }
  }
  return output;
}

auto Word2Vec::score(const tensair::TensorBatch&) -> tensair::Score {
  return {state_->evaluate ? state_->evaluate(vectors()) : 0.0, 1};
}

}  // namespace word2vec
