// SPDX-License-Identifier: MIT
// Gradients as values: grad(output, inputs) leaves every .grad() as it is.
// https://pytorch.org/docs/stable/generated/torch.autograd.grad.html
#pragma once

#include <tuple>
#include <vector>

#include "sinter/tensor/tensor.hpp"

namespace sinter {

struct GradOptions {
  bool retain = false, unused = false, create = false;
  // Keep what backward needs, for another pass through the same graph.
  GradOptions& retain_graph(bool v = true) { return retain = v, *this; }
  // Record the gradients, so that they can be differentiated in turn: gradient penalties, products with a Hessian. The graph is
  // kept as by retain_graph(). An op that cannot throws GradError, naming itself, when the second pass comes through it.
  GradOptions& create_graph(bool v = true) { return create = v, *this; }
  // An input on which no output depends gets an undefined gradient instead of a GradError.
  GradOptions& allow_unused(bool v = true) { return unused = v, *this; }
};

inline namespace SINTER_ABI {

// What grad() returns where there is only one input: its gradient, not a tuple.
template <class Only>
Only one_or_all(std::tuple<Only> t) { return std::get<0>(std::move(t)); }
template <class... All>
std::tuple<All...> one_or_all(std::tuple<All...> t) { return t; }

template <class... Out, class... In>
auto grad_of(const std::tuple<Out...>& outputs, std::vector<Ref<TensorImpl>> seeds, const std::tuple<In...>& inputs, GradOptions options) {
  std::vector<Edge> roots;
  std::apply([&](const auto&... o) { (roots.push_back(Edge(o.impl)), ...); }, outputs);
  std::vector<Wanted> wanted;
  std::apply([&](const auto&... i) { (wanted.push_back(Wanted{Edge(i.impl), {}}), ...); }, inputs);
  for (std::size_t k = 0; k < roots.size(); ++k)
    if (!roots[k]) fail<GradError>("grad: output ", k, " does not require a gradient");
  for (std::size_t k = 0; k < wanted.size(); ++k)
    if (!wanted[k].edge) fail<GradError>("grad: input ", k, " does not require a gradient");
  run_backward(roots.data(), seeds.data(), roots.size(), options.retain, &wanted, options.create);
  for (std::size_t k = 0; k < wanted.size(); ++k)
    if (!wanted[k].grad && !options.unused)
      fail<GradError>("grad: no output depends on input ", k, " of shape ", wanted[k].edge.shape(), "; allow_unused() accepts that");
  std::size_t k = 0;
  std::tuple<std::remove_const_t<std::remove_reference_t<In>>...> grads;
  std::apply([&](auto&... g) { ((g = std::decay_t<decltype(g)>(wanted[k++].grad)), ...); }, grads);
  return one_or_all(std::move(grads));
}

// d output / d inputs, the output being a scalar. auto [gx, gw] = grad(loss, std::tie(x, w)).
template <class T, class... In>
auto grad(const Tensor<T, 0>& output, const std::tuple<In...>& inputs, GradOptions options = {}) {
  return grad_of(std::tuple<Tensor<T, 0>>(output), {scalar_of(T(1), output.device())}, inputs, options);
}
// One input: its gradient.
template <class T, class U, int R>
Tensor<U, R> grad(const Tensor<T, 0>& output, const Tensor<U, R>& input, GradOptions options = {}) {
  return grad(output, std::tuple<Tensor<U, R>>(input), options);
}
// Several outputs, each with the gradient that flows into it.
template <class... Out, class... In>
auto grad(const std::tuple<Out...>& outputs, const std::tuple<In...>& inputs,
          const std::tuple<std::remove_const_t<std::remove_reference_t<Out>>...>& grad_outputs, GradOptions options = {}) {
  std::vector<Ref<TensorImpl>> seeds;
  std::apply([&](const auto&... g) { (seeds.push_back(g.contiguous().impl), ...); }, grad_outputs);
  check_seeds(outputs, grad_outputs, std::index_sequence_for<Out...>());
  return grad_of(outputs, std::move(seeds), inputs, options);
}
template <class Outputs, class Seeds, std::size_t... I>
void check_seeds(const Outputs& outputs, const Seeds& seeds, std::index_sequence<I...>) {
  const auto check = [](std::size_t k, const auto& o, const auto& g) {
    if (o.shape() != g.shape()) fail<ShapeError>("grad: output ", k, " has shape ", o.shape(), ", its gradient ", g.shape());
  };
  (check(I, std::get<I>(outputs), std::get<I>(seeds)), ...);
}

}  // namespace SINTER_ABI
}  // namespace sinter
