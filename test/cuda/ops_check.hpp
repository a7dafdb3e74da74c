// SPDX-License-Identifier: MIT
// Every op on CUDA, value and slopes, against the CPU's, in one dtype.
#pragma once

#include "on_cuda.hpp"
#include "op/all_ops.hpp"

using namespace on_cuda;

namespace all_ops {

template <class T>
Tensor<T, 1> between(Range r) { return to<T>(rand<double>({131}) * (r.high - r.low) + r.low); }

// One op over leaves that may require gradients.
template <class T, class Op, class... X>
void check(const Op& op, X... x) {
  INFO(Op::name);
  const double tol = 50 * tolerance<T>();
  using M = decltype(map(op, x...));
  if constexpr (decltype(plan::lower<0>(std::declval<M>()))::differentiable) {
    same_everywhere([&](const auto&... leaf) { return map(op, leaf...); }, tol, tol, x...);
  } else {
    every_schedule([&] { require_close(map(op, x.to(gpu)...), map(op, x...), tol, tol); });
  }
}
template <class T>
void check_all() {
  manual_seed(7);
  const auto one = [](const auto& op, Range r, auto) { check<T>(op, between<T>(r)); };
  unary(one);
  activations(one);
  binary([](const auto& op, Range a, Range b, auto) { check<T>(op, between<T>(a), between<T>(b)); });
  comparisons([](const auto& op, auto) { check<T>(op, between<T>({-2, 2}), between<T>({-2, 2})); });
  ternary([](const auto& op, Range a, Range b, Range c, auto) { check<T>(op, between<T>(a), between<T>(b), between<T>(c)); });
}

}  // namespace all_ops

