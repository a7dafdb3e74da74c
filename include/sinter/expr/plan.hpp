// SPDX-License-Identifier: MIT
// The form of an expression that a kernel gets: ops, numbers and numbered leaves; trivially copyable, without pointers.
// A kernel supplies a context that loads leaf I. The plan computes values, and gradients by walking the same tree back:
// tape() keeps in registers what the slopes will need, adjoint() multiplies the gradient down to the leaves.
#pragma once

#include "sinter/expr/map.hpp"
#include "sinter/expr/slope.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace plan {
using op::convert;  // and what argument-dependent lookup finds: a kernel may compute with other things than blocks
using op::plain;

template <class Y, class A = None, class B = None, class C = None>
struct Tape {
  Y y;
  A a;
  B b;
  C c;
};
template <class X>
SINTER_HD const X& result_of(const X& x) { return x; }
template <class Y, class A, class B, class C>
SINTER_HD const Y& result_of(const Tape<Y, A, B, C>& t) { return t.y; }

// The bytes of the widest element that a plan computes with: they decide how many lanes one register holds.
template <class T, class... Children>
inline constexpr int widest_of = std::max({int(sizeof(T)), Children::widest...});

// The types in which the leaves of a plan compute, in order.
template <class... T>
struct Types {};
template <class... A>
Types<A...> join(Types<A...>);
template <class... A, class... B, class... Rest>
auto join(Types<A...>, Types<B...>, Rest... rest) -> decltype(join(Types<A..., B...>(), rest...));
template <class... P>
using leaf_types_of = decltype(join(typename P::leaf_types()...));

// Leaf number I; T is its dtype in memory.
template <class T, int I>
struct Leaf {
  using type = compute_t<T>;
  using leaf_types = Types<type>;
  static constexpr int first = I, leaves = 1, widest = int(sizeof(type));
  static constexpr bool differentiable = is_floating<T>;
  template <int J>
  static constexpr bool needed(bool by_parent) { return by_parent && I == J; }
  // Whether the gradient reaches leaf J as it came, by additions alone.
  template <int J>
  static constexpr bool passes() { return I == J; }

  template <class Context>
  SINTER_HD auto raw(const Context& c) const { return c.template load<T, I>(); }
  template <class Context>
  SINTER_HD auto value(const Context& c) const { return c.template load<T, I>(); }
  template <bool Need, class Context>
  SINTER_HD auto tape(const Context& c) const {
    if constexpr (Need) return value(c);
    else return None{};
  }
  template <class Kept, class G, class Sink>
  SINTER_HD void adjoint(const Kept&, const G& g, Sink& sink) const {
    if constexpr (differentiable) sink.template receive<I>(g);
  }
};

template <class T>
struct Constant {
  using type = T;
  using leaf_types = Types<>;
  static constexpr int first = 0, leaves = 0, widest = int(sizeof(T));
  static constexpr bool differentiable = false;
  T number;
  template <int J>
  static constexpr bool needed(bool) { return false; }
  template <int J>
  static constexpr bool passes() { return false; }

  template <class Context>
  SINTER_HD auto raw(const Context& c) const { return c.constant(number); }
  template <class Context>
  SINTER_HD auto value(const Context& c) const { return c.constant(number); }
  template <bool Need, class Context>
  SINTER_HD auto tape(const Context& c) const {
    if constexpr (Need) return value(c);
    else return None{};
  }
  template <class Kept, class G, class Sink>
  SINTER_HD void adjoint(const Kept&, const G&, Sink&) const {}
};

// Sends g * slope on to a subtree, unless nobody below wants it; g changes its element type where the op was a cast.
template <class Child, class Kept, class G, class S, class Sink>
SINTER_HD void send(const Child& child, const Kept& kept, const G& g, const S& slope, Sink& sink) {
  child.adjoint(kept, convert<typename Child::type>(g * slope), sink);
}

