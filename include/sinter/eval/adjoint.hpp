// SPDX-License-Identifier: MIT
// The fused backward: one loop recomputes what the slopes need in registers and writes the gradient of every tensor of an
// expression; operands that were broadcast are reduced in the same pass.
#pragma once

#include "sinter/eval/assign.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// What flows into the root of an expression, source `From` on being the upstream tensors.
template <class T, int From>
struct Direct {  // the gradient of the result itself
  static constexpr int sources = 1;
  static constexpr bool needs_value = false;
  template <class Context, class Value>
  SINTER_HD auto gradient(const Context& c, const Value&) const { return c.template load<T, From>(); }
};
template <class T, int From>
struct Scaled {  // the same, times a number: sums and means
  static constexpr int sources = 1;
  static constexpr bool needs_value = false;
  compute_t<T> scale;
  template <class Context, class Value>
  SINTER_HD auto gradient(const Context& c, const Value&) const { return c.template load<T, From>() * c.constant(scale); }
};
template <class T, int From>
struct Tied {  // to the elements that equal the greatest (or least); upstream: gradient / number of ties, the extremum
  static constexpr int sources = 2;
  static constexpr bool needs_value = true;
  template <class Context, class Value>
  SINTER_HD auto gradient(const Context& c, const Value& x) const {
    return op::where(x == c.template load<T, From + 1>(), c.template load<T, From>(), Value(0));
  }
};
template <class T, int From>
struct Product {  // product of the others; upstream: gradient * product, gradient * product without its only zero
  static constexpr int sources = 2;
  static constexpr bool needs_value = true;
  template <class Context, class Value>
  SINTER_HD auto gradient(const Context& c, const Value& x) const {
    const auto zero = x == Value(0);
    return op::where(zero, c.template load<T, From + 1>(), c.template load<T, From>() / op::where(zero, Value(1), x));
  }
};

// A dense gradient to be written, or added to where it exists already.
struct GradientTarget {
  TensorImpl* grad = nullptr;  // null: not wanted
  bool adds = false;
};

// Writes the gradients of all wanted leaves of e, whose shape is `shape`. Leaves whose value no slope needs may be empty
// handles.
template <class E, class Up, int N>
void adjoint(const E& e, const Shape<E::rank>& shape, Up up, const Source (&upstream)[N], const GradientTarget* targets) {
  constexpr int R = E::rank;
  static const double zero = 0;
  Space space;
  set_sizes(space, shape);
  unsigned wanted = 0;
  for_each_leaf(e, [&](const auto& leaf) {
    using L = std::decay_t<decltype(leaf)>;
    using C = compute_t<typename L::value_type>;
    const int k = space.sources++;
    if (leaf.impl) {
      set_source<R>(space, k, leaf);
    } else {
      Source& s = space.source[k];
      s.data = reinterpret_cast<const char*>(&zero);
      s.bytes = int(sizeof(C));
      for (int i = 0; i < R; ++i) s.stride[i] = 0;
    }
    Target& t = space.target[k];
    ++space.targets;
    t.bytes = int(sizeof(C));
    t.wanted = targets[k].grad != nullptr;
    t.data = nullptr;
    for (int i = 0; i < R; ++i) t.stride[i] = 0;
    if (!t.wanted) return;
    if constexpr (is_floating<C>) {
      wanted |= 1u << k;
      TensorImpl& grad = *targets[k].grad;
      Shape<L::rank> sizes;
      for (int i = 0; i < L::rank; ++i) sizes[i] = grad.sizes[i];
      broadcast_strides<R>(t.stride, sizes, contiguous_strides(sizes));
      t.data = static_cast<char*>(grad.data);
      t.numel = sizes.numel();
      t.fold = cpu::fold<op::Sum, C>;
      t.fill = cpu::fill<op::Sum, C>;
      for (int i = 0; i < R; ++i) t.folds = t.folds || (t.stride[i] == 0 && space.size[i] != 1);
      t.adds = targets[k].adds;
      if (t.folds && !t.adds) t.fill(t.data, t.numel);
    }
  });
  for (const Source& s : upstream) space.source[space.sources++] = s;
  space.collapse();
  auto p = plan::lower<0>(e);
  using P = decltype(p);
  const cpu::Adjoint<P, Up> a{p, up, wanted};
  Driver(space, cpu::adjoint_kernel<P, Up>, &a, cpu::block_of<P>).run();
}

// Adds x to the elements of a dense tensor (`numel` from `base` on) that `view` shows, once for each time it shows them.
template <class T, int R>
void fold_into(void* base, std::int64_t numel, const Layout<R>& view, const Leaf<T, R>& x) {
  static_assert(std::is_same_v<T, compute_t<T>>, "sinter: gradients are folded in the type that computes");
  Space space;
  set_sizes(space, view.sizes);
  set_sources<R>(space, x);
  Target& t = space.target[space.targets++];
  t.data = static_cast<char*>(base) + view.offset * std::int64_t(sizeof(T));
  t.bytes = int(sizeof(T));
  t.numel = numel - view.offset;
  t.adds = true;
  t.fold = cpu::fold<op::Sum, T>;
  t.fill = cpu::fill<op::Sum, T>;
  for (int i = 0; i < R; ++i) {
    t.stride[i] = view.sizes[i] == 1 ? 0 : view.strides[i];
    t.folds = t.folds || (t.stride[i] == 0 && view.sizes[i] != 1);
  }
  space.collapse();
  using P = plan::Leaf<T, 0>;
  const P p{};
  Driver(space, cpu::reduce_kernel<op::Sum, P>, &p, cpu::block_of<P>).run();
}

}  // namespace SINTER_ABI
}  // namespace sinter
