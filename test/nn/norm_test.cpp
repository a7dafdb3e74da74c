// SPDX-License-Identifier: MIT
// Layers that normalise rows and groups: names, shapes, gradients.
#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/nn/group_norm.hpp"
#include "sinter/nn/layer_norm.hpp"

using namespace sinter;

namespace {

template <class Layer>
std::vector<std::string> names(Layer& layer) {
  std::vector<std::string> n;
  for (const auto& p : layer.named_parameters()) n.push_back(p.name);
  return n;
}

}  // namespace

TEST_CASE("layers that normalise have PyTorch's parameters", "[norm]") {
  using Names = std::vector<std::string>;
  nn::LayerNorm row(8);
  CHECK(names(row) == Names{"weight", "bias"});
  CHECK(row.weight.shape() == Shape{8});
  nn::LayerNormOf<double, 2> plane(Shape{3, 4}, nn::LayerNormOptions().bias(false));
  CHECK(names(plane) == Names{"weight"});
  CHECK(plane.weight.shape() == Shape{3, 4});
  nn::LayerNorm bare(8, nn::LayerNormOptions().elementwise_affine(false));
  CHECK(names(bare).empty());
  nn::RMSNorm root(8);
  CHECK(names(root) == Names{"weight"});
  nn::GroupNorm group(2, 6);
  CHECK(names(group) == Names{"weight", "bias"});
  nn::InstanceNorm2d instance(6);
  CHECK(names(instance).empty());
  CHECK_THROWS_AS(nn::GroupNorm(4, 6), ValueError);
}

TEST_CASE("gradients of layers that normalise", "[norm]") {
  nn::LayerNormOf<double> row(3, nn::LayerNormOptions().eps(0.1));
  nn::RMSNormOf<double> root(3, 0.1);
  nn::GroupNormOf<double> group(2, 4, 0.1);
  nn::InstanceNorm1dOf<double> instance(4, 0.1, true);
  const auto x = randn<double>({2, 4, 3});
  CHECK(gradcheck([&](const auto& in) { return row(in); }, x));
  CHECK(gradcheck([&](const auto& in) { return root(in * 2); }, x));
  CHECK(gradcheck([&](const auto& in) { return group(in); }, x));
  CHECK(gradcheck([&](const auto& in) { return instance(in); }, x));
  row(x).backward(ones<double>({2, 4, 3}));
  CHECK(row.bias.grad().data()[1] == Approx(8));
}
