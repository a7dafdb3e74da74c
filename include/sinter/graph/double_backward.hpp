// SPDX-License-Identifier: MIT
// Gradients that are part of the graph (create_graph): the node behind the gradients of a fused expression. It does not
// depend on the expression's type, but for the plan it carries and a function that runs it.
#pragma once

#include "sinter/eval/double_adjoint.hpp"
#include "sinter/graph/record.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// The backward of a change of shape, any number of times.
inline Ref<TensorImpl> reshaped_step(const Ref<TensorImpl>& t, ShapeView shape);
struct ReshapeBackward {
  static constexpr bool differentiable = true;
  Edge edge;
  void run(Node& node) { give(edge, reshaped_step(node.outputs[0].grad, edge.shape())); }
  void release() {}
};
// Dense t under another shape, with t's history.
inline Ref<TensorImpl> reshaped_step(const Ref<TensorImpl>& t, ShapeView shape) {
  Ref<TensorImpl> r = TensorImpl::alias(*t);
  r->rank = shape.rank;
  std::int64_t step = 1;
  for (int i = shape.rank - 1; i >= 0; --i) {
    r->sizes[i] = shape.d[i];
    r->strides[i] = step;
    step *= shape.d[i];
  }
  if (requires_grad(t)) set_history(r, make_node("reshape", ReshapeBackward{Edge(t)}), 0);
  return r;
}

// Of the gradients that flow into those of an expression's leaves it makes what flows on: into what flowed into the
// expression itself (u), and into the leaves. See eval/double_adjoint.hpp.
struct DoubleBackward {
  const char* op;
  DoubleForm form;
  std::vector<std::max_align_t> plan;
  int rank, leaves;
  std::int64_t sizes[max_rank];
  Ref<TensorImpl> in[max_leaves];  // those whose values the slopes read
  SavedVersion version[max_leaves];
  Edge edge[max_leaves];
  int output[max_leaves];  // of the node: the same for leaves that are one tensor
  Ref<TensorImpl> u, result;  // result: if the slopes read it
  SavedVersion u_version, result_version;
  Edge u_edge;
  std::int64_t u_stride[max_rank];

  [[gnu::cold]] void run(Node& node) {
    u_version.check(op, u);
    if (result) result_version.check(op, result);
    for (int k = 0; k < leaves; ++k)
      if (in[k]) version[k].check(op, in[k]);
    const Ref<TensorImpl> flowed = in_dtype(u, form.computed), known = in_dtype(result, form.computed);
    const Ref<TensorImpl> du = u_edge ? empty_dense(form.computed, u->shape(), u->device()) : Ref<TensorImpl>();
    Ref<TensorImpl> fresh[max_leaves];
    // The sum over v is taken in parts where one kernel cannot read them all; u's gradient is one more target.
    bool adds = false;
    for (int first = 0; first < node.outputs_count;) {
      cpu::DoubleAdjoint a{plan.data(), form.slopes, leaves, form.scale, {}, {}, {}, {}, -1, -1, 0, -1, 0, {}};
      Space space;
      start(space, rank, sizes);
      a.u = space.sources;
      std::copy_n(u_stride, rank, (space.source[space.sources++] = upstream_source(*flowed)).stride);
      if (known) a.result = space.sources, add_source(space, known);
      std::fill_n(a.value, max_leaves, -1);
      for (int k = 0; k < leaves; ++k) {
        for (int i = 0; in[k] && i < k && a.value[k] < 0; ++i)
          if (in[i] && same_elements(*in[i], *in[k])) a.value[k] = a.value[i];
        if (in[k] && a.value[k] < 0) a.value[k] = space.sources, add_source(space, in[k]);
      }
      Ref<TensorImpl> v[max_leaves];
      int at[max_leaves];
      int last = first;
      for (; last < node.outputs_count && space.sources < max_sources; ++last) {
        at[last] = -1;
        const Node::Output& out = node.outputs[last];
        if (!out.grad) continue;
        v[last] = in_dtype(out.grad, compute_dtype(out.dtype));
        at[last] = space.sources;
        add_source(space, v[last]);
      }
      for (int k = 0; k < leaves; ++k) {
        a.v[k] = output[k] >= first && output[k] < last ? at[output[k]] : -1;
        a.wide[k] = edge[k] && compute_dtype(edge[k].dtype()) == DType::float64;
      }
      a.sources = space.sources;
      for (int s = 0; s < space.sources; ++s) a.bytes[s] = space.source[s].bytes;
      Space again = space;
      add_leaves(space, a, fresh, adds);
      const bool together = space.targets < max_leaves;
      if (together) add_u(space, a, du, adds);
      compute(space, a);
      if (!together && du) {
        std::fill_n(a.target, max_leaves, -1);
        a.targets = 0;
        add_u(again, a, du, adds);
        compute(again, a);
      }
      adds = true;
      first = last;
    }
    for (int k = 0; k < leaves; ++k)
      if (fresh[k]) give(edge[k], in_dtype(fresh[k], edge[k].dtype()));
    if (du) give(u_edge, in_dtype(du, u_edge.dtype()));
  }
  void release() {
    for (int k = 0; k < leaves; ++k) in[k].reset();
    u.reset();
    result.reset();
  }

