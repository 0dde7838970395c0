// Records from another node: any bytes make a value that is the same when it is sent again, or are refused.
#include <map>
#include <optional>
#include <tensair/net/codec.hpp>
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

template <class T>
auto encoded(const T& value) -> Payload {
  Writer writer{0};
  writer.write(value);
  const auto message = writer.finish();
  Payload payload = message->head;
  for (const auto part : message->bulk) payload.insert(payload.end(), part.begin(), part.end());
  return payload;
}

template <class T>
auto text(const T& value) -> std::string {
  const auto payload = encoded(value);
  return {reinterpret_cast<const char*>(payload.data()), payload.size()};
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
  return {text(Order{"Ada", {1.5, 2, 3}, {{"tea", 2}, {"milk", std::nullopt}}}),
          text(Mixed{7, "seven", {{0.5, {"a", "", "bc"}}}}), text(std::vector<std::string>{"one", "two"}),
          text(std::vector<bool>{true, false, true})};
}

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  const auto bytes = std::as_bytes(std::span{data, size});
  const Payload payload(bytes.begin(), bytes.end());
  check<Order>(payload);
  check<Mixed>(payload);
  check<std::vector<std::string>>(payload);
  check<std::vector<bool>>(payload);
  return 0;
}
