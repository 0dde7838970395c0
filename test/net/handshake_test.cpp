#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <tensair/net/handshake.hpp>
#include <vector>

#include "catch.hpp"
#include "net/read_in_steps.hpp"

using namespace tensair::net;
using namespace tensair::net::test;

namespace {

void put(Bytes& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(value >> (8 * i));
}

const std::string plan = "source «images»: Stream<Image>\nbatch(128)\nmap «normalise»: Stream<Image>";

}  // namespace

TEST_CASE("a hello is read as it was written, and no byte beyond it", "[net][handshake]") {
  for (const auto& text : {std::string{}, plan, std::string(max_plan_bytes, 'x')}) {
    for (const std::size_t step : {1U, 5U, 1'000'000U}) {
      auto bytes = encode(Hello{.rank = 2, .nodes = 5, .plan = text, .run = 6, .resumes = 7, .received = 1ULL << 40});
      const auto size = bytes.size();
      bytes.resize(size + 100);
      std::size_t taken = 0;
      const auto hello = read_in_steps<HelloReader>(bytes, step, &taken);
      REQUIRE(hello);
      CHECK(taken == size);
      CHECK(hello->rank == 2);
      CHECK(hello->nodes == 5);
      CHECK((hello->plan == text));
      CHECK(hello->run == 6);
      CHECK(hello->resumes == 7);
      CHECK(hello->received == 1ULL << 40);
    }
  }
}

TEST_CASE("a verdict is read as it was written, and no byte beyond it", "[net][handshake]") {
  for (const auto& [reason, remedy] :
       {std::pair{"", ""}, {"the pipelines differ", ""}, {"", "Stop."}, {"rank 1 is taken", "Choose another."}}) {
    for (const std::size_t step : {1U, 3U, 1'000'000U}) {
      auto bytes = encode(Verdict{.accepted = false, .reason = reason, .remedy = remedy});
      const auto size = bytes.size();
      bytes.resize(size + 100);
      std::size_t taken = 0;
      const auto verdict = read_in_steps<VerdictReader>(bytes, step, &taken);
      REQUIRE(verdict);
      CHECK(taken == size);
      CHECK(!verdict->accepted);
      CHECK(verdict->reason == reason);
      CHECK(verdict->remedy == remedy);
    }
  }
}

