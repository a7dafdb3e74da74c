// SPDX-License-Identifier: MIT
// The evaluation of a statement: heavy nodes first, each once, then one fused loop; and, where an operand requires a
// gradient, one node in the graph for each of these.
#pragma once

#include <optional>

#include "sinter/eval/adjoint.hpp"
#include "sinter/expr/product.hpp"
#include "sinter/expr/reductions.hpp"
#include "sinter/graph/backward.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// Whether a statement over these operands is to be recorded.
inline bool records(const Operand* in, int n) {
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
  Ref<TensorImpl> fresh[max_leaves];

  Outlets(const Edge* edge, int n, Inner inner) {
    for (int k = 0; k < n; ++k)
      if (edge[k] && !((inner.leaves >> k) & 1u)) prepare(edge, k);
    for (int k = 0; k < n && inner.grad; ++k)
      if ((inner.leaves >> k) & 1u) target[k] = {inner.grad, (inner.leaves & ((1u << k) - 1u)) != 0};
  }
  // Whether some gradient is to be converted once it is there.
  bool narrows(const Edge* edge, int n) const {
    for (int k = 0; k < n; ++k)
      if (fresh[k] && fresh[k]->dtype != edge[k].dtype()) return true;
    return false;
  }
  // Hands over the fresh ones; those of half and bfloat16 were computed in float.
  void deliver(const Edge* edge, int n) {
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
      fresh[k] = empty_dense(computed, edge[k].shape());
      target[k] = {fresh[k].get(), false};
    }
  }
  static Ref<TensorImpl> narrowed(Ref<TensorImpl> g, DType dtype) {
    return g->dtype == dtype ? g : dense_clone(*g, dtype);
  }
};

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
    check(op, Operands<E>(e).at, version, count);
    Outlets outlets(edge, count, inner);
    if constexpr (plan::is_known<Plan>) adjoint(e, Plan{plan::lower<0>(e)}, shape.d, up, upstream, outlets.target, later);
    else adjoint(e, plan::lower<0>(e), shape.d, up, upstream, outlets.target, later);
    if constexpr (double_backward && !Up::needs_value)
      if (is_grad_enabled()) record_gradients(*this, op, double(up.scale), upstream, flow, outlets.fresh);
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
    for_each_leaf(e, [&](auto& leaf) { copy_if_in(storage, leaf.impl, version[k++]); });
  }

 private:
  static void copy_if_in(const Ref<Storage>& storage, Ref<TensorImpl>& t, SavedVersion& version) {
    if (!t || t->storage != storage) return;
    t = dense_clone(*t, t->dtype);
    version.keep(t);
  }
  static void check(const char* op, const Operand* in, const SavedVersion* version, int n) {
    for (int k = 0; k < n; ++k)
      if (*in[k]) version[k].check(op, *in[k]);
  }
  template <int... J>
  void keep(std::integer_sequence<int, J...>) {
    const bool needed[] = {Plan::template needed<J>(NeedsValue)..., false};
    int k = 0;
    for_each_leaf(e, [&](auto& leaf) {
      keep_one(leaf.impl, edge[k], version[k], needed[k]);
      ++k;
    });
  }
  static void keep_one(Ref<TensorImpl>& t, Edge& edge, SavedVersion& version, bool needed) {
    if (is_floating_dtype(t->dtype)) edge = Edge(t);
    if (needed) {
      version.keep(t);
      if (t->node) t = TensorImpl::alias(*t);  // the edge keeps the node; this, the values only
    } else {
      t.reset();
    }
  }
};

