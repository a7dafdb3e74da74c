// SPDX-License-Identifier: MIT
#pragma once

#include "sinter/op/lane.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace op {

// The same value in another type. Its gradient returns in the type it came from.
template <class To>
struct Cast {
  static constexpr const char* name = "to";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static auto f(T x) { return convert<To>(x); }
  template <class T, class U = To, std::enable_if_t<std::is_floating_point_v<U>, int> = 0>
  SINTER_HD static T dx() { return T(1); }
};

}  // namespace op
}  // namespace SINTER_ABI
}  // namespace sinter
