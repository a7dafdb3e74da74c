// SPDX-License-Identifier: MIT
// The backward of fused statements: against ops one by one, against finite differences, with operands broadcast in every
// way, tensors that occur twice, and dtypes that are only stored.
#include "sinter/eval/adjoint.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/create.hpp"
#include "sinter/tensor/index.hpp"
#include "values.hpp"

using namespace sinter;

namespace {

template <class A, class B>
void require_close(const A& a, const B& b, double rtol, double atol) {
  const V x = values(a), y = values(b);
  REQUIRE(x.size() == y.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    CAPTURE(i, x[i], y[i]);
    REQUIRE(std::abs(x[i] - y[i]) <= atol + rtol * std::abs(y[i]));
  }
}
// d of rank R has extent one where the mask says so: the sum of g over those dimensions, by index.
V folded(const Tensor<double, 3>& g, const Shape<3>& to) {
  V v(std::size_t(to.numel()), 0.0);
  const Shape<3> n = g.shape();
  for (std::int64_t i = 0; i < n[0]; ++i)
    for (std::int64_t j = 0; j < n[1]; ++j)
      for (std::int64_t k = 0; k < n[2]; ++k)
        v[std::size_t(((to[0] == 1 ? 0 : i) * to[1] + (to[1] == 1 ? 0 : j)) * to[2] + (to[2] == 1 ? 0 : k))] += g.data()[(i * n[1] + j) * n[2] + k];
  return v;
}

}  // namespace

TEST_CASE("operands broadcast over every set of dimensions, on either side") {
  manual_seed(1);
  for (const Shape<3> n : {Shape<3>{{3, 4, 5}}, Shape<3>{{2, 3, 40}}, Shape<3>{{37, 1, 19}}, Shape<3>{{1, 65, 2}}})
    for (int mask = 0; mask < 8; ++mask) {
      Shape<3> m = n;
      for (int d = 0; d < 3; ++d)
        if ((mask >> d) & 1) m[d] = 1;
      CAPTURE(n, m);
      auto x = randn<double>(n).requires_grad_();
      auto y = randn<double>(m).requires_grad_();
      const auto up = randn<double>(n);
      eval(x * y + sin(y)).backward(up);
      REQUIRE(values(x.grad()) == values(up * y));
      const V expected = folded(eval(up * (x.detach() + cos(y.detach()))), m), got = values(y.grad());
      REQUIRE(y.grad().shape() == m);
      for (std::size_t i = 0; i < got.size(); ++i) REQUIRE(got[i] == Approx(expected[i]).epsilon(1e-11).margin(1e-12));
      auto z = randn<double>(m).requires_grad_();
      eval(z - x).backward(up);
      const V plain = folded(up, m), zg = values(z.grad());
      for (std::size_t i = 0; i < zg.size(); ++i) REQUIRE(zg[i] == Approx(plain[i]).epsilon(1e-11).margin(1e-12));
    }
}

TEST_CASE("both operands broadcast, ranks differ, scalars") {
  manual_seed(2);
  REQUIRE(gradcheck([](auto a, auto b) { return a * b + exp(a); }, randn<double>({3, 1}), randn<double>({1, 4})));
  REQUIRE(gradcheck([](auto a, auto b) { return a / (b * b + 1); }, randn<double>({2, 1, 3, 1}), randn<double>({4, 1, 2})));
  REQUIRE(gradcheck([](auto a, auto b, auto c) { return a * b + c; }, randn<double>(Shape<0>{}), randn<double>({5}), randn<double>({2, 1})));
  REQUIRE(gradcheck([](auto a, auto b) { return a * b * a; }, randn<double>(Shape<0>{}), randn<double>(Shape<0>{})));
  REQUIRE(gradcheck([](auto a, auto b) { return a * b; }, randn<double>({2, 1, 1, 2, 1, 2}), randn<double>({1, 2, 1, 1, 3, 1})));
}

TEST_CASE("a tensor may occur any number of times") {
  auto x = tensor<double>({1., -2., 3.}).requires_grad_();
  sum(x * x).backward();
  REQUIRE(values(x.grad()) == V{2, -4, 6});
  x.set_grad({});
  sum(x * x * x - x / x + (x + x) * x).backward();
  REQUIRE(values(x.grad()) == V{3 + 4, 12 - 8, 27 + 12});
  REQUIRE(gradcheck([](auto a) { return transpose(a, 0, 1) * a; }, randn<double>({3, 3})));  // through two layouts
  REQUIRE(gradcheck([](auto a) { return a * a[0] + a(all, Slice(0, 1)); }, randn<double>({3, 3})));
  REQUIRE(gradcheck([](auto a) { return a * sum(a) + mean(a * a, 0); }, randn<double>({2, 3})));
}

