// SPDX-License-Identifier: MIT
// The nodes of an expression: tensors, numbers and elementwise maps over them. Operators only build these types; a
// statement (assignment, eval, item ...) evaluates them. Leaves are reference-counted handles, so `auto` is safe.
// This file knows nothing of gradients, devices or loops.
#pragma once

#include <type_traits>
#include <utility>

#include "sinter/core/tensor_impl.hpp"
#include "sinter/expr/slope.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// What a node of an expression is.
enum class Kind { leaf, constant, nothing, map, reduction, product };

// The base of everything that has a shape, a dtype and elements.
template <class E>
struct Expr {
  const E& self() const { return static_cast<const E&>(*this); }

  // Statements; defined where tensors are (tensor/tensor.hpp).
  auto eval() const { return materialize(self()); }
  auto item() const { return materialize(self()).item(); }
  template <class... A>
  auto backward(const A&... a) const { return materialize(self()).backward(a...); }
  auto detach() const { return materialize(self()).detach(); }
};

}  // namespace SINTER_ABI

// A tensor in an expression: a handle to its elements. T is the dtype, R the rank.
template <class T, int R>
struct Leaf : Expr<Leaf<T, R>> {
  using value_type = T;
  static constexpr Kind kind = Kind::leaf;
  static constexpr int rank = R, leaves = 1, ops = 0;
  static constexpr bool heavy = false;  // contains a reduction or a contraction
  Ref<TensorImpl> impl;

  Leaf() = default;
  explicit Leaf(Ref<TensorImpl> p) : impl(std::move(p)) {}
  // Throws Error for the undefined tensor, and so does all that asks for a shape.
  Shape<R> shape() const {
    if (!impl) fail_undefined();
    Shape<R> s;
    for (int i = 0; i < R; ++i) s[i] = impl->sizes[i];
    return s;
  }
  Shape<R> strides() const {
    if (!impl) fail_undefined();
    Shape<R> s;
    for (int i = 0; i < R; ++i) s[i] = impl->strides[i];
    return s;
  }
  T* data() const { return static_cast<T*>(impl->data); }
};

inline namespace SINTER_ABI {

// A number that meets a tensor.
template <class T>
struct Constant : Expr<Constant<T>> {
  using value_type = T;
  static constexpr Kind kind = Kind::constant;
  static constexpr int rank = 0, leaves = 0, ops = 0;
  static constexpr bool heavy = false;
  T value;
  explicit Constant(T v) : value(v) {}
  Shape<0> shape() const { return {}; }
};

// The absent second or third argument of an op.
struct Nothing {
  using value_type = void;
  static constexpr Kind kind = Kind::nothing;
  static constexpr int rank = 0, leaves = 0, ops = 0;
  static constexpr bool heavy = false;
  Shape<0> shape() const { return {}; }
};

template <class A, class B>
constexpr int max_rank_of() {
  return A::rank > B::rank ? A::rank : B::rank;
}

// An elementwise op over one to three expressions, broadcast against each other.
template <class Op, class T, class A, class B = Nothing, class C = Nothing>
struct Map : Expr<Map<Op, T, A, B, C>> {
  using value_type = T;
  static constexpr Kind kind = Kind::map;
  static constexpr int rank = A::rank > max_rank_of<B, C>() ? A::rank : max_rank_of<B, C>();
  static constexpr int leaves = A::leaves + B::leaves + C::leaves;
  static constexpr int ops = 1 + A::ops + B::ops + C::ops;
  static constexpr bool heavy = A::heavy || B::heavy || C::heavy;
  Op op;
  A a;
  B b;
  C c;
  Shape<rank> sizes;

  Map(Op op_, A a_, B b_, C c_) : op(op_), a(std::move(a_)), b(std::move(b_)), c(std::move(c_)) {
    if constexpr (std::is_same_v<B, Nothing>) sizes = a.shape();
    else if constexpr (std::is_same_v<C, Nothing>) sizes = broadcast_shapes(name_of<Op>(0), a.shape(), b.shape());
    else
      sizes = broadcast_shapes(name_of<Op>(0), broadcast_shapes(name_of<Op>(0), a.shape(), b.shape()), c.shape());
  }
  const Shape<rank>& shape() const { return sizes; }
};

// What an argument of an operator stands for: an expression itself (a tensor's leaf), or a number.
template <class E>
const E& as_expr(const Expr<E>& e) {
  return e.self();
}
template <class S, int = 1 / int(std::is_arithmetic_v<S>)>
Constant<S> as_expr(S s) {
  return Constant<S>(s);
}
template <class X>
using expr_t = std::decay_t<decltype(as_expr(std::declval<const X&>()))>;

template <class E>
std::true_type derives_from_expr(const Expr<E>*);
std::false_type derives_from_expr(const volatile void*);
// True for tensors and expressions, false for numbers and everything else.
template <class X>
inline constexpr bool is_expr = decltype(derives_from_expr(static_cast<std::decay_t<X>*>(nullptr)))::value;
template <class E>
inline constexpr bool is_constant = E::kind == Kind::constant;

// Calls f(leaf) for every tensor of an expression, from left to right: the order of a plan's numbers.
template <class E, class F>
void for_each_leaf(E& e, F&& f) {
  if constexpr (E::kind == Kind::leaf) f(e);
  if constexpr (E::kind == Kind::map) {
    for_each_leaf(e.a, f);
    for_each_leaf(e.b, f);
    for_each_leaf(e.c, f);
  }
}

// For a template's parameter list: at least one argument is an expression, the others are expressions or numbers.
template <bool>
struct Requirement {};
template <>
struct Requirement<true> {
  using type = int;
};
template <class... X>
using if_expr = typename Requirement<(is_expr<X> || ...) && ((is_expr<X> || std::is_arithmetic_v<X>) && ...)>::type;

}  // namespace SINTER_ABI
}  // namespace sinter
