#pragma once

#include <functional>
#include <tuple>
#include <type_traits>

namespace tensair::operators {

/// The function of `stream.project(members…)`: a record's member, or a tuple of several.
template <class... Member>
struct Projection {
  std::tuple<Member...> members;

  template <class T>
  auto operator()(const T& record) const {
    if constexpr (sizeof...(Member) == 1) {
      return std::invoke(std::get<0>(members), record);
    } else {
      return std::apply(
          [&](const auto&... member) {
            return std::tuple<std::remove_cvref_t<std::invoke_result_t<Member, const T&>>...>(
                std::invoke(member, record)...);
          },
          members);
    }
  }
};

}  // namespace tensair::operators
