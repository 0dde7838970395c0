#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <tensair/error.hpp>
#include <tensair/model/compression.hpp>
#include <tensair/model/half.hpp>

namespace tensair {
namespace {

/// What a decoded delta refers to.
struct Decoded {
  std::vector<float> values;
  std::vector<Segment> segments;
};

auto delta_of(std::shared_ptr<const Decoded> decoded) -> Delta {
  Delta delta;
  delta.values = decoded->values;
  delta.segments = decoded->segments;
  delta.owner = std::move(decoded);
  return delta;
}

/// What has been left out of deltas, by parameter.
class LeftOut {
 public:
  explicit LeftOut(std::size_t parameters) : parameters_(parameters) {}

  auto values() -> std::vector<float>& {
    if (values_.empty()) values_.resize(parameters_);  // not before there is something to send
    return values_;
  }
  auto take() -> SharedDelta {
    if (std::all_of(values_.begin(), values_.end(), [](float value) { return value == 0; })) return nullptr;
    auto kept = std::make_shared<Decoded>();
    kept->values = std::exchange(values_, {});
    return std::make_shared<const Delta>(delta_of(std::move(kept)));
  }

 private:
  std::size_t parameters_;
  std::vector<float> values_;
};

void check_is_finite(float value) {
  if (!std::isfinite(value)) throw net::Malformed("a compressed delta with a value that is not finite");
}

/// Every value in 16 bits.
template <class Half>
class Rounding final : public Compressor {
 public:
  explicit Rounding(std::size_t parameters) : parameters_(parameters), left_out_(parameters) {}

  void encode(const Delta& delta, net::Writer& out) override {
    halves_.resize(delta.values.size());
    auto& left = left_out_.values();
    const float* values = delta.values.data();
    std::uint16_t* halves = halves_.data();
    const Segment all{0, static_cast<std::uint32_t>(delta.values.size())};
    for (const auto& segment : delta.is_sparse() ? delta.segments : std::span(&all, 1)) {
      round({values, segment.count}, halves, left.data() + segment.first);
      values += segment.count;
      halves += segment.count;
    }
    out.write(static_cast<std::uint64_t>(delta.segments.size()));
    out.write(static_cast<std::uint64_t>(halves_.size()));
    out.refer_copy(std::as_bytes(delta.segments));
    out.refer_copy(std::as_bytes(std::span(halves_)));
  }

  auto rest() -> SharedDelta override { return left_out_.take(); }

  auto decode(net::Reader& in) const -> Delta override {
    const auto segments = in.read<std::uint64_t>();
    const auto count = in.read<std::uint64_t>();
    if (count > parameters_ || segments > count) throw net::Malformed("a compressed delta larger than its model");
    auto decoded = std::make_shared<Decoded>();
    const auto stretches = in.bulk(segments * sizeof(Segment));
    const auto halves = in.bulk(count * sizeof(std::uint16_t));
    decoded->segments.resize(segments);
    if (segments > 0) {
      std::memcpy(decoded->segments.data(), stretches.data(), stretches.size());
      check_segments(decoded->segments, parameters_, count);
    } else if (count != 0 && count != parameters_) {
      throw net::Malformed(fmt::format("a delta of {} values for a model of {} parameters", count, parameters_));
    }
    decoded->values.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      std::uint16_t half = 0;
      std::memcpy(&half, halves.data() + i * sizeof half, sizeof half);
      decoded->values[i] = Half::to(half);
    }
    for (const float value : decoded->values) check_is_finite(value);
    return delta_of(std::move(decoded));
  }

 private:
  static void round(std::span<const float> values, std::uint16_t* __restrict halves, float* __restrict left) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float value = values[i] + left[i];
      halves[i] = Half::from(value);
      left[i] = value - Half::to(halves[i]);
    }
  }

  std::size_t parameters_;
  LeftOut left_out_;
  std::vector<std::uint16_t> halves_;
};

/// The k largest of a model's values, or about as many: above a million parameters they are judged by a sample.
class Largest {
 public:
  /// The size that about k values reach.
  auto threshold(std::span<const float> values, std::size_t k) -> float {
    const std::size_t stride = std::max<std::size_t>(1, values.size() >> 20);
    sizes_.clear();
    for (std::size_t i = 0; i < values.size(); i += stride) sizes_.push_back(std::abs(values[i]));
    const std::size_t rank = std::min(sizes_.size() - 1, std::max<std::size_t>(1, k / stride) - 1);
    const auto at = sizes_.begin() + static_cast<std::ptrdiff_t>(rank);
    std::nth_element(sizes_.begin(), at, sizes_.end(), std::greater<>{});
    return *at;
  }

 private:
  std::vector<float> sizes_;
};

/// The largest values, and how many parameters lie between them: in seven bits a byte, the last byte's highest is 0.
class TopK final : public Compressor {
 public:
  TopK(TopKOptions options, std::size_t parameters)
      : options_(options), parameters_(parameters), left_out_(parameters) {}