 private:
  static bool same_elements(const TensorImpl& a, const TensorImpl& b) {
    return a.data == b.data && a.dtype == b.dtype && same_shape(a, b) && std::equal(a.strides, a.strides + a.rank, b.strides);
  }
  static Ref<TensorImpl> in_dtype(const Ref<TensorImpl>& t, DType dtype) { return !t || t->dtype == dtype ? t : dense_clone(*t, dtype); }
  // The gradients of leaves that can have one, each tensor's once.
  void add_leaves(Space& space, cpu::DoubleAdjoint& a, Ref<TensorImpl>* fresh, bool adds) const {
    GradientTarget target[max_leaves];
    for (int k = 0; k < leaves; ++k) {
      a.target[k] = -1;
      if (!edge[k] || !(in[k] || form.known)) continue;
      for (int i = 0; i < k && a.target[k] < 0; ++i)
        if (a.target[i] >= 0 && edge[i] == edge[k]) a.target[k] = a.target[i];
      if (a.target[k] >= 0) continue;
      if (!fresh[k]) fresh[k] = empty_dense(compute_dtype(edge[k].dtype()), edge[k].shape(), edge[k].device());
      target[a.target[k] = a.targets++] = {fresh[k].get(), adds};
    }
    add_gradients(space, target, a.targets);
  }
  void add_u(Space& space, cpu::DoubleAdjoint& a, const Ref<TensorImpl>& du, bool adds) const {
    if (!du) return;
    a.u_target = space.targets;
    Target& t = space.add_target();
    std::copy_n(u_stride, rank, t.stride);
    t.data = static_cast<char*>(du->data);
    t.bytes = size_of(du->dtype);
    t.numel = du->numel();
    t.adds = adds;
    set_sum(t, du->dtype);
    for (int i = 0; i < rank; ++i) t.folds = t.folds || (t.stride[i] == 0 && sizes[i] != 1);
  }
  void compute(Space& space, const cpu::DoubleAdjoint& a) const {
    space.clear_folds();
    space.collapse();
    Driver(space, form.kernel, &a, form.lanes).run();
  }
};

