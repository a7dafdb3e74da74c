// SPDX-License-Identifier: MIT
// Fused statements on CUDA: views, strides, and sizes at which packs and tiles end.
#include "on_cuda.hpp"

using namespace on_cuda;

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

