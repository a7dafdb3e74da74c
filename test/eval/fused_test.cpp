// SPDX-License-Identifier: MIT
// One fused loop gives what the ops give one by one: for every dtype, layout and size, at any number of threads.
#include "sinter/eval/cpu.hpp"

#include <catch2/catch.hpp>
#include <cstring>

#include "sinter/tensor/create.hpp"
#include "sinter/tensor/index.hpp"
#include "values.hpp"

using namespace sinter;

namespace {

template <class T, int R>
bool same_bits(const Tensor<T, R>& a, const Tensor<T, R>& b) {
  const auto x = a.contiguous(), y = b.contiguous();
  return x.shape() == y.shape() && std::memcmp(x.data(), y.data(), std::size_t(x.numel()) * sizeof(T)) == 0;
}
// Numbers of either sign with few digits, so that integers and halves hold them.
template <class T, int R>
Tensor<T, R> numbers(const Shape<R>& sizes, std::uint64_t seed) {
  Generator g(seed);
  const auto x = randint(-8, 9, sizes, g);
  return sinter::to<T>(x);
}
// Elementwise arithmetic by a plain loop over indices, from the strides.
template <class T>
V by_hand(const Tensor<T, 3>& a, const Tensor<T, 3>& b, const Tensor<T, 3>& c) {
  V v;
  const auto at = [](const Tensor<T, 3>& t, std::int64_t i, std::int64_t j, std::int64_t k) {
    const auto s = t.strides();
    return compute_t<T>(t.data()[i * s[0] + j * s[1] + k * s[2]]);
  };
  const Shape<3> n = a.shape();
  for (std::int64_t i = 0; i < n[0]; ++i)
    for (std::int64_t j = 0; j < n[1]; ++j)
      for (std::int64_t k = 0; k < n[2]; ++k) v.push_back(double(T(compute_t<T>(at(a, i, j, k) * at(b, i, j, k) + at(c, i, j, k)) - at(a, i, j, k))));
  return v;
}

}  // namespace

TEMPLATE_TEST_CASE("every layout of every dtype", "", float, double, half, bfloat16, std::int64_t, std::int32_t) {
  using T = TestType;
  const std::int64_t p = 7, q = 5, r = 37;
  const auto dense = numbers<T>(Shape{p, q, r}, 1);
  const auto transposed = transpose(numbers<T>(Shape{r, q, p}, 2), 0, 2);
  const auto permuted = permute(numbers<T>(Shape{q, r, p}, 3), Shape<3>{{2, 0, 1}});
  const auto sliced = slice(numbers<T>(Shape{p, q, 3 * r}, 4), 2, 1, 3 * r, 3);
  const auto inner = narrow(numbers<T>(Shape{p, q, r + 9}, 5), 2, 4, r);  // unaligned rows
  const auto outer = slice(numbers<T>(Shape{2 * p, q, r}, 6), 0, 0, 2 * p, 2);
  const auto row = expand(numbers<T>(Shape{r}, 7), Shape{p, q, r});
  const auto column = expand(numbers<T>(Shape{q, std::int64_t(1)}, 8), Shape{p, q, r});
  const auto plane = expand(numbers<T>(Shape{p, std::int64_t(1), r}, 9), Shape{p, q, r});
  const auto one = expand(numbers<T>(Shape<0>{}, 10), Shape{p, q, r});
  const std::vector<Tensor<T, 3>> all{dense, transposed, permuted, sliced, inner, outer, row, column, plane, one};
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < all.size(); ++j) {
      const auto &a = all[i], &b = all[j], &c = all[(i + 2 * j + 1) % all.size()];
      CAPTURE(i, j);
      REQUIRE(values(a * b + c - a) == by_hand(a, b, c));
      Tensor<T, 3> out = zeros<T>(Shape{p, q, r});  // and into strided memory
      Tensor<T, 3> room = zeros<T>(Shape{r, p, q});
      auto view = permute(room, Shape<3>{{1, 2, 0}});
      view.copy_(a * b + c - a);
      REQUIRE(values(view) == by_hand(a, b, c));
    }
}

TEMPLATE_TEST_CASE("every size around the width of lanes and unrolled loops", "", float, double, half) {
  using T = TestType;
  std::vector<std::int64_t> sizes{0, 1, 127, 128, 129, 251, 255, 256, 257, 1009};
  for (std::int64_t n = 2; n < 70; ++n) sizes.push_back(n);
  for (const std::int64_t n : sizes) {
    CAPTURE(n);
    const auto a = numbers<T>(Shape{n}, 1), b = numbers<T>(Shape{n}, 2);
    V expected;
    for (std::int64_t i = 0; i < n; ++i) {
      const auto x = compute_t<T>(a.data()[i]), y = compute_t<T>(b.data()[i]);
      expected.push_back(double(T(x * y + compute_t<T>(0.5) * x)));
    }
    REQUIRE(values(a * b + 0.5 * a) == expected);
    const auto guarded = full<T>(Shape{n + 2}, T(99));  // and not a byte beyond
    narrow(guarded, 0, 1, n).copy_(a * b + 0.5 * a);
    expected.insert(expected.begin(), 99);
    expected.push_back(99);
    REQUIRE(values(guarded) == expected);
  }
}

