// SPDX-License-Identifier: MIT
#include "sinter/op/reduce.hpp"

#include "op/check.hpp"

namespace op = sinter::op;

template <class Reducer, class T>
T reduced(const std::vector<T>& x) {
  using L = check::Block<T>;
  L total(Reducer::template neutral<T>());
  for (T v : x) total = Reducer::combine(total, L(v));
  T y = Reducer::template neutral<T>();
  for (T v : x) y = Reducer::combine(y, v);
  for (int i = 0; i < L::size; ++i) CHECK(check::near(total[i], y, 0));
  return y;
}

TEST_CASE("reducers combine numbers and lanes alike, from a neutral start") {
  CHECK(reduced<op::Sum>(std::vector<float>{1, 2, 3.5f}) == 6.5f);
  CHECK(reduced<op::Sum>(std::vector<std::int64_t>{1, 2, 3}) == 6);
  CHECK(reduced<op::Prod>(std::vector<double>{2, 3, 4}) == 24);
  CHECK(reduced<op::Amax>(std::vector<float>{-3, -1, -2}) == -1);
  CHECK(reduced<op::Amin>(std::vector<std::int64_t>{3, 1, 2}) == 1);
  CHECK(std::isinf(reduced<op::Amax>(std::vector<float>{})));
  CHECK(reduced<op::Amin>(std::vector<std::int32_t>{}) == std::numeric_limits<std::int32_t>::max());
}

TEST_CASE("a NaN wins over any extreme") {
  CHECK(std::isnan(reduced<op::Amax>(std::vector<double>{1, std::nan(""), 2})));
  CHECK(std::isnan(reduced<op::Amin>(std::vector<double>{1, std::nan(""), 2})));
}

TEST_CASE("reducers fold a block to one number") {
  using L = check::Block<float>;
  float a[L::size];
  for (int i = 0; i < L::size; ++i) a[i] = float(i + 1);
  CHECK(op::Sum::horizontal(L::load(a)) == float(L::size * (L::size + 1) / 2));
  CHECK(op::Amax::horizontal(L::load(a)) == float(L::size));
  CHECK(op::Amin::horizontal(L::load(a)) == 1);
  CHECK(op::Prod::horizontal(L(1)) == 1);
}
