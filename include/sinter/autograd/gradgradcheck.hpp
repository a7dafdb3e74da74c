// SPDX-License-Identifier: MIT
// gradgradcheck: the gradients of a function's gradients against finite differences of these.
// https://pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradgradcheck.html
#pragma once

#include "sinter/autograd/grad.hpp"
#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/create.hpp"
#include "sinter/tensor/join.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// The gradients of f(in...) for what requires one, where `up` flows in, one after the other; the last of `all` is `up`.
template <class F, std::size_t... I, class... All>
Tensor<double, 1> flat_gradients(const F& f, std::index_sequence<I...>, const std::tuple<All...>& all) {
  EnableGradGuard enable;
  const auto out = materialize(f(std::get<I>(all)...));
  const auto up = std::get<sizeof...(I)>(all);
  std::vector<Wanted> wanted;
  const auto want = [&](const auto& x) {
    if (requires_grad(x.impl)) wanted.push_back({Edge(x.impl), {}});
  };
  (want(std::get<I>(all)), ...);
  if (out.requires_grad()) {
    const Edge root(out.impl);
    Ref<TensorImpl> seed = up.contiguous().impl;
    run_backward(&root, &seed, 1, true, &wanted, true);
  }
  std::vector<Tensor<double, 1>> parts;
  std::size_t k = 0;
  const auto take = [&](const auto& x) {
    using X = std::decay_t<decltype(x)>;
    if constexpr (is_checked<X>)
      if (requires_grad(x.impl)) {
        const X g(wanted[k++].grad);
        parts.push_back(g.defined() ? Tensor<double, 1>(reshape(g, Shape{x.numel()})) : zeros<double>({x.numel()}));
      }
  };
  (take(std::get<I>(all)), ...);
  return cat(parts);
}

template <class F, std::size_t... I, class... In>
bool check_second(const F& f, const GradcheckOptions& options, std::index_sequence<I...> index, const std::tuple<const In&...>& given) {
  constexpr bool asked_for = double_backward && sizeof(F) > 0;  // F, so that the header compiles where it is not
  static_assert(asked_for, "sinter: gradgradcheck() takes a program that includes sinter/double_backward.hpp before any other header of Sinter");
  const bool any = (requires_grad(std::get<I>(given).impl) || ...);
  std::tuple<std::decay_t<std::tuple_element_t<I, std::tuple<const In&...>>>...> in(
      check_input(std::get<I>(given), !any || requires_grad(std::get<I>(given).impl))...);
  auto up = no_grad([&] { return materialize(f(std::get<I>(in)...)).clone(); });
  for (std::int64_t i = 0; i < up.numel(); ++i) up.data()[i] = std::cos(double(i + 1));  // no two alike, none zero
  up.requires_grad_();
  const auto gradients = [&](const auto&... x) { return flat_gradients(f, index, std::tuple(x...)); };
  return gradcheck(gradients, std::get<I>(in)..., up, options);
}

}  // namespace SINTER_ABI

// gradgradcheck(f, inputs...) or gradgradcheck(f, inputs..., GradcheckOptions()): as gradcheck, for the function that gives the
// gradients of f, a fixed gradient flowing in. That one is an input, too: its number is the one after the last.
template <class F, class... Args>
bool gradgradcheck(const F& f, const Args&... args) {
  static_assert(sizeof...(Args) > 0, "sinter: gradgradcheck() takes a function and its inputs");
  constexpr std::size_t n = sizeof...(Args);
  const std::tuple<const Args&...> all(args...);
  using Last = std::decay_t<std::tuple_element_t<n - 1, std::tuple<Args...>>>;
  if constexpr (std::is_same_v<Last, GradcheckOptions>) return check_second(f, std::get<n - 1>(all), std::make_index_sequence<n - 1>(), all);
  else return check_second(f, GradcheckOptions(), std::make_index_sequence<n>(), all);
}

}  // namespace sinter
