#include "generator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace nexmark {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t group = 50, persons = 1,
                        auctions = 3;  // of a group of events, in this order; the rest are bids
constexpr std::int64_t first_id = 1'000;
constexpr std::int64_t active_persons = 1'000, open_auctions = 100;  // the latest ones, which something happens to
constexpr auto interval = 10ms;
constexpr auto longest_auction = 40s;
constexpr std::chrono::sys_days opening = std::chrono::year{2015} / 7 / 15;

constexpr std::array<std::string_view, 6> states{"AZ", "CA", "ID", "OR", "WA", "WY"};
constexpr std::array<std::string_view, 10> cities{"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland",
                                                  "Bend",    "Redmond",     "Seattle",       "Kent",  "Cheyenne"};
constexpr std::array<std::string_view, 11> first_names{"Peter", "Paul",  "Luke",  "John",   "Saul",  "Vicky",
                                                       "Kate",  "Julie", "Sarah", "Deiter", "Walter"};
constexpr std::array<std::string_view, 9> last_names{"Shultz", "Abrams", "Spencer", "White", "Bartels",
                                                     "Walton", "Smith",  "Jones",   "Noris"};
constexpr std::array<std::string_view, 4> channels{"Google", "Facebook", "Baidu", "Apple"};

/// Numbers that depend on the seed and the event alone (SplitMix64; Steele et al., 2014).
class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t n) : state_(seed * 0x9e37'79b9'7f4a'7c15 + n) {
    for (int i = 0; i < 2; ++i) next();
  }
  auto below(std::int64_t bound) -> std::int64_t {
    return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(bound));
  }
  template <class Array>
  auto one_of(const Array& all) -> std::string_view {
    return all[static_cast<std::size_t>(below(static_cast<std::int64_t>(all.size())))];
  }
  /// Cents: few are high.
  auto price() -> std::int64_t {
    return std::llround(std::pow(10.0, static_cast<double>(below(1'000'000)) / 1e6 * 6) * 100);
  }
  auto word(std::size_t letters) -> std::string {
    std::string made(letters, ' ');
    for (char& c : made) c = static_cast<char>('a' + below(26));
    return made;
  }

 private:
  auto next() -> std::uint64_t {
    state_ += 0x9e37'79b9'7f4a'7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

auto last_person(std::uint64_t n) -> std::int64_t {
  return first_id + static_cast<std::int64_t>(n / group);
}

auto last_auction(std::uint64_t n) -> std::int64_t {
  const auto within = std::min(n % group, auctions);  // the group's person comes first
  return first_id - 1 + static_cast<std::int64_t>(n / group * auctions + within);
}

auto recent(Random& random, std::int64_t last, std::int64_t window) -> std::int64_t {
  return last - random.below(std::min(window, last - first_id + 1));
}

/// Half of all go to one that changes now and then.
auto popular_or_recent(Random& random, std::int64_t last, std::int64_t every, std::int64_t window) -> std::int64_t {
  const auto popular = std::max(first_id, last / every * every);
  return random.below(2) == 0 ? popular : recent(random, last, window);
}

}  // namespace

auto event(const Events& events, std::uint64_t n) -> Event {
  Random random{events.seed, n};
  const EventTime when = EventTime{opening} + n * interval -
                         std::chrono::microseconds{random.below(std::chrono::microseconds{disorder}.count())};
  const auto place = n % group;
  if (place < persons) {
    const auto first = random.one_of(first_names), last = random.one_of(last_names);
    return Person{last_person(n),
                  fmt::format("{} {}", first, last),
                  fmt::format("{}@{}.com", random.word(7), random.word(5)),
                  fmt::format("{:04} {:04} {:04} {:04}", random.below(10'000), random.below(10'000),
                              random.below(10'000), random.below(10'000)),
                  std::string(random.one_of(cities)),
                  std::string(random.one_of(states)),
                  when};
  }
  if (place < persons + auctions) {
    const auto initial = random.price();
    return Auction{
        last_auction(n),
        random.word(12),
        random.word(30),
        initial,
        initial + random.price(),
        when,
        when + std::chrono::milliseconds{1 + random.below(std::chrono::milliseconds{longest_auction}.count())},
        popular_or_recent(random, last_person(n), 100, active_persons),
        10 + random.below(5)};
  }
  const auto auction = popular_or_recent(random, std::max(first_id, last_auction(n)), 100, open_auctions);
  const auto number = random.below(10'000);
  return Bid{auction,
             popular_or_recent(random, last_person(n), 100, active_persons),
             random.price(),
             random.below(2) == 0 ? std::string(random.one_of(channels)) : fmt::format("channel-{}", number),
             fmt::format("https://www.nexmark.com/{}/{}/{}/item.htm?query=1&channel_id={}", random.word(5),
                         random.word(5), random.word(5), number),
             when};
}

}  // namespace nexmark
