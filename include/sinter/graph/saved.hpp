// SPDX-License-Identifier: MIT
// What the graph keeps of a fused kernel, and its way back: of maps, reductions and products.
#pragma once

#include <optional>

#include "sinter/eval/adjoint.hpp"
#include "sinter/expr/product.hpp"
#include "sinter/expr/reductions.hpp"
#include "sinter/graph/backward.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// Whether a statement over these operands is to be recorded.
[[gnu::noinline]] inline bool records(const Operand* in, int n) {
  if (!is_grad_enabled()) return false;
  for (int k = 0; k < n; ++k) {
    if (!*in[k]) fail_undefined();
    if (is_floating_dtype((*in[k])->dtype) && records_grad(*in[k])) return true;
  }
  return false;
}
template <class E>
bool records(const E& e) { return records(Operands<E>(e).at, E::leaves); }

// The leaves (as bits) whose gradient does not go along their edges, and where it goes instead, if anywhere: into the product
// that was computed in the same statement.
struct Inner {
  unsigned leaves = 0;
  TensorImpl* grad = nullptr;
};

// What flows into an expression, and its result where backward keeps that.
struct Flow {
  const Ref<TensorImpl>* u = nullptr;
  const Ref<TensorImpl>* result = nullptr;
};
// Makes the gradients that have just been computed a part of the graph; see graph/double_backward.hpp.
template <class Saved>
void record_gradients(const Saved& saved, const char* op, double scale, const Source* upstream, Flow flow, Ref<TensorImpl>* fresh);
template <class Back>
void reduce_again(const Back& back, Node& node);

// The gradients of one fused loop: where they are to go, and the memory they are written to. That is what has arrived
// before in this pass, a fresh tensor, or that of an earlier leaf which is the same tensor.
struct Outlets {
  GradientTarget target[max_leaves];
  RefList<TensorImpl, max_leaves> fresh;

  [[gnu::noinline]] Outlets(const Edge* edge, int n, Inner inner) : fresh(n) {
    for (int k = 0; k < n; ++k)
      if (edge[k] && !((inner.leaves >> k) & 1u)) prepare(edge, k);
    for (int k = 0; k < n && inner.grad; ++k)
      if ((inner.leaves >> k) & 1u) target[k] = {inner.grad, (inner.leaves & ((1u << k) - 1u)) != 0};
  }
  // Whether some gradient is to be converted once it is there.
  [[gnu::noinline]] bool narrows(const Edge* edge, int n) const {
    for (int k = 0; k < n; ++k)
      if (fresh[k] && fresh[k]->dtype != edge[k].dtype()) return true;
    return false;
  }
  // Hands over the fresh ones; those of half and bfloat16 were computed in float.
  [[gnu::noinline]] void deliver(const Edge* edge, int n) {
    if (DetectAnomaly::enabled())
      for (int k = 0; k < n; ++k)
        if (target[k].grad) check_anomaly(*target[k].grad);
    for (int k = 0; k < n; ++k)
      if (fresh[k]) give(edge[k], narrowed(std::move(fresh[k]), edge[k].dtype()));
  }

 private:
  void prepare(const Edge* edge, int k) {
    for (int i = 0; i < k; ++i)
      if (target[i].grad && edge[i] == edge[k]) {
        target[k] = {target[i].grad, true};
        return;
      }
    const DType computed = compute_dtype(edge[k].dtype());
    Ref<TensorImpl>& sum = arrived(edge[k]);
    if (computed == edge[k].dtype() && takes_more(sum)) {
      target[k] = {sum.get(), true};
    } else {
      fresh[k] = empty_dense(computed, edge[k].shape(), edge[k].device());
      target[k] = {fresh[k].get(), false};
    }
  }
  static Ref<TensorImpl> narrowed(Ref<TensorImpl> g, DType dtype) {
    return g->dtype == dtype ? g : dense_clone(*g, dtype);
  }
};

// What SavedExpr does with operands whatever the expression's type.
[[gnu::noinline]] inline void keep_operand(Ref<TensorImpl>& t, Edge& edge, SavedVersion& version, bool needed) {
  if (is_floating_dtype(t->dtype)) edge = Edge(t);
  if (needed) {
    version.keep(t);
    if (t->node) t = TensorImpl::alias(*t);  // the edge keeps the node; this, the values only
  } else {
    t.reset();
  }
}
[[gnu::noinline]] inline void keep_apart_from(const Ref<Storage>& storage, Ref<TensorImpl>& t, SavedVersion& version) {
  if (!t || t->storage != storage) return;
  t = dense_clone(*t, t->dtype);
  version.keep(t);
}
[[gnu::noinline]] inline void check_versions(const char* op, const Operand* in, const SavedVersion* version, int n) {
  for (int k = 0; k < n; ++k)
    if (*in[k]) version[k].check(op, *in[k]);
}

