// SPDX-License-Identifier: MIT
// Expected values as PyTorch 1.13 gives them.
#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/functional/reduce.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;
using Catch::Contains;

static const auto m = tensor<double>({{0.3, -1.2, 2.0}, {0.7, 0.1, -0.4}});

TEST_CASE("max, min: of all, with indices") {
  CHECK(max(m).item() == 2);
  CHECK(min(m).item() == -1.2);
  const auto [values, indices] = max(m, 1);
  CHECK(equal(values, tensor<double>({2.0, 0.7})));
  CHECK(equal(indices, tensor({2, 0})));
  CHECK(equal(min(m, 0, keepdim).values, tensor<double>({{0.3, -1.2, -0.4}})));
  CHECK(equal(min(tensor({{3, 1}}), 1).indices, tensor({1})));
  auto tied = tensor<double>({{2., 2., 1.}});
  tied.requires_grad_();
  max(tied).backward();
  CHECK(equal(tied.grad(), tensor<double>({{0.5, 0.5, 0.}})));
  auto once = tied.detach().clone().requires_grad_();
  max(once, 1).values.backward(tensor<double>({1.}));
  CHECK(equal(once.grad(), tensor<double>({{1., 0., 0.}})));
  CHECK(gradcheck([](auto a) { return min(a * a, 1).values; }, m));
  CHECK_THROWS_WITH(max(zeros({0, 3}), 0), Contains("max"));
  CHECK_THROWS_WITH(max(zeros({0, 3})), Contains("max"));
}

TEST_CASE("norm: every p, over any dimensions") {
  const double p[] = {0, 1, 2, 3, 0.5, INFINITY, -INFINITY};
  const double of_all[] = {6, 4.7, 2.4879710609249, 2.1660774203023, 23.451981158925, 2, 0.1};
  const double of_rows[][2] = {{3, 3}, {3.5, 1.2}, {2.351595203261, 0.8124038404636}, {2.1366944629447, 0.74168595385324}, {9.3475800154489, 3.1874507866388}, {2, 0.7}, {0.3, 0.1}};
  for (int i = 0; i < 7; ++i) {
    CAPTURE(p[i]);
    CHECK(norm(m, p[i]).item() == Approx(of_all[i]).epsilon(1e-12));
    const auto rows = norm(m, p[i], 1);
    CHECK(rows[0].item() == Approx(of_rows[i][0]).epsilon(1e-12));
    CHECK(rows[1].item() == Approx(of_rows[i][1]).epsilon(1e-12));
    CHECK(gradcheck([=](auto a) { return norm(a, p[i], 1); }, m));
  }
  CHECK(norm(m, 2, {0, 1}, keepdim).shape() == Shape{1, 1});
  CHECK(norm(m, 2, -1, keepdim).shape() == Shape{2, 1});
  CHECK(norm(tensor<double>(-3.)).item() == 3);
  auto zero = zeros<double>({3});
  zero.requires_grad_();
  norm(zero).backward();
  CHECK(equal(zero.grad(), zeros<double>({3})));
}

TEST_CASE("count_nonzero, cosine_similarity, normalize, pairwise_distance") {
  CHECK(count_nonzero(tensor({{0., 2.}, {3., 4.}})).item() == 3);
  CHECK(equal(eval(count_nonzero(tensor({{0., 2.}, {3., 4.}}), 1)), tensor({1, 2})));
  const auto other = tensor<double>({{2.0, -1.2, 0.3}, {-0.4, 0.1, 0.7}});
  CHECK(allclose(cosine_similarity(m, other), tensor<double>({0.4774, -0.8333}), 0, 1e-4));
  CHECK(allclose(normalize(m, 3, 0), tensor<double>({{0.4179, -0.9998, 0.9973}, {0.9751, 0.0833, -0.1995}}), 0, 1e-4));
  CHECK(allclose(pairwise_distance(m, m * 2), tensor<double>({2.3516, 0.8124}), 0, 1e-4));
  CHECK(equal(eval(normalize(zeros({1, 2}))), zeros({1, 2})));
  CHECK(gradcheck([](auto a, auto b) { return cosine_similarity(a, b); }, m, other));
  CHECK(gradcheck([](auto a) { return normalize(a); }, m));
  CHECK(gradcheck([](auto a, auto b) { return pairwise_distance(a, b); }, m, other));
  CHECK_THROWS_WITH(cosine_similarity(zeros({2, 16}), zeros({2, 27})), Contains("cosine_similarity") && Contains("16 against 27"));
}
