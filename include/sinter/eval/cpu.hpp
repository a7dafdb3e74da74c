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

// A kernel's pointers in local variables, where no store can be taken to change them. A step of 1 or 0 is kept as a mask.
template <int S>
struct Sources {
  const char* data[S > 0 ? S : 1];
  std::int64_t moves[S > 0 ? S : 1];
  Sources(const char* const* source, const std::int64_t* step) : Sources(source, step, std::make_integer_sequence<int, S>()) {}
  void next_row(const Extent& extent) { next_row(extent, std::make_integer_sequence<int, S>()); }

 private:  // written out, not a loop: what is indexed by a variable stays in memory
  template <int... K>
  Sources(const char* const* source, const std::int64_t* step, std::integer_sequence<int, K...>) : data{source[K]...}, moves{-step[K]...} {}
  template <int... K>
  void next_row([[maybe_unused]] const Extent& extent, std::integer_sequence<int, K...>) { ((data[K] += extent.source_row[K]), ...); }
};
template <int S>
struct Targets {
  char* data[S > 0 ? S : 1];
  int mode[S > 0 ? S : 1];
  Targets(char* const* target, const int* m) : Targets(target, m, std::make_integer_sequence<int, S>()) {}
  void next_row(const Extent& extent) { next_row(extent, std::make_integer_sequence<int, S>()); }

 private:
  template <int... K>
  Targets(char* const* target, const int* m, std::integer_sequence<int, K...>) : data{target[K]...}, mode{m[K]...} {}
  template <int... K>
  void next_row([[maybe_unused]] const Extent& extent, std::integer_sequence<int, K...>) { ((data[K] += extent.target_row[K]), ...); }
};

// Loads leaf I for the elements [j, j + N).
template <int N, int S>
struct Block {
  const Sources<S>& source;
  std::int64_t j;
  template <class T, int I>
  SINTER_HOST auto load() const {
    return op::load_lanes<N>(reinterpret_cast<const T*>(source.data[I]) + (j & source.moves[I]));
  }
  template <class T>
  SINTER_HOST auto constant(T x) const { return op::Lanes<T, N>(x); }
};

template <class P, class T>
void map_kernel(const void* plan, const char* const* source, const std::int64_t* step, char* const* target, const int*,
                const Extent& extent) {
  const P p = *static_cast<const P*>(plan);
  constexpr int N = block_of<P>;
  Sources<P::leaves> from(source, step);
  char* to = target[0];
  for (std::int64_t row = 0, n = extent.n;; from.next_row(extent), to += extent.target_row[0]) {
    T* out = reinterpret_cast<T*>(to);
    for (std::int64_t j = 0; j < n; j += N) op::store_lanes<T>(out + j, p.value(Block<N, P::leaves>{from, j}));
    if (++row == extent.rows) return;
  }
}

// Writes a block to a target as its mode says; `total` gathers what falls on one element.
template <class Reducer, class T, int N>
SINTER_HOST void write(char* target, int mode, std::int64_t j, op::Lanes<T, N> v, op::Lanes<T, N>& total) {
  T* out = reinterpret_cast<T*>(target) + j;
  if (mode == store) v.store(out);
  else if (mode == fold_each) Reducer::combine(op::Lanes<T, N>::load(out), v).store(out);
  else if (mode == fold_all) total = Reducer::combine(total, v);
}

template <class Reducer, class P>
void reduce_kernel(const void* plan, const char* const* source, const std::int64_t* step, char* const* target,
                   const int* mode, const Extent& extent) {
  using T = typename P::type;
  const P p = *static_cast<const P*>(plan);
  constexpr int N = block_of<P>;
  Sources<P::leaves> from(source, step);
  Targets<1> to(target, mode);
  for (std::int64_t row = 0, n = extent.n;; from.next_row(extent), to.next_row(extent)) {
    // Four totals that take turns: none waits for the one before.
    op::Lanes<T, N> total(Reducer::template neutral<T>()), next = total, third = total, last = total;
    if (to.mode[0] != fold_all) {
      for (std::int64_t j = 0; j < n; j += N) write<Reducer>(to.data[0], to.mode[0], j, p.value(Block<N, P::leaves>{from, j}), total);
    } else {
      for (std::int64_t j = 0; j < n; j += N) {
        const op::Lanes<T, N> first = Reducer::combine(total, op::Lanes<T, N>(p.value(Block<N, P::leaves>{from, j})));
        total = next, next = third, third = last, last = first;
      }
      T* out = reinterpret_cast<T*>(to.data[0]);
      *out = Reducer::combine(*out, Reducer::horizontal(Reducer::combine(Reducer::combine(total, next), Reducer::combine(third, last))));
    }
    if (++row == extent.rows) return;
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

template <class T>
void multiply(char* to, std::int64_t n, double by) {
  T* out = reinterpret_cast<T*>(to);
  for (std::int64_t i = 0; i < n; ++i) out[i] = T(double(out[i]) * by);
}

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
  SINTER_HOST bool wants() const { return (wanted >> Subtree::first) & ((1u << Subtree::leaves) - 1u); }
  template <int J, class G>
  SINTER_HOST void receive(const G& g) { receive_in<J>(*this, g); }
  SINTER_HOST void deliver(const Targets<int(sizeof...(I))>& to, std::int64_t j, Sink& total) {
    (write<op::Sum>(to.data[I], to.mode[I], j, static_cast<Slot<I, T, N>&>(*this).gradient, static_cast<Slot<I, T, N>&>(total).gradient), ...);
  }
  SINTER_HOST void finish(const Targets<int(sizeof...(I))>& to) {
    (finish_one<I, T>(to.data[I], to.mode[I]), ...);
  }

 private:
  template <int J, class U>
  SINTER_HOST static void receive_in(Slot<J, U, N>& slot, const op::Lanes<U, N>& g) { slot.gradient = g; }
  template <int J, class U>
  SINTER_HOST void finish_one(char* target, int mode) {
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
                    const int* mode, const Extent& extent) {
  constexpr int N = block_of<P>;
  using S = Sink<N, std::make_integer_sequence<int, P::leaves>, typename P::leaf_types>;
  constexpr int sources = P::leaves + Up::sources;
  const Adjoint<P, Up> a = *static_cast<const Adjoint<P, Up>*>(plan);
  Sources<sources> from(source, step);
  Targets<P::leaves> to(target, mode);
  for (std::int64_t row = 0, n = extent.n;; from.next_row(extent), to.next_row(extent)) {
    S total(0);
    for (std::int64_t j = 0; j < n; j += N) {
      const Block<N, sources> context{from, j};
      S sink(a.wanted);
      const auto tape = a.plan.template tape<Up::needs_value>(context);
      a.plan.adjoint(tape, a.up.gradient(context, plan::result_of(tape)), sink);
      sink.deliver(to, j, total);
    }
    total.finish(to);
    if (++row == extent.rows) return;
  }
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
