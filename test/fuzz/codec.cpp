// Records from another node: any bytes make a value that is the same when it is sent again, or are refused. The same of
// compressed messages, which become no larger than they may.
#include <array>
#include <deque>
#include <map>
#include <optional>
#include <tensair/net/codec.hpp>
#include <tensair/net/compressed.hpp>
#include <tuple>

#include "fuzz.hpp"

using namespace tensair::net;

namespace {

struct Order {
  std::string customer;
  std::vector<double> prices;
  std::map<std::string, std::optional<std::int32_t>> amounts;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& customer& prices& amounts;
  }
};

/// Writes nothing of itself.
struct Tick {
  template <class Archive>
  void serialize(Archive&, unsigned) {}
};

/// Much larger than what it sends.
struct Wide {
  std::string text;
  std::array<char, 16'384> own{};
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& text;
  }
};

auto flatten(const Message& message) -> Payload {
  Payload payload = message.head;
  for (const auto part : message.bulk) payload.insert(payload.end(), part.begin(), part.end());
  return payload;
}

template <class T>
auto encoded(const T& value) -> Payload {
  Writer writer{0};
  writer.write(value);
  return flatten(*writer.finish());
}

auto text(const Payload& payload) -> std::string {
  return {reinterpret_cast<const char*>(payload.data()), payload.size()};
}

template <class T>
auto text(const T& value) -> std::string {
  return text(encoded(value));
}

// Nothing, if that makes it no smaller.
auto compressed(const Payload& payload, tensair::compression method) -> Payload {
  Message message;
  message.head = payload;
  Writer writer{0};
  return write_compressed(writer, message, method) ? flatten(*writer.finish()) : Payload{};
}

void check_compressed(const Payload& payload) {
  try {
    Reader reader{payload};
    const auto plain = read_compressed(reader);
    fuzz::require(plain.size() <= most_expansion * payload.size(), "a message becomes no larger than it may");
  } catch (const Malformed&) {
    return;  // refused
  }
}

void check_round_trip(const Payload& payload, tensair::compression method) {
  if (!tensair::is_available(method)) return;
  const auto packed = compressed(payload, method);
  if (packed.empty()) return;
  fuzz::require(packed.size() < payload.size(), "a compressed message is smaller");
  Reader reader{packed};
  fuzz::require(read_compressed(reader) == payload, "a compressed message becomes what it was");
}

template <class T>
void check(const Payload& payload) {
  try {
    Reader reader{payload};
    const T value = reader.read<T>();
    const auto once = encoded(value);
    Reader second{once};
    fuzz::require(encoded(second.read<T>()) == once, "a value that is sent on is the same");
  } catch (const Malformed&) {
    return;  // refused
  }
}

using Mixed = std::tuple<int, std::string, std::optional<std::pair<double, std::vector<std::string>>>>;

}  // namespace

auto fuzz::examples() -> std::vector<std::string> {
  std::vector<std::string> all;
  for (const auto method : {tensair::compression::lz4, tensair::compression::zstd}) {
    if (!tensair::is_available(method)) continue;
    all.push_back(text(compressed(encoded(std::string(500, 'a')), method)));
    all.push_back(text(compressed(encoded(std::vector<std::string>(20, "one and two")), method)));
  }
  for (auto& one : {text(Order{"Ada", {1.5, 2, 3}, {{"tea", 2}, {"milk", std::nullopt}}}),
                    text(Mixed{7, "seven", {{0.5, {"a", "", "bc"}}}}), text(std::vector<std::string>{"one", "two"}),
                    text(std::vector<bool>{true, false, true})}) {
    all.push_back(one);
  }
  return all;
}

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  const auto bytes = std::as_bytes(std::span{data, size});
  const Payload payload(bytes.begin(), bytes.end());
  check<Order>(payload);
  check<Mixed>(payload);
  check<std::vector<std::string>>(payload);
  check<std::vector<bool>>(payload);
  check<std::vector<Tick>>(payload);
  check<std::deque<Tick>>(payload);
  check<std::vector<Wide>>(payload);
  check_compressed(payload);
  check_round_trip(payload, tensair::compression::lz4);
  check_round_trip(payload, tensair::compression::zstd);
  return 0;
}
