// SPDX-License-Identifier: MIT
// Evaluation without a graph: allocate, lower, and run on the device where the operands are. The one branch on device.
#pragma once

#include "sinter/eval/fused.hpp"
#include "sinter/eval/operands.hpp"
#include "sinter/eval/stages.hpp"
#include "sinter/expr/reduce.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// `later`, where it is given, keeps the kernel for a pass over memory together with others.

// out = e, e being free of heavy nodes and broadcast to out's shape.
template <class T, int R, class E>
void assign(const Leaf<T, R>& out, const E& e, Stages* later = nullptr) {
  static_assert(!E::heavy, "sinter: heavy nodes are computed before the fused loop");
  Space space;
  start(space, R, out.impl->sizes);
  const Operands<E> in(e);
  add_sources(space, in.at, E::leaves);
  add_target(space, *out.impl);
  const auto p = plan::lower<0>(e);
  using P = std::decay_t<decltype(p)>;
  launch(space, map_kernel<P, T>, &p, sizeof(P), in.at, E::leaves, later);
}

// The value of a fused expression in a fresh tensor, outside of the graph.
template <class E>
auto compute(const E& e, Stages* later = nullptr) {
  using T = typename E::value_type;
  const Device device = common_device("eval", Operands<E>(e).at, E::leaves);
  Leaf<T, E::rank> out(TensorImpl::empty(dtype_of<T>(), e.shape(), device));
  assign(out, e, later);
  return out;
}

// The strides of a dense result walked along the operand's space: 0 where dimensions were reduced.
[[gnu::noinline]] inline void reduced_strides(std::int64_t* stride, int rank, const TensorImpl& result, unsigned mask, bool keep) {
  for (int i = 0, o = 0; i < rank; ++i) {
    const bool gone = (mask >> i) & 1u;
    stride[i] = gone ? 0 : result.strides[o];
    if (!gone || keep) ++o;
  }
}

// What a fold writes.
template <class Reducer, class C>
void add_fold(Space& space, const TensorImpl& out, unsigned mask, bool keep) {
  Target& t = space.add_target();
  t.data = static_cast<char*>(out.data);
  t.bytes = int(sizeof(C));
  t.numel = out.numel();
  t.folds = true;
  t.fold = cpu::fold<Reducer, C>;
  t.fill = cpu::fill<Reducer, C>;
  reduced_strides(t.stride, space.rank, out, mask, keep);
}

// The value of a reduction whose operand is free of heavy nodes.
template <class Reducer, class E, int K, bool Keep>
auto compute(const Reduce<Reducer, E, K, Keep>& r, Stages* later = nullptr) {
  using T = typename E::value_type;
  using C = compute_t<T>;
  constexpr int R = Reduce<Reducer, E, K, Keep>::rank;
  const Operands<E> in(r.e);
  const Device device = common_device(Reducer::name, in.at, E::leaves);
  Leaf<C, R> out(TensorImpl::empty(dtype_of<C>(), r.sizes, device));
  Space space;
  const auto shape = r.e.shape();
  start(space, E::rank, shape.d);
  add_sources(space, in.at, E::leaves);
  add_fold<Reducer, C>(space, *out.impl, r.mask, Keep);
  const auto p = plan::lower<0>(r.e);
  using P = std::decay_t<decltype(p)>;
  space.scale = r.scale;
  space.multiply = cpu::multiply<C>;
  launch(space, reduce_kernel<Reducer, P>, &p, sizeof(P), in.at, E::leaves, later);
  if constexpr (std::is_same_v<C, T>) {
    return out;
  } else {
    if (later) later->run();
    Leaf<T, R> narrow(TensorImpl::empty(dtype_of<T>(), r.sizes, device));
    copy_elements(*narrow.impl, *out.impl);
    return narrow;
  }
}

}  // namespace SINTER_ABI
}  // namespace sinter
