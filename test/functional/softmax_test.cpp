// SPDX-License-Identifier: MIT
// Expected values as PyTorch 1.13 gives them.
#include <catch2/catch.hpp>
#include <limits>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/functional/softmax.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"
#include "values.hpp"

using namespace sinter;

static const auto x = tensor<double>({{0.3, -1.2, 2.0}, {0.7, 0.1, -0.4}});

TEST_CASE("softmax, log_softmax, logsumexp") {
  CHECK(allclose(softmax(x, 0), tensor<double>({{0.401312339887548, 0.214165016957441, 0.916827303506078}, {0.598687660112452, 0.785834983042559, 0.0831726964939224}})));
  CHECK(allclose(log_softmax(x, -1), tensor<double>({{-1.90167124495279, -3.40167124495279, -0.201671244952791}, {-0.632166440230396, -1.2321664402304, -1.7321664402304}})));
  CHECK(allclose(eval(logsumexp(x, 1)), tensor<double>({2.20167124495279, 1.3321664402304})));
  CHECK(eval(logsumexp(x, {0, 1}, keepdim)).shape() == Shape{1, 1});
  CHECK(softmax(tensor(3.), 0).item() == 1);
  CHECK(softmax(zeros({0, 3}), 1).shape() == Shape{0, 3});
  CHECK(softmax(zeros({3, 0}), 1).shape() == Shape{3, 0});
  CHECK_THROWS_AS(log_softmax(x, -8), IndexError);
}

TEST_CASE("softmax: every row length and stride agrees with the formula") {
  for (std::int64_t n : {1, 7, 8, 9, 16, 17, 40})
    for (int dim : {0, 1, 2}) {
      const auto a = eval(randn({3, n, n + 1}) * 4);
      const auto formula = eval(exp(a - amax(a, dim, keepdim)) / sum(exp(a - amax(a, dim, keepdim)), dim, keepdim));
      CHECK(allclose(softmax(a, dim), formula, 1e-5, 1e-7));
      CHECK(allclose(exp(log_softmax(a, dim)), formula, 1e-5, 1e-7));
      CHECK(allclose(softmax(a.transpose(0, 2), dim), softmax(a, 2 - dim).transpose(0, 2), 1e-6, 1e-8));
    }
}

TEST_CASE("logsumexp: of no elements") {
  auto x = zeros<double>({0, 2}).requires_grad_();
  const auto y = logsumexp(x, 0).eval();
  REQUIRE(values(y.detach()) == V{-INFINITY, -INFINITY});
  sum(y).backward();
  REQUIRE(x.grad().numel() == 0);
  REQUIRE(logsumexp(x, 1).eval().numel() == 0);
}

TEST_CASE("softmax: gradients") {
  const auto a = randn<double>({2, 3, 5}), w = randn<double>({2, 3, 5});
  for (int dim : {0, 1, 2}) {
    CHECK(gradcheck([=](auto v) { return softmax(v, dim) * w; }, a));
    CHECK(gradcheck([=](auto v) { return log_softmax(v * 2, dim) * w; }, a));
    CHECK(gradcheck([=](auto v) { return logsumexp(v, dim); }, a));
  }
}

TEST_CASE("softmax: large and infinite operands") {
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(allclose(softmax(tensor({1e4f, 1e4f, -1e4f}), 0), tensor({0.5, 0.5, 0.})));
  CHECK(equal(softmax(tensor({0.f, -inf}), 0), tensor({1., 0.})));
  CHECK(equal(log_softmax(tensor({0.f, -inf}), 0), tensor({0.f, -inf})));
  CHECK(logsumexp(tensor({-inf, -inf})).item() == -inf);
  CHECK(logsumexp(tensor({inf, 0.f})).item() == inf);
  CHECK(logsumexp(tensor({1000.f, 1000.f})).item() == Approx(1000.6931));
  CHECK(isnan(softmax(tensor({-inf, -inf}), 0)).eval()[0].item());
}

TEST_CASE("softmax: half precision rounds once") {
  const auto h = softmax(to<bfloat16>(tensor({1., 2., 3.})), 0);
  CHECK(float(h.data()[2]) == Approx(0.6652).epsilon(4e-3));
}
