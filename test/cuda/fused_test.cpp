// SPDX-License-Identifier: MIT
// Fused statements on CUDA against the same on the CPU: every way of broadcasting, forward and backward; the same bits each time.
#include "on_cuda.hpp"

using namespace on_cuda;

TEST_CASE("cuda: a chain over operands broadcast along every set of dimensions") {
  manual_seed(1);
  for (const Shape<3> n : {Shape<3>{{3, 4, 5}}, Shape<3>{{2, 3, 40}}, Shape<3>{{37, 1, 19}}, Shape<3>{{1, 65, 2}}, Shape<3>{{7, 3, 129}}})
    for (int mask = 0; mask < 8; ++mask) {
      Shape<3> m = n;
      for (int d = 0; d < 3; ++d)
        if ((mask >> d) & 1) m[d] = 1;
      CAPTURE(n, m);
      same_everywhere([](const auto& x, const auto& y) { return tanh(x * y + sin(y)) - y; }, 1e-11, 1e-11, randn<double>(n), randn<double>(m));
    }
}

TEST_CASE("cuda: gelu_tanh(x*a + b) * c, one kernel forward and one backward, in every dtype") {
  manual_seed(2);
  const auto run = [](auto zero) {
    using T = decltype(zero);
    const auto chain = [](const auto& x, const auto& a, const auto& b, const auto& c) { return gelu_tanh(x * a + b) * c; };
    const auto made = [](auto shape) { return eval(to<T>(randn<double>(shape))); };
    same_everywhere(chain, 40 * tolerance<T>(), 40 * tolerance<T>(), made(Shape{33, 65}), made(Shape{65}), made(Shape{65}), made(Shape{33, 1}));
    same_everywhere(chain, 40 * tolerance<T>(), 40 * tolerance<T>(), made(Shape{64, 128}), made(Shape{128}), made(Shape{128}), made(Shape{64, 1}));
  };
  run(float());
  run(double());
  run(bfloat16());
  run(sinter::half());
}

TEST_CASE("cuda: sums are bit for bit the same each time and under every schedule") {
  manual_seed(5);
  const auto x = randn({257, 129}).to(gpu).requires_grad_(), c = randn({257, 1}).to(gpu).requires_grad_();
  const auto a = randn({129}).to(gpu).requires_grad_();
  V first;
  every_schedule([&] {
    for (int twice = 0; twice < 2; ++twice) {
      a.impl->grad.reset(), c.impl->grad.reset(), x.impl->grad.reset();
      const Tensor<float, 0> y = sum(tanh(x * a) * c);
      y.backward();
      V all = values(a.grad().cpu());
      for (const double v : values(c.grad().cpu())) all.push_back(v);
      all.push_back(double(y.item()));
      if (first.empty()) first = all;
      REQUIRE(all == first);
    }
  });
}

TEST_CASE("cuda: a statement with several reductions, and gradients that meet") {
  manual_seed(6);
  same_everywhere([](const auto& x) { return exp(x - amax(x, 1, keepdim)) / sum(exp(x - amax(x, 1, keepdim)), 1, keepdim); }, 1e-10, 1e-10, randn<double>({17, 33}));
  same_everywhere([](const auto& x) {
    const auto centred = x - mean(x, 1, keepdim);
    return centred / sqrt(mean(square(centred), 1, keepdim) + 1e-5);
  }, 1e-9, 1e-9, randn<double>({9, 70}));
  same_everywhere([](const auto& x, const auto& w) {
    const auto y = eval(x * w), z = eval(tanh(y));
    return y * z + x + w;
  }, 1e-10, 1e-10, randn<double>({6, 10}), randn<double>({10}));
}

TEST_CASE("cuda: what is on different devices is not mixed") {
  const auto here = randn({3}), there = randn({3}).to(gpu);
  REQUIRE_THROWS_AS(eval(here + there), DeviceError);
  auto target = randn({3});
  REQUIRE_THROWS_AS(target.copy_(there + 1), DeviceError);
  REQUIRE_THROWS_AS(here.to(Device::cuda(31)), DeviceError);
}
