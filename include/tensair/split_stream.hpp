#pragma once

#include <functional>
#include <type_traits>
#include <utility>

namespace tensair {

template <class T, class SomeChain>
class Stream;

/// The outputs of `stream.split(tag)`. Each output is a stream; a record goes to every output of its tag, and to none
/// if there is none for it. `tag` is called once for each output.
///
/// @code
/// auto by_kind = log_lines.split([](std::string_view line) { return line.substr(0, 5) == "ERROR"; });
/// by_kind.output(true).sink(print);
/// @endcode
template <class T, class SomeChain, class F>
class SplitStream {
 public:
  using Tag = std::remove_cvref_t<std::invoke_result_t<F&, const T&>>;

  SplitStream(Stream<T, SomeChain> stream, F tag) : stream_(std::move(stream)), tag_(std::move(tag)) {}

  /// The records with this tag.
  auto output(Tag value) {
    return stream_.filter(
        [tag = tag_, value = std::move(value)](const T& record) mutable { return std::invoke(tag, record) == value; });
  }

 private:
  Stream<T, SomeChain> stream_;
  F tag_;
};

}  // namespace tensair
