#include <map>
#include <set>
#include <string>
#include <tensair/net/codec.hpp>
#include <tuple>
#include <unordered_map>

#include "catch.hpp"

using namespace tensair;

namespace {

auto flatten(const net::Message& message) -> net::Payload {
  net::Payload payload = message.head;
  for (const auto part : message.bulk) payload.insert(payload.end(), part.begin(), part.end());
  return payload;
}

template <class T>
auto encoded(const T& value) -> net::Payload {
  net::Writer writer{7};
  writer.write(value);
  return flatten(*writer.finish());
}

template <class T>
auto round_trip(const T& value) -> T {
  const auto payload = encoded(value);
  return net::Reader{payload}.read<T>();
}

struct Point {
  double x, y;
  friend auto operator==(const Point&, const Point&) -> bool = default;
};

struct Shape {
  std::string name;
  std::vector<Point> corners;
  std::map<std::string, std::vector<std::string>> tags;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& name& corners& tags;
  }
  friend auto operator==(const Shape&, const Shape&) -> bool = default;
};

struct Opaque {
  std::unique_ptr<int> pointer;
};

static_assert(net::Encodable<Point>);
static_assert(net::Encodable<Shape>);
static_assert(net::Encodable<std::vector<std::pair<std::string, std::optional<Shape>>>>);
static_assert(!net::Encodable<Opaque>);
static_assert(!net::Encodable<int*>);

}  // namespace

TEST_CASE("values come back as they were", "[codec]") {
  CHECK(round_trip(42) == 42);
  CHECK(round_trip(Point{1.5, -2}) == Point{1.5, -2});
  CHECK(round_trip(std::string("zero\0inside", 11)) == std::string("zero\0inside", 11));
  CHECK(round_trip(std::vector<Point>{{1, 2}, {3, 4}}) == std::vector<Point>{{1, 2}, {3, 4}});
  CHECK(round_trip(std::vector<bool>{true, false, true}) == std::vector<bool>{true, false, true});
  CHECK(round_trip(std::vector<std::string>{"", "a"}) == std::vector<std::string>{"", "a"});
  CHECK(round_trip(std::optional<std::string>{}) == std::nullopt);
  CHECK(round_trip(std::optional<std::string>{"x"}) == "x");
  CHECK(round_trip(std::tuple<int, std::string, double>{1, "b", 2.5}) ==
        std::tuple<int, std::string, double>{1, "b", 2.5});
  const Shape shape{"triangle", {{0, 0}, {1, 0}, {0, 1}}, {{"colour", {"red", "blue"}}, {"", {}}}};
  CHECK(round_trip(shape) == shape);
  CHECK(round_trip(std::unordered_map<int, std::string>{{1, "a"}, {2, "b"}}) ==
        std::unordered_map<int, std::string>{{1, "a"}, {2, "b"}});
}

namespace {

/// Travels as something else: vectors that live as long as `serialize` does.
struct Members {
  std::set<int> values;
  std::vector<std::vector<int>> rows;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    std::vector<int> some(values.begin(), values.end());
    auto copy = rows;
    archive& some& copy;
    values = {some.begin(), some.end()};
    rows = copy;
  }
  friend auto operator==(const Members&, const Members&) -> bool = default;
};

/// Promises to name only its members, and is a local variable of somebody else's `serialize`.
struct Row {
  static constexpr bool serializes_members = true;
  std::vector<int> values;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& values;
  }
};
struct Sent {
  std::set<int> values;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    Row row{{values.begin(), values.end()}};
    archive& row;
    values = {row.values.begin(), row.values.end()};
  }
};

}  // namespace

TEST_CASE("what serialize makes for the occasion need not outlive it", "[codec]") {
  const Members members{{1, 2, 3}, {{4, 5}, {}, {6}}};
  CHECK(round_trip(members) == members);
  CHECK(round_trip(std::vector{members, members}) == std::vector{members, members});
  CHECK(round_trip(Sent{{7, 8, 9}}).values == std::set{7, 8, 9});
}

