// SPDX-License-Identifier: MIT
// map(op, args...): an op over expressions and numbers, with PyTorch's type promotion. The way in for users' own ops.
#pragma once

#include <algorithm>

#include "sinter/expr/expr.hpp"
#include "sinter/op/cast.hpp"
#include "sinter/op/ternary.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// Tensors with dimensions weigh more than those of rank 0, and these more than numbers: what weighs less only lifts the
// category (bool < integer < floating). https://pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
template <class E>
inline constexpr int weight_of = is_constant<E> ? 0 : E::rank == 0 ? 1 : 2;
template <class T>
constexpr int category_of() { return std::is_void_v<T> ? -1 : is_floating<T> ? 2 : std::is_same_v<T, bool> ? 0 : 1; }

// P promoted with the dtypes of all E of one weight; void is the dtype of none.
template <int Weight, class P, class... E>
struct PromotedAt {
  using type = P;
};
template <int Weight, class P, class E, class... Rest>
struct PromotedAt<Weight, P, E, Rest...> {
  static constexpr auto with() {
    using T = typename E::value_type;
    if constexpr (Weight > 0 && std::is_void_v<P>) return T{};
    else if constexpr (Weight > 0) return promote_t<P, T>{};
    else if constexpr (category_of<T>() <= category_of<P>()) return P{};
    else if constexpr (is_floating<T>) return float{};
    else return std::int64_t{};
  }
  static constexpr auto next() {
    if constexpr (weight_of<E> != Weight) return static_cast<P*>(nullptr);
    else return static_cast<decltype(with())*>(nullptr);
  }
  using type = typename PromotedAt<Weight, std::remove_pointer_t<decltype(next())>, Rest...>::type;
};

// The dtype in which an op over expressions and numbers works; at least one is an expression.
template <class... E>
struct Common {
  using Wide = typename PromotedAt<2, void, E...>::type;
  using Scalar = typename PromotedAt<1, void, E...>::type;
  using type = typename PromotedAt<0, std::conditional_t<(category_of<Scalar>() > category_of<Wide>()), Scalar, Wide>, E...>::type;
};

// e with dtype P: a constant is converted now, an expression by one more op in the same pass.
template <class P, class E>
auto cast(const E& e) {
  using T = typename E::value_type;
  if constexpr (is_constant<E>) return Constant<compute_t<P>>(compute_t<P>(e.value));
  else if constexpr (std::is_same_v<T, P> || std::is_same_v<compute_t<T>, compute_t<P>>) return e;
  else return Map<op::Cast<compute_t<P>>, P, E>({}, e, {}, {});
}

template <class Op, class P>
struct WorkingType {
  static constexpr auto type() {
    if constexpr (domain_of<Op>(0) == op::Domain::boolean) return bool{};
    else if constexpr (domain_of<Op>(0) == op::Domain::floating && !is_floating<P>) return float{};
    else return P{};
  }
};

// The dtype of an op's result: the one it works in, unless its mathematics says otherwise (comparisons give bool).
template <class R, class P>
using result_t = std::conditional_t<std::is_same_v<R, compute_t<P>>, P, R>;

template <class Op, class A, if_expr<A> = 0>
auto map(Op op, const A& a) {
  using P = decltype(WorkingType<Op, typename expr_t<A>::value_type>::type());
  using R = decltype(op.f(compute_t<P>{}));
  auto x = cast<P>(as_expr(a));
  return Map<Op, result_t<R, P>, decltype(x)>(op, std::move(x), {}, {});
}
template <class Op, class A, class B>
auto map(Op op, const A& a, const B& b) {
  using P = decltype(WorkingType<Op, typename Common<expr_t<A>, expr_t<B>>::type>::type());
  using R = decltype(op.f(compute_t<P>{}, compute_t<P>{}));
  auto x = cast<P>(as_expr(a));
  auto y = cast<P>(as_expr(b));
  return Map<Op, result_t<R, P>, decltype(x), decltype(y)>(op, std::move(x), std::move(y), {});
}
template <class Op, class A, class B, class C>
auto map(Op op, const A& a, const B& b, const C& c) {
  using P = decltype(WorkingType<Op, typename Common<expr_t<A>, expr_t<B>, expr_t<C>>::type>::type());
  auto x = cast<P>(as_expr(a));
  auto y = cast<P>(as_expr(b));
  auto z = cast<P>(as_expr(c));
  return Map<Op, P, decltype(x), decltype(y), decltype(z)>(op, std::move(x), std::move(y), std::move(z));
}

// where(condition, x, y): elements of x where the condition holds, else of y. The condition has dtype bool.
template <class C, class A, class B, if_expr<C, A, B> = 0>
auto where(const C& condition, const A& a, const B& b) {
  static_assert(std::is_same_v<typename expr_t<C>::value_type, bool>, "sinter: where() takes a condition of dtype bool");
  constexpr bool numbers = is_constant<expr_t<A>> && is_constant<expr_t<B>>;
  using N = std::conditional_t<std::is_floating_point_v<typename expr_t<A>::value_type> ||
                                   std::is_floating_point_v<typename expr_t<B>::value_type>,
                               float, std::int64_t>;
  using Q = typename std::conditional_t<numbers, PromotedAt<0, N>, Common<expr_t<A>, expr_t<B>>>::type;
  auto x = cast<Q>(as_expr(a));
  auto y = cast<Q>(as_expr(b));
  return Map<op::Where, Q, expr_t<C>, decltype(x), decltype(y)>({}, as_expr(condition), std::move(x), std::move(y));
}

}  // namespace SINTER_ABI
}  // namespace sinter
