// SPDX-License-Identifier: MIT
#include "sinter/cpu/gemm.hpp"

#include <catch2/catch.hpp>
#include <cstdint>
#include <vector>

using namespace sinter;
using cpu::Matrix;

namespace {

// Small whole numbers, so that every order of summation gives the same bits.
template <class T>
std::vector<T> numbers(std::int64_t n, unsigned seed) {
  std::vector<T> v(static_cast<std::size_t>(n));
  for (T& x : v) x = T(int((seed = seed * 1664525u + 1013904223u) >> 16) % 17 - 8);
  return v;
}
template <class P, class T>
Matrix<P> matrix(std::vector<T>& v, std::int64_t rows, std::int64_t columns, bool flipped) {
  return {v.data(), rows, columns, flipped ? 1 : columns, flipped ? rows : 1};
}

template <class T>
bool exact(std::int64_t n, std::int64_t m, std::int64_t k, int form, bool add) {
  std::vector<T> a = numbers<T>(n * k, 1), b = numbers<T>(k * m, 2), c(std::size_t(n * m), T(3));
  const auto x = matrix<const T>(a, n, k, form & 1), y = matrix<const T>(b, k, m, form & 2);
  const auto z = matrix<T>(c, n, m, form & 4);
  cpu::product(x, y, z, add);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < m; ++j) {
      T sum = add ? T(3) : T(0);
      for (std::int64_t p = 0; p < k; ++p) sum += x.data[i * x.row_step + p * x.column_step] * y.data[p * y.row_step + j * y.column_step];
      if (sum != z.data[i * z.row_step + j * z.column_step]) return false;
    }
  return true;
}

}  // namespace

TEMPLATE_TEST_CASE("products of every size around the tiles, in every layout", "", float, double, std::int64_t) {
  for (std::int64_t n : {1, 2, 6, 7, 33, 70})
    for (std::int64_t m : {1, 3, 16, 17, 65, 130})
      for (std::int64_t k : {0, 1, 7, 256, 300})
        for (int form = 0; form < 8; ++form) {
          CAPTURE(n, m, k, form);
          REQUIRE(exact<TestType>(n, m, k, form, form % 3 == 0));
        }
}

TEST_CASE("products that are cut into blocks") {
  CHECK(exact<float>(500, 1100, 70, 0, false));
  CHECK(exact<float>(1100, 500, 70, 5, true));
  CHECK(exact<float>(1, 3000, 500, 2, false));
}
