#include <fmt/format.h>

#include <tensair/drift/detector.hpp>

namespace tensair::drift {

void throw_bad_value(std::string_view detector, double value, std::string_view domain) {
  throw BadValue{fmt::format("{} is no value for this detector", value), std::string{detector},
                 fmt::format("Give it {}.", domain)};
}

void throw_bad_parameter(std::string_view detector, std::string_view parameter, double value, double least,
                         double greatest) {
  throw UsageError{
      fmt::format("{} cannot be {}", parameter, value), std::string{detector},
      greatest < 1e9 ? fmt::format("Give {} to {}.", least, greatest) : fmt::format("Give {} or more.", least)};
}

void throw_other_state(std::string_view found, std::uint32_t found_version, std::string_view wanted,
                       std::uint32_t wanted_version) {
  // What is found may be anything: not all of it is worth printing.
  constexpr std::size_t longest_name = 32;
  throw BadState{fmt::format("the state is that of «{}», version {}", found.substr(0, longest_name), found_version),
                 fmt::format("{}, version {}", wanted, wanted_version),
                 "Restore a detector from a state that the same detector of the same release has written."};
}

void throw_damaged_state(std::string_view detector) {
  throw BadState{"the state is damaged", std::string{detector}, "Restore the detector from another copy."};
}

}  // namespace tensair::drift
