// SPDX-License-Identifier: MIT
// Second derivatives of every op, by the dual numbers of op/dual.hpp.
#include "sinter/double_backward.hpp"

#include <catch2/catch.hpp>
#include <functional>

#include "op/all_ops.hpp"
#include "sinter/autograd/gradgradcheck.hpp"

using namespace sinter;

namespace {

using X = Tensor<double, 1>;

X within(all_ops::Range r) { return rand<double>({5}) * (r.high - r.low) + r.low; }

// gradgradcheck by way of function objects: compiled once for all ops of one to three arguments.
template <class... In>
bool second(const std::common_type_t<std::function<X(const In&...)>>& f, const In&... in) { return gradgradcheck(f, in..., GradcheckOptions().atol(1e-4)); }

}  // namespace

// The op's value is used, too: it is squared, and its argument is that of another op.
TEST_CASE("second derivatives of every op of one argument") {
  manual_seed(11);
  const auto check = [](auto f, all_ops::Range r, auto) {
    INFO(name_of<decltype(f)>(0));
    CHECK(second<X>([f](const X& v) -> X { return square(map(f, v * 1.01)) * v + map(f, v); }, within(r)));
  };
  all_ops::unary(check);
  all_ops::activations(check);
}
TEST_CASE("second derivatives of every op of two arguments") {
  manual_seed(13);
  all_ops::binary([](auto f, all_ops::Range ra, all_ops::Range rb, auto) {
    INFO(name_of<decltype(f)>(0));
    CHECK(second<X, X>([f](const X& x, const X& y) -> X { return square(map(f, x, y * 1.01)) * x * 0.01 + map(f, x, y); }, within(ra), within(rb)));
  });
}
TEST_CASE("second derivatives of every op of three arguments, and of where") {
  manual_seed(14);
  all_ops::ternary([](auto f, all_ops::Range ra, all_ops::Range rb, all_ops::Range rc, auto) {
    INFO(name_of<decltype(f)>(0));
    CHECK(second<X, X, X>([f](const X& x, const X& y, const X& z) -> X { return square(map(f, x, y, z)) * y + map(f, x, y, z); }, within(ra), within(rb), within(rc)));
  });
  CHECK(second<X, X>([](const X& a, const X& b) -> X { return where(a > b, exp(a) * b, sin(b)) * a; }, randn<double>({7}), randn<double>({7})));
}