TEST_CASE("fused chains give the values of their ops one by one") {
  manual_seed(3);
  for (const std::int64_t n : {1, 5, 16, 33, 1000}) {
    const auto x = randn({n, 13}), y = randn({n, 13});
    const auto a = randn({13});
    const auto c = randn({n, 1});
    const auto step = [](const auto& e) { return eval(e); };
    const Tensor<float, 2> fused = tanh(x * a + c) * sigmoid(y) - exp(-square(x - y)) / (1.f + square(c));
    const auto xa = step(step(x * a) + c), d = step(square(step(x - y)));
    const Tensor<float, 2> single = step(step(tanh(xa)) * step(sigmoid(y))) - step(step(exp(step(-d))) / step(1.f + step(square(c))));
    const V f = values(fused), s = values(single);
    for (std::size_t i = 0; i < f.size(); ++i) REQUIRE(f[i] == Approx(s[i]).epsilon(1e-5).margin(1e-6));
  }
}

TEST_CASE("half and bfloat16 are rounded once, at the end") {
  const auto x = full<half>({40}, half(2048.f)), y = full<half>({40}, half(1.f));
  REQUIRE(values((x + y) - x) == V(40, 1.0));  // step by step it would be 0
  const auto b = full<bfloat16>({40}, bfloat16(256.f)), one = full<bfloat16>({40}, bfloat16(1.f));
  REQUIRE(values((b + one) - b) == V(40, 1.0));
}

TEST_CASE("results are the same, bit for bit, at one and two threads") {
  manual_seed(4);
  const int before = get_num_threads();
  const auto x = randn({300, 401});
  const auto w = randn({401});
  const auto c = randn({300, 1});
  const auto run = [&] {
    const Tensor<float, 2> y = gelu(x * w + c) * c - tanh(x);
    const Tensor<float, 0> total = sum(y * y);
    const Tensor<float, 1> rows = mean(y, 1), columns = var(y, 0);
    auto xg = x.clone().requires_grad_();
    auto wg = w.clone().requires_grad_();
    auto cg = c.clone().requires_grad_();
    sum(gelu(xg * wg + cg) * cg - tanh(xg)).backward();
    return std::tuple(y, total, rows, columns, xg.grad(), wg.grad(), cg.grad());
  };
  set_num_threads(1);
  const auto one = run();
  set_num_threads(2);
  const auto two = run();
  set_num_threads(3);
  const auto three = run();
  set_num_threads(before);
  const auto same = [](const auto& p, const auto& q, auto... i) { return (same_bits(std::get<i.value>(p), std::get<i.value>(q)) && ...); };
  using std::integral_constant;
  const auto all = [&](const auto& p, const auto& q) {
    return same(p, q, integral_constant<int, 0>(), integral_constant<int, 1>(), integral_constant<int, 2>(), integral_constant<int, 3>(),
                integral_constant<int, 4>(), integral_constant<int, 5>(), integral_constant<int, 6>());
  };
  REQUIRE(all(one, two));
  REQUIRE(all(one, three));
}

TEST_CASE("in place over overlapping memory gives what a copy gives") {
  auto x = arange<float>(10);
  narrow(x, 0, 1, 9).copy_(narrow(x, 0, 0, 9) * 2);
  REQUIRE(values(x) == V{0, 0, 2, 4, 6, 8, 10, 12, 14, 16});
  auto m = tensor({{1.f, 2.f}, {3.f, 4.f}});
  m += transpose(m, 0, 1);
  REQUIRE(values(m) == V{2, 5, 5, 8});
}

TEST_CASE("very long chains are cut and stay right") {
  const auto x = tensor<double>({1., 2., 3.});
  auto a = ((((((x + 1) * 2 - 3) * 4 + 5) * 6 - 7) * 8 + 9) * 10 - 11);
  auto b = a + a + a + a;
  auto c = b + b + b + b;  // 16 copies: more ops than one kernel takes
  REQUIRE(values(c) == V{16 * ((((((2. * 2 - 3) * 4 + 5) * 6 - 7) * 8 + 9) * 10 - 11)), 16 * ((((((3. * 2 - 3) * 4 + 5) * 6 - 7) * 8 + 9) * 10 - 11)),
                         16 * ((((((4. * 2 - 3) * 4 + 5) * 6 - 7) * 8 + 9) * 10 - 11))});
  auto g = x.clone().requires_grad_();
  auto d = ((((g + 1) * 2 - 3) * 4 + 5) * 6 - 7) * 8 + 9;
  auto e = d + d + d + d + d + d + d + d;
  sum(e + e).backward();
  REQUIRE(values(g.grad()) == V(3, 16 * 2 * 4 * 6 * 8.));
}