TEST_CASE("a malformed hello is rejected as soon as it is known to be one", "[net][handshake][bad-input]") {
  const auto good = encode(Hello{.rank = 1, .nodes = 2, .plan = plan});
  struct Case {
    std::size_t at;
    std::uint32_t value;
    std::string says;
    std::size_t after;  // bytes taken by then
  };
  for (const auto& [at, value, says, after] : std::vector<Case>{
           {0, 0xffff'ffff, "rank -1", 40},
           {0, 0x7fff'ffff, "rank 2147483647", 40},
           {4, 0, "0 nodes", 40},
           {4, 0x8000'0000, "-2147483648 nodes", 40},
           {8, 65'537, "a plan of 65537 bytes is over the limit of 65536", 40},
           {8, 0xffff'ffff, "a plan of 4294967295 bytes is over the limit", 40},
           {12, 1, "a reserved field is not zero", 40},
       }) {
    INFO(says);
    auto bytes = good;
    put(bytes, at, value);
    CHECK_THROWS_WITH(read_in_steps<HelloReader>(bytes), Catch::Matchers::ContainsSubstring(says));
    bytes.resize(after - 1);
    CHECK_NOTHROW(read_in_steps<HelloReader>(bytes));
  }
}

TEST_CASE("a malformed verdict is rejected", "[net][handshake][bad-input]") {
  const auto good = encode(Verdict{.accepted = false, .reason = "no", .remedy = {}});
  for (const auto& [at, value] : {std::pair{std::size_t{0}, 2U}, {4, 0x0001'0000U}, {2, 0xffff'ffffU}}) {
    auto bytes = good;
    bytes.resize(8);
    put(bytes, at, value);
    CHECK_THROWS_AS(read_in_steps<VerdictReader>(bytes), Malformed);
  }
}

TEST_CASE("a plan that does not fit into a hello is an error of this node", "[net][handshake][bad-input]") {
  CHECK_THROWS_WITH(encode(Hello{.rank = 0, .plan = std::string(max_plan_bytes + 1, 'x')}),
                    Catch::Matchers::StartsWith("the pipeline's plan has 65537 bytes"));
}

TEST_CASE("nodes that agree accept each other", "[net][handshake]") {
  CHECK(compare({.rank = 0, .nodes = 2, .plan = plan}, {.rank = 1, .nodes = 2, .plan = plan}).accepted);
}

TEST_CASE("a comparison names what differs, with what stands here and there", "[net][handshake][bad-input]") {
  const Hello here{.rank = 0, .nodes = 3, .plan = plan};
  Hello there{.rank = 1, .nodes = 3, .plan = plan};
  std::string says;
  std::string remedy;

  SECTION("the number of nodes") {
    there.nodes = 4;
    says = "the numbers of nodes differ: here 3, there 4";
    remedy = "Give every node the same --nodes.";
  }
  SECTION("a rank outside the list") {
    there.rank = 3;
    says = "rank 3 is outside the list of 3 nodes";
    remedy = "Give every node its own --rank, counted from 0.";
  }
  SECTION("the same rank") {
    there.rank = 0;
    says = "both have rank 0";
    remedy = "Give every node its own --rank, counted from 0.";
  }
  SECTION("a line of the plan") {
    there.plan = "source «images»: Stream<Image>\nbatch(128)\nmap «normalise»: Stream<Tensor>";
    says =
        "the pipelines differ. operator 3: here map «normalise»: Stream<Image>, there map «normalise»: Stream<Tensor>";
    remedy = "Start every node with the same binary and flags.";
  }
  SECTION("a line that is missing there") {
    there.plan = "source «images»: Stream<Image>\nbatch(128)";
    says = "the pipelines differ. operator 3: here map «normalise»: Stream<Image>, there none";
    remedy = "Start every node with the same binary and flags.";
  }
  SECTION("a line that is missing here") {
    there.plan = plan + "\nsink";
    says = "the pipelines differ. operator 4: here none, there sink";
    remedy = "Start every node with the same binary and flags.";
  }
  SECTION("the plan's last line break") {
    there.plan = plan + "\n";
    says = "the pipelines differ in their last line break";
    remedy = "Start every node with the same binary and flags.";
  }
  const auto verdict = compare(here, there);
  CHECK(!verdict.accepted);
  CHECK(verdict.reason == says);
  CHECK(verdict.remedy == remedy);
}

TEST_CASE("a refusal is one line that says who, by whom, why and what to do", "[net][handshake]") {
  const Hello here{.rank = 2, .nodes = 3, .plan = "a\nb\nmap «normalise»: Stream<Image>"};
  const Hello there{.rank = 0, .nodes = 3, .plan = "a\nb\nmap «normalise»: Stream<Tensor>"};
  const auto error = refusal(2, "10.0.0.7:7002", 0, compare(here, there));
  CHECK(error.node() == 2);
  CHECK(std::string{error.what()} ==
        "node 2 (10.0.0.7:7002) was refused by node 0: the pipelines differ. operator 3: here map «normalise»: "
        "Stream<Image>, there map "
        "«normalise»: Stream<Tensor>. Start every node with the same binary and flags.");
}

TEST_CASE("what a stranger says is shown in one short line", "[net][handshake][bad-input]") {
  CHECK(printable("a\nb\x1b[31mc\x7f", 100) == "a b [31mc ");
  CHECK(printable("«»", 100) == "«»");
  CHECK(printable(std::string(1000, 'x'), 10) == "xxxxxxx…");
  CHECK(printable("xxxxxx«xxxxxx", 10) == "xxxxxx…");  // no half of a character
  const auto verdict =
      compare({.nodes = 2, .plan = "short"}, {.rank = 1, .nodes = 2, .plan = std::string(60'000, '\x01')});
  CHECK(verdict.reason.size() < 400);
  CHECK(encode(Verdict{false, std::string(100'000, 'x'), std::string(100'000, 'y')}).size() <= 8 + max_verdict_bytes);
}
