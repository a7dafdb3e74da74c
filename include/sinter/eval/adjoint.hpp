// SPDX-License-Identifier: MIT
// The fused backward: one loop recomputes what the slopes need in registers and writes the gradient of every tensor of an
// expression; operands that were broadcast are reduced in the same pass.
#pragma once

#include "sinter/eval/assign.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// What flows into the root of an expression, source `From` on being the upstream tensors.
template <class T, int From>
struct Direct {  // the gradient of the result itself: elementwise statements, sums
  static constexpr bool needs_value = false;
  template <class Context, class Value>
  SINTER_HD auto gradient(const Context& c, const Value&) const { return c.template load<T, From>(); }
};
template <class T, int From>
struct Tied {  // to the elements that equal the greatest (or least); upstream: gradient / number of ties, the extremum
  static constexpr bool needs_value = true;
  template <class Context, class Value>
  SINTER_HD auto gradient(const Context& c, const Value& x) const {
    return op::where(x == c.template load<T, From + 1>(), c.template load<T, From>(), Value(0));
  }
};
template <class T, int From>
struct Product {  // product of the others; upstream: gradient * product, gradient * product without its only zero
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

// Writes the gradients of all wanted leaves of e. Leaves whose value no slope needs may be empty handles.
template <class E, class Up, int N>
void adjoint(const E& e, Up up, const Source (&upstream)[N], const GradientTarget* targets) {
  constexpr int R = E::rank;
  static const double zero = 0;
  Space space;
  set_sizes(space, e.shape());
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
  Driver(space, cpu::adjoint_kernel<P, Up>, &a, cpu::block).run();
}

}  // namespace SINTER_ABI
}  // namespace sinter
