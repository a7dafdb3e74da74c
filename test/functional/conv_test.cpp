// SPDX-License-Identifier: MIT
#include "sinter/functional/conv.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/graph/explain.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

namespace {

// The definition, with explicit padding above and left; the result's extents are given.
template <class E>
bool equals_definition(const E& product, const Tensor<double, 4>& x, const Tensor<double, 4>& w, const Conv2dOptions& o, Pair pad) {
  const Tensor<double, 4> y = product;
  const auto in = x.shape(), k = w.shape(), out = y.shape();
  const std::int64_t per_group = out[1] / o.groups_;
  const double *px = x.data(), *pw = w.data(), *py = y.data();
  for (std::int64_t n = 0; n < out[0]; ++n)
    for (std::int64_t c = 0; c < out[1]; ++c)
      for (std::int64_t i = 0; i < out[2]; ++i)
        for (std::int64_t j = 0; j < out[3]; ++j) {
          double sum = 0;
          for (std::int64_t d = 0; d < k[1]; ++d)
            for (std::int64_t a = 0; a < k[2]; ++a)
              for (std::int64_t b = 0; b < k[3]; ++b) {
                const std::int64_t u = i * o.stride_.h + a * o.dilation_.h - pad.h, v = j * o.stride_.w + b * o.dilation_.w - pad.w;
                if (u < 0 || v < 0 || u >= in[2] || v >= in[3]) continue;
                sum += px[((n * in[1] + c / per_group * k[1] + d) * in[2] + u) * in[3] + v] * pw[((c * k[1] + d) * k[2] + a) * k[3] + b];
              }
          if (std::abs(sum - py[((n * out[1] + c) * out[2] + i) * out[3] + j]) > 1e-12) return false;
        }
  return true;
}

}  // namespace

TEST_CASE("conv2d is its definition under every option") {
  const auto x = randn<double>({3, 4, 9, 7}), w = randn<double>({6, 4, 3, 2}), wg = randn<double>({6, 2, 3, 2}), w1 = randn<double>({5, 4, 1, 1});
  CHECK(equals_definition(conv2d(x, w), x, w, {}, 0));
  const auto strided = Conv2dOptions().stride({2, 3}).padding({1, 2});
  CHECK(conv2d(x, w, {}, strided).shape() == Shape{3, 6, 5, 4});
  CHECK(equals_definition(conv2d(x, w, {}, strided), x, w, strided, {1, 2}));
  const auto dilated = Conv2dOptions().dilation({2, 3}).padding({0, 5}).groups(2);
  CHECK(equals_definition(conv2d(x, wg, {}, dilated), x, wg, dilated, {0, 5}));
  const auto same = Conv2dOptions().padding("same");
  const auto low = Conv2dOptions().padding({3, 4}).dilation({1, 8}).stride({1, 1});
  CHECK(conv2d(x, w, {}, low).shape() == Shape{3, 6, 13, 7});
  CHECK(equals_definition(conv2d(x, w, {}, low), x, w, low, {3, 4}));
  CHECK(conv2d(x, w, {}, same).shape() == Shape{3, 6, 9, 7});
  CHECK(equals_definition(conv2d(x, w, {}, same), x, w, same, {1, 0}));
  CHECK(equals_definition(conv2d(x, w1), x, w1, {}, 0));
  const auto one = eval(narrow(x, 0, 1, 1)), rotated = eval(transpose(x, 2, 3));
  CHECK(equals_definition(conv2d(one, w), one.contiguous(), w, {}, 0));
  CHECK(equals_definition(conv2d(rotated, w), rotated.contiguous(), w, {}, 0));
}

TEST_CASE("conv adds a bias, takes one image, one dimension, nothing") {
  const auto y = eval(conv2d(zeros({2, 1, 3, 3}), ones({2, 1, 2, 2}), tensor({3., 4.})));
  CHECK(y.shape() == Shape{2, 2, 2, 2});
  CHECK(y.data()[0] == 3);
  CHECK(y.data()[15] == 4);
  CHECK(conv2d(zeros({1, 3, 3}), ones({2, 1, 2, 2})).shape() == Shape{2, 2, 2});
  CHECK(conv2d(zeros({0, 1, 3, 3}), ones({2, 1, 2, 2})).shape() == Shape{0, 2, 2, 2});
  const auto s = conv1d(tensor({{{1., 2., 3., 4.}}}), tensor({{{1., 10.}}}), {}, Conv2dOptions().stride(2).padding(1));
  CHECK(s.shape() == Shape{1, 1, 3});
  CHECK(s.data()[0] == 10);
  CHECK(s.data()[1] == 32);
  CHECK(s.data()[2] == 4);
}

