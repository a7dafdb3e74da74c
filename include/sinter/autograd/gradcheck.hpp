// SPDX-License-Identifier: MIT
// gradcheck: a function's gradients against finite differences.
// https://pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html
#pragma once

#include <cmath>

#include "sinter/autograd/function.hpp"

namespace sinter {

// What gradcheck() allows; the defaults are PyTorch's.
struct GradcheckOptions {
  double eps_ = 1e-6, atol_ = 1e-5, rtol_ = 1e-3;
  GradcheckOptions& eps(double step) { return eps_ = step, *this; }
  GradcheckOptions& atol(double a) { return atol_ = a, *this; }
  GradcheckOptions& rtol(double r) { return rtol_ = r, *this; }
};

// The index of row-major element i of a shape.
inline Shape<max_rank> unraveled(std::int64_t i, ShapeView shape) {
  Shape<max_rank> index;
  for (int d = shape.rank - 1; d >= 0; --d) {
    index[d] = i % shape.d[d];
    i /= shape.d[d];
  }
  return index;
}

inline namespace SINTER_ABI {

template <class X>
inline constexpr bool is_checked = false;
template <int R>
inline constexpr bool is_checked<Tensor<double, R>> = true;

// A dense copy that is a leaf of its own; what is not a tensor of doubles passes as it is.
template <class X>
X check_input(const X& x, bool wanted) {
  if constexpr (is_checked<X>) return x.detach().clone().requires_grad_(wanted);
  else return x;
}

// Each column of the Jacobian, which belongs to one element of an input, against that of the backward passes.
template <class F, std::size_t... I, class... In>
bool check_gradients(const F& f, const GradcheckOptions& options, std::index_sequence<I...>, const In&... given) {
  const bool any = ((is_checked<In> && given.requires_grad()) || ...);
  std::tuple<In...> in(check_input(given, !any || given.requires_grad())...);
  const auto call = [&] { return materialize(f(std::get<I>(in)...)); };

  EnableGradGuard enable;
  const auto out = call();
  using Out = std::decay_t<decltype(out)>;
  static_assert(is_checked<Out>, "sinter: gradcheck() takes a function whose result is a tensor or expression of doubles");
  const std::int64_t rows = out.numel();
  std::vector<Ref<TensorImpl>> analytic[sizeof...(In)];  // one gradient for each element of the result
  for (std::int64_t row = 0; row < rows && out.requires_grad(); ++row) {
    Out one(empty_dense(DType::float64, out.impl->shape()));
    for (std::int64_t i = 0; i < rows; ++i) one.data()[i] = i == row ? 1 : 0;
    std::vector<Wanted> wanted;
    wanted.insert(wanted.end(), {Wanted{Edge(std::get<I>(in).impl), {}}...});
    const Edge root(out.impl);
    Ref<TensorImpl> seed = one.impl;
    run_backward(&root, &seed, 1, true, &wanted);
    (analytic[I].push_back(wanted[I].grad), ...);
  }

  NoGradGuard disable;
  const auto check = [&]([[maybe_unused]] int k, auto& x) {
    if constexpr (is_checked<std::decay_t<decltype(x)>>) {
      if (!x.requires_grad()) return;
      for (std::int64_t e = 0; e < x.numel(); ++e) {
        const double at = x.data()[e];
        x.data()[e] = at + options.eps_;
        const auto above = call().clone();
        x.data()[e] = at - options.eps_;
        const auto below = call().clone();
        x.data()[e] = at;
        for (std::int64_t row = 0; row < rows; ++row) {
          const double numeric = (above.data()[row] - below.data()[row]) / (2 * options.eps_);
          const Ref<TensorImpl>* grad = analytic[k].empty() ? nullptr : &analytic[k][std::size_t(row)];
          const double got = grad && *grad ? static_cast<const double*>((*grad)->data)[e] : 0;
          if (std::abs(got - numeric) <= options.atol_ + options.rtol_ * std::abs(numeric)) continue;
          const Shape<max_rank> from = unraveled(e, x.impl->shape()), to = unraveled(row, out.impl->shape());
          fail<GradError>("gradcheck: the derivative of element ", ShapeView(to.d, Out::rank), " of the result by element ",
                          ShapeView(from.d, x.rank), " of input ", k, " is ", got, " by backward and ", numeric,
                          " by differences");
        }
      }
    }
  };
  (check(int(I), std::get<I>(in)), ...);
  return true;
}

template <class F, std::size_t... I, class... Args>
bool check_first(const F& f, const GradcheckOptions& options, std::index_sequence<I...> index, const std::tuple<const Args&...>& args) {
  return check_gradients(f, options, index, std::get<I>(args)...);
}

}  // namespace SINTER_ABI

// gradcheck(f, inputs...) or gradcheck(f, inputs..., GradcheckOptions().eps(1e-4)): compares the Jacobian that backward
// gives with central differences, element by element. f takes the inputs and gives a tensor or expression of doubles, and
// may be called many times. Inputs are tensors of doubles of any rank; those that require a gradient are checked, or all
// where none does. Tensors of other dtypes are passed as they are. Returns true, or throws GradError that names the input,
// the elements and both values.
template <class F, class... Args>
bool gradcheck(const F& f, const Args&... args) {
  static_assert(sizeof...(Args) > 0, "sinter: gradcheck() takes a function and its inputs");
  constexpr std::size_t n = sizeof...(Args);
  const std::tuple<const Args&...> all(args...);
  using Last = std::decay_t<std::tuple_element_t<n - 1, std::tuple<Args...>>>;
  if constexpr (std::is_same_v<Last, GradcheckOptions>)
    return check_first(f, std::get<n - 1>(all), std::make_index_sequence<n - 1>(), all);
  else
    return check_first(f, GradcheckOptions(), std::make_index_sequence<n>(), all);
}

}  // namespace sinter
