#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <tensair/net/authentication.hpp>
#include <tensair/net/handshake.hpp>
#include <vector>

#include "catch.hpp"
#include "net/read_in_steps.hpp"

using namespace tensair::net;
using namespace tensair::net::test;

namespace {

const std::string token = "correct horse battery staple";

auto bytes_of(const std::string& hex) -> Bytes {
  Bytes bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

auto filled(std::uint8_t value) -> Nonce {
  Nonce nonce;
  nonce.fill(std::byte{value});
  return nonce;
}

auto caller() -> Opening {
  return {.kind = ProofKind::hmac_sha256, .rank = 2, .nonce = filled(0x11)};
}
auto listener() -> Opening {
  return {.kind = ProofKind::hmac_sha256, .rank = 0, .nonce = filled(0x22)};
}

auto read(const Bytes& bytes, std::size_t step = 1'000'000, std::size_t* taken = nullptr) {
  return read_in_steps<OpeningReader>(bytes, step, taken);
}

}  // namespace

// Made with Python: hmac.new(token, struct.pack("<IIii", role, 2, 2, 0) + b"\x11" * 32 + b"\x22" * 32, "sha256")
TEST_CASE("a proof is the HMAC-SHA256 of role, version, ranks and nonces", "[net][authentication]") {
  const auto hex = [](Role role) {
    const auto proof = prove(token, role, caller(), listener());
    return Bytes{proof.begin(), proof.end()};
  };
  CHECK(hex(Role::caller) == bytes_of("79234288d199d246bb0a6c124975802eeb383a5fe8796c9fd17eccdc5740bd65"));
  CHECK(hex(Role::listener) == bytes_of("f4ef302a03bd5bb709411c5bc9bec1734fd9826aca03a28f10fca64135a7ed49"));
}

TEST_CASE("a proof is good for one role, one pair of nodes and one connection", "[net][authentication][bad-input]") {
  const auto proof = prove(token, Role::caller, caller(), listener());
  CHECK(equal(proof, prove(token, Role::caller, caller(), listener())));
  CHECK(!equal(proof, prove(token + " ", Role::caller, caller(), listener())));
  CHECK(!equal(proof, prove(token, Role::listener, caller(), listener())));
  CHECK(!equal(proof, prove(token, Role::caller, listener(), caller())));
  const auto changed = [&](auto change) {
    auto a = caller();
    auto b = listener();
    change(a, b);
    return prove(token, Role::caller, a, b);
  };
  CHECK(!equal(proof, changed([](auto& a, auto&) { a.rank = 1; })));
  CHECK(!equal(proof, changed([](auto&, auto& b) { b.rank = 1; })));
  CHECK(!equal(proof, changed([](auto& a, auto&) { a.nonce = filled(0x12); })));
  CHECK(!equal(proof, changed([](auto&, auto& b) { b.nonce = filled(0x12); })));
}

TEST_CASE("no two nonces are the same", "[net][authentication]") {
  std::set<Nonce> nonces;
  for (int i = 0; i < 1000; ++i) nonces.insert(fresh_nonce());
  CHECK(nonces.size() == 1000);
}

TEST_CASE("an opening is read as it was written, and no byte beyond it", "[net][authentication]") {
  for (const std::size_t step : {1U, 5U, 1'000'000U}) {
    auto bytes = encode(caller());
    REQUIRE(bytes.size() == 56);
    bytes.resize(156);
    std::size_t taken = 0;
    const auto opening = read(bytes, step, &taken);
    REQUIRE(opening);
    CHECK(taken == 56);
    CHECK(opening->version == protocol_version);
    CHECK(opening->kind == ProofKind::hmac_sha256);
    CHECK(opening->rank == 2);
    CHECK((opening->nonce == filled(0x11)));
  }
}

TEST_CASE("of an opening of another protocol version only the version is read", "[net][authentication]") {
  std::size_t taken = 0;
  const auto opening = read(encode(Opening{.version = 99, .rank = 1}), 1'000'000, &taken);
  REQUIRE(opening);
  CHECK(opening->version == 99);
  CHECK(taken == 16);
}

TEST_CASE("a malformed opening is rejected as soon as it is known to be one", "[net][authentication][bad-input]") {
  struct Case {
    std::size_t at;
    std::uint32_t value;
    std::string says;
    std::size_t after;  // bytes taken by then
  };
  for (const auto& [at, value, says, after] : std::vector<Case>{
           {0, 0x2054'4547, "this is not a tensair node", 16},
           {12, 2, "unknown kind of proof 2", 16},
           {16, 0xffff'ffff, "rank -1", 56},
           {16, 0x7fff'ffff, "rank 2147483647", 56},
           {20, 1, "a reserved field is not zero", 56},
       }) {
    INFO(says);
    auto bytes = encode(caller());
    for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(value >> (8 * i));
    CHECK_THROWS_WITH(read(bytes), Catch::Matchers::ContainsSubstring(says));
    bytes.resize(after - 1);
    CHECK_NOTHROW(read(bytes));
  }
}

TEST_CASE("openings are compared by version, and by whether there is a token", "[net][authentication][bad-input]") {
  const Opening none{.rank = 1};
  CHECK(compare(caller(), listener()).accepted);
  CHECK(compare(none, none).accepted);
  auto other = none;
  other.version = 99;
  CHECK(compare(caller(), other).reason == "the protocol versions differ: here 2, there 99");
  CHECK(compare(caller(), other).remedy == "Start every node with the same version of tensair.");
  CHECK(compare(caller(), none).reason == "only one of them has the cluster's token: here one, there none");
  CHECK(compare(none, caller()).reason == "only one of them has the cluster's token: here none, there one");
  CHECK(compare(none, caller()).remedy == "Give every node the same --token-file FILE (or TENSAIR_TOKEN).");
}
