// SPDX-License-Identifier: MIT
// The value of any expression. One that maps a product element by element runs as its epilogue: on each tile of the
// product, as soon as that is finished and while it is in the cache. Forward and backward are one node of the graph.
#pragma once

#include "sinter/graph/product_epilogue.hpp"
#include "sinter/graph/record.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// The gradients of a product and its epilogue: first what flows into the product (with the gradients of the other
// operands, a bias, say, in the same pass), then those of the product's operands.
template <class E, class P>
struct EpilogueBackward {
  using Z = typename P::value_type;
  using Plan = typename SavedMap<E>::Plan;
  SavedMap<E> saved;
  std::optional<typename P::Back> back;
  unsigned inner;  // the leaves that are the product

  static constexpr bool differentiable = true;

  void run(Node& node) {
    if constexpr (double_backward)
      if (is_grad_enabled() && back) part(node);
    if (!back || passes(std::make_integer_sequence<int, E::leaves>())) {
      saved.backward(node, {inner, nullptr});
      if (back) back->run(node.name, node.outputs[0].grad);
    } else {
      Ref<TensorImpl> dz = empty_dense(dtype_of<compute_t<Z>>(), ShapeView(saved.shape), node.outputs[0].grad->device());
      saved.backward(node, {inner, dz.get()});
      if constexpr (is_reduced_float<Z>) dz = dense_clone(*dz, dtype_of<Z>());  // gradients are computed in float
      back->run(node.name, dz);
    }
  }
  void release() {
    saved.release();
    back.reset();
  }

 private:
  // Makes the product a node of its own, whose gradient can be differentiated. It comes before the epilogue's: sequence numbers
  // are even, so that one is free.
  void part(Node& node) {
    Ref<TensorImpl> z = TensorImpl::alias(*node.outputs[0].grad);  // for its shape alone
    z->dtype = dtype_of<Z>();
    Ref<Node> product = make_node(node.name, ProductBackward<P>{std::exchange(back, std::nullopt)});
    product->sequence = node.sequence - 1;
    set_history(z, product, 0);
    for (int k = 0; k < E::leaves; ++k)
      if ((std::exchange(inner, inner & ~(1u << k)) >> k) & 1u) saved.edge[k] = Edge(z);
  }
  // Whether the gradient reaches the product as it came, by additions alone.
  template <int... J>
  bool passes(std::integer_sequence<int, J...>) const {
    return std::is_same_v<Z, typename E::value_type> && ((inner == 1u << J && Plan::template passes<J>()) || ...);
  }
};

// What a product calls for each of its finished tiles.
struct Epilogue {
  Driver driver;
  std::int64_t rows;  // of one product of a batch
  static void run(const void* self, std::int64_t product, std::int64_t row0, std::int64_t row1, std::int64_t column0, std::int64_t column1) {
    const Epilogue& e = *static_cast<const Epilogue*>(self);
    e.driver.region(product * e.rows + row0, product * e.rows + row1, column0, column1);
  }
};

// out = e, in which `z`, of the same shape, stands for the product. z may be out's own memory.
template <class T, int R, class E, class P>
void assign_product(const Leaf<T, R>& out, const E& e, const Leaf<typename P::value_type, R>& z, const P& product) {
  Space space;
  start(space, R, out.impl->sizes);
  add_sources(space, Operands<E>(e).at, E::leaves);
  add_target(space, *out.impl);
  if (!space.device.is_cpu() || !space.join_last(P::column_dims)) {  // a pass of its own, but for what a device's product does
    if constexpr (std::is_same_v<T, typename P::value_type> && passes_epilogue<P>(0))
      if (MatmulArgs own{}; !space.device.is_cpu() && z.data() == out.data() && is_product_epilogue<T>(e, z.impl, own))
        return product.compute(out.data(), {}, own);
    product.compute(z.data(), {});
    return assign(out, e);
  }
  const auto p = plan::lower<0>(e);
  using Plan = std::decay_t<decltype(p)>;
  const Epilogue epilogue{Driver(space, cpu::map_kernel<Plan, T>, &p, cpu::block_of<Plan>), product.product_rows()};
  product.compute(z.data(), {Epilogue::run, &epilogue});
}

template <class E, class S>
auto evaluate_epilogue(const E& e, S& statement) {
  using T = typename E::value_type;
  constexpr int R = E::rank;
  using P = typename last_product_t<E>::Contraction;
  using Z = typename P::value_type;
  const ProductState<P>& state = *last_product(e).state;
  const P& product = state.product;

  const auto factors = product.operands();
  const Device device = common_device(product.name, factors.data(), int(factors.size()));
  const Leaf<T, R> out(TensorImpl::empty(dtype_of<T>(), e.shape(), device));
  const Leaf<Z, R> z(std::is_same_v<T, Z> ? TensorImpl::alias(*out.impl) : TensorImpl::empty(dtype_of<Z>(), e.shape(), device));
  statement.keep(state.id, z.impl);
  const auto flat = resolve(e, statement);
  using F = std::decay_t<decltype(flat)>;
  const auto in = Operands<F>(flat);
  if (common_device(product.name, in.at, F::leaves) != device)
    fail<DeviceError>(product.name, ": operands on different devices");

  unsigned inner = 0;
  for (int k = 0; k < F::leaves; ++k)
    if (*in.at[k] == z.impl) inner |= 1u << k;
  using Plan = decltype(plan::backward_plan(flat));
  const bool product_grad = product.requires_grad();
  const bool recorded = Plan::differentiable && (product_grad || records(flat));
  const bool kept = recorded && (inner & plan::needed_leaves<Plan>(false)) != 0;  // backward reads the product itself
  if (std::is_same_v<T, Z> && kept) {
    z.impl->storage = Storage::allocate(std::size_t(z.impl->numel()) * sizeof(Z), device);
    z.impl->data = z.impl->storage->data;
  }
  statement.observer.epilogue(product, flat, inner, kept);
  assign_product(out, flat, z, product);
  if constexpr (Plan::differentiable)
    if (recorded) {
      EpilogueBackward<F, P> back{SavedMap<F>(flat, out.impl), {}, inner};
      if (product_grad) back.back.emplace(product.back());
      set_history(out.impl, make_node(product.name, std::move(back)), 0);
    }
  return out;
}

// The value of any expression, recorded where an operand requires a gradient.
template <class E, class S>
auto run_statement(const E& e, S& statement) {
  if constexpr (has_epilogue<E>()) {
    const auto& product = last_product(e);
    if constexpr (is_biased_product<E>)
      if (e.b.impl == absent_bias<typename E::value_type, decltype(E::b)::rank>(e.b.impl->device()).impl) return evaluate_product(product, statement);
    if (product.shape() == e.shape() && !is_known(*product.state)) return evaluate_epilogue(e, statement);
  }
  if constexpr (has_stages<E>()) return evaluate_stages(e, statement);
  else if constexpr (E::heavy || E::leaves > max_leaves || E::ops >= max_ops) return evaluate_flat(resolve(e, statement), statement);
  else return evaluate_flat(e, statement);
}
template <class E>
auto evaluate(const E& e) {
  Statement<> statement;
  return run_statement(e, statement);
}

}  // namespace SINTER_ABI
}  // namespace sinter
