// The first bytes of whoever connects: they make a hello that says the same when it is sent again, or are refused.
#include <algorithm>
#include <cstring>
#include <tensair/net/handshake.hpp>

#include "fuzz.hpp"

using namespace tensair::net;

namespace {

template <class HelloOrVerdict, class Reader>
auto read(std::span<const std::byte>& stream) -> std::optional<HelloOrVerdict> {
  Reader reader;
  try {
    while (!stream.empty()) {
      const auto room = reader.room();
      fuzz::require(!room.empty(), "there is room until it is complete");
      const auto bytes = std::min(room.size(), stream.size());
      std::memcpy(room.data(), stream.data(), bytes);
      stream = stream.subspan(bytes);
      if (auto complete = reader.advance(bytes)) return complete;
    }
  } catch (const Malformed&) {
    return std::nullopt;
  }
  return std::nullopt;
}

auto text(const std::vector<std::byte>& bytes) -> std::string {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

auto fuzz::examples() -> std::vector<std::string> {
  const Hello hello{.rank = 1, .nodes = 2, .plan = "source\nmap\nsink\n"};
  return {text(encode(hello)), text(encode(Verdict{})),
          text(encode(Verdict{false, "another pipeline", "Start the same."}))};
}

extern "C" auto LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) -> int {
  const auto stream = std::as_bytes(std::span{data, size});
  auto rest = stream;
  if (const auto hello = read<Hello, HelloReader>(rest); hello && hello->version == protocol_version) {
    const auto again = encode(*hello);
    const auto used = stream.first(stream.size() - rest.size());
    fuzz::require(std::equal(again.begin(), again.end(), used.begin(), used.end()), "a hello is encoded in one way");
  }
  rest = stream;
  if (const auto verdict = read<Verdict, VerdictReader>(rest)) {
    const auto again = encode(*verdict);
    std::span<const std::byte> bytes = again;
    const auto second = read<Verdict, VerdictReader>(bytes);
    fuzz::require(second && second->accepted == verdict->accepted && second->reason == verdict->reason &&
                      second->remedy == verdict->remedy,
                  "a verdict says the same when it is sent again");
  }
  return 0;
}
