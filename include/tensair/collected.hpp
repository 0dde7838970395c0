#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace tensair {

template <class T, class SomeChain>
class Stream;

/// What `collect()` gives: after the run, on node 0, everything the stream held (on other nodes, and in the launcher of
/// `--local`: nothing).
///
/// @code
/// tensair::Collected<std::string> all = words.collect();
/// pipeline.run();
/// for (const auto& word : all) std::puts(word.c_str());
/// @endcode
template <class T>
class Collected {
 public:
  auto records() const -> const std::vector<T>& { return *records_; }
  auto begin() const { return records_->begin(); }
  auto end() const { return records_->end(); }
  auto size() const -> std::size_t { return records_->size(); }
  auto operator[](std::size_t i) const -> decltype(auto) { return (*records_)[i]; }

 private:
  template <class, class>
  friend class Stream;
  std::shared_ptr<std::vector<T>> records_ = std::make_shared<std::vector<T>>();
};

}  // namespace tensair
