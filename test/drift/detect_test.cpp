#include <map>
#include <string>
#include <tensair/drift/adwin.hpp>
#include <tensair/drift/ddm.hpp>

#include "catch.hpp"
#include "support/golden.hpp"
#include "support/streams.hpp"

using namespace tensair;
using namespace tensair::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// The errors of a machine: wrong one time in ten, from its change on one in two. (Weyl's sequence: spread evenly.)
struct Answer {
  std::string machine;
  int number = 0;
  double loss = 0;
  EventTime when{};

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& machine& number& loss& when;
  }
};

auto answer(int machine, int number) -> Answer {
  const int change = 1'000 + 200 * machine;
  const auto spread = static_cast<std::uint32_t>(number + 7 * machine) * 2'654'435'769U;
  const double loss = spread < (number < change ? 429'496'730U : 2'147'483'648U) ? 1 : 0;
  return {"machine " + std::to_string(machine), number, loss, EventTime{std::chrono::microseconds{number}}};
}

constexpr int machines = 6, answers = 4'000;

/// All answers, those of a machine in order, read on node 0.
auto all_answers() -> std::vector<Answer> {
  std::vector<Answer> all;
  for (int i = 0; i < answers; ++i) {
    for (int m = 0; m < machines; ++m) all.push_back(answer(m, i));
  }
  return all;
}

/// What a detector alone says of one machine.
template <class P>
auto expected(P parameters, int machine) -> Signals {
  std::vector<double> losses;
  for (int i = 0; i < answers; ++i) losses.push_back(answer(machine, i).loss);
  auto signals = signals_of(typename P::Detector{parameters}, losses);
  signals.warnings = beginnings(signals.warnings);
  return signals;
}

template <class P>
void check_keyed(P parameters) {
  std::map<std::string, Signals> alone;
  for (int m = 0; m < machines; ++m) {
    alone["machine " + std::to_string(m)] = expected(parameters, m);
    REQUIRE(!alone["machine " + std::to_string(m)].drifts.empty());
  }
  for (const auto topology :
       {Topology{1, 1, false}, Topology{2, 2, false}, Topology{5, 3, false}, Topology{2, 1, true}}) {
    INFO(topology.name());
    std::map<std::string, Signals> found;
    for (const auto& one : result_of<Drift<std::string>>(topology, [&](Pipeline& pipeline) {
           return pipeline.source(all_answers())
               .assign_timestamps(&Answer::when)
               .key_by(&Answer::machine)
               .detect(parameters, &Answer::loss, {.warnings = true})
               .collect();
         })) {
      auto& signals = found[one.key];
      (one.level == DriftLevel::drift ? signals.drifts : signals.warnings).push_back(one.index);
      CHECK(one.time.time_since_epoch() == std::chrono::microseconds{one.index - 1});
      CHECK(one.statistic > 0);
    }
    CHECK(found == alone);
  }
}

}  // namespace

TEST_CASE("detect has a detector for each key, on any number of nodes", "[drift][operators]") {
  check_keyed(ddm{});
  check_keyed(adwin{.clock = 8});
}

TEST_CASE("detect without keys watches the stream with one detector, and emits drifts only", "[drift][operators]") {
  std::vector<double> losses;
  for (int i = 0; i < answers; ++i) losses.push_back(answer(1, i).loss);
  const auto found = result_of<Drift<AllKeys>>(
      {}, [&](Pipeline& pipeline) { return pipeline.source(losses).detect(ddm{}).collect(); });
  std::vector<std::uint64_t> drifts;
  for (const auto& one : found) {
    CHECK(one.level == DriftLevel::drift);
    CHECK(one.time == beginning_of_time);
    drifts.push_back(one.index);
  }
  CHECK(drifts == expected(ddm{}, 1).drifts);
  CHECK(!drifts.empty());
}

TEST_CASE("a value that a detector refuses stops the pipeline, or is skipped and counted", "[drift][operators]") {
  std::vector<double> losses{0, 1, 0, 17, 0};
  CHECK_THROWS_WITH(result_of<Drift<AllKeys>>(
                        {}, [&](Pipeline& pipeline) { return pipeline.source(losses).detect(ddm{}).collect(); }),
                    ContainsSubstring("17 is no value for this detector") && ContainsSubstring("detect"));
  losses.clear();
  for (int i = 0; i < answers; ++i) losses.push_back(i % 100 == 99 ? -1 : answer(1, i).loss);
  const auto found = result_of<Drift<AllKeys>>(
      {}, [&](Pipeline& pipeline) { return pipeline.source(losses).detect(ddm{}).on_error(skip).collect(); });
  drift::Ddm alone;
  std::vector<std::uint64_t> drifts, expected;
  for (std::uint64_t i = 0; i < losses.size(); ++i) {
    if (losses[i] >= 0 && alone.update(losses[i]) == DriftLevel::drift) expected.push_back(i + 1);
  }
  for (const auto& one : found) drifts.push_back(one.index);
  CHECK(drifts == expected);
  CHECK(!expected.empty());
}