// Ties the gradients `fresh` of an expression's leaves to what they were made of: what flowed into the expression, walked with
// u_stride along its space, its result, and the leaves whose values the slopes read (`in`, where not empty).
[[gnu::cold]] inline void record_gradients(const char* op, const DoubleForm& form, const Operand* in, const SavedVersion* version, const Edge* edge, int n,
                                           ShapeView shape, Flow flow, const std::int64_t* u_stride, Ref<TensorImpl>* fresh) {
  const Ref<TensorImpl>& u = *flow.u;
  DoubleBackward back{op, form, {}, shape.rank, n, {}, {}, {}, {}, {}, u, {}, {}, {}, Edge(u), {}};
  if (form.known) back.result = *flow.result, back.result_version.keep(back.result);
  bool moved = bool(back.u_edge);
  int outputs = 0;
  for (int k = 0; k < n; ++k) {
    if (*in[k]) back.in[k] = *in[k], back.version[k] = version[k];
    back.edge[k] = edge[k];
    moved = moved || (edge[k] && (back.in[k] || form.known));
    back.output[k] = fresh[k] ? outputs++ : -1;  // none: not wanted, or passed on as it came
    for (int i = 0; i < k && edge[k] && !fresh[k]; ++i)
      if (edge[i] == edge[k]) back.output[k] = back.output[i];
  }
  if (!moved || outputs == 0) return;
  back.u_version.keep(u);
  std::copy_n(shape.d, shape.rank, back.sizes);
  std::copy_n(u_stride, shape.rank, back.u_stride);
  back.plan.resize((form.bytes + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
  std::memcpy(static_cast<void*>(back.plan.data()), form.plan, form.bytes);
  const Ref<Node> node = make_node<max_leaves>("the gradient of a fused expression", std::move(back));
  node->outputs_count = outputs;
  for (int k = 0, o = 0; k < n; ++k) {
    if (!fresh[k]) continue;
    if (fresh[k]->dtype != edge[k].dtype()) fresh[k] = dense_clone(*fresh[k], edge[k].dtype());
    set_history(fresh[k], node, o++);
  }
}

template <class Saved>
void record_gradients(const Saved& saved, const char* op, double scale, const Source* upstream, Flow flow, Ref<TensorImpl>* fresh) {
  using P = typename Saved::Plan;
  const auto record = [&](const auto& p) {
    record_gradients(op, double_form(p, scale), Operands(saved.e).at, saved.version, saved.edge, saved.count, saved.shape, flow, upstream[0].stride, fresh);
  };
  if constexpr (plan::is_known<P>) record(P{plan::lower<0>(saved.e)});
  else record(plan::lower<0>(saved.e));
}

// The backward of extrema and products, in steps that are part of the graph.
template <class Back>
void reduce_again(const Back& back, Node& node) {
  using T = typename Back::T;
  using E = std::decay_t<decltype(back.saved.e)>;
  using Wide = Leaf<T, E::rank>;
  Statement<> statement;
  Shape<E::rank> kept = back.saved.shape;
  for (int i = 0; i < E::rank; ++i)
    if ((back.mask >> i) & 1u) kept[i] = 1;
  const auto wide = [&](const Ref<TensorImpl>& t) { return Wide(reshaped_step(t, kept)); };
  const Wide g = wide(node.outputs[0].grad);
  const auto flow_in = [&](const Wide& u) {
    auto saved = back.saved;
    Source up[1] = {upstream_source(*u.impl)};
    broadcast_strides(up[0].stride, E::rank, *u.impl);
    saved.backward(node.name, Direct<T, E::leaves>{}, up, {&u.impl});
  };
  if constexpr (std::is_same_v<typename Back::Reduces, op::Prod>) {
    const auto zeros = compute(back.template same<op::Sum>(to<std::int64_t>(back.saved.e == 0)));
    for (std::int64_t i = 0; i < zeros.impl->numel(); ++i)
      if (zeros.data()[i] != 0) fail<GradError>(node.name, ": gradients of its gradient are not implemented where an element is 0");
    auto e = back.saved.e;
    int k = 0;
    for_each_leaf(e, [&](auto& leaf) { leaf.impl = connected(leaf.impl, back.saved.edge[k]), ++k; });
    const Wide z = evaluate_flat(e, statement);
    const auto product = evaluate_reduce(back.template same<op::Prod>(z), statement);
    flow_in(evaluate_flat(g * wide(product.impl) / z, statement));
  } else {
    const Wide extremum = wide(back.result.impl);
    const auto ties = compute(back.template same<op::Sum>(to<std::int64_t>(back.saved.e == extremum)));
    const Leaf<std::int64_t, E::rank> count(reshaped_step(ties.impl, kept));
    const Wide share = compute(where(back.saved.e == extremum, T(1) / to<T>(count), T(0)));
    flow_in(evaluate_flat(g * share, statement));
  }
}

}  // namespace SINTER_ABI
}  // namespace sinter
