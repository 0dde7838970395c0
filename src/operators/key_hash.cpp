#include <tensair/operators/key_hash.hpp>

namespace tensair::operators {

auto hash_long_text(std::string_view text) -> std::uint64_t {
  const char* at = text.data();
  std::size_t left = text.size();
  std::uint64_t hash = hash_a;
  for (; left > 16; at += 16, left -= 16) hash = fold_multiply(read_word(at) ^ hash_b, read_word(at + 8) ^ hash);
  // The last 16 bytes, some of which may have been read before.
  const char* last = text.data() + text.size() - 16;
  return fold_multiply(hash_b ^ text.size(), fold_multiply(read_word(last) ^ hash_a, read_word(last + 8) ^ hash));
}

}  // namespace tensair::operators
