// SPDX-License-Identifier: MIT
// Chains with reductions inside.
#include "conformance/elementwise.hpp"
#include "sinter/expr/reductions.hpp"
#include "sinter/functional/softmax.hpp"

namespace conformance {
namespace {

// f(t, in) with in(i) the i-th input at rank 5; the result has rank `rank`.
template <class F>
void chain_of(const char* op, F f, int (*rank)(const Case&)) {
  add(op, [=](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      return Values{narrowed(f(c, [&](int i) { return c.padded<T>(i); }), rank(c))};
    });
  });
}
int same(const Case& c) { return c.rank(0); }
int scalar(const Case&) { return 0; }
int reduced(const Case& c) { return c.rank(0) - 1; }

const bool registered = [] {
  chain_of("chain.r1", [](Case&, auto in) {
    const auto x = in(0);
    return exp(x - amax(x, -1, keepdim)) / sum(exp(x - amax(x, -1, keepdim)), -1, keepdim);
  }, same);
  chain_of("chain.r2", [](Case&, auto in) {
    const auto x = in(0), a = in(1), b = in(2);
    return (x - mean(x, -1, keepdim)) * rsqrt(var(x, -1, biased, keepdim) + 1e-5) * a + b;
  }, same);
  chain_of("chain.r3", [](Case&, auto in) { return mean(square(sigmoid(in(0) * in(2)) - in(1))); }, scalar);
  chain_of("chain.r4", [](Case&, auto in) {
    const auto x = in(0), y = in(1);
    return sum(x * y, -1) / sqrt(sum(x * x, -1) * sum(y * y, -1) + 1e-6);
  }, reduced);
  chain_of("chain.r5", [](Case&, auto in) { return logsumexp(in(0) * in(1) + in(2), -1) - mean(in(0), -1); }, reduced);
  add("chain.r6", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      const auto x = c.padded<T>(0);
      const int d = wide - c.rank(0);
      return Values{narrowed(sum(relu(x - mean(x, d, keepdim)), d) * c.padded<T, wide - 1>(1), std::max(c.rank(0) - 1, 1))};
    });
  });
  chain_of("chain.r7", [](Case&, auto in) { return in(0) * rsqrt(mean(square(in(0)), -1, keepdim) + 1e-6) * in(1); }, same);
  chain_of("chain.r8", [](Case&, auto in) { return sum(gelu(in(0) * in(1) + in(2)) * in(3)) + mean(in(0)); }, scalar);
  return true;
}();

}  // namespace
}  // namespace conformance
