#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cmath>
#include <cstring>
#include <random>
#include <tensair/error.hpp>
#include <tensair/model/compression.hpp>
#include <tensair/model/half.hpp>

#include "catch.hpp"

#include "support/exchange_nodes.hpp"

using namespace tensair;

namespace {

constexpr std::size_t model_size = 3'000;

auto all_compressions() -> std::vector<Compression> {
  return {fp16(), bf16(), top_k(), top_k({.share = 0.1, .warm_up = 10}), top_k({.share = 1})};
}

auto delta_of(std::vector<float> values, std::vector<Segment> segments = {}) -> Delta {
  auto owned =
      std::make_shared<std::pair<std::vector<float>, std::vector<Segment>>>(std::move(values), std::move(segments));
  Delta delta;
  delta.values = owned->first;
  delta.segments = owned->second;
  delta.owner = owned;
  return delta;
}

// Dense, or of some rows of ten.
auto random_delta(std::mt19937& random, bool sparse) -> Delta {
  std::normal_distribution<float> normal{0, 0.01F};
  std::vector<float> values;
  std::vector<Segment> segments;
  for (std::uint32_t row = 0; row < model_size / 10; ++row) {
    if (sparse && random() % 8 != 0) continue;
    if (sparse) segments.push_back({row * 10, 10});
    for (int i = 0; i < 10; ++i) values.push_back(normal(random));
  }
  return delta_of(std::move(values), std::move(segments));
}

auto payload_of(const net::Message& message) -> net::Payload {
  net::Payload payload(message.head.begin(), message.head.end());
  for (const auto part : message.bulk) payload.insert(payload.end(), part.begin(), part.end());
  return payload;
}

auto encoded(Compressor& compressor, const Delta& delta) -> net::Payload {
  net::Writer writer{1};
  compressor.encode(delta, writer);
  return payload_of(*writer.finish());
}

auto half_of(std::uint16_t bits) -> float {
  return c10::Half(bits, c10::Half::from_bits());
}

}  // namespace

TEST_CASE("sixteen-bit floats are LibTorch's, but that what is too large becomes the largest", "[compression]") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = half_of(half);
    const auto exactly = [](float x) {
      std::uint32_t same;
      std::memcpy(&same, &x, sizeof same);
      return same;
    };
    if (std::isnan(value)) {
      REQUIRE(std::isnan(Float16::to(half)));
    } else {
      REQUIRE(exactly(Float16::to(half)) == exactly(value));
      if (!std::isinf(value)) REQUIRE(Float16::from(value) == half);
    }
  }
  std::mt19937 random{1};
  for (int i = 0; i < 1'000'000; ++i) {
    const auto bits = static_cast<std::uint32_t>(random());
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    if (std::isnan(value)) {
      REQUIRE(std::isnan(Float16::to(Float16::from(value))));
      REQUIRE(std::isnan(BFloat16::to(BFloat16::from(value))));
      continue;
    }
    REQUIRE(BFloat16::from(value) == c10::BFloat16(value).x);
    const auto theirs = c10::Half(value);
    REQUIRE(Float16::from(value) ==
            (std::isinf(static_cast<float>(theirs)) ? c10::Half(std::copysign(Float16::largest, value)).x : theirs.x));
  }
}

TEST_CASE("what a link sends and the rest come to all that it was given", "[compression]") {
  for (const auto& compression : all_compressions()) {
    for (const bool sparse : {false, true}) {
      INFO(compression.name << (sparse ? ", sparse" : ", dense"));
      auto sender = compression.make(model_size);
      const auto receiver = compression.make(model_size);
      std::mt19937 random{7};
      std::vector<float> given(model_size), got(model_size);
      for (int step = 0; step < 50; ++step) {
        const auto delta = random_delta(random, sparse);
        add(given, delta);
        const auto payload = encoded(*sender, delta);
        net::Reader reader{payload};
        add(got, receiver->decode(reader));
      }
      if (const auto rest = sender->rest()) add(got, *rest);
      for (std::size_t i = 0; i < model_size; ++i) REQUIRE(got[i] == Approx(given[i]).margin(1e-5));
      CHECK(sender->rest() == nullptr);
    }
  }
}

