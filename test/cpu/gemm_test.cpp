// SPDX-License-Identifier: MIT
#include "sinter/cpu/gemm.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <vector>

#include "sinter/core/dtype.hpp"

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
  const auto check = [](std::int64_t n, std::int64_t m, std::int64_t k, int form) {
    constexpr std::int64_t count = 2;
    std::vector<TestType> a = numbers<TestType>(count * n * k, 3), b = numbers<TestType>(count * k * m, 4);
    std::vector<TestType> plain(std::size_t(count * n * m)), c = plain;
    const auto place = [=](std::int64_t i, const TestType*& x, const TestType*& y, TestType*& z) { x += i * n * k, y += i * k * m, z += i * n * m; };
    const auto x = matrix<const TestType>(a, n, k, form & 1), y = matrix<const TestType>(b, k, m, form & 2);
    cpu::products(count, x, y, matrix<TestType>(plain, n, m, form & 4), false, place);
    const Finished<TestType> finished{matrix<TestType>(c, n, m, form & 4), n * m, &plain, std::vector<int>(c.size())};
    cpu::products(count, x, y, finished.c, false, place, {Finished<TestType>::run, &finished});
    CAPTURE(n, m, k, form);
    REQUIRE(finished.times == std::vector<int>(c.size(), 1));
  };
  for (std::int64_t n : {1, 5, 200, 401})
    for (std::int64_t m : {1, 3, 64, 600})
      for (std::int64_t k : {0, 1, 70, 300})
        for (int form : {0, 2, 4, 7}) check(n, m, k, form);
  for (int form = 0; form < 8; ++form) check(5, 40, 9000, form);
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

namespace {

// A matrix amid memory that must stay as it is: dense by rows or columns, with gaps, or with a step in both directions.
template <class T>
struct Strided {
  std::vector<T> memory;
  std::int64_t rows, columns, row_step, column_step;
  Strided(std::int64_t n, std::int64_t m, int layout, T fill) : rows(n), columns(m) {
    const std::int64_t gap = layout < 2 ? 0 : layout < 4 ? 3 : 2 * m + 1;
    column_step = layout % 2 ? n + gap : layout < 4 ? 1 : 2;
    row_step = layout % 2 ? (layout < 4 ? 1 : 2) : m + gap;
    if (layout == 5) column_step = 2 * n + 3;
    memory.assign(std::size_t(n * row_step + m * column_step + 1), fill);
  }
  T& at(std::int64_t i, std::int64_t j) { return memory[std::size_t(i * row_step + j * column_step)]; }
  template <class P>
  Matrix<P> matrix() { return {memory.data(), rows, columns, row_step, column_step}; }
};

std::int64_t draw(unsigned& seed, std::int64_t n) { return std::int64_t((seed = seed * 1664525u + 1013904223u) >> 8) % n; }

// Random numbers against sums in double, at one to three threads.
template <class P, class T>
void check_product(unsigned seed, std::int64_t n, std::int64_t m, std::int64_t k, int layout_a, int layout_b, int layout_c, bool add,
                   double tolerance) {
  const auto real = [&] { return double(draw(seed, 1 << 20)) / (1 << 19) - 1; };
  CAPTURE(n, m, k, layout_a, layout_b, layout_c, add);
  Strided<P> a(n, k, layout_a, P(NAN)), b(k, m, layout_b, P(NAN));
  Strided<T> start(n, m, layout_c, T(7));
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < k; ++j) a.at(i, j) = P(float(real()));
  for (std::int64_t i = 0; i < k; ++i)
    for (std::int64_t j = 0; j < m; ++j) b.at(i, j) = P(float(real()));
  Strided<T> c = start;
  const int before = get_num_threads();
  set_num_threads(1);
  cpu::product<T>(a.template matrix<const P>(), b.template matrix<const P>(), c.template matrix<T>(), add);
  Strided<T> expected = start;
  double worst = 0;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < m; ++j) {
      double sum = add ? 7 : 0;
      for (std::int64_t p = 0; p < k; ++p) sum += double(a.at(i, p)) * double(b.at(p, j));
      const double error = std::fabs(sum - double(c.at(i, j)));
      worst = error <= worst ? worst : error;
      expected.at(i, j) = c.at(i, j);
    }
  CHECK(worst <= tolerance * double(k + 1));
  CHECK(c.memory == expected.memory);  // nothing else was written
  for (int threads : {2, 3}) {
    set_num_threads(threads);
    Strided<T> again = start;
    cpu::product<T>(a.template matrix<const P>(), b.template matrix<const P>(), again.template matrix<T>(), add);
    CHECK(again.memory == c.memory);
  }
  set_num_threads(before);
}

