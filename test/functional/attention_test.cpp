// SPDX-License-Identifier: MIT
// Against the formula with the matrix of all scores, in doubles.
#include "sinter/functional/attention.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <random>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"
#include "values.hpp"

using namespace sinter;

namespace {

// Element (b, h, i, j) of an operand of rank 4, whatever its strides.
template <class T>
double at(const Tensor<T, 4>& x, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) {
  const auto s = x.strides();
  return double(x.data()[b * s[0] + h * s[1] + i * s[2] + j * s[3]]);
}

// Results in row-major order.
struct Expected {
  V out, dq, dk, dv;
};

// What masks make of score (b, h, i, j), and dropout of its weight.
using Score = std::function<double(std::int64_t, std::int64_t, std::int64_t, std::int64_t, double)>;
using Weight = std::function<double(std::int64_t, std::int64_t, std::int64_t, std::int64_t)>;
template <class T>
using Attend = std::function<Tensor<T, 4>(const Tensor<T, 4>&, const Tensor<T, 4>&, const Tensor<T, 4>&)>;

template <class T>
Expected reference(const Tensor<T, 4>& q, const Tensor<T, 4>& k, const Tensor<T, 4>& v, const Tensor<T, 4>& up, double scale, const Score& score,
                   const Weight& weight) {
  const std::int64_t B = q.size(0), H = q.size(1), N = q.size(2), S = k.size(2), E = q.size(3), F = v.size(3), G = H / k.size(1);
  Expected e{V(std::size_t(B * H * N * F)), V(std::size_t(B * H * N * E)), V(std::size_t(B * H / G * S * E)), V(std::size_t(B * H / G * S * F))};
  for (std::int64_t b = 0; b < B; ++b)
    for (std::int64_t h = 0; h < H; ++h)
      for (std::int64_t i = 0; i < N; ++i) {
        const std::int64_t row = (b * H + h) * N + i, keys = (b * (H / G) + h / G) * S;
        V p(static_cast<std::size_t>(S)), dp(static_cast<std::size_t>(S));
        double greatest = -INFINITY, sum = 0, inner = 0;
        for (std::int64_t j = 0; j < S; ++j) {
          double s = 0;
          for (std::int64_t d = 0; d < E; ++d) s += at(q, b, h, i, d) * at(k, b, h / G, j, d);
          p[std::size_t(j)] = score(b, h, i, j, s * scale);
          greatest = std::max(greatest, p[std::size_t(j)]);
        }
        for (double& x : p) sum += x = greatest == -INFINITY ? 0 : std::exp(x - greatest);
        for (double& x : p) x = sum == 0 ? 0 : x / sum;
        for (std::int64_t j = 0; j < S; ++j) {
          const double w = weight(b, h, i, j), x = p[std::size_t(j)];
          for (std::int64_t d = 0; d < F; ++d) {
            e.out[std::size_t(row * F + d)] += x * w * at(v, b, h / G, j, d);
            e.dv[std::size_t((keys + j) * F + d)] += x * w * at(up, b, h, i, d);
            dp[std::size_t(j)] += w * at(up, b, h, i, d) * at(v, b, h / G, j, d);
          }
          inner += x * dp[std::size_t(j)];
        }
        for (std::int64_t j = 0; j < S; ++j) {
          const double ds = p[std::size_t(j)] * (dp[std::size_t(j)] - inner) * scale;
          for (std::int64_t d = 0; d < E; ++d) {
            e.dq[std::size_t(row * E + d)] += ds * at(k, b, h / G, j, d);
            e.dk[std::size_t((keys + j) * E + d)] += ds * at(q, b, h, i, d);
          }
        }
      }
  return e;
}
const Weight every = [](auto...) { return 1.0; };
const Score as_is = [](auto, auto, auto, auto, double s) { return s; };
const Score causal = [](auto, auto, auto i, auto j, double s) { return j > i ? -INFINITY : s; };

void near(const V& got, const V& expected, double tolerance) {
  REQUIRE(got.size() == expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::isfinite(got[i]) ? std::abs(got[i] - expected[i]) : INFINITY);
  CHECK(worst < tolerance);
}

// A tensor (B, H, n, width) in one of several orders of memory; it is a view of a leaf.
template <class T>
Tensor<T, 4> operand(int order, std::int64_t B, std::int64_t H, std::int64_t n, std::int64_t width) {
  switch (order) {
    case 0: return randn<T>({B, H, n, width});
    case 1: return Tensor<T, 4>(randn<T>({B, n, H, width}).transpose(1, 2));
    case 2: return Tensor<T, 4>(randn<T>({B, H, width, n}).transpose(2, 3));
    default: return Tensor<T, 4>(randn<T>({B, n, 3 * H * width}).narrow(2, H * width, H * width).reshape({B, n, H, width}).transpose(1, 2));
  }
}

template <class T>
void compare(const Tensor<T, 4>& q0, const Tensor<T, 4>& k0, const Tensor<T, 4>& v0, double scale, const std::common_type_t<Attend<T>>& f,
             const Score& score, const Weight& weight) {
  auto q = q0.detach().requires_grad_(), k = k0.detach().requires_grad_(), v = v0.detach().requires_grad_();
  const Tensor<T, 4> out = f(q, k, v);
  const Tensor<T, 4> up = randn<T>(out.shape());
  out.backward(up);
  const Expected e = reference(q, k, v, up, scale, score, weight);
  const double tolerance = std::is_same_v<T, double> ? 1e-11 : 2e-5;
  near(values(out), e.out, tolerance);
  near(values(q.grad()), e.dq, tolerance);
  near(values(k.grad()), e.dk, tolerance);
  near(values(v.grad()), e.dv, tolerance);
}

std::mt19937 engine(7);
std::int64_t draw(std::initializer_list<std::int64_t> choices) {
  return choices.begin()[std::uniform_int_distribution<std::size_t>(0, choices.size() - 1)(engine)];
}

template <class T>
void random_shapes(int count) {
  for (int n = 0; n < count; ++n) {
    const std::int64_t B = draw({1, 2, 3}), H = draw({1, 2, 4}), N = draw({1, 2, 7, 13, 31, 64, 65, 97, 130}), S = draw({1, 3, 5, 17, 64, 67, 128, 131}),
                       E = draw({1, 3, 8, 16, 17, 40, 64}), F = draw({1, 2, 5, 16, 23, 64, 70});
    const int mask = int(draw({0, 1, 2, 3, 4, 5})), order = int(draw({0, 1, 2, 3}));
    CAPTURE(B, H, N, S, E, F, mask, order);
    const auto q = operand<T>(order, B, H, N, E), k = operand<T>(int(draw({0, 1, 2, 3})), B, H, S, E), v = operand<T>(int(draw({0, 1, 2, 3})), B, H, S, F);
    const double scale = 1 / std::sqrt(double(E));
    const auto none = [](const auto& q, const auto& k, const auto& v) { return scaled_dot_product_attention(q, k, v); };
    if (mask == 0) {
      compare(q, k, v, scale, none, as_is, every);
    } else if (mask == 1) {
      const auto f = [](const auto& q, const auto& k, const auto& v) { return scaled_dot_product_attention(q, k, v, SDPAOptions().is_causal(true)); };
      compare(q, k, v, scale, f, causal, every);
    } else if (mask == 2) {
      const Tensor<bool, 2> m = rand({N, S}) < 0.3;  // some queries see no key
      const auto f = [&](const auto& q, const auto& k, const auto& v) { return scaled_dot_product_attention(q, k, v, m); };
      compare(q, k, v, scale, f, [&](auto, auto, auto i, auto j, double s) { return m.data()[i * S + j] ? s : -INFINITY; }, every);
    } else if (mask == 3) {
      const Tensor<T, 4> m = randn<T>({B, 1, S, N}).transpose(2, 3);
      const auto f = [&](const auto& q, const auto& k, const auto& v) { return scaled_dot_product_attention(q, k, v, m, SDPAOptions().scale(0.3)); };
      compare(q, k, v, 0.3, f, [&](auto b, auto, auto i, auto j, double s) { return s + at(m, b, 0, i, j); }, every);
    } else if (mask == 4) {  // padding, and causal besides
      const Tensor<bool, 4> m = rand({B, 1, 1, S}) < 0.7;
      const auto f = [&](const auto& q, const auto& k, const auto& v) { return scaled_dot_product_attention(q, k, v, m, SDPAOptions().is_causal(true)); };
      compare(q, k, v, scale, f, [&](auto b, auto, auto i, auto j, double s) { return m.data()[b * S + j] && j <= i ? s : -INFINITY; }, every);
    } else {
      const Tensor<T, 3> m = randn<T>({H, N, 1});
      const auto f = [&](const auto& q, const auto& k, const auto& v) { return scaled_dot_product_attention(q, k, v, m); };
      compare(q, k, v, scale, f, [&](auto, auto h, auto i, auto, double s) { return s + double(m.data()[h * N + i]); }, every);
    }
  }
}

}  // namespace

