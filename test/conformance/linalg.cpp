// SPDX-License-Identifier: MIT
// Matrix products of fixed ranks, and chains around them.
#include "sinter/expr/reductions.hpp"
#include "sinter/functional/matmul.hpp"
#include "sinter/functional/softmax.hpp"

#include "conformance/case.hpp"

namespace conformance {
namespace {

template <int RA, int RB, class F>
void product(const char* op, F f) {
  add(op, [f](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return Values{materialize(f(c.in<T, RA>(0), c.in<T, RB>(1))).impl};
    });
  });
}
template <int R, class F>
void sum_product(const char* op, F f) {
  add(op, [f](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return Values{materialize(f(c.padded<T, R>(0), c.in<T, R>(1), c.in<T, R>(2), c.number("beta", 1), c.number("alpha", 1))).impl};
    });
  });
}

const bool registered = [] {
  product<2, 2>("mm", [](const auto& a, const auto& b) { return mm(a, b); });
  product<3, 3>("bmm", [](const auto& a, const auto& b) { return bmm(a, b); });
  product<2, 1>("mv", [](const auto& a, const auto& b) { return mv(a, b); });
  product<1, 1>("dot", [](const auto& a, const auto& b) { return dot(a, b); });
  product<1, 1>("outer", [](const auto& a, const auto& b) { return outer(a, b); });
  sum_product<2>("addmm", [](const auto& x, const auto& a, const auto& b, double beta, double alpha) { return addmm(x, a, b, beta, alpha); });
  sum_product<3>("baddbmm", [](const auto& x, const auto& a, const auto& b, double beta, double alpha) { return baddbmm(x, a, b, beta, alpha); });
  add("chain.m1", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return by_rank<2, 3>(c.rank(0), [&](auto r) {
        return Values{materialize(matmul(gelu(matmul(c.in<T, r.value>(0), c.in<T, 2>(1)) + c.in<T, 1>(2)), c.in<T, 2>(3))).impl};
      });
    });
  });
  add("chain.m2", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return by_rank<2, 3>(c.rank(0), [&](auto r) {
        const auto p = c.in<T, r.value>(0), s = c.in<T, r.value>(1);
        return Values{materialize(matmul(softmax(matmul(p, transpose(s, -2, -1)) * 0.5, -1), s)).impl};
      });
    });
  });
  add("chain.m3", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return by_rank<2, 3>(c.rank(0), [&](auto r) {
        return Values{materialize(mean(square(matmul(c.in<T, r.value>(0), c.in<T, 2>(1)) - c.in<T, 1>(2)))).impl};
      });
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
