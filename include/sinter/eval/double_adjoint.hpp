// SPDX-License-Identifier: MIT
// The derivative of the fused backward. That gives leaf k the gradient g_k = u c_k, where u flows in and c_k is the slope of
// the expression by leaf k. When v_k flows into g_k, then sum_k v_k c_k flows into u, and u c'_j into leaf j, c'_j being the
// derivative of c_j along v. One run of the plan's adjoint on dual numbers x + v eps gives all c_k and c'_k. Only that run
// depends on the expression, a block at a time; the rest is shared by all.
#pragma once

#include "sinter/eval/adjoint.hpp"
#include "sinter/op/dual.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// What one leaf gets: a block of c and a block of c'.
struct alignas(simd_bytes) SlopePair {
  char c[simd_bytes], dc[simd_bytes];
};
// The pairs of one block of all leaves of a plan. Its sources are the leaves, v, u, and, where the plan reads it, the result and
// the result's derivative along v.
using SlopeBlock = void (*)(const void* plan, const char* const* source, unsigned wanted, SlopePair* out);

// Loads leaf I as a dual number.
template <int N, int Leaves>
struct DualBlock {
  const char* const* source;
  template <class T, int I>
  auto load() const {
    constexpr int at = I < Leaves ? I : 2 * Leaves + 1, along = I < Leaves ? Leaves + I : at + 1;
    const auto x = op::load_lanes<N>(reinterpret_cast<const T*>(source[at]));
    using C = compute_t<T>;
    using D = op::Dual<op::Lanes<C, N>>;
    if constexpr (is_floating<T>) return D(x, op::Lanes<C, N>::load(reinterpret_cast<const C*>(source[along])));
    else return D(x);
  }
  template <class T>
  auto constant(T x) const { return op::Dual<op::Lanes<T, N>>(x); }
};
struct DualSink {
  unsigned wanted;
  SlopePair* out;
  template <class Subtree>
  bool wants() const { return (wanted >> Subtree::first) & ((1u << Subtree::leaves) - 1u); }
  template <int J, class G>
  void receive(const G& g) {
    std::memcpy(out[J].c, &g.v, sizeof(g.v));
    std::memcpy(out[J].dc, &g.t, sizeof(g.t));
  }
};
template <class P>
[[gnu::cold, gnu::noinline]] void slope_block(const void* plan, const char* const* source, unsigned wanted, SlopePair* out) {
  constexpr int N = block_of<P>;
  const P& p = *static_cast<const P*>(plan);
  DualSink sink{wanted, out};
  const auto tape = p.template tape<false>(DualBlock<N, P::leaves>{source});
  p.adjoint(tape, op::Dual<op::Lanes<typename P::type, N>>(1), sink);
}

// Where the leaves' values and v lie among the sources, and their gradients among the targets: leaves that are one tensor
// share them. -1: nowhere.
struct DoubleAdjoint {
  const void* plan;
  SlopeBlock slopes;
  int leaves;
  double scale;  // of u
  int value[max_leaves], v[max_leaves], target[max_leaves];
  bool wide[max_leaves];  // leaves that compute in double
  int u, result, targets, u_target;
  int sources;
  int bytes[max_sources];  // of a source's element
};

// One leaf whose gradient is computed in T.
template <class T, int N>
struct LeafPair {
  using L = op::Lanes<T, N>;
  static L at(const char* p) { return L::load(reinterpret_cast<const T*>(p)); }
  // v c
  template <class Y>
  static op::Lanes<Y, N> along(const SlopePair& pair, const char* v) { return op::convert<Y>(at(v) * at(pair.c)); }
  // Writes the sum of u c' over the leaves of one target.
  template <class Y>
  static void deliver(const DoubleAdjoint& a, int t, const SlopePair* pair, op::Lanes<Y, N> u, char* target, int mode, std::int64_t j, char* total) {
    L g(T(0)), sum = at(total);
    for (int k = 0; k < a.leaves; ++k)
      if (a.target[k] == t) g = g + at(pair[k].dc);
    write<op::Sum>(target, mode, j, op::convert<T>(u) * g, sum);
    sum.store(reinterpret_cast<T*>(total));
  }
  static void finish(char* target, const char* total) {
    T& out = *reinterpret_cast<T*>(target);
    out = T(out + op::sum(at(total)));
  }
};
// f(LeafPair<T, N>) for the T of leaf k.
template <int N, class F>
auto with_leaf(bool wide, F f) {
  if constexpr (N * int(sizeof(double)) <= simd_bytes)
    if (wide) return f(LeafPair<double, N>());
  return f(LeafPair<float, N>());
}

