// SPDX-License-Identifier: MIT
// What an op's slopes are stated in: found from the members it has, so that an op says nothing twice.
#pragma once

#include <utility>

#include "sinter/core/config.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace plan {

// none: not differentiable. constant: a nullary dx<T>(). input: dx(x). output: dy(y).
enum class Slope { none, constant, input, output };

template <class Op, class V>
constexpr auto dx_of(int) -> decltype(std::declval<const Op&>().template dx<V>(), Slope{}) { return Slope::constant; }
template <class Op, class V>
constexpr auto dx_of(long) -> decltype(std::declval<const Op&>().dx(std::declval<V>()), Slope{}) { return Slope::input; }
template <class Op, class V>
constexpr auto dx_of(double) -> decltype(std::declval<const Op&>().dy(std::declval<V>()), Slope{}) { return Slope::output; }
template <class Op, class V>
constexpr Slope dx_of(...) { return Slope::none; }

// Of an op of two or three arguments, `Args` being all of them.
template <class Op, class V, class... Args>
constexpr auto da_of(int) -> decltype(std::declval<const Op&>().template da<V>(), Slope{}) { return Slope::constant; }
template <class Op, class V, class... Args>
constexpr auto da_of(long) -> decltype(std::declval<const Op&>().da(std::declval<Args>()...), Slope{}) { return Slope::input; }
template <class Op, class V, class... Args>
constexpr Slope da_of(...) { return Slope::none; }

template <class Op, class V, class... Args>
constexpr auto db_of(int) -> decltype(std::declval<const Op&>().template db<V>(), Slope{}) { return Slope::constant; }
template <class Op, class V, class... Args>
constexpr auto db_of(long) -> decltype(std::declval<const Op&>().db(std::declval<Args>()...), Slope{}) { return Slope::input; }
template <class Op, class V, class... Args>
constexpr Slope db_of(...) { return Slope::none; }

template <class Op, class V, class... Args>
constexpr auto dc_of(int) -> decltype(std::declval<const Op&>().template dc<V>(), Slope{}) { return Slope::constant; }
template <class Op, class V, class... Args>
constexpr auto dc_of(long) -> decltype(std::declval<const Op&>().dc(std::declval<Args>()...), Slope{}) { return Slope::input; }
template <class Op, class V, class... Args>
constexpr Slope dc_of(...) { return Slope::none; }

}  // namespace plan
}  // namespace SINTER_ABI
}  // namespace sinter