// Random shapes and layouts.
template <class P, class T>
void check_random(unsigned seed, std::int64_t most, double tolerance) {
  const auto size = [&](std::int64_t chance) { return draw(seed, chance) ? draw(seed, most) : draw(seed, 9); };
  const std::int64_t n = size(3), m = size(3), k = size(4);
  const int a = int(draw(seed, 6)), b = int(draw(seed, 6)), c = int(draw(seed, 6));
  check_product<P, T>(seed, n, m, k, a, b, c, draw(seed, 2), tolerance);
}

}  // namespace

TEMPLATE_TEST_CASE("random products against sums in double, the same at every number of threads", "", float, double) {
  for (unsigned seed = 0; seed < 150; ++seed) check_random<TestType, TestType>(seed, 140, std::is_same_v<TestType, float> ? 1e-6 : 1e-15);
  for (unsigned seed = 0; seed < 10; ++seed) check_random<TestType, TestType>(seed, 520, std::is_same_v<TestType, float> ? 1e-6 : 1e-15);
}
TEMPLATE_TEST_CASE("matrices times vectors in every layout, the same at every number of threads", "", float, double) {
  const double tolerance = std::is_same_v<TestType, float> ? 1e-6 : 1e-15;
  for (int form = 0; form < 16; ++form) {
    const int a = form % 2, b = form / 2 % 2, c = form / 4 % 2, k = form < 8 ? 703 : 64;
    check_product<TestType, TestType>(1u + form, 1, 1031, k, a, b, c, form % 3 == 0, tolerance);
    check_product<TestType, TestType>(2u + form, 1030, 1, k, a, b, c, form % 3 == 1, tolerance);
    check_product<TestType, TestType>(3u + form, 1, 5, k, a, b, c, form % 3 == 1, tolerance);
    check_product<TestType, TestType>(4u + form, 13, 40, 1100, a, b, c, form % 3 == 1, tolerance);  // one row is left when it is cut
    check_product<TestType, TestType>(5u + form, 300, 1, 1, a, b, c, form % 3 == 1, tolerance);
    check_product<TestType, TestType>(6u + form, 37, 75, 1, a, b, c, form % 3 == 1, tolerance);
  }
  check_product<TestType, TestType>(7, 1, 7, 9000, 0, 0, 0, true, tolerance);  // in parts
  check_product<TestType, TestType>(8, 7, 1, 9000, 0, 0, 0, false, tolerance);
}
TEST_CASE("products of bfloat16, summed in float") {
  for (unsigned seed = 0; seed < 40; ++seed) check_random<bfloat16, float>(seed, 140, 1e-6);
}

TEST_CASE("a long sum for a small result is parted the same at every number of threads") {
  const std::int64_t n = 10, m = 33, k = 20011;
  std::vector<float> a = numbers<float>(n * k, 5), b = numbers<float>(k * m, 6);
  for (float& x : a) x *= 0.37f;
  for (int form = 0; form < 4; ++form) {
    const auto x = matrix<const float>(a, n, k, form & 1), y = matrix<const float>(b, k, m, form & 2);
    std::vector<float> c[3];
    for (int threads : {1, 2, 3}) {
      set_num_threads(threads);
      c[threads - 1].assign(std::size_t(n * m), 1.0f);
      cpu::product<float>(x, y, matrix<float>(c[threads - 1], n, m, false), true);
    }
    set_num_threads(2);
    double worst = 0;
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < m; ++j) {
        double sum = 1;
        for (std::int64_t p = 0; p < k; ++p)
          sum += double(x.data[i * x.row_step + p * x.column_step]) * double(y.data[p * y.row_step + j * y.column_step]);
        worst = std::max(worst, std::fabs(sum - double(c[0][std::size_t(i * m + j)])));
      }
    CHECK(worst < 0.05);
    CHECK(c[1] == c[0]);
    CHECK(c[2] == c[0]);
  }
}

TEST_CASE("infinities stay where they are") {  // the overlapping last vectors must not multiply them by zero
  for (std::int64_t k : {17, 37, 45}) {
    std::vector<float> a(std::size_t(2 * k), 1.0f), b(std::size_t(k * 3), 1.0f), c(6);
    b[std::size_t(k - 2)] = INFINITY;
    cpu::product<float>(matrix<const float>(a, 2, k, false), matrix<const float>(b, k, 3, true), matrix<float>(c, 2, 3, false));
    CHECK(c[0] == INFINITY);
    CHECK(c[1] == float(k));
  }
}