// Y is the type in which the expression's value computes.
template <class Y, int N>
[[gnu::cold]] void double_adjoint_row(const void* plan, const char* const* source, const std::int64_t* step, char* const* target,
                                      const int* mode, std::int64_t n) {
  using V = op::Lanes<Y, N>;
  const DoubleAdjoint& a = *static_cast<const DoubleAdjoint*>(plan);
  const int K = a.leaves;
  const char* at[2 * max_leaves + 3];
  SlopePair pair[max_leaves];
  alignas(simd_bytes) char total[max_leaves][simd_bytes] = {};
  alignas(simd_bytes) char none[simd_bytes] = {};
  alignas(simd_bytes) Y result_along[N];
  V total_u(Y(0));
  unsigned wanted = 0;
  int leaf_of[max_leaves] = {};
  for (int k = 0; k < K; ++k) {
    if (a.v[k] >= 0 || a.target[k] >= 0) wanted |= 1u << k;
    if (a.target[k] >= 0) leaf_of[a.target[k]] = k;
  }
  const auto slopes = [&] {
    std::memset(static_cast<void*>(pair), 0, std::size_t(K) * sizeof(SlopePair));
    a.slopes(a.plan, at, wanted, pair);
  };
  for (std::int64_t j = 0; j < n; j += N) {
    const auto block = [&](int s) { return s < 0 ? none : source[s] + (step[s] != 0 ? j * a.bytes[s] : 0); };
    for (int k = 0; k < K; ++k) at[k] = block(a.value[k]), at[K + k] = block(a.v[k]);
    at[2 * K] = block(a.u), at[2 * K + 1] = block(a.result), at[2 * K + 2] = reinterpret_cast<const char*>(result_along);
    V(Y(0)).store(result_along);
    slopes();
    V along(Y(0));  // of the result: sum v c
    for (int k = 0; k < K; ++k)
      if (a.v[k] >= 0) along = along + with_leaf<N>(a.wide[k], [&](auto leaf) { return leaf.template along<Y>(pair[k], at[K + k]); });
    if (a.result >= 0) {  // below its root the expression is linear: c has been the same, c' has not
      along.store(result_along);
      slopes();
    }
    const V u = V::load(reinterpret_cast<const Y*>(at[2 * K])) * V(Y(a.scale));
    for (int t = 0; t < a.targets; ++t)
      with_leaf<N>(a.wide[leaf_of[t]], [&](auto leaf) { leaf.deliver(a, t, pair, u, target[t], mode[t], j, total[t]); });
    if (a.u_target >= 0) write<op::Sum>(target[a.u_target], mode[a.u_target], j, along * V(Y(a.scale)), total_u);
  }
  for (int t = 0; t < a.targets; ++t)
    if (mode[t] == fold_all) with_leaf<N>(a.wide[leaf_of[t]], [&](auto leaf) { leaf.finish(target[t], total[t]); });
  if (a.u_target >= 0 && mode[a.u_target] == fold_all) *reinterpret_cast<Y*>(target[a.u_target]) += op::sum(total_u);
}

template <class Y, int N>
[[gnu::cold]] void double_adjoint_kernel(const void* plan, const char* const* source, const std::int64_t* step, char* const* target,
                                         const int* mode, const Extent& extent) {
  const DoubleAdjoint& a = *static_cast<const DoubleAdjoint*>(plan);
  const int targets = std::max(a.targets, a.u_target + 1);
  const char* from[max_sources];
  char* to[max_leaves];
  for (std::int64_t row = 0; row < extent.rows; ++row) {
    for (int k = 0; k < a.sources; ++k) from[k] = source[k] + (row > 0 ? row * extent.source_row[k] : 0);
    for (int t = 0; t < targets; ++t) to[t] = target[t] + (row > 0 ? row * extent.target_row[t] : 0);
    double_adjoint_row<Y, N>(plan, from, step, to, mode, extent.n);
  }
}

}  // namespace cpu

// All that the derivative of a fused backward needs to know of an expression's plan; `plan` points to it.
struct DoubleForm {
  Kernel kernel;
  cpu::SlopeBlock slopes;
  int lanes;
  DType computed;  // the type of u
  bool known;      // the slopes read the result
  const void* plan;
  std::size_t bytes;
  double scale;
};
template <class P>
DoubleForm double_form(const P& p, double scale) {
  using Y = typename P::type;
  return {cpu::double_adjoint_kernel<Y, cpu::block_of<P>>, cpu::slope_block<P>, cpu::block_of<P>, dtype_of<Y>(), plan::is_known<P>, &p, sizeof(P), scale};
}

}  // namespace SINTER_ABI
}  // namespace sinter
