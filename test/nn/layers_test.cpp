// SPDX-License-Identifier: MIT
// Every layer: names, shapes, and gradients of input and parameters in double.
#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/nn/activation.hpp"
#include "sinter/nn/batch_norm.hpp"
#include "sinter/nn/conv.hpp"
#include "sinter/nn/dropout.hpp"
#include "sinter/nn/embedding.hpp"
#include "sinter/nn/flatten.hpp"
#include "sinter/nn/linear.hpp"
#include "sinter/nn/pool.hpp"

using namespace sinter;

namespace {

// With the layer's weight and bias as inputs of the check: their handles are set to what is being differentiated.
template <class Layer, class X>
bool check_layer(Layer& layer, const X& x) {
  const auto w = layer.weight.detach().clone();
  const auto b = layer.bias.detach().clone();
  return gradcheck(
      [&](const auto& in, const auto& weight, const auto& bias) {
        layer.weight.impl = weight.impl;
        layer.bias.impl = bias.impl;
        return layer(in);
      },
      x, w, b);
}
template <class Layer, class X>
bool check_stateless(const Layer& layer, const X& x) {
  return layer.parameters().empty() && gradcheck([&](const auto& in) { return layer(in); }, x);
}

}  // namespace

TEST_CASE("gradients of layers with weights") {
  nn::LinearOf<double> linear(3, 2);
  CHECK(check_layer(linear, randn<double>({2, 4, 3})));
  nn::Conv2dOf<double> conv(2, 4, {3, 2}, nn::Conv2dOptions().padding(1).stride({1, 2}).groups(2));
  CHECK(conv.weight.shape() == Shape{4, 1, 3, 2});
  CHECK(check_layer(conv, randn<double>({2, 2, 4, 3})));
  nn::BatchNorm2dOf<double> norm(2);
  CHECK(check_layer(norm, randn<double>({2, 2, 3, 2})));
  norm.eval();
  CHECK(check_layer(norm, randn<double>({2, 2, 3, 2})));
  nn::EmbeddingOf<double> embedding(4, 3);
  const auto index = tensor({{1, 3}, {3, 0}});
  CHECK(gradcheck([&](const auto& w) { return embedding.weight.impl = w.impl, embedding(index); }, embedding.weight.detach().clone()));
}

TEST_CASE("gradients of layers without weights") {
  const auto x = randn<double>({2, 2, 4, 4});
  CHECK(check_stateless(nn::MaxPool2d(2), x));
  CHECK(check_stateless(nn::AvgPool2d(3, nn::AvgPool2dOptions().stride(1).padding(1)), x));
  CHECK(check_stateless(nn::AdaptiveAvgPool2d({3, 2}), x));
  CHECK(check_stateless(nn::Flatten(), x));
  CHECK(check_stateless(nn::Identity(), x));
  CHECK(check_stateless(nn::Dropout().eval(), x));
  const auto v = randn<double>({7});
  CHECK(check_stateless(nn::ReLU(), v));
  CHECK(check_stateless(nn::Sigmoid(), v));
  CHECK(check_stateless(nn::Tanh(), v));
  CHECK(check_stateless(nn::GELU(), v));
}

TEST_CASE("activations and flattening stay expressions; layers take expressions") {
  const auto x = randn({2, 3, 4});
  static_assert(decltype(nn::Sigmoid()(nn::Tanh()(x)))::ops == 2);
  CHECK(eval(nn::Flatten()(relu(x))).shape() == Shape{2, 12});
  CHECK(nn::Linear(12, 5)(nn::Flatten()(relu(x) + 1)).shape() == Shape{2, 5});
}

TEST_CASE("batch norm in training moves its statistics, which are buffers") {
  nn::BatchNorm2d norm(2, nn::BatchNormOptions().momentum(0.5));
  const auto x = tensor({{{1., 3.}, {10., 10.}}});  // (1, 2, 2)
  const auto y = eval(norm(unsqueeze(x, 2)));
  CHECK(y.data()[1] == Approx(1).epsilon(1e-4));
  CHECK(norm.running_mean.data()[0] == 1);
  CHECK(norm.running_var.data()[0] == 1.5f);
  CHECK(norm.running_mean.data()[1] == 5);
  CHECK(norm.running_var.data()[1] == 0.5f);
  CHECK(norm.num_batches_tracked.item() == 1);
  norm.eval();
  norm(unsqueeze(x, 2));
  CHECK(norm.num_batches_tracked.item() == 1);
  CHECK_FALSE(norm.running_mean.requires_grad());
  const nn::BatchNorm2d bare(2, nn::BatchNormOptions().affine(false).track_running_stats(false));
  CHECK(bare.state_dict().size() == 0);
  CHECK(eval(bare(unsqueeze(x, 2))).data()[0] == Approx(-1).epsilon(1e-4));
}

TEST_CASE("layers refuse what makes no sense") {
  CHECK_THROWS_WITH(nn::Conv2d(3, 2, 1, nn::Conv2dOptions().groups(2)), Catch::Contains("3") && Catch::Contains("2"));
  CHECK_THROWS_AS(nn::Conv2d(2, 2, 0), ValueError);
  CHECK_THROWS_WITH(nn::Embedding(6, 2, 12), Catch::Contains("12"));
  CHECK_THROWS_AS(nn::Dropout(1.5), ValueError);
  CHECK_THROWS_WITH(nn::Linear(29, 2)(zeros({2, 15})), Catch::Contains("15 against 29"));
  CHECK_THROWS_WITH(nn::BatchNorm2d(29)(zeros({2, 15, 2, 2})), Catch::Contains("29 against 15"));
}

TEST_CASE("embedding's padding row begins as zeros") {
  const nn::Embedding e(4, 3, -2);
  CHECK(e.weight.data()[2 * 3 + 1] == 0);
  CHECK(e.weight.data()[3 * 3 + 1] != 0);
}