// What backward needs of an expression: its form, the leaves whose values the slopes read, and where gradients go.
template <class E, class BackwardPlan, bool NeedsValue>
struct SavedExpr {
  static constexpr int count = E::leaves;
  using Plan = BackwardPlan;
  E e;
  Shape<E::rank> shape;
  Edge edge[count];
  SavedVersion version[count];

  explicit SavedExpr(const E& from) : e(from), shape(from.shape()) { keep(std::make_integer_sequence<int, count>()); }

  // Adds to the gradient of every leaf that wants one; `up` and `upstream` say what flows in.
  template <class Up>
  void backward(const char* op, Up up, const Source* upstream, [[maybe_unused]] Flow flow, Inner inner = {}, Stages* later = nullptr) {
    check_versions(op, Operands<E>(e).at, version, count);
    Outlets outlets(edge, count, inner);
    if constexpr (plan::is_known<Plan>) adjoint(e, Plan{plan::lower<0>(e)}, shape.d, up, upstream, outlets.target, later);
    else adjoint(e, plan::lower<0>(e), shape.d, up, upstream, outlets.target, later);
    if constexpr (double_backward && !Up::needs_value)
      if (is_grad_enabled()) record_gradients(*this, op, double(up.scale), upstream, flow, outlets.fresh.data());
    if (later && outlets.narrows(edge, count)) later->run();
    outlets.deliver(edge, count);
  }
  // The leaves that want a gradient, as bits.
  unsigned wanted() const {
    unsigned bits = 0;
    for (int k = 0; k < count; ++k)
      if (edge[k]) bits |= 1u << k;
    return bits;
  }
  void release() {
    for_each_leaf(e, [](auto& leaf) { leaf.impl.reset(); });
  }
  // Before `storage` is written to: what is kept of it becomes a copy.
  void keep_apart(const Ref<Storage>& storage) {
    int k = 0;
    for_each_leaf(e, [&](auto& leaf) { keep_apart_from(storage, leaf.impl, version[k++]); });
  }

 private:
  template <int... J>
  void keep(std::integer_sequence<int, J...>) {
    const bool needed[] = {Plan::template needed<J>(NeedsValue)..., false};
    int k = 0;
    for_each_leaf(e, [&](auto& leaf) {
      keep_operand(leaf.impl, edge[k], version[k], needed[k]);
      ++k;
    });
  }
};

// Where a node's kernels wait for those of the same statement; null where they are to run at once.
[[gnu::noinline]] inline Stages* stages_of(const Node& node) {
  return node.group != 0 && !DetectAnomaly::enabled() && !creates_graph() ? &current_pass()->stages : nullptr;
}

// Gives edge k the gradient as it is, where that is all that goes there.
[[gnu::noinline]] inline bool pass_to(const Edge* edge, int n, int k, const Ref<TensorImpl>& grad) {
  if (!edge[k] || edge[k].dtype() != grad->dtype || !(edge[k].shape() == grad->shape())) return false;
  for (int i = 0; i < n; ++i)
    if (i != k && edge[i] == edge[k]) return false;  // one pass adds all that goes there
  give(edge[k], grad);
  return true;
}

// A gradient of the result's dtype, read along the space of the operand.
inline Source upstream_source(const TensorImpl& grad) {
  Source s;
  s.data = static_cast<const char*>(grad.data);
  s.bytes = size_of(grad.dtype);
  return s;
}

// The same of a map that was evaluated to `out`.
template <class E>
struct SavedMap : SavedExpr<E, decltype(plan::backward_plan(std::declval<const E&>())), false> {
  using T = typename E::value_type;
  using Base = SavedExpr<E, decltype(plan::backward_plan(std::declval<const E&>())), false>;
  static constexpr bool keeps_result = plan::is_known<typename Base::Plan>;
  Ref<TensorImpl> result;
  SavedVersion result_version;

  SavedMap(const E& from, const Ref<TensorImpl>& out) : Base(from) {
    if (!keeps_result) return;
    result = TensorImpl::alias(*out);
    result_version.keep(result);
  }
  void backward(Node& node, Inner inner = {}) {
    const Flow flow{&node.outputs[0].grad, &result};
    inner.leaves |= pass_on(node.outputs[0].grad, std::make_integer_sequence<int, E::leaves>());
    if (!inner.grad && (this->wanted() & ~inner.leaves) == 0) return;
    const TensorImpl& grad = **flow.u;
    Stages* later = stages_of(node);
    Source up[2] = {upstream_source(grad)};
    broadcast_strides(up[0].stride, E::rank, grad);
    if constexpr (keeps_result) {
      result_version.check(node.name, result);
      up[1] = upstream_source(*result);
      broadcast_strides(up[1].stride, E::rank, *result);
      Base::backward(node.name, WithResult<T, E::leaves>{}, up, flow, inner, later);
      hold(later, result);
    } else {
      Base::backward(node.name, Direct<T, E::leaves>{}, up, flow, inner, later);
    }
    hold(later, node.outputs[0].grad);
  }
  void release() {
    Base::release();
    result.reset();
  }