TEST_CASE("gradients of convolution") {
  const auto check = [](const Conv2dOptions& o, const auto& x, const auto&... weights) {
    return gradcheck([&](const auto& a, const auto&... b) { return conv2d(a, b..., o); }, x, weights...);
  };
  CHECK(check({}, randn<double>({2, 2, 4, 4}), randn<double>({3, 2, 3, 2}), randn<double>({3})));
  CHECK(check(Conv2dOptions().stride({2, 1}).padding({1, 2}).dilation({1, 2}), randn<double>({1, 2, 4, 4}), randn<double>({2, 2, 3, 2}), randn<double>({2})));
  CHECK(check(Conv2dOptions().groups(2).padding("same"), randn<double>({2, 4, 3, 3}), randn<double>({2, 2, 2, 2}), randn<double>({2})));
  CHECK(check({}, randn<double>({2, 3, 3, 3}), randn<double>({2, 3, 1, 1}), randn<double>({2})));
  CHECK(gradcheck([](const auto& x, const auto& w) { return conv1d(x, w); }, randn<double>({2, 2, 5}), randn<double>({3, 2, 2})));
}

TEST_CASE("what is done to a convolution runs as its epilogue") {
  const auto x = randn<double>({2, 4, 9, 7}), w = randn<double>({6, 2, 3, 2}), residual = randn<double>({2, 6, 7, 6});
  const auto b = randn<double>({6});
  const auto o = Conv2dOptions().groups(2);
  const auto e = relu(conv2d(x, w, b, o) * 2 + residual);
  static_assert(fused_kernels<decltype(e)> == 1);
  const auto z = eval(conv2d(x, w, {}, o));
  CHECK(allclose(eval(e), eval(relu((z + b.view(6, 1, 1)) * 2 + residual)), 1e-12, 1e-12));
  const auto turned = eval(transpose(eval(transpose(residual, 2, 3)).clone(), 2, 3));  // rows and columns do not lie as one
  CHECK(allclose(eval(conv2d(x, w, b, o) - turned), eval(z + b.view(6, 1, 1) - residual), 1e-12, 1e-12));
  CHECK(gradcheck([](const auto& x, const auto& w, const auto& b, const auto& r) { return tanh(conv2d(x, w, b) + r); },
                  randn<double>({2, 2, 4, 4}), randn<double>({3, 2, 2, 2}), randn<double>({3}), randn<double>({2, 3, 3, 3})));
  CHECK(gradcheck([](const auto& x, const auto& w, const auto& b) { return gelu(conv2d(x, w, b)); }, randn<double>({2, 2, 4, 4}),
                  randn<double>({3, 2, 2, 2}), randn<double>({3})));
}

TEST_CASE("results do not depend on the number of threads") {
  const int before = get_num_threads();
  Tensor<float, 4> y[2], dw[2], dx[2];
  auto x = randn({13, 8, 20, 20}).requires_grad_(), w = randn({16, 8, 3, 3}).requires_grad_();
  for (int t = 0; t < 2; ++t) {
    set_num_threads(t + 1);
    x.set_grad({}), w.set_grad({});
    y[t] = conv2d(x, w);
    eval(sum(y[t] * y[t])).backward();
    dx[t] = x.grad(), dw[t] = w.grad();
  }
  set_num_threads(before);
  const auto equal = [](const auto* p) { return std::memcmp(p[0].data(), p[1].data(), std::size_t(p[0].numel()) * sizeof(float)) == 0; };
  CHECK(equal(y));
  CHECK(equal(dx));
  CHECK(equal(dw));
}

TEST_CASE("what does not fit a convolution is named") {
  CHECK_THROWS_WITH(conv2d(zeros({1, 12, 5, 5}), zeros({2, 16, 3, 3})), Catch::Contains("12 channels against 16"));
  CHECK_THROWS_WITH(conv1d(zeros({1, 12, 9}), zeros({2, 16, 3})), Catch::Contains("12 channels against 16"));
  CHECK_THROWS_WITH(conv2d(zeros({1, 3, 5, 5}), zeros({2, 3, 12, 3})), Catch::Contains("[12, 3]") && Catch::Contains("[5, 5]"));
  CHECK_THROWS_WITH(conv2d(zeros({1, 3, 5, 5}), zeros({12, 3, 3, 3}), zeros({16})), Catch::Contains("16 against 12"));
  CHECK_THROWS_WITH(conv2d(zeros({1, 4, 5, 5}), zeros({7, 2, 3, 3}), {}, Conv2dOptions().groups(2)), Catch::Contains("7 output channels"));
  CHECK_THROWS_AS(conv2d(zeros({1, 3, 5, 5}), zeros({2, 3, 3, 3}), {}, Conv2dOptions().stride(0)), ValueError);
  CHECK_THROWS_AS(conv2d(zeros({1, 3, 5, 5}), zeros({2, 3, 3, 3}), {}, Conv2dOptions().padding(-1)), ValueError);
  CHECK_THROWS_AS(Conv2dOptions().padding("full"), ValueError);
}
