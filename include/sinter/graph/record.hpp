// SPDX-License-Identifier: MIT
// The evaluation of a statement: heavy nodes first, each once, then one fused loop; and, where an operand requires a
// gradient, one node in the graph for each of these.
#pragma once

#include "sinter/graph/saved.hpp"

namespace sinter {
inline namespace SINTER_ABI {

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
  Forms() = default;
  [[gnu::noinline]] ~Forms() {}  // once, not in every statement
  [[gnu::noinline]] const Ref<TensorImpl>* find(const Form& f) const {
    for (int i = 0; i < count; ++i)
      if (f.type && f == form[i]) return &result[i];
    return nullptr;
  }
  [[gnu::noinline]] void keep(Form f, const Ref<TensorImpl>& r) {
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
  RefList<TensorImpl, limit> result;
  Forms* forms = nullptr;    // of its reductions
  Stages* stages = nullptr;  // where the statement's kernels wait for each other, if it has several
  std::uint64_t group = 0;
  const Ref<TensorImpl>* find(std::uint64_t wanted) const {
    for (int i = 0; i < result.size(); ++i)
      if (id[i] == wanted) return &result[i];
    return nullptr;
  }
  void keep(std::uint64_t key, const Ref<TensorImpl>& r) {
    if (result.size() == limit) return;
    id[result.size()] = key;
    result.push_back(r);
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
  const Device device = common_device(state.product.name, in.data(), int(in.size()));
  statement.observer.product(state.product);
  Out out(TensorImpl::empty(dtype_of<typename P::value_type>(), state.product.shape, device));
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