TEST_CASE("attention agrees with the formula, and so do its gradients: random shapes, strides and masks") {
  random_shapes<double>(40);
  random_shapes<float>(40);
}

TEST_CASE("attention: few heads with many queries share the sums of dk and dv; groups of queries share keys") {
  const auto causally = [](const auto& q, const auto& k, const auto& v) { return scaled_dot_product_attention(q, k, v, SDPAOptions().is_causal(true)); };
  compare(operand<double>(0, 1, 1, 300, 9), operand<double>(0, 1, 1, 200, 9), operand<double>(0, 1, 1, 200, 4), 1 / 3.0, causally, causal, every);
  const auto grouped = [](const auto& q, const auto& k, const auto& v) { return scaled_dot_product_attention(q, k, v, SDPAOptions().enable_gqa(true)); };
  compare(operand<double>(1, 2, 6, 70, 4), operand<double>(0, 2, 2, 5, 4), operand<double>(3, 2, 2, 5, 3), 0.5, grouped, as_is, every);
  compare(operand<float>(1, 3, 8, 5, 4), operand<float>(0, 3, 4, 66, 4), operand<float>(3, 3, 4, 66, 3), 0.5, grouped, as_is, every);
}

TEST_CASE("attention drops weights by the numbers of the stream, the same on the way back") {
  const std::int64_t B = 2, H = 2, N = 70, S = 67;
  const double p = 0.25;
  Generator g(11);
  g.reserve(8);
  const std::uint64_t first = g.position();
  std::int64_t dropped = 0;
  const auto weight = [&](std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) {
    const Philox random(11, first + std::uint64_t(((b * H + h) * N + i) * 17 + j / 4));
    const bool drops = random.word[j % 4] < std::uint32_t(p * 0x1p32);
    dropped += drops;
    return drops ? 0 : 1 / (1 - p);
  };
  const auto f = [&](const auto& q, const auto& k, const auto& v) {
    return scaled_dot_product_attention(q, k, v, SDPAOptions().dropout_p(p).is_causal(true), g);
  };
  compare(operand<double>(1, B, H, N, 16), operand<double>(0, B, H, S, 16), operand<double>(3, B, H, S, 8), 0.25, f, causal, weight);
  CHECK(std::abs(double(dropped) / double(B * H * N * S) - p) < 0.02);
  CHECK(g.position() == first + std::uint64_t(B * H * N * 17));
  const auto q = randn({1, 1, 3, 4});
  CHECK(equal(scaled_dot_product_attention(q, q, q, SDPAOptions().dropout_p(1)), zeros({1, 1, 3, 4})));
}

