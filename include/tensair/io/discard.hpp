#pragma once

namespace tensair {

/// A sink that forgets every record: for measuring, and for a stream whose operators are all it is for.
///
/// @code
/// readings.inspect([](const Reading& one) { if (one.celsius > 40) std::puts("hot"); }).sink(tensair::discard());
/// @endcode
inline auto discard() {
  return [](const auto&) noexcept {};
}

}  // namespace tensair