template <class Op, class T, class A>
struct Map1 {
  using V = typename A::type;
  using type = T;
  static constexpr Slope slope = dx_of<Op, V>(0);
  static constexpr int first = A::first, leaves = A::leaves, widest = widest_of<type, A>;
  using leaf_types = leaf_types_of<A>;
  static constexpr bool differentiable = A::differentiable && slope != Slope::none;
  Op op;
  A a;

  static constexpr bool need_y(bool by_parent) { return by_parent || (differentiable && slope == Slope::output); }
  static constexpr bool need_x(bool by_parent) { return need_y(by_parent) || (differentiable && slope == Slope::input); }
  template <int J>
  static constexpr bool needed(bool by_parent) { return A::template needed<J>(need_x(by_parent)); }
  template <int J>
  static constexpr bool passes() { return false; }

  template <class Context>
  SINTER_HD auto raw(const Context& c) const { return op.f(a.value(c)); }
  template <class Context>
  SINTER_HD auto value(const Context& c) const { return plain(raw(c)); }
  template <bool Need, class Context>
  SINTER_HD auto tape(const Context& c) const {
    auto ta = a.template tape<need_x(Need)>(c);
    if constexpr (need_y(Need)) {
      auto y = plain(op.f(result_of(ta)));
      return Tape<decltype(y), decltype(ta)>{y, ta, {}, {}};
    } else {
      return Tape<None, decltype(ta)>{{}, ta, {}, {}};
    }
  }
  template <class Kept, class G, class Sink>
  SINTER_HD void adjoint(const Kept& t, const G& g, Sink& sink) const {
    if constexpr (differentiable) {
      if (!sink.template wants<A>()) return;
      if constexpr (slope == Slope::constant) send(a, t.a, g, op.template dx<G>(), sink);
      else if constexpr (slope == Slope::output) send(a, t.a, g, op.dy(t.y), sink);
      else send(a, t.a, g, op.dx(result_of(t.a)), sink);
    }
  }
};

template <class Op, class T, class A, class B>
struct Map2 {
  using V = typename A::type;
  using type = T;
  static constexpr Slope slope_a = da_of<Op, V, V, V>(0), slope_b = db_of<Op, V, V, V>(0);
  static constexpr int first = A::leaves ? A::first : B::first, leaves = A::leaves + B::leaves, widest = widest_of<type, A, B>;
  using leaf_types = leaf_types_of<A, B>;
  static constexpr bool to_a = A::differentiable && slope_a != Slope::none;
  static constexpr bool to_b = B::differentiable && slope_b != Slope::none;
  static constexpr bool differentiable = to_a || to_b;
  Op op;
  A a;
  B b;

  static constexpr bool need_a(bool by_parent) {
    return by_parent || (to_a && slope_a == Slope::input && da_reads_a<Op, V>(0)) || (to_b && slope_b == Slope::input && db_reads_a<Op, V>(0));
  }
  static constexpr bool need_b(bool by_parent) {
    return by_parent || (to_a && slope_a == Slope::input && da_reads_b<Op, V>(0)) || (to_b && slope_b == Slope::input && db_reads_b<Op, V>(0));
  }
  template <int J>
  static constexpr bool needed(bool by_parent) {
    return A::template needed<J>(need_a(by_parent)) || B::template needed<J>(need_b(by_parent));
  }
  template <int J>
  static constexpr bool passes() { return adds<Op>(0) && (A::template passes<J>() || B::template passes<J>()); }

