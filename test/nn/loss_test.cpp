// SPDX-License-Identifier: MIT
// The types forward to the functions of their names, whose values test/functional/ checks.
#include "sinter/nn/loss.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

TEST_CASE("losses hold their options") {
  const auto x = randn({3, 4}), y = randn({3, 4}), p = eval(sigmoid(x)), t = rand({3, 4});
  const auto labels = tensor({1, 3, 0});
  CHECK(eval(nn::MSELoss()(x, y)).item() == eval(mse_loss(x, y)).item());
  CHECK(eval(nn::MSELoss(reduction::sum)(x, y)).item() == eval(mse_loss(x, y, reduction::sum)).item());
  CHECK(eval(nn::L1Loss(reduction::none)(x, y)).shape() == Shape{3, 4});
  CHECK(eval(nn::BCELoss()(p, t)).item() == eval(binary_cross_entropy(p, t)).item());
  CHECK(eval(nn::BCEWithLogitsLoss()(x, t)).item() == eval(binary_cross_entropy_with_logits(x, t)).item());
  const auto weighed = BCEWithLogitsOptions<>().pos_weight(tensor({1., 2., 3., 4.}));
  CHECK(eval(nn::BCEWithLogitsLoss(weighed)(x, t)).item() == eval(binary_cross_entropy_with_logits(x, t, weighed)).item());
  nn::CrossEntropyLoss loss;
  CHECK(loss(x, labels).item() == cross_entropy(x, labels).item());
  const auto smooth = CrossEntropyOptions<>().label_smoothing(0.1).weight(tensor({1., 2., 3., 4.}));
  CHECK(nn::CrossEntropyLoss(smooth, reduction::sum)(x, labels).item() == cross_entropy(x, labels, smooth, reduction::sum).item());
}

TEST_CASE("gradients of losses") {
  const auto x = randn<double>({3, 4}), t = rand<double>({3, 4});
  const auto labels = tensor({1, 3, 0});
  CHECK(gradcheck([&](const auto& in) { return nn::MSELoss()(in, t); }, x));
  CHECK(gradcheck([&](const auto& in) { return nn::BCELoss()(sigmoid(in), t); }, x));
  CHECK(gradcheck([&](const auto& in) { return nn::BCEWithLogitsLoss(reduction::sum)(in, t); }, x));
  CHECK(gradcheck([&](const auto& in) { return nn::CrossEntropyLoss(CrossEntropyOptions<>().label_smoothing(0.2))(in, labels); }, x));
}
