#include <cstdlib>
#include <tensair/drift/adwin.hpp>
#include <tensair/drift/cusum.hpp>
#include <tensair/drift/ddm.hpp>
#include <tensair/drift/ecdd.hpp>
#include <tensair/drift/eddm.hpp>
#include <tensair/drift/hddm_a.hpp>
#include <tensair/drift/hddm_w.hpp>
#include <tensair/drift/kswin.hpp>
#include <tensair/drift/page_hinkley.hpp>
#include <tensair/drift/rddm.hpp>
#include <tensair/drift/stepd.hpp>

#include "catch.hpp"
#include "support/golden.hpp"

// Beside what MOA and River have said of the streams in recorded/, which record.py has drawn.

using namespace tensair;
using namespace tensair::test;

namespace {

auto recorded() -> const Golden& {
  static const auto all = [] {
    const char* source = std::getenv("TENSAIR_SOURCE_DIR");  // as ctest has it
    const auto here = source == nullptr ? std::filesystem::path{__FILE__}.parent_path()
                                        : std::filesystem::path{source} / "test" / "drift";
    return read_golden(here / "recorded");
  }();
  return all;
}

template <class Parameters>
void must_agree(const std::string& name, Parameters parameters = {}, bool warnings_too = true) {
  int streams = 0, drifts = 0;
  for (const auto& [stream, said] : recorded().said) {
    const auto expected = said.find(name);
    if (expected == said.end()) continue;
    INFO(stream);
    const auto found = signals_of(typename Parameters::Detector{parameters}, recorded().streams.at(stream));
    CHECK(found.drifts == expected->second.drifts);
    if (warnings_too) CHECK(beginnings(found.warnings) == expected->second.warnings);
    ++streams;
    drifts += static_cast<int>(found.drifts.size());
  }
  CHECK(streams >= 4);
  CHECK(drifts > 0);
}

}  // namespace

TEST_CASE("recorded: ADWIN is MOA's", "[drift]") {
  must_agree<adwin>("MOA ADWIN");
}

TEST_CASE("recorded: DDM is MOA's", "[drift]") {
  must_agree<ddm>("MOA DDM");
}

TEST_CASE("recorded: EDDM is MOA's", "[drift]") {
  must_agree<eddm>("MOA EDDM");
}

TEST_CASE("recorded: ECDD is MOA's", "[drift]") {
  must_agree<ecdd>("MOA ECDD");
}

TEST_CASE("recorded: STEPD is MOA's", "[drift]") {
  must_agree<stepd>("MOA STEPD");
}

TEST_CASE("recorded: HDDM_A is MOA's, and River's", "[drift]") {
  must_agree<hddm_a>("MOA HDDM_A");
  must_agree("MOA HDDM_A one-sided", hddm_a{.two_sided = false});
  must_agree("River HDDM_A", hddm_a{.two_sided = false});
}

TEST_CASE("recorded: HDDM_W is MOA's, and River's", "[drift]") {
  must_agree<hddm_w>("MOA HDDM_W");
  must_agree("MOA HDDM_W two-sided", hddm_w{.two_sided = true});
  // River's sum of squared weights shrinks from the first value on, MOA's from the second: its bound is one value
  // ahead, and so may be the beginning of a warning.
  must_agree("River HDDM_W", hddm_w{}, false);
}

TEST_CASE("recorded: the Page-Hinkley test is MOA's, and River's", "[drift]") {
  must_agree("MOA PageHinkley", page_hinkley{.from_lowest = false});
  must_agree("River PageHinkley", page_hinkley{.min_values = 31, .two_sided = true});
  must_agree("River PageHinkley threshold 10", page_hinkley{.min_values = 31, .lambda = 10, .two_sided = true});
}

TEST_CASE("recorded: CUSUM is MOA's", "[drift]") {
  must_agree<cusum>("MOA CUSUM");
  must_agree("MOA CUSUM lambda 10", cusum{.lambda = 10});
}

TEST_CASE("recorded: RDDM is MOA's", "[drift]") {
  must_agree<rddm>("MOA RDDM");
  must_agree("MOA RDDM short", rddm{.max_concept = 600, .min_stable = 200, .warning_limit = 100});
}

TEST_CASE("recorded: KSWIN is River's, draw by draw", "[drift]") {
  must_agree("River KSWIN seed 42", kswin{.seed = 42});
  must_agree("River KSWIN 300 100", kswin{.alpha = 0.001, .window = 300, .recent = 100, .seed = 7});
  must_agree("River KSWIN 600 30", kswin{.alpha = 0.001, .window = 600, .recent = 30, .seed = 9});
}