  void encode(const Delta& delta, net::Writer& out) override {
    auto& left = left_out_.values();
    add(left, delta);
    gaps_.clear();
    halves_.clear();
    if (!left.empty()) choose(left);
    out.write(static_cast<std::uint64_t>(halves_.size()));
    out.write(static_cast<std::uint64_t>(gaps_.size()));
    out.refer_copy(std::as_bytes(std::span(halves_)));
    out.refer_copy(std::as_bytes(std::span(gaps_)));
    ++deltas_;
  }

  auto rest() -> SharedDelta override { return left_out_.take(); }

  auto decode(net::Reader& in) const -> Delta override {
    const auto count = in.read<std::uint64_t>();
    const auto bytes = in.read<std::uint64_t>();
    if (count > parameters_ || count > bytes) throw net::Malformed("a compressed delta larger than its model");
    const auto halves = in.bulk(count * sizeof(std::uint16_t));
    auto gaps = in.bulk(bytes);
    auto decoded = std::make_shared<Decoded>();
    decoded->values.resize(count);
    std::uint64_t at = 0;  // one behind the last parameter
    for (std::size_t i = 0; i < count; ++i) {
      at += read_gap(gaps) + 1;
      if (at > parameters_) throw net::Malformed("a compressed delta of parameters that its model has not");
      const auto first = static_cast<std::uint32_t>(at - 1);
      if (i > 0 && decoded->segments.back().end() == first) {
        ++decoded->segments.back().count;
      } else {
        decoded->segments.push_back({first, 1});
      }
      std::uint16_t half = 0;
      std::memcpy(&half, halves.data() + i * sizeof half, sizeof half);
      decoded->values[i] = Float16::to(half);
      check_is_finite(decoded->values[i]);
    }
    if (!gaps.empty()) throw net::Malformed("a compressed delta with bytes left over");
    if (count == parameters_) decoded->segments.clear();
    return delta_of(std::move(decoded));
  }

 private:
  auto share() const -> double {
    constexpr double begin = 0.25;
    if (deltas_ >= options_.warm_up || options_.share >= begin) return options_.share;
    const double done = static_cast<double>(deltas_) / static_cast<double>(options_.warm_up);
    return begin * std::pow(options_.share / begin, done);
  }

  void choose(std::vector<float>& left) {
    const auto k = std::max<std::size_t>(1, static_cast<std::size_t>(share() * static_cast<double>(parameters_)));
    const float threshold = largest_.threshold(left, k);
    std::uint64_t behind = 0;
    // Of many equal ones those in front, and those behind in the next delta; zeros not at all.
    for (std::size_t i = 0; i < left.size() && halves_.size() < 2 * k; ++i) {
      if (!(std::abs(left[i]) >= threshold) || left[i] == 0) continue;
      const auto half = Float16::from(left[i]);
      const float sent = Float16::to(half);
      if (sent == 0) continue;  // too small for it: sent in the end
      write_gap(i - behind);
      behind = i + 1;
      halves_.push_back(half);
      left[i] -= sent;
    }
  }

  void write_gap(std::uint64_t gap) {
    for (; gap >= 0x80; gap >>= 7) gaps_.push_back(static_cast<std::uint8_t>(gap | 0x80));
    gaps_.push_back(static_cast<std::uint8_t>(gap));
  }
  static auto read_gap(std::span<const std::byte>& from) -> std::uint64_t {
    std::uint64_t gap = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      if (from.empty()) break;
      const auto byte = std::to_integer<std::uint64_t>(from.front());
      from = from.subspan(1);
      gap |= (byte & 0x7f) << shift;
      if (byte < 0x80) return gap;
    }
    throw net::Malformed("a compressed delta that ends early");
  }

  TopKOptions options_;
  std::size_t parameters_;
  LeftOut left_out_;
  Largest largest_;
  std::uint64_t deltas_ = 0;
  std::vector<std::uint8_t> gaps_;
  std::vector<std::uint16_t> halves_;
};

}  // namespace

auto fp16() -> Compression {
  return {"fp16", [](std::size_t parameters) { return std::make_unique<Rounding<Float16>>(parameters); }};
}

auto bf16() -> Compression {
  return {"bf16", [](std::size_t parameters) { return std::make_unique<Rounding<BFloat16>>(parameters); }};
}

auto top_k(TopKOptions options) -> Compression {
  if (!(options.share > 0 && options.share <= 1)) {
    throw UsageError(fmt::format("top_k has a share of {}", options.share), "TopKOptions::share",
                     "It must be a share of a model's parameters: more than 0, at most 1.");
  }
  auto name = fmt::format("top {:g} %", 100 * options.share);
  if (options.warm_up > 0) name += fmt::format(" after {} deltas", options.warm_up);
  return {std::move(name), [options](std::size_t parameters) { return std::make_unique<TopK>(options, parameters); }};
}

}  // namespace tensair
