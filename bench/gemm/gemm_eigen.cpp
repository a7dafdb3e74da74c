// SPDX-License-Identifier: MIT
// Eigen's matrix product.
#include <Eigen/Core>

#include "gemm.hpp"

int main(int argc, char** argv) {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  if (argc > 1) Eigen::setNbThreads(std::atoi(argv[1]));
  return bench::main_of("Eigen", argc, argv, [](int m, int n, int k, const float* a, const float* b, float* c) {
    Eigen::Map<Matrix>(c, m, n).noalias() = Eigen::Map<const Matrix>(a, m, k) * Eigen::Map<const Matrix>(b, k, n);
  });
}
