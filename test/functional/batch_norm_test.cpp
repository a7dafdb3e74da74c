// SPDX-License-Identifier: MIT
// Expected values: PyTorch 2.4 on the same input.
#include "sinter/functional/batch_norm.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

namespace {

Tensor<double, 3> input() {
  Tensor<double, 3> x = empty<double>({2, 3, 4});
  for (int i = 0; i < 24; ++i) x.data()[i] = float(i * 7 % 11) / 3;
  return x;
}
template <class X>
bool close(const X& y, const std::vector<double>& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (!(std::abs(y.data()[i] - expected[i]) <= 1e-6)) return false;
  return y.numel() == std::int64_t(expected.size());
}

}  // namespace

TEST_CASE("batch_norm uses running statistics, or the batch's and moves the running ones") {
  auto mean = tensor<double>({0., 1., 2.}), var = tensor<double>({1., 2., 3.});
  const auto weight = tensor<double>({1., .5, 2.}), bias = tensor<double>({0., 1., -1.});
  CHECK(close(batch_norm(input(), mean, var, weight, bias),
              {0,        2.333322, 0.999995, 3.333317, 1.353553, 0.882149, 1.707105, 1.235702, -2.924498, -0.230201, -1.769799, -3.309397,
               2.333322, 0.999995, 3.333317, 1.99999,  0.882149, 1.707105, 1.235702, 0.764298, -0.230201, -1.769799, -3.309397, -0.615101}));
  CHECK(close(batch_norm(input(), mean, var, weight, bias, BatchNormOptions().training(true).momentum(0.2)),
              {-1.738629, 0.377963,  -0.831518, 1.285074, 1.194551, 0.502814, 1.713353, 1.021617, -2.874077, 1.498769, -1.0,      -3.498769,
               0.377963,  -0.831518, 1.285074,  0.075593, 0.502814, 1.713353, 1.021617, 0.32988,  1.498769,  -1.0,     -3.498769, 0.874077}));
  CHECK(close(mean, {0.383333, 1.125, 1.866667}));
  CHECK(close(var, {1.077778, 1.812302, 2.660317}));
}

TEST_CASE("batch_norm takes two to four dimensions and long channels") {
  const auto on = BatchNormOptions().training(true);
  const auto x = randn({4, 3, 9, 11});
  const auto y = batch_norm(x, {}, {}, {}, {}, on);
  CHECK(std::abs(eval(mean(y, {0, 2, 3})).data()[1]) < 1e-6f);
  CHECK(std::abs(eval(var(y, {0, 2, 3}, biased)).data()[2] - 1) < 1e-4f);
  CHECK(batch_norm(randn({5, 3}), {}, {}, {}, {}, on).shape() == Shape{5, 3});
  CHECK(batch_norm(zeros({0, 3}), zeros({3}), ones({3})).shape() == Shape{0, 3});
}

TEST_CASE("gradients of batch_norm") {
  const auto on = BatchNormOptions().training(true);
  const auto training = [&](const auto& x, const auto& w, const auto& b) { return batch_norm(x, {}, {}, w, b, on); };
  CHECK(gradcheck(training, randn<double>({4, 3}), randn<double>({3}), randn<double>({3})));
  CHECK(gradcheck(training, randn<double>({2, 2, 3, 4}), randn<double>({2}), randn<double>({2})));
  CHECK(gradcheck([&](const auto& x) { return batch_norm(transpose(x, 0, 2), {}, {}, {}, {}, on); }, randn<double>({3, 2, 9})));
  const auto mean = randn<double>({2}), var = eval(rand<double>({2}) + 0.5);
  CHECK(gradcheck([&](const auto& x, const auto& w, const auto& b) { return batch_norm(x, mean, var, w, b); }, randn<double>({3, 2, 9}),
                  randn<double>({2}), randn<double>({2})));
}

TEST_CASE("what does not fit batch_norm is named, before running statistics move") {
  CHECK_THROWS_WITH(batch_norm(zeros({3, 12}), zeros({16}), ones({16})), Catch::Contains("16 against 12"));
  CHECK_THROWS_WITH(batch_norm(zeros({1, 3}), {}, {}, {}, {}, BatchNormOptions().training(true)), Catch::Contains("[1, 3]"));
  CHECK_THROWS_AS(batch_norm(zeros({4, 3}), {}, {}), ValueError);
  const auto mean = zeros({3});
  CHECK_THROWS_AS(batch_norm(ones({4, 3}), mean, ones({3}), ones({4}), {}, BatchNormOptions().training(true)), ShapeError);
  CHECK(mean.data()[0] == 0);
}

TEST_CASE("a batch of no images moves nothing and gives gradients of zero") {
  const auto mean = zeros({2}), var = ones({2});
  auto w = ones({2}).requires_grad_();
  auto b = zeros({2}).requires_grad_();
  sum(batch_norm(zeros({0, 2, 3, 3}), mean, var, w, b, BatchNormOptions().training(true))).backward();
  CHECK(mean.data()[1] == 0);
  CHECK(var.data()[1] == 1);
  CHECK(w.grad().data()[1] == 0);
  CHECK(b.grad().data()[1] == 0);
}
