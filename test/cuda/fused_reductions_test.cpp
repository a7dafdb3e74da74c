// SPDX-License-Identifier: MIT
// Fused reductions on CUDA over every set of dimensions, their gradients, and sizes at which chunks end.
#include "on_cuda.hpp"

using namespace on_cuda;

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