TEST_CASE("a vector of plain values is referred to, not copied, and lies at a multiple of 16", "[codec]") {
  const std::vector<float> values(1'000, 1.0F);
  net::Writer writer{7};
  writer.write(std::string("odd"));
  writer.write(values);
  const auto message = writer.finish();
  REQUIRE(message->bulk.size() == 1);
  CHECK(static_cast<const void*>(message->bulk[0].data()) == values.data());
  CHECK(message->head.size() % 16 == 0);
}

TEST_CASE("a vector of plain elements can be looked at where it lies in the message", "[codec]") {
  const std::vector<double> values{1.5, 2.5, 3.5};
  const auto payload = encoded(values);
  net::Reader reader{payload};
  std::vector<double> copied;
  const auto seen = net::view(reader, copied);
  CHECK(std::vector<double>(seen.begin(), seen.end()) == values);
  CHECK(copied.empty());
  CHECK(static_cast<const void*>(seen.data()) == payload.data() + payload.size() - 3 * sizeof(double));
  CHECK(net::Reader{payload}.read<std::vector<double>>() == values);
}

TEST_CASE("a vector that does not lie where its elements may is copied to be looked at", "[codec]") {
  const std::pair<std::vector<char>, std::vector<double>> values{{'a', 'b', 'c'}, {1.5, 2.5}};
  const auto payload = encoded(values);
  net::Reader reader{payload};
  std::vector<char> first;
  std::vector<double> second;
  CHECK(net::view(reader, first).size() == 3);
  const auto seen = net::view(reader, second);
  CHECK(std::vector<double>(seen.begin(), seen.end()) == values.second);
  CHECK(seen.data() == second.data());
}

TEST_CASE("a message cut short anywhere is malformed, and reads nothing beyond its end", "[codec][error]") {
  const auto whole = encoded(std::pair<std::vector<std::string>, std::vector<double>>{{"abc", "defg"}, {1, 2, 3}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of its own, so that a sanitizer sees a read beyond it.
    const net::Payload part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK_THROWS_AS((net::Reader{part}.read<std::pair<std::vector<std::string>, std::vector<double>>>()),
                    net::Malformed);
  }
}

namespace {

struct Nothing {
  template <class Archive>
  void serialize(Archive&, unsigned) {}
  friend auto operator==(Nothing, Nothing) -> bool = default;
};

}  // namespace

TEST_CASE("values of which nothing is written come back in their number", "[codec]") {
  CHECK(round_trip(Nothing{}) == Nothing{});
  CHECK((round_trip(std::vector<Nothing>(1'000)) == std::vector<Nothing>(1'000)));
  CHECK(round_trip(std::map<int, Nothing>{{1, {}}, {2, {}}}).size() == 2);
  CHECK((round_trip(std::pair{std::vector<Nothing>(3), std::string("behind")}) ==
         std::pair{std::vector<Nothing>(3), std::string("behind")}));
}

TEST_CASE("a value is read into one that there is, whose memory is used again", "[codec]") {
  const auto numbers = encoded(std::vector<double>{1.5, 2.5});
  std::vector<double> into(100, 7.0);
  const auto* const memory = into.data();
  net::Reader{numbers}.read_into(into);
  CHECK(into == std::vector<double>{1.5, 2.5});
  CHECK(into.data() == memory);

  const auto words = encoded(std::vector<std::string>{"one", "", "three"});
  std::vector<std::string> texts(50, "before");
  net::Reader{words}.read_into(texts);
  CHECK(texts == std::vector<std::string>{"one", "", "three"});

  // Behind a vector that leaves it where its elements may not lie.
  const auto odd = encoded(std::pair<std::vector<char>, std::vector<double>>{{'a', 'b', 'c'}, {1.5}});
  net::Reader reader{odd};
  std::vector<char> letters(9, 'z');
  reader.read_into(letters);
  reader.read_into(into);
  CHECK(letters == std::vector<char>{'a', 'b', 'c'});
  CHECK(into == std::vector<double>{1.5});

  const auto sent = encoded(Row{{1, 2}});
  Row row{{9, 9, 9, 9}};
  net::Reader{sent}.read_into(row);
  CHECK(row.values == std::vector{1, 2});
}

TEST_CASE("a length that is a lie allocates nothing and is malformed", "[codec][error]") {
  net::Writer writer{7};
  writer.write(std::uint64_t{1} << 60);
  const auto payload = flatten(*writer.finish());
  CHECK_THROWS_AS(net::Reader{payload}.read<std::vector<double>>(), net::Malformed);
  CHECK_THROWS_AS(net::Reader{payload}.read<std::string>(), net::Malformed);
  CHECK_THROWS_AS(net::Reader{payload}.read<std::vector<std::string>>(), net::Malformed);
  net::Payload lying(16, std::byte{0});
  const std::uint64_t head = 1'000;
  std::memcpy(lying.data(), &head, sizeof head);
  CHECK_THROWS_AS(net::Reader{lying}, net::Malformed);
}