 private:
  // A summand of the result's own shape gets its gradient as it is, without a copy; returns which did.
  template <int... J>
  unsigned pass_on(const Ref<TensorImpl>& grad, std::integer_sequence<int, J...>) {
    return ((Base::Plan::template passes<J>() && pass_to(this->edge, Base::count, J, grad) ? 1u << J : 0u) | ... | 0u);
  }
};

template <class E>
struct MapBackward {
  static constexpr bool differentiable = true;
  SavedMap<E> saved;
  void run(Node& node) { saved.backward(node); }
  void release() { saved.release(); }
};

// A reduction's gradient. Sums need the upstream gradient alone; extrema and products look at their elements again.
template <class Reducer, class E, int K, bool Keep>
struct ReduceBackward {
  using T = typename E::value_type;
  using Reduces = Reducer;
  static constexpr int rank = Keep ? E::rank : E::rank - K;
  static constexpr bool sums = std::is_same_v<Reducer, op::Sum>, differentiable = true;
  using Kept = SavedExpr<E, decltype(plan::lower<0>(std::declval<const E&>())), !sums>;
  Kept saved;
  Leaf<T, rank> result;  // of an extremum
  unsigned mask;
  double scale;

  void run(Node& node) {
    const Leaf<T, rank> g(node.outputs[0].grad);
    if constexpr (double_backward && !sums)
      if (is_grad_enabled()) return reduce_again(*this, node);
    Stages* later = stages_of(node);
    if constexpr (sums) {
      Source up[1] = {source(g)};
      saved.backward(node.name, Scaled<T, E::leaves>{compute_t<T>(scale)}, up, {&g.impl}, {}, later);
      hold(later, g.impl);
    } else if constexpr (std::is_same_v<Reducer, op::Prod>) {
      const auto zero = saved.e == 0;
      const auto zeros = compute(same<op::Sum>(to<std::int64_t>(zero)), later);
      const auto others = compute(same<op::Prod>(where(zero, T(1), saved.e)), later);
      const auto every = compute(where(zeros == 0, g * others, 0), later), single = compute(where(zeros == 1, g * others, 0), later);
      Source up[2] = {source(every), source(single)};
      saved.backward(node.name, OfOthers<T, E::leaves>{}, up, {}, {}, later);
      hold(later, every.impl, single.impl);
    } else {
      const auto wide = alias_keepdim();
      const auto ties = compute(same<op::Sum>(where(saved.e == wide, 1.f, 0.f)), later);
      const auto share = compute(to<T>(g / ties), later);
      Source up[2] = {source(share), source(result)};
      saved.backward(node.name, Tied<T, E::leaves>{}, up, {}, {}, later);
      hold(later, share.impl, result.impl);
    }
  }
  void release() {
    saved.release();
    result.impl.reset();
  }

  // Another reduction over the same dimensions.
  template <class Other, class F>
  auto same(const F& e) const { return Reduce<Other, F, K, Keep>(Other::name, e, mask); }

 private:
  Source source(const Leaf<T, rank>& dense) const {
    Source s = upstream_source(*dense.impl);
    reduced_strides(s.stride, E::rank, *dense.impl, mask, Keep);
    return s;
  }
  // The result with the reduced dimensions still there, to be compared with the operand.
  Leaf<T, E::rank> alias_keepdim() const {
    Ref<TensorImpl> t = TensorImpl::alias(*result.impl);
    t->rank = E::rank;
    for (int i = 0; i < E::rank; ++i) t->sizes[i] = (mask >> i) & 1u ? 1 : saved.shape[i];
    reduced_strides(t->strides, E::rank, *result.impl, mask, Keep);
    return Leaf<T, E::rank>(std::move(t));
  }
};

// Back: what a contraction keeps, and run(name, gradient of its result).
template <class P>
struct ProductBackward {
  static constexpr bool differentiable = is_differentiable<typename P::Back>(0);
  std::optional<typename P::Back> back;
  void run(Node& node) { back->run(node.name, node.outputs[0].grad); }
  void release() { back.reset(); }
};

}  // namespace SINTER_ABI
}  // namespace sinter
