// SPDX-License-Identifier: MIT
// Expected values: PyTorch 2.4 on the same input.
#include "sinter/functional/pool.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/create.hpp"
#include "sinter/tensor/index.hpp"

using namespace sinter;

namespace {

Tensor<float, 3> image() {
  Tensor<float, 3> x = empty({1, 5, 7});
  for (int i = 0; i < 35; ++i) x.data()[i] = float(i * 17 % 23);
  return x;
}
bool equals(const Tensor<float, 3>& y, const Shape<3>& shape, const std::vector<double>& expected) {
  if (y.shape() != shape || y.numel() != std::int64_t(expected.size())) return false;
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (!(std::abs(double(y.data()[i]) - expected[i]) <= 1e-5)) return false;
  return true;
}

}  // namespace

TEST_CASE("max_pool2d takes the greatest of each window") {
  CHECK(equals(max_pool2d(image(), {3, 2}, MaxPool2dOptions().stride({2, 3}).padding(1).ceil_mode(true)), {1, 3, 3},
               {4, 15, 20, 12, 19, 22, 16, 21, 22}));
  CHECK(equals(max_pool2d(image(), 2, MaxPool2dOptions().stride(1).dilation({2, 3})), {1, 3, 4},
               {13, 22, 19, 18, 17, 21, 20, 22, 21, 15, 19, 21}));
  CHECK(max_pool2d(zeros({2, 3, 9, 8}), 2).shape() == Shape{2, 3, 4, 4});
  CHECK(max_pool2d(zeros({0, 3, 9, 8}), 2).shape() == Shape{0, 3, 4, 4});
  auto x = image();
  x.data()[1] = std::nanf("");
  CHECK(std::isnan(max_pool2d(x, 2).data()[0]));
}

TEST_CASE("windows of 2 x 2 side by side, at every width") {
  for (std::int64_t width : {8, 9, 10, 14, 17, 28}) {
    auto x = randn<double>({2, 5, width});
    x.data()[3] = std::nan("");
    const auto fast = max_pool2d(x, 2), slow = max_pool2d(x, 2, MaxPool2dOptions().ceil_mode(true));  // the second takes the general way
    CAPTURE(width);
    for (int plane = 0; plane < 2; ++plane)
      for (std::int64_t r = 0; r < 2; ++r)
        for (std::int64_t c = 0; c < width / 2; ++c) {
          const double a = fast(plane, r, c).item(), b = slow(plane, r, c).item();
          REQUIRE((a == b || (std::isnan(a) && std::isnan(b))));
        }
  }
  CHECK(gradcheck([](const auto& t) { return max_pool2d(t, 2); }, randn<double>({1, 4, 13})));
}

TEST_CASE("average pooling divides as PyTorch does") {
  const auto options = AvgPool2dOptions().stride(2).padding(1).ceil_mode(true);
  CHECK(equals(avg_pool2d(image(), 3, options), {1, 3, 4},
               {4.666667, 8.666667, 8.333333, 6.666667, 5.888889, 11.333333, 9.555555, 8.888889, 4.888889, 6.444444, 8.666667, 4.333333}));
  CHECK(equals(avg_pool2d(image(), 3, AvgPool2dOptions(options).count_include_pad(false)), {1, 3, 4},
               {10.5, 13, 12.5, 15, 8.833333, 11.333333, 9.555555, 13.333333, 11, 9.666667, 13, 9.75}));
  CHECK(equals(avg_pool2d(image(), {2, 3}, AvgPool2dOptions().stride(2).padding({0, 1}).ceil_mode(true)), {1, 3, 4},
               {7, 13, 12.5, 10, 4.666667, 9.5, 9, 7.666667, 8.666667, 11.666667, 15, 4}));
  CHECK(equals(adaptive_avg_pool2d(image(), {3, 4}), {1, 3, 4},
               {10.5, 13, 12.5, 15, 8.833333, 11.333333, 9.555555, 13.333333, 11, 9.666667, 13, 9.75}));
}

