// SPDX-License-Identifier: MIT
// What an op is, found from the members it has, so that an op says nothing twice: its name, the dtypes it works on, and
// what its slopes are stated in.
#pragma once

#include <utility>

#include "sinter/op/lane.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// An op that does not say otherwise works on floating point (integers become float) and is called "op".
template <class Op>
constexpr auto domain_of(int) -> decltype(Op::domain) { return Op::domain; }
template <class Op>
constexpr op::Domain domain_of(...) { return op::Domain::floating; }
template <class Op>
constexpr auto name_of(int) -> decltype(Op::name) { return Op::name; }
template <class Op>
constexpr const char* name_of(...) { return "op"; }
// Whether a ternary op takes its first argument as a condition.
template <class Op>
constexpr auto selects(int) -> decltype(Op::selects) { return Op::selects; }
template <class Op>
constexpr bool selects(...) { return false; }
// Whether an op is the sum of its two arguments, through which gradients pass as they are.
template <class Op>
constexpr auto adds(int) -> decltype(Op::adds) { return Op::adds; }
template <class Op>
constexpr bool adds(...) { return false; }

namespace plan {

struct None {};  // a value that no slope needs

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

// Whether a slope of two arguments reads the first (the second): an op that ignores one takes anything in its place, as
// in `da(const U&, T b)`, and then that one need not be kept.
template <class Op, class V>
constexpr auto da_reads_a(int) -> std::enable_if_t<std::is_same_v<decltype(std::declval<const Op&>().da(None{}, std::declval<V>())), V>, bool> { return false; }
template <class Op, class V>
constexpr bool da_reads_a(...) { return true; }
template <class Op, class V>
constexpr auto da_reads_b(int) -> std::enable_if_t<std::is_same_v<decltype(std::declval<const Op&>().da(std::declval<V>(), None{})), V>, bool> { return false; }
template <class Op, class V>
constexpr bool da_reads_b(...) { return true; }
template <class Op, class V>
constexpr auto db_reads_a(int) -> std::enable_if_t<std::is_same_v<decltype(std::declval<const Op&>().db(None{}, std::declval<V>())), V>, bool> { return false; }
template <class Op, class V>
constexpr bool db_reads_a(...) { return true; }
template <class Op, class V>
constexpr auto db_reads_b(int) -> std::enable_if_t<std::is_same_v<decltype(std::declval<const Op&>().db(std::declval<V>(), None{})), V>, bool> { return false; }
template <class Op, class V>
constexpr bool db_reads_b(...) { return true; }

template <class Op, class V, class... Args>
constexpr auto dc_of(int) -> decltype(std::declval<const Op&>().template dc<V>(), Slope{}) { return Slope::constant; }
template <class Op, class V, class... Args>
constexpr auto dc_of(long) -> decltype(std::declval<const Op&>().dc(std::declval<Args>()...), Slope{}) { return Slope::input; }
template <class Op, class V, class... Args>
constexpr Slope dc_of(...) { return Slope::none; }

}  // namespace plan
}  // namespace SINTER_ABI
}  // namespace sinter