  template <class Context>
  SINTER_HD auto raw(const Context& c) const { return op.f(a.value(c), b.value(c)); }
  template <class Context>
  SINTER_HD auto value(const Context& c) const { return plain(raw(c)); }
  template <bool Need, class Context>
  SINTER_HD auto tape(const Context& c) const {
    auto ta = a.template tape<need_a(Need)>(c);
    auto tb = b.template tape<need_b(Need)>(c);
    if constexpr (Need) {
      auto y = plain(op.f(result_of(ta), result_of(tb)));
      return Tape<decltype(y), decltype(ta), decltype(tb)>{y, ta, tb, {}};
    } else {
      return Tape<None, decltype(ta), decltype(tb)>{{}, ta, tb, {}};
    }
  }
  template <class Kept, class G, class Sink>
  SINTER_HD void adjoint(const Kept& t, const G& g, Sink& sink) const {
    if constexpr (to_a)
      if (sink.template wants<A>()) {
        if constexpr (slope_a == Slope::constant) send(a, t.a, g, op.template da<G>(), sink);
        else send(a, t.a, g, op.da(result_of(t.a), result_of(t.b)), sink);
      }
    if constexpr (to_b)
      if (sink.template wants<B>()) {
        if constexpr (slope_b == Slope::constant) send(b, t.b, g, op.template db<G>(), sink);
        else send(b, t.b, g, op.db(result_of(t.a), result_of(t.b)), sink);
      }
  }
};

// Three arguments. A selection (op::Where) takes its condition as a mask, without a detour through bool.
template <class Op, class T, class A, class B, class C>
struct Map3 {
  using VA = typename A::type;
  using V = typename B::type;
  using type = T;
  static constexpr Slope slope_a = da_of<Op, V, VA, V, V>(0), slope_b = db_of<Op, V, VA, V, V>(0),
                         slope_c = dc_of<Op, V, VA, V, V>(0);
  static constexpr int first = A::leaves ? A::first : B::leaves ? B::first : C::first;
  static constexpr int leaves = A::leaves + B::leaves + C::leaves, widest = widest_of<type, A, B, C>;
  using leaf_types = leaf_types_of<A, B, C>;
  static constexpr bool to_a = A::differentiable && slope_a != Slope::none;
  static constexpr bool to_b = B::differentiable && slope_b != Slope::none;
  static constexpr bool to_c = C::differentiable && slope_c != Slope::none;
  static constexpr bool differentiable = to_a || to_b || to_c;
  Op op;
  A a;
  B b;
  C c;

  static constexpr bool need_a(bool by_parent) {
    return by_parent || (to_a && slope_a == Slope::input) || (to_b && slope_b == Slope::input) ||
           (to_c && slope_c == Slope::input);
  }
  static constexpr bool need_bc(bool by_parent) { return by_parent || (need_a(false) && !selects<Op>(0)); }
  template <int J>
  static constexpr bool needed(bool by_parent) {
    return A::template needed<J>(need_a(by_parent)) || B::template needed<J>(need_bc(by_parent)) ||
           C::template needed<J>(need_bc(by_parent));
  }
  template <int J>
  static constexpr bool passes() { return false; }

  template <class Context>
  SINTER_HD auto raw(const Context& k) const {
    if constexpr (selects<Op>(0)) return op.f(a.raw(k), b.value(k), c.value(k));
    else return op.f(a.value(k), b.value(k), c.value(k));
  }
  template <class Context>
  SINTER_HD auto value(const Context& k) const { return plain(raw(k)); }
  template <bool Need, class Context>
  SINTER_HD auto tape(const Context& k) const {
    auto ta = a.template tape<need_a(Need)>(k);
    auto tb = b.template tape<need_bc(Need)>(k);
    auto tc = c.template tape<need_bc(Need)>(k);
    if constexpr (Need) {
      auto y = plain(op.f(result_of(ta), result_of(tb), result_of(tc)));
      return Tape<decltype(y), decltype(ta), decltype(tb), decltype(tc)>{y, ta, tb, tc};
    } else {
      return Tape<None, decltype(ta), decltype(tb), decltype(tc)>{{}, ta, tb, tc};
    }
  }
  template <class Kept, class G, class Sink>
  SINTER_HD void adjoint(const Kept& t, const G& g, Sink& sink) const {
    if constexpr (selects<Op>(0)) {
      const G zero(0);
      if constexpr (to_b)
        if (sink.template wants<B>()) b.adjoint(t.b, op.f(result_of(t.a), g, zero), sink);
      if constexpr (to_c)
        if (sink.template wants<C>()) c.adjoint(t.c, op.f(result_of(t.a), zero, g), sink);
    } else {
      const auto &x = result_of(t.a), &y = result_of(t.b), &z = result_of(t.c);
      if constexpr (to_a)
        if (sink.template wants<A>()) send(a, t.a, g, op.da(x, y, z), sink);
      if constexpr (to_b)
        if (sink.template wants<B>()) send(b, t.b, g, op.db(x, y, z), sink);
      if constexpr (to_c)
        if (sink.template wants<C>()) send(c, t.c, g, op.dc(x, y, z), sink);
    }
  }
};

