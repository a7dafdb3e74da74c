// SPDX-License-Identifier: MIT
// Evaluation without a graph: allocate, lower, and run on the device where the operands are. The one branch on device.
#pragma once

#include "sinter/eval/cpu.hpp"
#include "sinter/expr/reduce.hpp"

namespace sinter {
inline namespace SINTER_ABI {

template <int R, class T, int A>
void set_source(Space& space, int k, const Leaf<T, A>& leaf) {
  Source& s = space.source[k];
  s.data = reinterpret_cast<const char*>(leaf.data());
  s.bytes = int(sizeof(T));
  broadcast_strides<R>(s.stride, leaf.shape(), leaf.strides());
}

template <int R, class E>
void set_sources(Space& space, const E& e) {
  int k = space.sources;
  for_each_leaf(e, [&](const auto& leaf) { set_source<R>(space, k++, leaf); });
  space.sources = k;
}

template <int R>
void set_sizes(Space& space, const Shape<R>& sizes) {
  space.rank = R;
  for (int i = 0; i < R; ++i) space.size[i] = sizes[i];
}

// Every tensor of an expression must be where the result will be.
template <class E>
Device device_of(const char* what, const E& e) {
  Device device;
  bool first = true;
  for_each_leaf(e, [&](const auto& leaf) {
    if (!leaf.impl) fail<Error>(what, ": an operand is an empty tensor handle");
    const Device d = leaf.impl->storage->device;
    if (!first && d != device) fail<DeviceError>(what, ": operands on different devices, ", device, " and ", d);
    device = d;
    first = false;
  });
  if (!device.is_cpu()) fail<DeviceError>(what, ": no backend for ", device, " in this program");
  return device;
}

// out = e, e being free of heavy nodes and as wide as out.
template <class T, int R, class E>
void assign(const Leaf<T, R>& out, const E& e) {
  static_assert(!E::heavy, "sinter: heavy nodes are computed before the fused loop");
  Space space;
  set_sizes(space, out.shape());
  set_sources<R>(space, e);
  Target& t = space.target[space.targets++];
  t.data = reinterpret_cast<char*>(out.data());
  t.bytes = int(sizeof(T));
  broadcast_strides<R>(t.stride, out.shape(), out.strides());
  space.collapse();
  auto p = plan::lower<0>(e);
  using P = decltype(p);
  Driver(space, cpu::map_kernel<P, T>, &p, cpu::block_of<P>).run();
}

template <class E>
auto allocate_for(const E& e) {
  using T = typename E::value_type;
  return Leaf<T, E::rank>(TensorImpl::empty(dtype_of<T>(), e.shape()));
}

// The value of a fused expression in a fresh tensor, outside of the graph.
template <class E>
auto compute(const E& e) {
  device_of("eval", e);
  auto out = allocate_for(e);
  assign(out, e);
  return out;
}

// A dense result of rank Out walked along the operand's space: stride 0 where dimensions were reduced.
template <int R, bool Keep, int Out>
void reduced_strides(std::int64_t* stride, const Shape<Out>& sizes, unsigned mask) {
  const Shape<Out> dense = contiguous_strides(sizes);
  for (int i = 0, o = 0; i < R; ++i) {
    const bool gone = (mask >> i) & 1u;
    stride[i] = gone ? 0 : dense[o];
    if (!gone || Keep) ++o;
  }
}

// The value of a reduction whose operand is free of heavy nodes.
template <class Reducer, class E, int K, bool Keep>
auto compute(const Reduce<Reducer, E, K, Keep>& r) {
  using T = typename E::value_type;
  using C = compute_t<T>;
  constexpr int R = E::rank;
  device_of(Reducer::name, r.e);
  Leaf<C, r.rank> out(TensorImpl::empty(dtype_of<C>(), r.sizes));
  Space space;
  set_sizes(space, r.e.shape());
  set_sources<R>(space, r.e);
  Target& t = space.target[space.targets++];
  t.data = reinterpret_cast<char*>(out.data());
  t.bytes = int(sizeof(C));
  t.numel = r.sizes.numel();
  t.folds = true;
  t.fold = cpu::fold<Reducer, C>;
  t.fill = cpu::fill<Reducer, C>;
  reduced_strides<R, Keep>(t.stride, r.sizes, r.mask);
  t.fill(t.data, t.numel);
  space.collapse();
  auto p = plan::lower<0>(r.e);
  using P = decltype(p);
  Driver(space, cpu::reduce_kernel<Reducer, P>, &p, cpu::block_of<P>).run();
  if (r.scale != 1)
    for (std::int64_t i = 0; i < t.numel; ++i) out.data()[i] = C(double(out.data()[i]) * r.scale);
  if constexpr (std::is_same_v<C, T>) {
    return out;
  } else {
    Leaf<T, r.rank> narrow(TensorImpl::empty(dtype_of<T>(), r.sizes));
    for (std::int64_t i = 0; i < t.numel; ++i) narrow.data()[i] = T(out.data()[i]);
    return narrow;
  }
}

}  // namespace SINTER_ABI
}  // namespace sinter