// Where a node's kernels wait for those of the same statement; null where they are to run at once.
inline Stages* stages_of(const Node& node) {
  return node.group != 0 && !DetectAnomaly::enabled() && !creates_graph() ? &current_pass()->stages : nullptr;
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
  static bool pass_to(const Edge* edge, int n, int k, const Ref<TensorImpl>& grad) {
    if (!edge[k] || edge[k].dtype() != grad->dtype || !(edge[k].shape() == grad->shape())) return false;
    for (int i = 0; i < n; ++i)
      if (i != k && edge[i] == edge[k]) return false;  // one pass adds all that goes there
    give(edge[k], grad);
    return true;
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

// Sees each kernel of a statement as it is about to run: explain() looks here, evaluation does not.
struct Unobserved {
  template <class E>
  void kernel(const char*, const E&, unsigned, bool) {}
  template <class P>
  void product(const P&) {}
  template <class P, class E>
  void epilogue(const P&, const E&, unsigned, bool) {}
  void twice() {}
  void cut() {}
  void together(int) {}
};

// What tells whether two reductions are the same, written twice: their type, their tensors (few) and
// dimensions. Numbers would have to be compared, too; with them nothing is the same.
struct Form {
  const void* type = nullptr;
  Ref<TensorImpl> leaf[2];
  unsigned mask = 0;
  double scale = 1;
  bool operator==(const Form& o) const {
    return type == o.type && leaf[0] == o.leaf[0] && leaf[1] == o.leaf[1] && mask == o.mask && scale == o.scale;
  }
};
struct Forms {
  static constexpr int limit = 4;
  Form form[limit];
  Ref<TensorImpl> result[limit];
  int count = 0;
  const Ref<TensorImpl>* find(const Form& f) const {
    for (int i = 0; i < count; ++i)
      if (f.type && f == form[i]) return &result[i];
    return nullptr;
  }
  void keep(Form f, const Ref<TensorImpl>& r) {
    if (f.type && count < limit) form[count] = std::move(f), result[count++] = r;
  }
};
template <class E>
constexpr bool is_plain() {
  if constexpr (E::kind == Kind::map) return std::is_empty_v<decltype(E::op)> && is_plain<decltype(E::a)>() && is_plain<decltype(E::b)>() && is_plain<decltype(E::c)>();
  else return E::kind == Kind::leaf || E::kind == Kind::nothing;
}
template <class E>
inline constexpr char form_tag = 0;
template <class R>
Form form_of(const R& flat) {
  Form f;
  using E = decltype(flat.e);
  if constexpr (is_plain<E>() && E::leaves <= 2) {
    f.type = &form_tag<R>;
    const Operands<E> in(flat.e);
    for (int k = 0; k < E::leaves; ++k) f.leaf[k] = *in.at[k];
    f.mask = flat.mask;
    f.scale = flat.scale;
  }
  return f;
}

// A statement under way: results of heavy nodes by their id, so that copies of a node run once.
template <class Observer = Unobserved>
struct Statement {
  static constexpr int limit = 16;
  Observer observer;
  std::uint64_t id[limit];
  Forms* forms = nullptr;    // of its reductions
  Ref<TensorImpl> result[limit];
  int count = 0;
  Stages* stages = nullptr;  // where the statement's kernels wait for each other, if it has several
  std::uint64_t group = 0;
  const Ref<TensorImpl>* find(std::uint64_t wanted) const {
    for (int i = 0; i < count; ++i)
      if (id[i] == wanted) return &result[i];
    return nullptr;
  }
  void keep(std::uint64_t key, const Ref<TensorImpl>& r) {
    if (count < limit) id[count] = key, result[count++] = r;
  }
};

// e without heavy nodes, cut where it is too long for one kernel.
template <class E, class S>
auto resolve(const E& e, S& statement);

// The value of an expression free of heavy nodes.
template <class E, class S>
auto evaluate_flat(const E& e, S& statement) {
  using T = typename E::value_type;
  using Out = Leaf<T, E::rank>;
  if constexpr (E::kind == Kind::leaf) {
    return e;
  } else if constexpr (E::kind == Kind::constant) {
    Out out(TensorImpl::empty(dtype_of<T>(), Shape<0>{}));
    *out.data() = e.value;
    return out;
  } else {
    statement.observer.kernel("map", e, 0u, false);
    Out out = compute(e, statement.stages);
    using Plan = decltype(plan::lower<0>(e));
    if constexpr (Plan::differentiable)
      if (records(e)) set_history(out.impl, make_node(name_of<decltype(e.op)>(0), MapBackward<E>{SavedMap<E>(e, out.impl)}), 0, statement.group);
    return out;
  }
}
template <class Reducer, class E, int K, bool Keep, class S>
auto evaluate_reduce(const Reduce<Reducer, E, K, Keep>& r, S& statement) {
  using Out = Leaf<typename E::value_type, Reduce<Reducer, E, K, Keep>::rank>;
  if (const Ref<TensorImpl>* known = statement.find(r.id)) {
    statement.observer.twice();
    return Out(*known);
  }
  auto e = resolve(r.e, statement);
  using F = decltype(e);
  const Reduce<Reducer, F, K, Keep> flat(r, std::move(e));
  Form form;
  if (statement.forms) {
    form = form_of(flat);
    if (const Ref<TensorImpl>* known = statement.forms->find(form)) {
      statement.observer.twice();
      return Out(*known);
    }
  }
  statement.observer.kernel(r.scale == 1 ? Reducer::name : "mean", flat.e, flat.mask, !ReduceBackward<Reducer, F, K, Keep>::sums);
  Out out = compute(flat, statement.stages);
  if constexpr (decltype(plan::lower<0>(flat.e))::differentiable)
    if (records(flat.e)) {
      using Back = ReduceBackward<Reducer, F, K, Keep>;
      Back back{typename Back::Kept(flat.e), {}, flat.mask, flat.scale};
      if constexpr (!Back::sums) back.result = Out(TensorImpl::alias(*out.impl));
      set_history(out.impl, make_node(Reducer::name, std::move(back)), 0, statement.group);
    }
  statement.keep(r.id, out.impl);
  if (statement.forms) statement.forms->keep(std::move(form), out.impl);
  return out;
}

// The result that a product has had before, if it still is that of its operands, and has a history where it needs one.
template <class P>
bool is_known(const ProductState<P>& state) {
  return state.result && state.version == state.operands_version() && (state.result->node || !state.product.requires_grad());
}
// A product by itself.
template <class P, class S>
auto evaluate_product(const Product<P>& p, S& statement) {
  using Out = Leaf<typename P::value_type, P::rank>;
  ProductState<P>& state = *p.state;
  if (const Ref<TensorImpl>* known = statement.find(state.id)) return Out(*known);
  if (is_known(state)) return Out(state.result);
  const auto in = state.product.operands();
  common_device(state.product.name, in.data(), int(in.size()));
  statement.observer.product(state.product);
  Out out(TensorImpl::empty(dtype_of<typename P::value_type>(), state.product.shape));
  state.product.compute(out.data(), {});
  if constexpr (is_floating<typename P::value_type>)
    if (state.product.requires_grad()) set_history(out.impl, make_node(state.product.name, ProductBackward<P>{state.product.back()}), 0);
  state.result = out.impl;
  state.version = state.operands_version();
  return out;
}

template <class Op, class T, class A, class B, class C, class S>
auto resolve_map(Op op, T* dtype, A a, B b, C c, S& statement) {
  constexpr int leaves = A::leaves + B::leaves + C::leaves, ops = A::ops + B::ops + C::ops;
  if constexpr (leaves > max_leaves || ops >= max_ops) {
    statement.observer.cut();
    if constexpr (A::ops >= B::ops && A::ops >= C::ops) {
      auto cut = evaluate_flat(a, statement);
      return resolve_map(op, dtype, std::move(cut), std::move(b), std::move(c), statement);
    } else if constexpr (B::ops >= C::ops) {
      auto cut = evaluate_flat(b, statement);
      return resolve_map(op, dtype, std::move(a), std::move(cut), std::move(c), statement);
    } else {
      auto cut = evaluate_flat(c, statement);
      return resolve_map(op, dtype, std::move(a), std::move(b), std::move(cut), statement);
    }
  } else {
    return Map<Op, T, A, B, C>(op, std::move(a), std::move(b), std::move(c));
  }
}
// A part of Whole without heavy nodes.
template <class Whole, class E, class S>
auto resolve_part(const E& e, S& statement) {
  if constexpr (runs_apart<Whole, E>()) return evaluate_flat(resolve(e, statement), statement);
  else return resolve(e, statement);
}
template <class E, class S>
auto resolve(const E& e, S& statement) {
  if constexpr (E::kind == Kind::reduction) {
    return evaluate_reduce(e, statement);
  } else if constexpr (E::kind == Kind::product) {
    return evaluate_product(e, statement);
  } else if constexpr (E::kind == Kind::map && (E::heavy || E::leaves > max_leaves || E::ops >= max_ops)) {
    auto a = resolve_part<E>(e.a, statement);
    auto b = resolve_part<E>(e.b, statement);
    auto c = resolve_part<E>(e.c, statement);
    return resolve_map(e.op, static_cast<typename E::value_type*>(nullptr), std::move(a), std::move(b), std::move(c), statement);
  } else {
    return e;
  }
}

// Whether a statement runs several kernels because of a reduction.
template <class E>
constexpr bool has_stages() {
  if constexpr (E::kind == Kind::reduction) return decltype(E::e)::heavy;
  else return E::heavy;
}
// Its value, the kernels together in as few passes over memory as their loops allow.
template <class E, class S>
auto evaluate_stages(const E& e, S& statement) {
  Stages stages;
  Forms forms;
  statement.stages = &stages;
  statement.forms = &forms;
  statement.group = next_heavy_id();
  auto out = evaluate_flat(resolve(e, statement), statement);
  statement.stages = nullptr;
  statement.observer.together(stages.run());
  return out;
}

}  // namespace SINTER_ABI
}  // namespace sinter
