// SPDX-License-Identifier: MIT
// Matrix products, alone and with what follows them.
#include <sinter/sinter.hpp>

#include "../bench.hpp"

namespace bench {

void square_product(Run& run, std::int64_t n) {
  const Tensor<float, 2> a = input("a", {n, n}), b = input("b", {n, n});
  const auto call = [&]() -> Tensor<float, 2> { return matmul(a, b); };
  run.time(call);
  run.check(call());
}

void linear_gelu(Run& run) {
  const Tensor<float, 2> x = input("x", {1024, 768}), w = input("w", {3072, 768});
  const Tensor<float, 1> b = input("b", {3072});
  const auto call = [&]() -> Tensor<float, 2> { return gelu_tanh(linear(x, w, b)); };
  run.time(call);
  run.check(call());
}

void add_products(Workloads& to) {
  for (const std::int64_t n : {64, 128, 256, 512, 1024, 2048})
    to.push_back({"gemm_" + std::to_string(n), [n](Run& run) { square_product(run, n); }, ""});
  to.push_back({"linear_gelu_fwd", linear_gelu, ""});
}

}  // namespace bench