TEST_CASE("attention: ranks 2 and 3, and expressions") {
  const auto q = randn<double>({3, 5, 4}), k = randn<double>({3, 6, 4}), v = randn<double>({3, 6, 2});
  const auto y = scaled_dot_product_attention(q * 2, k, v);
  const auto four = scaled_dot_product_attention(eval(unsqueeze(q, 0) * 2), unsqueeze(k, 0), unsqueeze(v, 0));
  CHECK(equal(y, eval(four[0])));
  CHECK(equal(scaled_dot_product_attention(q[1] * 2, k[1], v[1]), eval(y[1])));
  const Tensor<bool, 3> m = rand({3, 1, 6}) < 0.5;
  CHECK(equal(scaled_dot_product_attention(q[2], k[2], v[2], Tensor<bool, 2>(m[2])), eval(scaled_dot_product_attention(q, k, v, m)[2])));
  CHECK(gradcheck([](auto a, auto b, auto c) { return scaled_dot_product_attention(a, b, c, SDPAOptions().is_causal(true).scale(0.7)); }, q, k, v));
  CHECK(gradcheck([](auto a) { return scaled_dot_product_attention(a, a, a); }, q));
}

TEST_CASE("attention: a query that sees no key gets zeros and gives none; neither do extents of 0") {
  auto q = randn({1, 1, 2, 4}).requires_grad_(), k = randn({1, 1, 3, 4}).requires_grad_();
  const auto m = tensor({{true, false, true}, {false, false, false}});
  const auto y = scaled_dot_product_attention(q, k, k, m);
  eval(sum(y)).backward();
  CHECK(values(eval(y.detach()[0][0][1])) == V{0, 0, 0, 0});
  CHECK(values(eval(q.grad()[0][0][1])) == V{0, 0, 0, 0});
  CHECK(values(eval(k.grad()[0][0][1])) == V{0, 0, 0, 0});
  CHECK(allclose(scaled_dot_product_attention(q.detach(), k.detach(), k.detach(), eval(where(m, 0.f, -INFINITY))), y.detach()));

  auto none = zeros({2, 1, 0, 4}).requires_grad_(), some = ones({2, 1, 3, 4}).requires_grad_();
  const auto z = scaled_dot_product_attention(some, none, none);
  CHECK(equal(z.detach(), zeros({2, 1, 3, 4})));
  eval(sum(z)).backward();
  CHECK(equal(some.grad(), zeros({2, 1, 3, 4})));
  CHECK(none.grad().numel() == 0);
  CHECK(scaled_dot_product_attention(none.detach(), some.detach(), some.detach()).shape() == Shape{2, 1, 0, 4});
  CHECK(scaled_dot_product_attention(zeros({0, 2, 3, 4}), zeros({0, 2, 5, 4}), zeros({0, 2, 5, 6})).shape() == Shape{0, 2, 3, 6});
  CHECK(allclose(scaled_dot_product_attention(zeros({2, 3, 0}), zeros({2, 5, 0}), ones({2, 5, 6})), ones({2, 3, 6})));
}

