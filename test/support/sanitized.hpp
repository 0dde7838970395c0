#pragma once

namespace tensair::test {

/// Whether AddressSanitizer or ThreadSanitizer watches: ten times slower, and with memory of its own for each access.
/// What a test repeats to meet rare orders or to count, it then repeats less often.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace tensair::test
