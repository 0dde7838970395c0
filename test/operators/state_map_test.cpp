#include <string>
#include <string_view>
#include <tensair/operators/state_map.hpp>
#include <unordered_map>

#include "catch.hpp"
#ifdef TENSAIR_HAS_RAPIDCHECK
#include <rapidcheck.h>
#endif

using tensair::hash_key;
using tensair::operators::StateMap;

TEST_CASE("a state map holds many keys, and its states do not move", "[operators][state]") {
  StateMap<int, long> map;
  auto& first = map.find_or_make(-1, hash_key(-1), [] { return 7L; });
  for (int i = 0; i < 300'000; ++i) map.find_or_make(i, hash_key(i), [] { return 0L; }).value += i;
  for (int i = 0; i < 300'000; ++i) map.find_or_make(i, hash_key(i), [] { return -1L; }).value += 1;
  CHECK(map.size() == 300'001);
  CHECK(map.find(-1, hash_key(-1)) == &first);
  CHECK(first.value == 7);
  bool right = true;
  for (int i = 0; i < 300'000; ++i) right = right && map.find(i, hash_key(i))->value == i + 1;
  CHECK(right);
  CHECK(map.find(300'000, hash_key(300'000)) == nullptr);
}

TEST_CASE("a state map finds a string by a view of it", "[operators][state]") {
  StateMap<std::string_view, int> map;
  {
    std::string text = "a text that is gone when its key is looked up";
    map.find_or_make(std::string_view(text), hash_key(std::string_view(text)), [] { return 1; });
    text.assign(text.size(), '#');
  }
  const std::string again = "a text that is gone when its key is looked up";
  REQUIRE(map.find(again, hash_key(again)) != nullptr);
  CHECK(map.find(again, hash_key(again))->value == 1);
}

#ifdef TENSAIR_HAS_RAPIDCHECK
TEST_CASE("a state map does what std::unordered_map does", "[operators][state][property]") {
  CHECK(rc::check([](const std::vector<std::pair<std::uint8_t, std::uint8_t>>& actions, bool bad_hash) {
    // With a bad hash all keys share a place, and only their order in the table tells them apart.
    const auto hash_of = [&](const std::string& key) { return bad_hash ? std::uint64_t{5} << 32 : hash_key(key); };
    StateMap<std::string, int> map;
    std::unordered_map<std::string, int> model;
    int next = 0;
    for (const auto& [what, which] : actions) {
      const auto key = "key " + std::to_string(which % 40);
      if (what % 3 == 0 && !bad_hash) {  // erasing looks the last entry up by its own hash
        RC_ASSERT(map.erase(key, hash_of(key)) == (model.erase(key) == 1));
      } else {
        const int made = ++next;
        const int value = map.find_or_make(key, hash_of(key), [&] { return made; }).value;
        RC_ASSERT(value == model.try_emplace(key, made).first->second);
      }
      RC_ASSERT(map.size() == model.size());
    }
    for (const auto& [key, value] : model) {
      RC_ASSERT(map.find(key, hash_of(key)) != nullptr);
      RC_ASSERT(map.find(key, hash_of(key))->value == value);
    }
    for (std::size_t i = 0; i < map.size(); ++i) RC_ASSERT(model.at(map.at(i).key) == map.at(i).value);
  }));
}
#endif
