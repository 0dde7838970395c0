// Types as users of Boost.Serialization write them: what their `serialize` may say, and containers among their members.
#include <array>
#include <boost/serialization/base_object.hpp>
#include <boost/serialization/nvp.hpp>
#include <boost/serialization/split_member.hpp>
#include <boost/serialization/version.hpp>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tensair/net/codec.hpp>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>

#include "catch.hpp"

using namespace tensair;

namespace {

template <class T>
auto encoded(const T& value) -> net::Payload {
  net::Writer writer{7};
  writer.write(value);
  const auto message = writer.finish();
  net::Payload payload = message->head;
  for (const auto part : message->bulk) payload.insert(payload.end(), part.begin(), part.end());
  return payload;
}

template <class T>
auto round_trip(const T& value) -> T {
  const auto payload = encoded(value);
  return net::Reader{payload}.read<T>();
}

struct Animal {
  std::string name;

  template <class Archive>
  void serialize(Archive& archive, const unsigned int) {
    archive& BOOST_SERIALIZATION_NVP(name);
  }
};

struct Dog : Animal {
  std::vector<int> walks;

  template <class Archive>
  void serialize(Archive& archive, const unsigned int) {
    archive& boost::serialization::base_object<Animal>(*this);
    archive& boost::serialization::make_nvp("walks", walks);
  }
};

struct Named : Animal {
  int age = 0;

  template <class Archive>
  void serialize(Archive& archive, const unsigned int) {
    archive& BOOST_SERIALIZATION_BASE_OBJECT_NVP(Animal) & BOOST_SERIALIZATION_NVP(age);
  }
};

// Kept as feet, sent as metres.
struct Height {
  double feet = 0;

  template <class Archive>
  void save(Archive& archive, const unsigned int) const {
    const double metres = feet * 0.3048;
    archive << metres;
  }
  template <class Archive>
  void load(Archive& archive, const unsigned int) {
    double metres = 0;
    archive >> metres;
    feet = metres / 0.3048;
  }
  BOOST_SERIALIZATION_SPLIT_MEMBER()
};

struct Grown {
  int old = 0, added = 0;

  template <class Archive>
  void serialize(Archive& archive, const unsigned int version) {
    archive& old;
    if (version >= 2) archive& added;
  }
};

struct SavesAndLoads {
  int saved = 0, loaded = 0;

  template <class Archive>
  void serialize(Archive&, const unsigned int) {
    if constexpr (Archive::is_saving::value) ++saved;
    if constexpr (Archive::is_loading::value) ++loaded;
  }
};

}  // namespace

BOOST_CLASS_VERSION(Grown, 2)

TEST_CASE("a serialize may name its members, and say its base", "[codec][boost]") {
  Dog dog;
  dog.name = "Rex";
  dog.walks = {3, 1, 2};
  CHECK(round_trip(dog).name == "Rex");
  CHECK(round_trip(dog).walks == dog.walks);
  Named named;
  named.name = "Tom";
  named.age = 7;
  CHECK(round_trip(named).name == "Tom");
  CHECK(round_trip(named).age == 7);
}

TEST_CASE("a serialize may be a save and a load", "[codec][boost]") {
  CHECK(round_trip(Height{6}).feet == Approx(6));
  // What was sent: metres.
  const auto payload = encoded(Height{6});
  CHECK(net::Reader{payload}.read<double>() == Approx(1.8288));
}

TEST_CASE("a serialize gets the version that its class was given", "[codec][boost]") {
  const auto grown = round_trip(Grown{3, 4});
  CHECK(grown.old == 3);
  CHECK(grown.added == 4);
}

TEST_CASE("a serialize can ask which way it goes", "[codec][boost]") {
  const SavesAndLoads value;
  CHECK(round_trip(value).loaded == 1);
  CHECK(value.saved == 1);
}

TEST_CASE("standard containers cross, one in another", "[codec]") {
  const std::set<std::string> names{"a", "bc", ""};
  CHECK(round_trip(names) == names);
  const std::unordered_set<std::string> unordered{"x", "y"};
  CHECK(round_trip(unordered) == unordered);
  const std::multiset<std::string> twice{"a", "a", "b"};
  CHECK(round_trip(twice) == twice);
  const std::list<std::vector<int>> list{{1, 2}, {}, {3}};
  CHECK(round_trip(list) == list);
  const std::deque<std::string> deque{"one", "two"};
  CHECK(round_trip(deque) == deque);
  const std::multimap<int, std::string> several{{1, "a"}, {1, "b"}, {2, "c"}};
  CHECK(round_trip(several) == several);
  const std::array<std::string, 3> three{"a", "b", "c"};
  CHECK(round_trip(three) == three);
  const std::map<std::string, std::optional<std::pair<int, std::set<int>>>> nested{{"a", {{1, {2, 3}}}}, {"b", {}}};
  CHECK(round_trip(nested) == nested);
}

TEST_CASE("a variant crosses with the alternative that it holds", "[codec]") {
  using Value = std::variant<std::monostate, int, std::string, std::vector<double>>;
  for (const Value& value : {Value{}, Value{7}, Value{"seven"}, Value{std::vector{0.5, 7.0}}}) {
    CHECK(round_trip(value) == value);
  }
  const std::vector<std::variant<int, float>> plain{1, 2.5F, 3};
  CHECK(round_trip(plain) == plain);
}

TEST_CASE("a variant of an alternative that there is not is malformed", "[codec][bad-input]") {
  const auto payload = encoded(std::uint8_t{2});
  CHECK_THROWS_AS((net::Reader{payload}.read<std::variant<std::string, int>>()), net::Malformed);
  CHECK_THROWS_AS((net::Reader{payload}.read<std::variant<int, float>>()), net::Malformed);
}

TEST_CASE("a set that announces more than a message holds allocates nothing and is malformed", "[codec][bad-input]") {
  const auto payload = encoded(std::uint64_t{1} << 60);
  CHECK_THROWS_AS(net::Reader{payload}.read<std::set<std::string>>(), net::Malformed);
  CHECK_THROWS_AS(net::Reader{payload}.read<std::list<int>>(), net::Malformed);
}