namespace {

// The definitions, window by window; the gradient of a fixed sum of the results as well.
template <class T>
bool pools_as_defined(const Tensor<T, 3>& x, Pair kernel, Pair stride, Pair padding, Pair dilation, bool ceil_mode, bool with_padding) {
  const std::int64_t planes = x.size(0), height = x.size(1), width = x.size(2);
  const auto max_options = MaxPool2dOptions().stride(stride).padding(padding).dilation(dilation).ceil_mode(ceil_mode);
  const auto avg_options = AvgPool2dOptions().stride(stride).padding(padding).ceil_mode(ceil_mode).count_include_pad(with_padding);
  for (const bool max : {true, false}) {
    if (!max && (dilation.h != 1 || dilation.w != 1)) continue;
    auto in = x.clone().requires_grad_();
    const Tensor<T, 3> y = max ? max_pool2d(in, kernel, max_options) : avg_pool2d(in, kernel, avg_options);
    const auto weight = randn<T>(y.shape());
    y.backward(weight);
    std::vector<double> grad(std::size_t(x.numel()));
    for (std::int64_t p = 0; p < planes; ++p)
      for (std::int64_t r = 0; r < y.size(1); ++r)
        for (std::int64_t c = 0; c < y.size(2); ++c) {
          double best = -INFINITY, sum = 0;
          std::int64_t at = -1, counted = 0;
          std::vector<std::int64_t> seen;
          for (std::int64_t i = 0; i < kernel.h; ++i)
            for (std::int64_t j = 0; j < kernel.w; ++j) {
              const std::int64_t u = r * stride.h - padding.h + i * dilation.h, v = c * stride.w - padding.w + j * dilation.w;
              if (u < height + padding.h && v < width + padding.w) counted += with_padding;
              if (u < 0 || v < 0 || u >= height || v >= width) continue;
              const std::int64_t e = (p * height + u) * width + v;
              const double value = double(x.data()[e]);
              if (!with_padding) ++counted;
              if (at < 0 || value > best || std::isnan(value)) best = value, at = e;
              sum += value, seen.push_back(e);
            }
          const std::int64_t o = (p * y.size(1) + r) * y.size(2) + c;
          const double expected = max ? best : sum / double(counted), got = double(y.data()[o]);
          if (!(std::abs(expected - got) <= 1e-5) && !(std::isnan(expected) && std::isnan(got)) && expected != got) return false;
          if (max) grad[std::size_t(at)] += double(weight.data()[o]);
          else
            for (std::int64_t e : seen) grad[std::size_t(e)] += double(weight.data()[o]) / double(counted);
        }
    const auto got = in.grad();
    for (std::int64_t i = 0; i < x.numel(); ++i)
      if (!(std::abs(double(got.data()[i]) - grad[std::size_t(i)]) <= 1e-5)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("pooling of random shapes is its definition") {
  std::mt19937 random(3);
  const auto pick = [&](std::int64_t low, std::int64_t high) { return low + std::int64_t(random()) % (high - low + 1); };
  for (int i = 0; i < 200; ++i) {
    const Pair kernel(pick(1, 4), pick(1, 4)), stride(pick(1, 3), pick(1, 3)), dilation(pick(1, 2), pick(1, 2));
    const Pair padding(pick(0, kernel.h / 2), pick(0, kernel.w / 2));
    const Shape<3> shape{pick(1, 3), dilation.h * (kernel.h - 1) + 1 + pick(0, 8), dilation.w * (kernel.w - 1) + 1 + pick(0, 40)};
    const bool ceil_mode = pick(0, 1) == 1, with_padding = pick(0, 1) == 1, lows = pick(0, 3) == 0;
    auto x = randn<float>(shape);
    if (lows)
      for (std::int64_t k = 0; k < x.numel(); ++k)
        if (random() % 3) x.data()[k] = -INFINITY;
    CAPTURE(shape, kernel, stride, padding, dilation, ceil_mode, with_padding, lows);
    REQUIRE(pools_as_defined(x, kernel, stride, padding, dilation, ceil_mode, with_padding));
    REQUIRE(pools_as_defined(randn<double>(shape), kernel, stride, padding, dilation, ceil_mode, with_padding));
  }
  auto low = full<float>(Shape{2, 9, 21}, -INFINITY);
  auto g = low.requires_grad_();
  sum(max_pool2d(g, 3, MaxPool2dOptions().stride(2).padding(1))).backward();
  CHECK(g.grad().data()[0] == 1);  // the first element of an empty window's kind
  CHECK(eval(sum(g.grad())).item() == 2 * 5 * 11);
}

TEST_CASE("gradients of pooling") {
  const auto x = randn<double>({2, 2, 5, 6});
  CHECK(gradcheck([](const auto& t) { return max_pool2d(t, 2); }, x));
  CHECK(gradcheck([](const auto& t) { return max_pool2d(transpose(t, 2, 3), {3, 2}, MaxPool2dOptions().stride(1).padding(1).dilation({1, 2})); }, x));
  CHECK(gradcheck([](const auto& t) { return avg_pool2d(t, 3, AvgPool2dOptions().stride(2).padding(1).ceil_mode(true)); }, x));
  CHECK(gradcheck([](const auto& t) { return adaptive_avg_pool2d(t, {3, 4}); }, x));
}

TEST_CASE("pooling says what does not fit") {
  CHECK_THROWS_WITH(max_pool2d(zeros({1, 1, 4, 4}), 12), Catch::Contains("12") && Catch::Contains("4"));
  CHECK_THROWS_AS(avg_pool2d(zeros({1, 1, 4, 4}), 12), ShapeError);
  CHECK_THROWS_WITH(max_pool2d(zeros({1, 1, 8, 8}), 3, MaxPool2dOptions().padding(2)), "max_pool2d: padding 2 is more than half of kernel_size 3 (axis 2)");
  CHECK_THROWS_AS(max_pool2d(zeros({1, 8, 8}), 3, MaxPool2dOptions().stride(0)), ValueError);
  CHECK_THROWS_AS(adaptive_avg_pool2d(zeros({1, 8, 8}), -1), ValueError);
}
