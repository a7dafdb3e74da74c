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
  using type = T;
  static constexpr int sources = 1;
  static constexpr double scale = 1;
  static constexpr bool needs_value = false;
  template <class Context, class Value>
  SINTER_HD auto gradient(const Context& c, const Value&) const { return c.template load<T, From>(); }
};
template <class T, int From>
struct WithResult : Direct<T, From> {  // the same, followed by the result, for a plan that reads it (plan::Known)
  static constexpr int sources = 2;
};
template <class T, int From>
struct Scaled {  // the same, times a number: sums and means
  using type = T;
  static constexpr int sources = 1;
  static constexpr bool needs_value = false;
  compute_t<T> scale;
  template <class Context, class Value>
  SINTER_HD auto gradient(const Context& c, const Value&) const { return c.template load<T, From>() * c.constant(scale); }
};
template <class T, int From>
struct Tied {  // to the elements that equal the greatest (or least); upstream: gradient / number of ties, the extremum
  using type = T;
  static constexpr int sources = 2;
  static constexpr bool needs_value = true;
  template <class Context, class Value>
  SINTER_HD auto gradient(const Context& c, const Value& x) const {
    return op::where(x == c.template load<T, From + 1>(), c.template load<T, From>(), Value(0));
  }
};
template <class T, int From>
struct OfOthers {  // the product of the others; upstream: gradient * product, gradient * product without its only zero
  using type = T;
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

// Folds by sums in the dtypes that gradients are computed in.
inline void set_sum(Target& t, DType computed) {
  t.fold = computed == DType::float64 ? cpu::fold<op::Sum, double> : cpu::fold<op::Sum, float>;
  t.fill = computed == DType::float64 ? cpu::fill<op::Sum, double> : cpu::fill<op::Sum, float>;
}

// Appends the gradients of n leaves to what a loop writes; returns which are wanted, as bits.
[[gnu::noinline]] inline unsigned add_gradients(Space& space, const GradientTarget* targets, int n) {
  unsigned wanted = 0;
  for (int k = 0; k < n; ++k) {
    Target& t = space.add_target();
    t.wanted = targets[k].grad != nullptr;
    t.data = nullptr;
    t.bytes = 1;
    std::fill_n(t.stride, space.rank, 0);
    if (!t.wanted) continue;
    wanted |= 1u << k;
    const TensorImpl& grad = *targets[k].grad;
    t.data = static_cast<char*>(grad.data);
    t.bytes = size_of(grad.dtype);
    t.numel = grad.numel();
    t.adds = targets[k].adds;
    broadcast_strides(t.stride, space.rank, grad);
    set_sum(t, grad.dtype);
    for (int i = 0; i < space.rank; ++i) t.folds = t.folds || (t.stride[i] == 0 && space.size[i] != 1);
    space.device = grad.device();
  }
  return wanted;
}

// Writes the gradients of all wanted leaves of e, whose shape is `shape` and whose plan p, in the types that e computes in.
// Leaves whose value no slope needs may be empty handles.
template <class E, class P, class Up>
void adjoint(const E& e, const P& p, const std::int64_t* shape, Up up, const Source* upstream, const GradientTarget* targets,
             Stages* later = nullptr) {
  Space space;
  start(space, E::rank, shape);
  const Operands<E> in(e);
  add_sources(space, in.at, E::leaves);
  const unsigned wanted = add_gradients(space, targets, E::leaves);
  for (int k = 0; k < Up::sources; ++k) space.source[space.sources++] = upstream[k];
  const cpu::Adjoint<P, Up> a{p, up, wanted};
  launch(space, adjoint_kernel<P, Up>, &a, sizeof(a), in.at, E::leaves, later);
}

// Adds x to the elements of a dense tensor (`numel` from `base` on) that `view` shows, once for each time it shows them.
template <class T, int R>
void fold_into(void* base, std::int64_t numel, const Layout<R>& view, const Leaf<T, R>& x) {
  static_assert(std::is_same_v<T, compute_t<T>>, "sinter: gradients are folded in the type that computes");
  Space space;
  start(space, R, view.sizes.d);
  add_source(space, x.impl);
  Target& t = space.add_target();
  t.data = static_cast<char*>(base) + view.offset * std::int64_t(sizeof(T));
  t.bytes = int(sizeof(T));
  t.numel = numel - view.offset;
  t.adds = true;
  set_sum(t, dtype_of<T>());
  for (int i = 0; i < R; ++i) {
    t.stride[i] = view.sizes[i] == 1 ? 0 : view.strides[i];
    t.folds = t.folds || (t.stride[i] == 0 && view.sizes[i] != 1);
  }
  using P = plan::Leaf<T, 0>;
  const P p{};
  launch(space, reduce_kernel<op::Sum, P>, &p, sizeof(P), nullptr, 0, nullptr);
}

}  // namespace SINTER_ABI
}  // namespace sinter
