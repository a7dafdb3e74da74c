// SPDX-License-Identifier: MIT
// Expected values: PyTorch 2.4 on the same input.
#include "sinter/functional/batch_norm.hpp"

#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/graph/explain.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/index.hpp"
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
  CHECK(close(eval(batch_norm(input(), mean, var, weight, bias)),
              {0,        2.333322, 0.999995, 3.333317, 1.353553, 0.882149, 1.707105, 1.235702, -2.924498, -0.230201, -1.769799, -3.309397,
               2.333322, 0.999995, 3.333317, 1.99999,  0.882149, 1.707105, 1.235702, 0.764298, -0.230201, -1.769799, -3.309397, -0.615101}));
  CHECK(close(eval(batch_norm(input(), mean, var, weight, bias, BatchNormOptions().training(true).momentum(0.2))),
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

namespace {

// The definition in long double for training without weights; x (n, c, inner).
bool equals_definition(const Tensor<float, 3>& y, const Tensor<float, 3>& x) {
  const auto s = x.shape();
  for (std::int64_t c = 0; c < s[1]; ++c) {
    long double mean = 0, square = 0;
    const long double count = (long double)(s[0] * s[2]);
    const auto each = [&](auto f) {
      for (std::int64_t n = 0; n < s[0]; ++n)
        for (std::int64_t i = 0; i < s[2]; ++i) f((n * s[1] + c) * s[2] + i);
    };
    each([&](std::int64_t i) { mean += x.data()[i] / count; });
    each([&](std::int64_t i) { square += (x.data()[i] - mean) * (x.data()[i] - mean) / count; });
    bool good = true;
    each([&](std::int64_t i) { good = good && std::abs((x.data()[i] - mean) / std::sqrt(square + 1e-5L) - y.data()[i]) < 2e-4; });
    if (!good) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("batch_norm of random shapes is its definition, far from zero as well") {
  const auto on = BatchNormOptions().training(true);
  for (const auto& s : {Shape{2, 1, 1}, Shape{7, 3, 1}, Shape{200, 37, 1}, Shape{64, 16, 1}, Shape{3, 5, 7}, Shape{40, 3, 17}, Shape{5, 2, 1000}, Shape{2, 3, 9001},
                        Shape{1, 2, 5000}})
    for (float centre : {0.f, 100.f}) {
      const Tensor<float, 3> x = randn(s) + centre;
      CAPTURE(s, centre);
      CHECK(equals_definition(eval(batch_norm(x, {}, {}, {}, {}, on)), x));
    }
}

TEST_CASE("batch_norm does not depend on the number of threads") {
  const int before = get_num_threads();
  for (const auto& s : {Shape{30, 40, 33}, Shape{2000, 40, 1}}) {
    auto x = randn(s).requires_grad_();
    auto w = randn({40}).requires_grad_(), b = randn({40}).requires_grad_();
    Tensor<float, 3> y[2], dx[2];
    Tensor<float, 1> dw[2];
    for (int t = 0; t < 2; ++t) {
      set_num_threads(t + 1);
      x.set_grad({}), w.set_grad({});
      y[t] = batch_norm(x, {}, {}, w, b, BatchNormOptions().training(true));
      eval(sum(y[t] * y[t] * y[t])).backward();
      dx[t] = x.grad(), dw[t] = w.grad();
    }
    const auto equal = [](const auto* p) { return std::memcmp(p[0].data(), p[1].data(), std::size_t(p[0].numel()) * sizeof(float)) == 0; };
    CHECK(equal(y));
    CHECK(equal(dx));
    CHECK(equal(dw));
  }
  set_num_threads(before);
}

TEST_CASE("outside of training batch_norm fuses with what is around it") {
  const auto x = randn({4, 3, 5, 5});
  const auto mean = randn({3}), w = randn({3}), b = randn({3});
  const Tensor<float, 1> var = rand({3}) + 0.5f;
  const Tensor<float, 4> fused = relu(batch_norm(x, mean, var, w, b) + x), y = batch_norm(x, mean, var, w, b, {}), apart = relu(y + x);
  CHECK(eval(sum(abs(fused - apart))).item() < 1e-3f);
}

TEST_CASE("in training what is done to batch_norm runs in its second pass") {
  const auto on = BatchNormOptions().training(true);
  const auto w = randn<double>({3}), b = randn<double>({3});
  const auto check = [&](const auto& x, const auto& shortcut) {
    auto mean = zeros<double>({3}), var = ones<double>({3});
    const auto e = relu(batch_norm(x, mean, var, w, b, on) + shortcut);
    static_assert(fused_kernels<decltype(e)> == 1);
    const auto moved = mean.clone();
    const auto y = eval(e), again = eval(e);
    CHECK(allclose(y, again, 0, 0));
    CHECK(allclose(mean, moved, 0, 0));  // moved by the call, not by those who read its result
    CHECK(allclose(y, eval(relu(eval(batch_norm(x, {}, {}, w, b, on)) + shortcut)), 1e-12, 1e-12));
    CHECK(gradcheck([&](const auto& x, const auto& w, const auto& b, const auto& r) { return gelu(batch_norm(x, {}, {}, w, b, on) * 2 + r); }, x, w, b, shortcut));
  };
  check(randn<double>({2, 3, 2, 3}), randn<double>({2, 3, 2, 3}));
  check(randn<double>({2, 3, 9}), randn<double>({3, 1}));
  check(randn<double>({6, 3}), randn<double>({6, 1}));
  check(randn<double>({6, 3, 1}), randn<double>({6, 3, 1}));
  check(randn<double>({4, 3, 70, 60})(all, all, Slice(0, 2), Slice(0, 3)).eval(), randn<double>({4, 3, 2, 3}));
}

TEST_CASE("gradients of batch_norm") {
  const auto on = BatchNormOptions().training(true);
  const auto training = [&](const auto& x, const auto& w, const auto& b) { return batch_norm(x, {}, {}, w, b, on); };
  CHECK(gradcheck(training, randn<double>({4, 3}), randn<double>({3}), randn<double>({3})));
  CHECK(gradcheck(training, randn<double>({5, 18}), randn<double>({18}), randn<double>({18})));
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