TEST_CASE("attention: large scores and NaN") {
  const auto q = tensor({{100.f, 0.f}, {0.f, 1.f}}), k = tensor({{100.f, 0.f}, {-100.f, 0.f}, {99.f, 0.f}});
  const auto v = tensor({{1.f}, {2.f}, {3.f}});
  CHECK(allclose(scaled_dot_product_attention(q, k, v), tensor({{1.f}, {2.f}})));
  auto bad = q.clone();
  bad.data()[0] = NAN;
  const auto y = scaled_dot_product_attention(bad, k, v);
  CHECK(std::isnan(y.data()[0]));
  CHECK(y.data()[1] == Approx(2));
}

TEST_CASE("attention: bit for bit the same at one and two threads") {
  const int before = get_num_threads();
  for (std::int64_t heads : {1, 6})
    for (bool is_causal : {false, true}) {
      V first[4];
      for (int threads : {1, 2}) {
        set_num_threads(threads);
        manual_seed(5);
        auto q = randn({2, heads, 200, 32}).requires_grad_(), k = randn({2, heads, 150, 32}).requires_grad_(), v = randn({2, heads, 150, 48}).requires_grad_();
        const auto y = scaled_dot_product_attention(q, k, v, SDPAOptions().is_causal(is_causal).dropout_p(0.1));
        y.backward(randn({2, heads, 200, 48}));
        const V got[4] = {values(y), values(q.grad()), values(k.grad()), values(v.grad())};
        for (int i = 0; i < 4; ++i) {
          if (threads == 1) first[i] = got[i];
          else CHECK(got[i] == first[i]);
        }
      }
    }
  set_num_threads(before);
}

