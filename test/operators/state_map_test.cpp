#include <stdexcept>
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

namespace {

/// A key whose hash is what its maker says; a negative number's throws.
struct Placed {
  int number = 0;
  int place = 0;
  auto operator==(const Placed& other) const -> bool { return number == other.number; }
};
bool hashes_throw = false;

}  // namespace

template <>
struct std::hash<Placed> {
  auto operator()(const Placed& key) const -> std::size_t {
    if (hashes_throw && key.number < 0) throw std::runtime_error("this key has no hash");
    return static_cast<std::size_t>(key.place);
  }
};

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

TEST_CASE("a hash that throws while a state map grows or closes a gap changes nothing", "[operators][state]") {
  StateMap<Placed, int> map;
  const auto add = [&](Placed key) { return map.find_or_make(key, hash_key(key), [&] { return key.number; }).value; };
  // All but the last share a place, so taking one out moves those behind it; 16 keys are what the first table holds.
  for (int i = 0; i < 15; ++i) add({i == 7 ? -7 : i, 5});
  add({100, 6});
  hashes_throw = true;
  CHECK_THROWS_WITH(add({200, 5}), "this key has no hash");
  CHECK_THROWS_WITH(map.erase(Placed{3, 5}, hash_key(Placed{3, 5})), "this key has no hash");
  hashes_throw = false;
  REQUIRE(map.size() == 16);
  for (int i = 0; i < 15; ++i) CHECK(add({i == 7 ? -7 : i, 5}) == (i == 7 ? -7 : i));
  CHECK(add({100, 6}) == 100);
  CHECK(map.size() == 16);
  CHECK(map.erase(Placed{3, 5}, hash_key(Placed{3, 5})));
  CHECK(add({200, 5}) == 200);
  CHECK(map.find(Placed{3, 5}, hash_key(Placed{3, 5})) == nullptr);
  CHECK(map.find(Placed{-7, 5}, hash_key(Placed{-7, 5}))->value == -7);
}

#ifdef TENSAIR_HAS_RAPIDCHECK
TEST_CASE("a state map does what std::unordered_map does", "[operators][state][property]") {
  // With few places keys share them, and only their order in the table tells them apart.
  CHECK(rc::check([](const std::vector<std::pair<std::uint8_t, std::uint8_t>>& actions, bool few_places, bool many) {
    StateMap<Placed, int> map;
    std::unordered_map<int, int> model;
    const auto key_of = [&](int which) { return Placed{which, few_places ? which % 3 : which}; };
    const auto add = [&](int which, int made) {
      return map.find_or_make(key_of(which), hash_key(key_of(which)), [&] { return made; }).value;
    };
    // As many as make the table longer than a run of the keys below.
    for (int i = 0; many && i < 400; ++i) RC_ASSERT(add(1000 + i, i) == (model[1000 + i] = i));
    int next = 0;
    for (const auto& [what, which] : actions) {
      const int number = which % 40;
      if (what % 3 == 0) {
        RC_ASSERT(map.erase(key_of(number), hash_key(key_of(number))) == (model.erase(number) == 1));
      } else if (what % 16 == 1 && !map.empty()) {
        const std::size_t i = which % map.size();
        model.erase(map.at(i).key.number);
        map.erase_at(i);
      } else {
        const int made = ++next;
        RC_ASSERT(add(number, made) == model.try_emplace(number, made).first->second);
      }
      RC_ASSERT(map.size() == model.size());
    }
    for (const auto& [number, value] : model) {
      const auto* entry = map.find(key_of(number), hash_key(key_of(number)));
      RC_ASSERT(entry != nullptr);
      RC_ASSERT(entry->value == value);
    }
    for (std::size_t i = 0; i < map.size(); ++i) RC_ASSERT(model.at(map.at(i).key.number) == map.at(i).value);
  }));
}
#endif