TEST_CASE("a value too large for binary16 is sent in several deltas", "[compression]") {
  auto sender = fp16().make(1);
  float got = 0;
  for (int i = 0; i < 3; ++i) {
    const auto payload = encoded(*sender, delta_of({i == 0 ? 150'000.F : 0.F}));
    net::Reader reader{payload};
    add(std::span(&got, 1), sender->decode(reader));
  }
  CHECK(got == 150'000.F);
}

TEST_CASE("compressed deltas are as small as they should be", "[compression]") {
  std::mt19937 random{3};
  const auto bytes = [&](const Compression& compression, bool sparse) {
    auto sender = compression.make(model_size);
    const auto delta = random_delta(random, sparse);
    return std::pair(static_cast<double>(encoded(*sender, delta).size()), static_cast<double>(delta.values.size()));
  };
  for (const auto& half : {fp16(), bf16()}) {
    const auto [dense, values] = bytes(half, false);
    CHECK(dense <= 2 * values + 64);
    const auto [sparse, touched] = bytes(half, true);
    CHECK(sparse <= (2 + 0.8) * touched + 64);  // rows of ten, with eight bytes to say which
  }
  CHECK(bytes(top_k({.share = 0.01}), false).first <= 0.01 * model_size * 4 + 64);
}

TEST_CASE("of many values top_k sends the largest", "[compression]") {
  std::vector<float> values(model_size);
  for (std::size_t i = 0; i < model_size; ++i) {
    const float size = static_cast<float>(i + 1) / 1'024;
    values[i] = i % 2 == 0 ? size : -size;
  }
  auto sender = top_k({.share = 0.01}).make(model_size);
  const auto payload = encoded(*sender, delta_of(values));
  net::Reader reader{payload};
  const auto delta = sender->decode(reader);
  CHECK(delta.values.size() == 30);
  REQUIRE(delta.segments.size() == 1);
  CHECK(delta.segments[0] == Segment{model_size - 30, 30});
}

TEST_CASE("bytes that no compressor writes are refused, whatever they are", "[compression]") {
  std::mt19937 random{11};
  for (const auto& compression : all_compressions()) {
    auto sender = compression.make(model_size);
    const auto receiver = compression.make(model_size);
    int refused = 0;
    for (int i = 0; i < 3'000; ++i) {
      auto payload = encoded(*sender, random_delta(random, i % 2 == 0));
      for (auto changes = 1 + random() % 4; changes > 0; --changes)
        payload[random() % std::min<std::size_t>(payload.size(), i % 3 == 0 ? 40 : payload.size())] =
            static_cast<std::byte>(random());
      if (random() % 4 == 0) payload.resize(random() % payload.size());
      std::vector<float> into(model_size);
      try {
        net::Reader reader{payload};
        add(into, receiver->decode(reader));
      } catch (const net::Malformed&) {
        ++refused;
      }
      REQUIRE(std::all_of(into.begin(), into.end(), [](float value) { return std::isfinite(value); }));
    }
    CHECK(refused > 100);
  }
  CHECK_THROWS_AS(top_k({.share = 0}), UsageError);
  CHECK_THROWS_AS(top_k({.share = 1.5}), UsageError);
}

TEST_CASE("compressed deltas reach every node, and in the end in full", "[compression][overlay]") {
  for (const auto& compression : {fp16(), bf16(), top_k({.share = 0.02})}) {
    for (const auto shape : {overlay::mesh, overlay::tree}) {
      for (const int n : {2, 5, 9}) {
        INFO(compression.name << ", " << n << (shape == overlay::mesh ? " nodes, mesh" : " nodes, tree"));
        std::vector<net::Rank> members;
        for (int i = 0; i < n; ++i) members.push_back(i);
        test::ExchangeNodes nodes{n, shape, 5, members, {.compression = compression}};
        std::mt19937_64 random{5};
        for (int step = 0; step < 7; ++step) {
          for (int i = 0; i < n; ++i) nodes.publish(i);
          for (auto moves = random() % 20; moves > 0; --moves) nodes.wires().move_one();
        }
        for (int i = 0; i < n; ++i) nodes.finish(i);
        while (nodes.wires().move_one()) continue;
        for (int i = 0; i < n; ++i) {
          CHECK(nodes.finished(i));
          nodes.collect(i);
          CHECK(nodes.has_all(i, 7));  // whole numbers, so exactly
        }
      }
    }
  }
}
