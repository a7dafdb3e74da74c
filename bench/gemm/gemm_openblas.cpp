// SPDX-License-Identifier: MIT
// OpenBLAS's matrix product.
#include <cblas.h>

#include "gemm.hpp"

int main(int argc, char** argv) {
  if (argc > 1) openblas_set_num_threads(std::atoi(argv[1]));
  return bench::main_of("OpenBLAS", argc, argv, [](int m, int n, int k, const float* a, const float* b, float* c) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a, k, b, n, 0, c, n);
  });
}
