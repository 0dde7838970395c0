#include <cstring>
#include <tensair/net/message.hpp>
#include <thread>
#include <vector>

#include "catch.hpp"

using namespace tensair::net;

TEST_CASE("memory of a large payload is used again for one of about its size", "[net][payload]") {
  release_spare_payloads();
  const std::byte* before = nullptr;
  {
    Payload payload(large_payload + 1);
    before = payload.data();
  }
  const Payload larger(4 * large_payload);
  CHECK(larger.data() != before);
  Payload again(large_payload + 100'000);
  CHECK(again.data() == before);
  std::memset(again.data(), 1, again.size());
  const Payload beside(large_payload + 1);
  CHECK(beside.data() != before);
  release_spare_payloads();
}

TEST_CASE("the last two large payloads that were given back are used again", "[net][payload]") {
  release_spare_payloads();
  const std::byte *first = nullptr, *second = nullptr;
  {
    const Payload a(large_payload), b(large_payload);
    first = a.data();
    second = b.data();
  }
  for (int i = 0; i < 3; ++i) {
    // One is taken and given back while the other lies there.
    const Payload alone(large_payload);
    CHECK((alone.data() == first || alone.data() == second));
  }
  const Payload a(large_payload), b(large_payload);
  CHECK((a.data() == first || a.data() == second));
  CHECK((b.data() == first || b.data() == second));
  CHECK(a.data() != b.data());
  release_spare_payloads();
}

TEST_CASE("a payload that grows large keeps what it has", "[net][payload]") {
  Payload payload;
  payload.reserve(100);
  for (std::size_t size = 1; size <= 3 * large_payload; size *= 3) {
    const std::size_t old = payload.size();
    payload.resize(size);
    for (std::size_t i = old; i < size; ++i) payload[i] = static_cast<std::byte>(i % 251);
  }
  bool same = true;
  for (std::size_t i = 0; i < payload.size(); ++i) same = same && payload[i] == static_cast<std::byte>(i % 251);
  CHECK(same);
  release_spare_payloads();
}

TEST_CASE("large payloads of several threads do not share memory", "[net][payload]") {
  std::vector<std::thread> threads;
  std::vector<int> mixed(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &mixed] {
      for (int round = 0; round < 20; ++round) {
        Payload payload(large_payload + static_cast<std::size_t>(t));
        for (std::size_t at = 0; at < payload.size(); at += 65'536) payload[at] = static_cast<std::byte>(t);
        for (std::size_t at = 0; at < payload.size(); at += 65'536) {
          if (payload[at] != static_cast<std::byte>(t)) ++mixed[static_cast<std::size_t>(t)];
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(mixed == std::vector<int>(4, 0));
  release_spare_payloads();
}
