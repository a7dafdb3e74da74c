// SPDX-License-Identifier: MIT
#include "sinter/nn/init.hpp"

#include <catch2/catch.hpp>

#include "sinter/nn/conv.hpp"
#include "sinter/nn/embedding.hpp"
#include "sinter/nn/linear.hpp"

using namespace sinter;

namespace {

// Mean, deviation and greatest magnitude.
struct Moments {
  double mean = 0, deviation = 0, greatest = 0;
  template <class X>
  explicit Moments(const X& x) {
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      mean += x.data()[i] / double(x.numel());
      greatest = std::max(greatest, std::abs(double(x.data()[i])));
    }
    for (std::int64_t i = 0; i < x.numel(); ++i) deviation += (x.data()[i] - mean) * (x.data()[i] - mean) / double(x.numel());
    deviation = std::sqrt(deviation);
  }
};
// Uniform within a bound: nothing beyond it, something near it, and the deviation of a uniform variable.
template <class X>
bool uniform_within(const X& x, double bound) {
  const Moments m(x);
  return m.greatest <= bound && m.greatest > 0.98 * bound && std::abs(m.mean) < 0.05 * bound && std::abs(m.deviation / (bound / std::sqrt(3.0)) - 1) < 0.05;
}
template <class X>
bool normal_with(const X& x, double mean, double deviation) {
  const Moments m(x);
  return std::abs(m.mean - mean) < 0.05 * deviation && std::abs(m.deviation / deviation - 1) < 0.05 && m.greatest > 2.5 * deviation;
}

}  // namespace

TEST_CASE("initialisers have PyTorch's bounds and variances") {
  manual_seed(1);
  const auto w = empty({64, 32, 3, 2});  // fan in 192, fan out 384
  nn::init::kaiming_uniform_(w);
  CHECK(uniform_within(w, std::sqrt(2.0) * std::sqrt(3.0 / 192)));
  nn::init::kaiming_uniform_(w, std::sqrt(5.0));
  CHECK(uniform_within(w, 1 / std::sqrt(192.0)));
  nn::init::kaiming_normal_(w);
  CHECK(normal_with(w, 0, std::sqrt(2.0 / 192)));
  nn::init::xavier_uniform_(w, 2);
  CHECK(uniform_within(w, 2 * std::sqrt(6.0 / (192 + 384))));
  nn::init::xavier_normal_(w);
  CHECK(normal_with(w, 0, std::sqrt(2.0 / (192 + 384))));
  nn::init::normal_(w, 3, 2);
  CHECK(normal_with(w, 3, 2));
  nn::init::uniform_(w, -2, 2);
  CHECK(uniform_within(w, 2));
  nn::init::constant_(w, 4);
  CHECK(w.data()[100] == 4);
  nn::init::ones_(w);
  CHECK(w.data()[100] == 1);
  nn::init::zeros_(w);
  CHECK(w.data()[100] == 0);
}

TEST_CASE("layers begin with PyTorch's defaults, the same from the same seed") {
  manual_seed(2);
  const nn::Linear linear(100, 400);
  CHECK(uniform_within(linear.weight, 0.1));
  CHECK(uniform_within(linear.bias, 0.1));
  const nn::Conv2d conv(8, 512, 3, nn::Conv2dOptions().groups(2));
  CHECK(uniform_within(conv.weight, 1 / std::sqrt(36.0)));
  CHECK(uniform_within(conv.bias, 1 / std::sqrt(36.0)));
  CHECK(normal_with(nn::Embedding(100, 40).weight, 0, 1));
  manual_seed(2);
  const nn::Linear again(100, 400);
  CHECK(std::memcmp(linear.weight.data(), again.weight.data(), 40000 * sizeof(float)) == 0);
  CHECK(again.weight.requires_grad());
  CHECK(nn::Linear(0, 3).bias.data()[0] == 0);
}