// The leaves whose values backward reads, as bits; also for the result's own value where it is asked for.
template <class P, int... J>
constexpr unsigned needed_leaves(bool value, std::integer_sequence<int, J...>) {
  return ((P::template needed<J>(value) ? 1u << J : 0u) | ... | 0u);
}
template <class P>
constexpr unsigned needed_leaves(bool value) { return needed_leaves<P>(value, std::make_integer_sequence<int, P::leaves>()); }

// A plan whose result is at hand, as the source behind the upstream gradient: its root's slope is stated in it, and nothing
// below it has to be looked at again. relu(x + b), tanh(x) ...
template <class P>
struct Known : P {
  using Root = P;
  template <int J>
  static constexpr bool needed(bool) { return false; }
  template <bool, class Context>
  SINTER_HD auto tape(const Context& c) const {
    auto y = c.template load<typename P::type, P::leaves + 1>();
    auto ta = this->a.template tape<false>(c);
    return Tape<decltype(y), decltype(ta)>{y, ta, {}, {}};
  }
};
template <class P>
inline constexpr bool keeps_result = false;
template <class Op, class T, class A>
inline constexpr bool keeps_result<Map1<Op, T, A>> =
    Map1<Op, T, A>::differentiable && Map1<Op, T, A>::slope == Slope::output && needed_leaves<A>(false) == 0;

// lower<I>(e): the plan of an expression whose first leaf has number I.
template <int I, class T, int R>
auto lower(const sinter::Leaf<T, R>&) { return Leaf<T, I>{}; }
template <int I, class T>
auto lower(const sinter::Constant<T>& e) { return Constant<T>{e.value}; }
template <int I, class Op, class T, class A, class B, class C>
auto lower(const Map<Op, T, A, B, C>& e) {
  auto a = lower<I>(e.a);
  if constexpr (std::is_same_v<B, Nothing>) {
    return Map1<Op, compute_t<T>, decltype(a)>{e.op, a};
  } else {
    auto b = lower<I + A::leaves>(e.b);
    if constexpr (std::is_same_v<C, Nothing>) {
      return Map2<Op, compute_t<T>, decltype(a), decltype(b)>{e.op, a, b};
    } else {
      auto c = lower<I + A::leaves + B::leaves>(e.c);
      return Map3<Op, compute_t<T>, decltype(a), decltype(b), decltype(c)>{e.op, a, b, c};
    }
  }
}

// The plan for the gradients of e: with its result where that is the less to keep.
template <class E>
auto backward_plan(const E& e) {
  auto p = lower<0>(e);
  using P = decltype(p);
  if constexpr (keeps_result<P>) {
    if constexpr (std::is_same_v<typename E::value_type, typename P::type>) return Known<P>{p};
    else return p;
  } else {
    return p;
  }
}
template <class P>
inline constexpr bool is_known = false;
template <class P>
inline constexpr bool is_known<Known<P>> = true;

}  // namespace plan

}  // namespace SINTER_ABI
}  // namespace sinter
