#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <limits>
#include <numbers>
#include <tensair/model/sign_test.hpp>

namespace tensair {

// The mean over q, even between 1/2 and 1, of (2q)^won (2(1 - q))^lost: 2^(won + lost + 1) times the incomplete beta
// function from 1/2 to 1. The complete function alone leaves the range of doubles after a thousand pairs.
auto SignTest::log_evidence(std::uint64_t won, std::uint64_t lost) -> double {
  const auto a = static_cast<double>(won) + 1, b = static_cast<double>(lost) + 1;
  const double share = boost::math::ibetac(a, b, 0.5);
  if (share == 0) return -std::numeric_limits<double>::infinity();
  return (a + b - 1) * std::numbers::ln2 + boost::math::lgamma(a) + boost::math::lgamma(b) -
         boost::math::lgamma(a + b) + std::log(share);
}

}  // namespace tensair
