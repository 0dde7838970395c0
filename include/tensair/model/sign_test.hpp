#pragma once

#include <cstdint>

namespace tensair {

/// Which of two is better, of pairs that come one after the other; it may be asked after every pair.
///
/// Under the hypothesis that a pair is won with a chance of at most one half, the likelihood ratio of any greater
/// chance is a supermartingale that begins with 1, and so is its mean over all greater chances. So the chance that the
/// mean ever reaches 1 / level is at most `level` (Ville's inequality; Robbins, "Statistical methods related to the law
/// of the iterated logarithm", Annals of Mathematical Statistics 41, 1970).
///
/// @code
/// tensair::SignTest test;
/// for (int i = 0; i < 12; ++i) test.add(true);
/// if (test.log_evidence() > std::log(1 / 0.01)) std::puts("better");
/// @endcode
class SignTest {
 public:
  /// Pairs in which neither is better are not added.
  void add(bool won) { ++(won ? won_ : lost_); }

  auto won() const -> std::uint64_t { return won_; }
  auto lost() const -> std::uint64_t { return lost_; }
  /// The natural logarithm of the evidence that more pairs are won than lost; 0 without pairs.
  auto log_evidence() const -> double { return log_evidence(won_, lost_); }
  /// The same for the opposite.
  auto log_evidence_against() const -> double { return log_evidence(lost_, won_); }

 private:
  static auto log_evidence(std::uint64_t won, std::uint64_t lost) -> double;

  std::uint64_t won_ = 0, lost_ = 0;
};

}  // namespace tensair
