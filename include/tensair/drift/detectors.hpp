#pragma once

/// All drift detectors over single numbers, and a list of them for programs that let a user choose.

#include <tensair/drift/adwin.hpp>
#include <tensair/drift/cusum.hpp>
#include <tensair/drift/ddm.hpp>
#include <tensair/drift/detector.hpp>
#include <tensair/drift/ecdd.hpp>
#include <tensair/drift/eddm.hpp>
#include <tensair/drift/hddm_a.hpp>
#include <tensair/drift/hddm_w.hpp>
#include <tensair/drift/kswin.hpp>
#include <tensair/drift/optwin.hpp>
#include <tensair/drift/page_hinkley.hpp>
#include <tensair/drift/rddm.hpp>
#include <tensair/drift/stepd.hpp>

namespace tensair::drift {

/// Calls `visit(parameters)` with the default parameters of each detector, in the order of their names.
///
/// @code
/// tensair::drift::for_each_detector([](auto parameters) {
///   std::printf("%s\n", std::string{decltype(parameters)::Detector::name}.c_str());
/// });
/// @endcode
template <class Visit>
void for_each_detector(Visit&& visit) {
  visit(adwin{});
  visit(cusum{});
  visit(ddm{});
  visit(ecdd{});
  visit(eddm{});
  visit(hddm_a{});
  visit(hddm_w{});
  visit(kswin{});
  visit(optwin{});
  visit(page_hinkley{});
  visit(rddm{});
  visit(stepd{});
}

}  // namespace tensair::drift
