// SPDX-License-Identifier: MIT
// Sinter's matrix product, by its public name.
#include <sinter/sinter.hpp>

#include "gemm.hpp"

int main(int argc, char** argv) {
  using namespace sinter;
  NoGradGuard no_grad;
  if (argc > 1) set_num_threads(std::atoi(argv[1]));
  return bench::main_of("Sinter", argc, argv, [](std::int64_t m, std::int64_t n, std::int64_t k, float* a, float* b, float* c) {
    from_blob(c, {m, n}).copy_(matmul(from_blob(a, {m, k}), from_blob(b, {k, n})));
  });
}
