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

// The lanes of one block of a plan: its widest elements fill a register.
template <class P>
inline constexpr int block_of = simd_bytes / P::widest;

// Loads leaf I for the elements [j, j + N).
template <int N>
struct Block {
  const char* const* source;
  const std::int64_t* step;
  std::int64_t j;
  template <class T, int I>
  SINTER_HD auto load() const { return op::load_lanes<N>(reinterpret_cast<const T*>(source[I]) + j * step[I]); }
  template <class T>
  SINTER_HD auto constant(T x) const { return op::Lanes<T, N>(x); }
};

template <class P, class T>
void map_kernel(const void* plan, const char* const* source, const std::int64_t* step, char* const* target, const int*,
                std::int64_t n) {
  const P& p = *static_cast<const P*>(plan);
  constexpr int N = block_of<P>;
  T* out = reinterpret_cast<T*>(target[0]);
  for (std::int64_t j = 0; j < n; j += N) op::store_lanes<T>(out + j, p.value(Block<N>{source, step, j}));
}

// Writes a block to a target as its mode says; `total` gathers what falls on one element.
template <class Reducer, class T, int N>
SINTER_HD void write(char* target, int mode, std::int64_t j, op::Lanes<T, N> v, op::Lanes<T, N>& total) {
  T* out = reinterpret_cast<T*>(target) + j;
  if (mode == store) v.store(out);
  else if (mode == fold_each) Reducer::combine(op::Lanes<T, N>::load(out), v).store(out);
  else if (mode == fold_all) total = Reducer::combine(total, v);
}

template <class Reducer, class P>
void reduce_kernel(const void* plan, const char* const* source, const std::int64_t* step, char* const* target,
                   const int* mode, std::int64_t n) {
  using T = typename P::type;
  const P& p = *static_cast<const P*>(plan);
  constexpr int N = block_of<P>;
  op::Lanes<T, N> total(Reducer::template neutral<T>());
  for (std::int64_t j = 0; j < n; j += N) write<Reducer>(target[0], mode[0], j, p.value(Block<N>{source, step, j}), total);
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

template <int I, class T, int N>
struct Slot {
  op::Lanes<T, N> gradient{T(0)};
};

// What the adjoint of a plan delivers for one block: a gradient for every leaf that is wanted.
template <int N, class Indices, class List>
struct Sink;
template <int N, int... I, class... T>
struct Sink<N, std::integer_sequence<int, I...>, plan::Types<T...>> : Slot<I, T, N>... {
  unsigned wanted;
  explicit Sink(unsigned w) : wanted(w) {}
  template <class Subtree>
  SINTER_HD bool wants() const { return (wanted >> Subtree::first) & ((1u << Subtree::leaves) - 1u); }
  template <int J, class G>
  SINTER_HD void receive(const G& g) { receive_in<J>(*this, g); }
  SINTER_HD void deliver(char* const* target, const int* mode, std::int64_t j, Sink& total) {
    (write<op::Sum>(target[I], mode[I], j, static_cast<Slot<I, T, N>&>(*this).gradient, static_cast<Slot<I, T, N>&>(total).gradient), ...);
  }
  SINTER_HD void finish(char* const* target, const int* mode) {
    (finish_one<I, T>(target[I], mode[I]), ...);
  }

 private:
  template <int J, class U>
  SINTER_HD static void receive_in(Slot<J, U, N>& slot, const op::Lanes<U, N>& g) { slot.gradient = g; }
  template <int J, class U>
  SINTER_HD void finish_one(char* target, int mode) {
    if (mode == fold_all) *reinterpret_cast<U*>(target) += op::sum(static_cast<Slot<J, U, N>&>(*this).gradient);
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
  constexpr int N = block_of<P>;
  using S = Sink<N, std::make_integer_sequence<int, P::leaves>, typename P::leaf_types>;
  const auto& a = *static_cast<const Adjoint<P, Up>*>(plan);
  S total(0);
  for (std::int64_t j = 0; j < n; j += N) {
    const Block<N> context{source, step, j};
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
