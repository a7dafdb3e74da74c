// SPDX-License-Identifier: MIT
// Fused statements on CUDA against the same on the CPU: every way of broadcasting, forward and backward; views and strides;
// reductions over every set of dimensions; sizes at which packs, tiles and chunks end.
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
  run(half());
}

TEST_CASE("cuda: views, strides and the ends of packs") {
  manual_seed(3);
  for (const std::int64_t n : {1, 2, 3, 4, 5, 31, 127, 255, 256, 257, 1031}) {
    CAPTURE(n);
    same_everywhere([](const auto& x) { return exp(x) * x; }, 1e-5, 1e-6, randn({n}));
    same_everywhere([](const auto& x) { return eval(x.t()) + 1; }, 1e-5, 1e-6, randn({n, 3}));
    same_everywhere([](const auto& x) { return x.t() * x.t(); }, 1e-5, 1e-6, randn({5, n}));
    same_everywhere([](const auto& x, const auto& y) { return x.slice(0, 0, 5, 2) * y; }, 1e-5, 1e-6, randn({5, n}), randn({3, n}));
    same_everywhere([](const auto& x, const auto& y) { return x + y.t(); }, 1e-5, 1e-6, randn({n, 7}), randn({7, n}));
  }
  const auto x = randn({6, 5, 4}).to(gpu);
  require_close(x.permute(2, 0, 1) + 1, x.cpu().permute(2, 0, 1) + 1, 0, 0);
  require_close(x.narrow(2, 1, 3), x.cpu().narrow(2, 1, 3), 0, 0);
  require_close(zeros({0, 3}).to(gpu) + 1, zeros({0, 3}) + 1, 0, 0);
  auto t = randn({4, 6});
  auto there = t.clone().to(gpu);
  there.slice(1, 0, 6, 2) = there.slice(1, 1, 6, 2) * 2;
  t.slice(1, 0, 6, 2) = t.slice(1, 1, 6, 2) * 2;
  there += 1;
  t += 1;
  require_close(there, t, 1e-6, 0);
}

TEST_CASE("cuda: reductions over every set of dimensions") {
  manual_seed(4);
  for (const Shape<3> n : {Shape<3>{{3, 4, 5}}, Shape<3>{{2, 300, 7}}, Shape<3>{{65, 1, 33}}, Shape<3>{{1, 9, 1500}}, Shape<3>{{700, 2, 9}}, Shape<3>{{5, 0, 3}}}) {
    CAPTURE(n);
    const auto each = [](const auto& f) {
      f(0), f(1), f(2);
    };
    each([&](int d) {
      same_everywhere([d](const auto& x) { return sum(x * x, d); }, 1e-10, 1e-10, randn<double>(n));
      if (n[1] > 0) same_everywhere([d](const auto& x) { return mean(exp(x), d, keepdim) * 2; }, 1e-10, 1e-10, randn<double>(n));
      if (n[1] > 0) same_everywhere([d](const auto& x) { return amax(x, d); }, 1e-10, 1e-10, randn<double>(n));
      if (n[1] > 0 && n.numel() < 4000) same_everywhere([d](const auto& x) { return prod(x, d); }, 1e-9, 1e-9, randn<double>(n));
    });
    same_everywhere([](const auto& x) { return sum(x, {0, 2}); }, 1e-10, 1e-10, randn<double>(n));
    same_everywhere([](const auto& x) { return sum(x, {0, 1}); }, 1e-10, 1e-10, randn<double>(n));
    same_everywhere([](const auto& x) { return sum(sin(x)); }, 1e-10, 1e-10, randn<double>(n));
  }
  const auto big = randn({1 << 15});
  require_close(sum(big.to(gpu)), sum(big), 1e-5, 1e-3);
  require_close(sum(to<std::int64_t>(big.to(gpu) > 0)), sum(to<std::int64_t>(big > 0)), 0, 0);
  const auto b = eval(to<bfloat16>(randn({30, 40})));
  require_close(sum(b.to(gpu), 0), sum(b, 0), 0, 0);
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
