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

namespace {

// Counts how often each element is finished, and whether it was final by then.
template <class T>
struct Finished {
  Matrix<T> c;
  std::int64_t area;
  const std::vector<T>* expected;
  mutable std::vector<int> times;
  static void run(const void* self, std::int64_t product, std::int64_t row0, std::int64_t row1, std::int64_t column0, std::int64_t column1) {
    const auto& f = *static_cast<const Finished*>(self);
    for (std::int64_t i = row0; i < row1; ++i)
      for (std::int64_t j = column0; j < column1; ++j) {
        const std::size_t e = std::size_t(product * f.area + i * f.c.row_step + j * f.c.column_step);
        f.times[e] += f.c.data[e] == (*f.expected)[e] ? 1 : 100;
      }
  }
};

}  // namespace

TEMPLATE_TEST_CASE("an epilogue sees every element of every product once, when it is final", "", float, double) {
  for (std::int64_t n : {1, 5, 200, 401})
    for (std::int64_t m : {1, 3, 64, 600})
      for (std::int64_t k : {0, 1, 300})
        for (bool flipped : {false, true}) {
          constexpr std::int64_t count = 2;
          std::vector<TestType> a = numbers<TestType>(count * n * k, 3), b = numbers<TestType>(count * k * m, 4);
          std::vector<TestType> plain(std::size_t(count * n * m)), c = plain;
          const auto place = [=](std::int64_t i, const TestType*& x, const TestType*& y, TestType*& z) { x += i * n * k, y += i * k * m, z += i * n * m; };
          const auto x = matrix<const TestType>(a, n, k, false), y = matrix<const TestType>(b, k, m, false);
          cpu::products(count, x, y, matrix<TestType>(plain, n, m, flipped), false, place);
          const Finished<TestType> finished{matrix<TestType>(c, n, m, flipped), n * m, &plain, std::vector<int>(c.size())};
          cpu::products(count, x, y, finished.c, false, place, {Finished<TestType>::run, &finished});
          CAPTURE(n, m, k, flipped);
          REQUIRE(finished.times == std::vector<int>(c.size(), 1));
        }
}

namespace {

// The products of their coordinates, on no memory at all.
struct Table {
  std::int64_t lanes_end, depth_end;
  mutable bool inside = true;
  void pack(float* to, int width, std::int64_t k0, std::int64_t depth, std::int64_t lane0, int lanes) const {
    inside = inside && k0 + depth <= depth_end && lane0 + lanes <= lanes_end && lanes <= width;
    for (std::int64_t d = 0; d < depth; ++d)
      for (int l = 0; l < width; ++l) to[d * width + l] = l < lanes ? float((lane0 + l) % 7 - (k0 + d) % 3) : 0.0f;
  }
};

}  // namespace

TEST_CASE("products of operands that are not in memory") {
  for (std::int64_t n : {1, 7, 250})
    for (std::int64_t m : {1, 70, 130})
      for (std::int64_t k : {1, 40, 300}) {
        const Table left{n, k}, right{m, k};
        std::vector<float> c(std::size_t(n * m));
        cpu::block_product(cpu::Operand<float>::source(left), cpu::Operand<float>::source(right), k, matrix<float>(c, n, m, false), false);
        bool same = left.inside && right.inside;
        for (std::int64_t i = 0; i < n; ++i)
          for (std::int64_t j = 0; j < m; ++j) {
            float sum = 0;
            for (std::int64_t p = 0; p < k; ++p) sum += float(i % 7 - p % 3) * float(j % 7 - p % 3);
            same = same && sum == c[std::size_t(i * m + j)];
          }
        CAPTURE(n, m, k);
        REQUIRE(same);
      }
}

TEST_CASE("products that are cut into blocks") {
  CHECK(exact<float>(500, 1100, 70, 0, false));
  CHECK(exact<float>(1100, 500, 70, 5, true));
  CHECK(exact<float>(1, 3000, 500, 2, false));
}