TEST_CASE("strided operands") {
  manual_seed(3);
  REQUIRE(gradcheck([](auto a, auto b) { return tanh(transpose(a, 0, 1)) * b; }, randn<double>({4, 3}), randn<double>({3, 4})));
  REQUIRE(gradcheck([](auto a) { return square(slice(a, 1, 1, 7, 2)); }, randn<double>({2, 7})));
  REQUIRE(gradcheck([](auto a) { return exp(permute(a, Shape<3>{{2, 0, 1}})) * 2; }, randn<double>({2, 3, 2})));
  REQUIRE(gradcheck([](auto a) { return expand(a, Shape{std::int64_t(3), std::int64_t(2)}) * 2; }, randn<double>({1, 2})));
  REQUIRE(gradcheck([](auto a, auto m) { return where(m, a * a, a + 1); }, randn<double>({2, 3}), tensor({true, false, true})));
}

TEST_CASE("fused gradients are those of the ops one by one") {
  manual_seed(4);
  const auto x0 = randn<double>({17, 33}), y0 = randn<double>({17, 33});
  const auto a0 = randn<double>({33});
  const auto c0 = randn<double>({17, 1});
  const auto up = randn<double>({17, 33});
  const auto run = [&](auto step) {
    auto x = x0.clone().requires_grad_(), y = y0.clone().requires_grad_();
    auto a = a0.clone().requires_grad_();
    auto c = c0.clone().requires_grad_();
    const auto p = step(step(step(x * a) + c));
    const auto q = step(gelu(p));
    const auto s = step(sigmoid(step(x * y)));
    eval(q * c - step(tanh(s)) / step(step(square(a)) + 1)).backward(up);
    return std::tuple(x.grad(), y.grad(), a.grad(), c.grad());
  };
  const auto [fx, fy, fa, fc] = run([](const auto& e) { return e; });
  const auto [sx, sy, sa, sc] = run([](const auto& e) { return eval(e); });
  require_close(fx, sx, 1e-12, 1e-13);
  require_close(fy, sy, 1e-12, 1e-13);
  require_close(fa, sa, 1e-12, 1e-12);
  require_close(fc, sc, 1e-12, 1e-12);
}

TEST_CASE("one statement is one node") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  const Tensor<double, 1> y = gelu(x * 2 + 1) * x;
  REQUIRE(y.impl->node);
  sum(y).backward(true);
  // what the node knows of are the leaves alone: x gets its gradient from it directly
  int seen = 0;
  x.register_hook([&](const Tensor<double, 1>&) { ++seen; });
  sum(y).backward();
  REQUIRE(seen == 1);
}

TEST_CASE("half and bfloat16 gradients have the operand's dtype and are summed in float") {
  auto x = ones<half>({4096}).requires_grad_();
  auto s = ones<half>(Shape<0>{}).requires_grad_();
  sum(x * s).backward();
  REQUIRE(values(s.grad()) == V{4096});  // in half, a sum of ones ends at 2048
  REQUIRE(values(x.grad()) == V(4096, 1.0));
  auto b = full<bfloat16>({300}, bfloat16(2.f)).requires_grad_();
  auto w = full<float>(Shape<0>{}, 3.f).requires_grad_();
  sum(b * w).backward();  // mixed dtypes: each gets its own
  REQUIRE(values(b.grad()) == V(300, 3.0));
  REQUIRE(values(w.grad()) == V{600});
  REQUIRE(b.grad().dtype() == DType::bfloat16);
}

TEST_CASE("empty operands have empty or zero gradients") {
  auto x = zeros<double>({0, 3}).requires_grad_();
  auto a = tensor<double>({1., 2., 3.}).requires_grad_();
  eval(x * a).backward(zeros<double>({0, 3}));
  REQUIRE(x.grad().shape() == Shape<2>{{0, 3}});
  REQUIRE(values(a.grad()) == V{0, 0, 0});
}

TEST_CASE("only what is wanted gets a gradient") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  const auto y = tensor<double>({3., 4.});
  const auto k = tensor<std::int64_t>({5, 6});
  sum(x * y * k + k).backward();
  REQUIRE(values(x.grad()) == V{15, 24});
  REQUIRE_FALSE(y.grad().defined());
}