TEST_CASE("attention: only the gradients that are wanted") {
  const auto q = randn({1, 2, 5, 4}), k = randn({1, 2, 6, 4}), v = randn({1, 2, 6, 3});
  auto all_q = q.clone().requires_grad_(), all_k = k.clone().requires_grad_(), all_v = v.clone().requires_grad_();
  eval(sum(exp(scaled_dot_product_attention(all_q, all_k, all_v)))).backward();
  auto only_q = q.clone().requires_grad_(), only_k = k.clone().requires_grad_(), only_v = v.clone().requires_grad_();
  eval(sum(exp(scaled_dot_product_attention(only_q, k, v)))).backward();
  eval(sum(exp(scaled_dot_product_attention(q, only_k, v)))).backward();
  eval(sum(exp(scaled_dot_product_attention(q, k, only_v)))).backward();
  CHECK(equal(only_q.grad(), all_q.grad()));
  CHECK(equal(only_k.grad(), all_k.grad()));
  CHECK(equal(only_v.grad(), all_v.grad()));
}

TEST_CASE("attention: a result lies in memory as its query does") {
  const auto q = operand<float>(1, 2, 3, 5, 4);
  const auto y = scaled_dot_product_attention(q, q, q);
  CHECK(y.transpose(1, 2).eval().is_contiguous());
  CHECK(allclose(y, scaled_dot_product_attention(q.contiguous(), q, q)));
}

TEST_CASE("attention in half precision computes in float") {
  const auto q = to<bfloat16>(randn({2, 3, 4})).eval();
  const auto wide = scaled_dot_product_attention(to<float>(q), to<float>(q), to<float>(q));
  CHECK(equal(scaled_dot_product_attention(q, q, q), eval(to<bfloat16>(wide))));
}

TEST_CASE("attention says what does not fit") {
  const auto f = [](auto q, auto k, auto v, SDPAOptions o = {}) { return scaled_dot_product_attention(q, k, v, o); };
  CHECK_THROWS_WITH(f(zeros({1, 2, 7}), zeros({1, 3, 5}), zeros({1, 3, 2})), Catch::Contains("[1, 2, 7] x [1, 3, 5]: 7 against 5"));
  CHECK_THROWS_WITH(f(zeros({1, 2, 7}), zeros({1, 3, 7}), zeros({1, 4, 2})), Catch::Contains("lengths of key and value differ, [1, 3, 7] x [1, 4, 2]"));
  CHECK_THROWS_AS(f(zeros({2, 2, 7}), zeros({1, 3, 7}), zeros({1, 3, 2})), ShapeError);
  CHECK_THROWS_AS(f(zeros({2, 4, 2, 7}), zeros({2, 3, 3, 7}), zeros({2, 3, 3, 2}), SDPAOptions().enable_gqa(true)), ShapeError);
  CHECK_THROWS_WITH(f(zeros({1, 2}), zeros({1, 2}), zeros({1, 2}), SDPAOptions().dropout_p(1.5)), Catch::Contains("1.5"));
  const auto x = zeros({2, 3, 4});
  CHECK_THROWS_WITH(scaled_dot_product_attention(x, x, x, zeros({3, 4})), Catch::Contains("[3, 4]") && Catch::Contains("4 against 3 (axis 1 of the mask)"));
  CHECK_THROWS_WITH(multi_head_attention(x, 5), Catch::Contains("4 columns do not divide into 15 heads"));
  auto q = randn({1, 3, 4}).requires_grad_();
  const auto k = randn({1, 3, 4});
  const auto y = eval(sum(scaled_dot_product_attention(q, k, k)));
  k.data()[0] = 1;
  Tensor<float, 3>(k) += 1;
  CHECK_THROWS_AS(y.backward(), GradError);
}
