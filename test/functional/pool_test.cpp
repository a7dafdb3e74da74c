// SPDX-License-Identifier: MIT
// Expected values: PyTorch 2.4 on the same input.
#include "sinter/functional/pool.hpp"

#include <catch2/catch.hpp>

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
