// SPDX-License-Identifier: MIT
// oneDNN's matrix product.
#include <oneapi/dnnl/dnnl.h>

#include "gemm.hpp"

int main(int argc, char** argv) {
  return bench::main_of("oneDNN", argc, argv, [](int m, int n, int k, const float* a, const float* b, float* c) {
    dnnl_sgemm('N', 'N', m, n, k, 1, a, k, b, n, 0, c, n);
  });
}
