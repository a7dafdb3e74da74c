// SPDX-License-Identifier: MIT
// The bodies of fused CPU kernels: the plan of an expression run over lane blocks. One body for values, one for values
// that are reduced, one for all gradients of an expression at once.
#pragma once

#include "sinter/eval/driver.hpp"
#include "sinter/expr/plan.hpp"
#include "sinter/op/reduce.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

inline constexpr int block = op::block_lanes;

// Loads leaf I for the elements [j, j + block).
struct Block {
  const char* const* source;
  const std::int64_t* step;
  std::int64_t j;
  template <class T, int I>
  SINTER_HD auto load() const { return op::load_lanes<block>(reinterpret_cast<const T*>(source[I]) + j * step[I]); }
  template <class T>
  SINTER_HD auto constant(T x) const { return op::Lanes<T, block>(x); }
};

template <class P, class T>
void map_kernel(const void* plan, const char* const* source, const std::int64_t* step, char* const* target, const int*,
                std::int64_t n) {
  const P& p = *static_cast<const P*>(plan);
  T* out = reinterpret_cast<T*>(target[0]);
  for (std::int64_t j = 0; j < n; j += block) op::store_lanes(out + j, p.value(Block{source, step, j}));
}

// Writes a block to a target as its mode says; `total` gathers what falls on one element.
template <class Reducer, class T>
SINTER_HD void write(char* target, int mode, std::int64_t j, op::Lanes<T, block> v, op::Lanes<T, block>& total) {
  T* out = reinterpret_cast<T*>(target) + j;
  if (mode == store) v.store(out);
  else if (mode == fold_each) Reducer::combine(op::Lanes<T, block>::load(out), v).store(out);
  else if (mode == fold_all) total = Reducer::combine(total, v);
}

template <class Reducer, class P>
void reduce_kernel(const void* plan, const char* const* source, const std::int64_t* step, char* const* target,
                   const int* mode, std::int64_t n) {
  using T = typename P::type;
  const P& p = *static_cast<const P*>(plan);
  op::Lanes<T, block> total(Reducer::template neutral<T>());
  for (std::int64_t j = 0; j < n; j += block) write<Reducer>(target[0], mode[0], j, p.value(Block{source, step, j}), total);
  if (mode[0] == fold_all) {
    T* out = reinterpret_cast<T*>(target[0]);
    *out = Reducer::combine(*out, Reducer::horizontal(total));
  }
}

template <class Reducer, class T>
void fold(char* to, const char* from, std::int64_t stride, std::int64_t n) {
  T* out = reinterpret_cast<T*>(to);
  const T* in = reinterpret_cast<const T*>(from);
  if (stride == 0) {
    T x = *out;
    for (std::int64_t i = 0; i < n; ++i) x = Reducer::combine(x, in[i]);
    *out = x;
  } else {
    for (std::int64_t i = 0; i < n; ++i) out[i * stride] = Reducer::combine(out[i * stride], in[i]);
  }
}
template <class Reducer, class T>
void fill(char* to, std::int64_t n) { std::fill_n(reinterpret_cast<T*>(to), n, Reducer::template neutral<T>()); }

// The element types of a plan's leaves, in order.
template <class... T>
struct Types {};
template <class... A, class... B>
Types<A..., B...> join(Types<A...>, Types<B...>);
template <class T, int I>
Types<compute_t<T>> leaf_types(plan::Leaf<T, I>);
template <class T>
Types<> leaf_types(plan::Constant<T>);
template <class Op, class T, class A>
auto leaf_types(plan::Map1<Op, T, A>) -> decltype(leaf_types(std::declval<A>()));
template <class Op, class T, class A, class B>
auto leaf_types(plan::Map2<Op, T, A, B>) -> decltype(join(leaf_types(std::declval<A>()), leaf_types(std::declval<B>())));
template <class Op, class T, class A, class B, class C>
auto leaf_types(plan::Map3<Op, T, A, B, C>)
    -> decltype(join(join(leaf_types(std::declval<A>()), leaf_types(std::declval<B>())), leaf_types(std::declval<C>())));

template <int I, class T>
struct Slot {
  op::Lanes<T, block> gradient{T(0)};
};

// What the adjoint of a plan delivers for one block: a gradient for every leaf that is wanted.
template <class Indices, class List>
struct Sink;
template <int... I, class... T>
struct Sink<std::integer_sequence<int, I...>, Types<T...>> : Slot<I, T>... {
  unsigned wanted;
  explicit Sink(unsigned w) : wanted(w) {}
  template <class Subtree>
  SINTER_HD bool wants() const { return (wanted >> Subtree::first) & ((1u << Subtree::leaves) - 1u); }
  template <int J, class G>
  SINTER_HD void receive(const G& g) { receive_in<J>(*this, g); }
  SINTER_HD void deliver(char* const* target, const int* mode, std::int64_t j, Sink& total) {
    (write<op::Sum>(target[I], mode[I], j, static_cast<Slot<I, T>&>(*this).gradient, static_cast<Slot<I, T>&>(total).gradient), ...);
  }
  SINTER_HD void finish(char* const* target, const int* mode) {
    (finish_one<I, T>(target[I], mode[I]), ...);
  }

 private:
  template <int J, class U>
  SINTER_HD static void receive_in(Slot<J, U>& slot, const op::Lanes<U, block>& g) { slot.gradient = g; }
  template <int J, class U>
  SINTER_HD void finish_one(char* target, int mode) {
    if (mode == fold_all) *reinterpret_cast<U*>(target) += op::sum(static_cast<Slot<J, U>&>(*this).gradient);
  }
};

// The gradients of all leaves in one pass. Up says what flows in from above, given the value where it asks for it.
template <class P, class Up>
struct Adjoint {
  P plan;
  Up up;
  unsigned wanted;
};
template <class P, class Up>
void adjoint_kernel(const void* plan, const char* const* source, const std::int64_t* step, char* const* target,
                    const int* mode, std::int64_t n) {
  using S = Sink<std::make_integer_sequence<int, P::leaves>, decltype(leaf_types(std::declval<P>()))>;
  const auto& a = *static_cast<const Adjoint<P, Up>*>(plan);
  S total(0);
  for (std::int64_t j = 0; j < n; j += block) {
    const Block context{source, step, j};
    S sink(a.wanted);
    const auto tape = a.plan.template tape<Up::needs_value>(context);
    a.plan.adjoint(tape, a.up.gradient(context, plan::result_of(tape)), sink);
    sink.deliver(target, mode, j, total);
  }
  total.finish(target, mode);
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
