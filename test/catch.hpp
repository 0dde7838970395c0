#pragma once

// Catch2 v2 (Debian 12) and v3 under one include. Write tests against what both have: Approx, and from Catch::Matchers
// Equals, StartsWith, EndsWith, ContainsSubstring (v3's name), WithinAbs, WithinRel.

#if __has_include(<catch2/catch_test_macros.hpp>)

#include <catch2/catch_approx.hpp>
#include <catch2/catch_message.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#include <catch2/matchers/catch_matchers_all.hpp>

using Catch::Approx;

#else

#include <catch2/catch.hpp>

namespace Catch::Matchers {

inline auto ContainsSubstring(const std::string& text, CaseSensitive::Choice sensitive = CaseSensitive::Yes) {
  return Contains(text, sensitive);
}

}  // namespace Catch::Matchers

#endif

// RapidCheck where there is one (TENSAIR_HAS_RAPIDCHECK): state a property in a test case as
//
//   tensair::test::check_property("decoding undoes encoding", [](const std::vector<int>& v) {
//     RC_ASSERT(decode(encode(v)) == v);
//   });
#ifdef TENSAIR_HAS_RAPIDCHECK

#include <rapidcheck.h>

#include <sstream>
#include <string>
#include <utility>

namespace tensair::test {

template <class Property>
void check_property(const std::string& description, Property&& property) {
  SECTION(description) {
    const auto result = rc::detail::checkTestable(std::forward<Property>(property));
    std::ostringstream text;
    rc::detail::printResultMessage(result, text);
    INFO(text.str());
    CHECK(result.template is<rc::detail::SuccessResult>());
  }
}

}  // namespace tensair::test

#endif
