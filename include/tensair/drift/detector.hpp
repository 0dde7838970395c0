#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <tensair/error.hpp>
#include <type_traits>

// What all drift detectors have in common.
//
// A detector is made of parameters, a struct of the algorithm's name in lower case: `adwin{.delta = 0.01}`. It is given
// one value after another and says of each whether the stream has changed. After a drift it begins anew with the next
// value, by itself. It never waits, takes no locks, and its memory is bounded by its parameters.

namespace tensair {

/// What a detector says of the value it has just been given.
enum class DriftLevel : std::uint8_t {
  none,
  warning,  ///< it may be changing: keep recent records, to start from them
  drift,    ///< it has changed; the detector begins anew with the next value
};

namespace drift {

/// A value that a detector cannot work with: not a number, infinite, or outside its domain. The detector is as it was
/// before.
class BadValue : public Error {
 public:
  using Error::Error;
};

/// A state that is not of this detector: of another type or version, or damaged.
class BadState : public Error {
 public:
  using Error::Error;
};

/// A drift detector over single numbers. Each of them also has `parameters()` and, as its `Parameters`, the struct that
/// names them; a state can be kept or sent elsewhere with `serialize`.
template <class D>
concept Detector = std::copyable<D> && std::default_initializable<D> &&
    std::default_initializable<typename D::Parameters> && std::constructible_from<D, typename D::Parameters> &&
    requires(D detector, const D& seen, double value) {
  // What the next value of the stream tells. @throws BadValue  it is outside the domain
  { detector.update(value) } -> std::same_as<DriftLevel>;
  // Forgets all values.
  detector.reset();
  // How many values it works with: those since it last began, as far as it has not forgotten them.
  { seen.count() } -> std::same_as<std::uint64_t>;
  // Their mean, or what the detector has in its place; 0 without values.
  { seen.estimate() } -> std::same_as<double>;
  // The test's statistic when it last signalled a warning or a drift; 0 if it never has. Its unit is the detector's.
  { seen.statistic() } -> std::same_as<double>;
  { seen.parameters() } -> std::same_as<const typename D::Parameters&>;
  { D::name } -> std::convertible_to<std::string_view>;
};

/// Parameters of a detector: `P::Detector` is what they are parameters of, and `P::each(parameters, visit)` calls
/// `visit(name, value, least, greatest, what it is)` for each of them.
template <class P>
concept Parameters = requires {
  typename P::Detector;
  requires std::same_as<typename P::Detector::Parameters, P>;
};

// --- For those who write detectors -----------------------------------------------------------------------------------

/// Values whose squares can be added up without overflow. Detectors of any number take those up to here.
inline constexpr double greatest_value = 1e100;

[[noreturn]] void throw_bad_value(std::string_view detector, double value, std::string_view domain);
[[noreturn]] void throw_bad_parameter(std::string_view detector, std::string_view parameter, double value, double least,
                                      double greatest);
[[noreturn]] void throw_other_state(std::string_view found, std::uint32_t found_version, std::string_view wanted,
                                    std::uint32_t wanted_version);
[[noreturn]] void throw_damaged_state(std::string_view detector);

/// @throws BadValue  the value is not in [0, 1]
inline void expect_fraction(std::string_view detector, double value) {
  if (!(value >= 0 && value <= 1)) [[unlikely]]
    throw_bad_value(detector, value, "0 (right), 1 (wrong), or a number between");
}
/// @throws BadValue  the value is not finite, or too great
inline void expect_number(std::string_view detector, double value) {
  if (!(value >= -greatest_value && value <= greatest_value)) [[unlikely]]
    throw_bad_value(detector, value, "a number from -1e100 to 1e100");
}

/// @throws UsageError  a parameter is outside its range
template <Parameters P>
void check(const P& parameters) {
  P::each(parameters, [](std::string_view name, auto value, double least, double greatest, std::string_view) {
    const auto number = static_cast<double>(value);
    if (!(number >= least && number <= greatest)) throw_bad_parameter(P::Detector::name, name, number, least, greatest);
  });
}

/// What every state begins with: whose it is, its version and the parameters.
/// @throws BadState  when read: it is another detector's, or of another version
template <class Archive, Parameters P>
void head_of_state(Archive& archive, std::uint32_t version, P& parameters) {
  auto found = std::string{P::Detector::name};
  auto found_version = version;
  archive& found& found_version;
  if (found != P::Detector::name || found_version != version)
    throw_other_state(found, found_version, P::Detector::name, version);
  P::each(parameters, [&](std::string_view, auto& value, double least, double greatest, std::string_view) {
    archive& value;
    const auto number = static_cast<double>(value);
    if (!(number >= least && number <= greatest)) throw_damaged_state(P::Detector::name);
  });
}

}  // namespace drift
}  // namespace tensair
