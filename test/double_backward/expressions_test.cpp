// SPDX-License-Identifier: MIT
// Gradients of gradients of fused expressions: broadcast operands, reductions, views.
#include "sinter/double_backward.hpp"

#include <catch2/catch.hpp>
#include <functional>

#include "sinter/autograd/gradgradcheck.hpp"
#include "sinter/tensor/index.hpp"
#include "values.hpp"

using namespace sinter;
using Catch::Matchers::Contains;

namespace {

// gradgradcheck by way of function objects: compiled once for all functions of one signature.
template <int R>
using D = Tensor<double, R>;
template <int... R>
bool second(const std::common_type_t<std::function<D<1>(const D<R>&...)>>& f, const D<R>&... in) { return gradgradcheck(f, in...); }
template <class E>
D<1> flat(const Expr<E>& e) { return D<1>(reshape(e, Shape{-1})); }

}  // namespace

TEST_CASE("second derivatives where operands are broadcast, strided, empty or one tensor") {
  manual_seed(15);
  const D<2> x = randn<double>({3, 4}), column = randn<double>({3, 1}), one = randn<double>({1, 1});
  const D<1> row = randn<double>({4});
  const D<0> scalar = sum(row);
  const auto chain = [](const auto& a, const auto& b, const auto& c, const auto& d, const auto& e) -> D<1> {
    return flat(tanh(a * b + c) * exp(d * c) / (2 + cos(e * a)));
  };
  CHECK(second<2, 1, 2, 2, 0>(chain, x, row, column, one, scalar));
  CHECK(second<2, 1, 2, 2, 0>(chain, D<2>(x.t()), D<1>(column.select(1, 0)), D<2>(row.unsqueeze(1)), one, scalar));
  CHECK(second<1>([](const D<1>& a) -> D<1> { return a * sin(a) * a; }, row));  // one tensor is several leaves
  CHECK(second<2>([&](const D<2>& a) { return flat(tanh(sigmoid(a) * a) + column * exp(a)); }, column));
  CHECK(second<2, 1>([](const D<2>& a, const D<1>& b) { return flat(a * b * exp(b)); }, zeros<double>({0, 4}), row));
  CHECK(second<2, 1>([](const D<2>& a, const D<1>& b) { return flat(tanh(a + b)); }, x, row));  // keeps the result
  CHECK(second<2, 2>([](const D<2>& a, const D<2>& b) { return flat(sigmoid(a - b)) * 1; }, x, column));
  CHECK(second<2, 2>([](const D<2>& a, const D<2>& b) { return flat(sin(a) + b); }, x, D<2>(x * 2)));  // b's gradient is passed on
  // More leaves than half of those that a kernel takes.
  CHECK(second<1, 1>([](const D<1>& a, const D<1>& b) -> D<1> { return a * b * a * b * sin(a) * cos(b) * (a + b) * (a - b) * exp(a * b); }, D<1>(row * 0.5), D<1>(row * 0.25)));
}
TEST_CASE("second derivatives across dtypes") {
  manual_seed(16);
  const D<1> x = randn<double>({6});
  const auto labels = tensor<std::int64_t>({0, 1, 2, 3, 4, 5});
  const auto flags = tensor<bool>({true, false, true, true, false, false});
  CHECK(second<1>([&](const D<1>& a) -> D<1> { return exp(a) * labels + where(flags, a * a * a, a) * to<double>(flags) - (remainder(labels, 2) == 0) * sin(a); }, x));
}
TEST_CASE("second derivatives of reductions") {
  manual_seed(17);
  const D<3> x = randn<double>({3, 4, 2});
  CHECK(second<3>([](const D<3>& a) { return flat(sum(exp(a) * a, 1)); }, x));
  CHECK(second<3>([](const D<3>& a) { return flat(mean(a * a * a, {0, 2}, keepdim) * a); }, x));
  CHECK(second<3>([](const D<3>& a) { return flat(var(a, 1)); }, x));
  CHECK(second<3>([](const D<3>& a) { return flat(stddev(a, {0, 1}) * mean(a)); }, x));
  CHECK(second<3>([](const D<3>& a) { return flat(amax(sin(a) * a, 1)); }, x));
  CHECK(second<3>([](const D<3>& a) { return flat(square(amin(a * a, {0, 1}, keepdim))); }, x));
  CHECK(second<3>([](const D<3>& a) { return flat(prod(sin(a) + 2, 1)); }, x));
  CHECK(second<1>([](const D<1>& a) { return flat(prod(a)); }, randn<double>({4})));
  const auto tied = tensor<double>({2., 1., 2.});
  Tensor<double, 1> t = tied.clone();
  t.requires_grad_();
  const Tensor<double, 1> g = grad(Tensor<double, 0>(square(amax(t))), t, GradOptions().create_graph());
  REQUIRE(values(g) == V{2, 0, 2});  // 2 max, shared by the ties
  REQUIRE(values(grad(Tensor<double, 0>(sum(g)), t)) == V{1, 0, 1});
  auto z = tensor<double>({0., 1., 2.}).requires_grad_();
  REQUIRE_THROWS_WITH(grad(Tensor<double, 0>(prod(z)), z, GradOptions().create_graph()), Contains("prod") && Contains("gradients of its gradient"));
}
TEST_CASE("second derivatives through views and joins") {
  manual_seed(18);
  const D<2> x = randn<double>({4, 3}), y = randn<double>({2, 3});
  CHECK(second<2>([](const D<2>& a) { return flat(exp(a.t()) * square(a.t())); }, x));
  CHECK(second<2>([](const D<2>& a) { return flat(exp(slice(a, 0, 1, 4, 2)) * slice(a, 0, 0, 2)); }, x));
  CHECK(second<2>([](const D<2>& a) { return flat(square(reshape(exp(a), Shape{2, 6})) * 3); }, x));
  CHECK(second<2>([](const D<2>& a) { return flat(exp(expand(select(a, 1, 0), Shape{5, 4})) * 2); }, x));
  CHECK(second<2, 2>([](const D<2>& a, const D<2>& b) { return flat(square(cat(exp(a), b * b))); }, x, y));
  CHECK(second<2>([](const D<2>& a) { return flat(square(stack(Tensor<double, 1>(a[0]), Tensor<double, 1>(a[2] * a[1])))); }, x));
}
