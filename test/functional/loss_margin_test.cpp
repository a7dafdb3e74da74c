// SPDX-License-Identifier: MIT
// Losses with a margin against PyTorch 1.13's values, and their gradients against finite differences.
#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/functional/loss_margin.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

static const auto x = tensor<double>({{0.3, -1.2, 2.0}, {0.7, 0.1, -0.4}});
static const auto y = tensor<double>({{0.1, 0.9, 0.5}, {1.0, 0.0, 0.25}});
static const auto side = tensor({{1, -1, 1}, {-1, 1, -1}});
static const auto pair = tensor<double>({1., -1.});

TEST_CASE("losses with a margin") {
  const auto p = eval(sigmoid(x));
  CHECK(allclose(cosine_embedding_loss(x, y, pair, -0.9, reduction::none), tensor<double>({1.02055490859363, 1.61649772083096})));
  CHECK(margin_ranking_loss(x, y, side, 0.3).item() == Approx(0.05));
  CHECK(hinge_embedding_loss(x, side, 0.9, reduction::sum).item() == Approx(6));
  CHECK(soft_margin_loss(x, side).item() == Approx(0.534193947368085).epsilon(1e-12));
  CHECK(triplet_margin_loss(x, y, p).item() == Approx(1.28300525945933).epsilon(1e-12));
  const auto o = TripletMarginOptions().margin(0.3).p(1).swap(true);
  CHECK(allclose(triplet_margin_loss(x, y, p, o, reduction::none), tensor<double>({2.57623762171144, 0.341896244801678})));
}

TEST_CASE("losses with a margin: gradients") {
  const auto p = eval(sigmoid(x));
  CHECK(gradcheck([](auto a, auto b) { return cosine_embedding_loss(a, b, pair, -0.9); }, x, y));
  CHECK(gradcheck([](auto a, auto b) { return margin_ranking_loss(a, b, side, 0.35, reduction::none); }, x, y));
  CHECK(gradcheck([](auto a) { return hinge_embedding_loss(a, side, 0.9); }, x));
  CHECK(gradcheck([](auto a) { return soft_margin_loss(a, side); }, x));
  CHECK(gradcheck([](auto a, auto b, auto c) { return triplet_margin_loss(a, b, c); }, x, y, p));
  CHECK(gradcheck([](auto a, auto b, auto c) { return triplet_margin_loss(a, b, c, TripletMarginOptions().swap(true)); }, x, y, p));
}
