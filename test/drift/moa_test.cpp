#include <algorithm>
#include <cstdlib>
#include <tensair/drift/adwin.hpp>
#include <tensair/drift/ddm.hpp>
#include <tensair/drift/ecdd.hpp>
#include <tensair/drift/eddm.hpp>
#include <tensair/drift/optwin.hpp>
#include <tensair/drift/stepd.hpp>

#include "catch.hpp"
#include "support/golden.hpp"

// Beside MOA 2021.07 with its defaults, and the class that OPTWIN's authors wrote for it, on the streams of the folder
// drift-golden. Without TENSAIR_DATA these say that there are none and check nothing: recorded_test.cpp has a smaller
// file of the same in the project.

using namespace tensair;
using namespace tensair::test;

namespace {

auto golden() -> const Golden& {
  static const auto all = [] {
    const char* folder = std::getenv("TENSAIR_DATA");
    return folder == nullptr ? Golden{} : read_golden(std::filesystem::path{folder} / "drift-golden");
  }();
  return all;
}

/// The warnings that MOA's evaluation of detectors counts: where there begins to be a warning while a true change has
/// come and no drift been signalled since.
auto counted(const Signals& found, const std::vector<std::uint64_t>& changes) -> std::vector<std::uint64_t> {
  std::vector<std::uint64_t> awaited;
  for (const auto warning : found.warnings) {
    const auto change = std::upper_bound(changes.begin(), changes.end(), warning);
    if (change == changes.begin()) continue;
    const auto signal = std::lower_bound(found.drifts.begin(), found.drifts.end(), *std::prev(change));
    if (signal == found.drifts.end() || warning < *signal) awaited.push_back(warning);
  }
  return beginnings(awaited);
}

template <class Parameters>
void must_agree(const std::string& name, Parameters parameters = {}) {
  if (golden().streams.empty()) {
    WARN("no streams: set TENSAIR_DATA to a folder with drift-golden");
    return;
  }
  for (const auto& [stream, values] : golden().streams) {
    INFO(stream);
    const auto& expected = golden().said.at(stream).at(name);
    const auto found = signals_of(typename Parameters::Detector{parameters}, values);
    CHECK(found.drifts == expected.drifts);
    CHECK(counted(found, golden().said.at(stream).at("TRUE").drifts) == expected.warnings);
  }
}

}  // namespace

TEST_CASE("ADWIN signals where MOA's does", "[drift]") {
  must_agree<adwin>("ADWIN");
}

TEST_CASE("DDM signals where MOA's does", "[drift]") {
  must_agree<ddm>("DDM");
}

TEST_CASE("EDDM signals where MOA's does", "[drift]") {
  must_agree<eddm>("EDDM");
}

TEST_CASE("ECDD signals where MOA's EWMAChartDM does", "[drift]") {
  must_agree<ecdd>("ECDD");
}

TEST_CASE("STEPD signals where MOA's does", "[drift]") {
  must_agree<stepd>("STEPD");
}

TEST_CASE("OPTWIN signals where its authors' program does", "[drift]") {
  must_agree("OPTWIN(rho=0.1)", optwin{.rho = 0.1});
  must_agree("OPTWIN(rho=0.5)", optwin{.rho = 0.5});
  must_agree("OPTWIN(rho=1.0)", optwin{.rho = 1.0});
}
