// SPDX-License-Identifier: MIT
// Every op on CUDA, value and slopes, against the CPU's.
#include "on_cuda.hpp"
#include "op/all_ops.hpp"

using namespace on_cuda;

namespace {

template <class T>
Tensor<T, 1> between(all_ops::Range r) { return to<T>(rand<double>({131}) * (r.high - r.low) + r.low); }

template <class Op, class... X>
constexpr bool has_gradient(const X&...) { return decltype(plan::lower<0>(map(std::declval<Op>(), std::declval<X>()...)))::differentiable; }

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
  const auto one = [](const auto& op, all_ops::Range r, auto) { check<T>(op, between<T>(r)); };
  all_ops::unary(one);
  all_ops::activations(one);
  all_ops::binary([](const auto& op, all_ops::Range a, all_ops::Range b, auto) { check<T>(op, between<T>(a), between<T>(b)); });
  all_ops::comparisons([](const auto& op, auto) { check<T>(op, between<T>({-2, 2}), between<T>({-2, 2})); });
  all_ops::ternary([](const auto& op, all_ops::Range a, all_ops::Range b, all_ops::Range c, auto) { check<T>(op, between<T>(a), between<T>(b), between<T>(c)); });
}

}  // namespace

TEST_CASE("cuda: every op in float") { check_all<float>(); }
TEST_CASE("cuda: every op in double") { check_all<double>(); }
