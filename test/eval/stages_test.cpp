// SPDX-License-Identifier: MIT
// Statements around reductions give, in one pass over rows, what their reductions give one by one: values and gradients, at
// every shape and layout, with the same bits at any number of threads.
#include "sinter/eval/stages.hpp"

#include <catch2/catch.hpp>
#include <cstring>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/graph/explain.hpp"
#include "sinter/tensor/create.hpp"
#include "values.hpp"

using namespace sinter;

namespace {

// Written as users do. `Step` evaluates what a statement of its own would, or nothing.
struct AtOnce {
  template <class E>
  auto operator()(const E& e) const { return e; }
};
struct OneByOne {
  template <class E>
  auto operator()(const E& e) const { return Tensor(e); }
};
const auto own_softmax = [](auto step, const auto& x, const auto& w, int dim) {
  return Tensor(step(exp(x - step(amax(x, dim, keepdim)))) / step(sum(exp(x - step(amax(x, dim, keepdim))), dim, keepdim)) * w);
};
const auto own_norm = [](auto step, const auto& x, const auto& w, int dim) {
  const auto from_mean = step(x - step(mean(x, dim, keepdim)));
  return Tensor(from_mean * step(rsqrt(step(mean(square(from_mean), dim, keepdim)) + 1e-3)) * w + w);
};
// Two results that lack the dimension, one of them met by what has it not either.
const auto own_lse = [](auto step, const auto& x, const auto& w, int dim) {
  const auto top = step(amax(x * w, dim, keepdim));
  return Tensor(log(step(sum(exp(x * w - top), dim))) + step(amax(x * w, dim)) + step(prod(x * 0.1 + 1, dim)));
};

template <class T, int R, class F>
void check(const F& f, const Tensor<T, R>& from, const Tensor<T, 1>& weight, int dim) {
  const auto run = [&](auto step) {
    const Tensor<T, R> x = from.detach().requires_grad_();
    const Tensor<T, 1> w = weight.detach().requires_grad_();
    const auto y = f(step, x, w, dim);
    Generator g(7);
    const auto up = rand<T>(y.shape(), g);
    y.backward(Tensor<T, decltype(y)::rank>(up));
    return std::tuple(values(y), values(x.grad()), values(w.grad()));
  };
  const auto [y, dx, dw] = run(AtOnce{});
  const auto [y1, dx1, dw1] = run(OneByOne{});
  const double eps = sizeof(T) == 8 ? 1e-12 : 2e-5;
  const auto close = [&](const V& a, const V& b, double scale) {
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) REQUIRE(a[i] == Approx(b[i]).margin(eps * scale).epsilon(eps * scale));
  };
  INFO(from.shape() << " along " << dim);
  close(y, y1, 1), close(dx, dx1, 10), close(dw, dw1, double(from.numel()));
}
template <class T, int R>
void check_all(const Tensor<T, R>& x, int dim) {
  Generator g(3);
  const auto w = rand<T>({x.size(R - 1)}, g);
  check(own_softmax, x, w, dim);
  check(own_norm, x, w, dim);
  check(own_lse, x, w, dim);
}
template <class T, int R>
bool same_bits(const Tensor<T, R>& a, const Tensor<T, R>& b) {
  return std::memcmp(a.data(), b.data(), std::size_t(a.numel()) * sizeof(T)) == 0;
}
template <class E>
int together(const E& e) {
  for (const std::string& note : explain(e).notes)
    if (note.rfind("row pass: ", 0) == 0) return std::stoi(note.substr(10));
  return 0;
}

}  // namespace

TEST_CASE("row passes give what their stages give one by one", "[stages]") {
  Generator g(1);
  for (const auto& s : {Shape<2>{{1, 1}}, Shape<2>{{1, 7}}, Shape<2>{{5, 1}}, Shape<2>{{13, 31}}, Shape<2>{{3, 997}}, Shape<2>{{211, 64}}, Shape<2>{{256, 256}}, Shape<2>{{37, 997}}})
    for (int dim : {0, 1, -1}) {
      check_all(randn<double>(s, g), dim);
      check_all(Tensor<double, 2>(randn<double>({s[1], s[0]}, g).t()), dim);
    }
  const auto w = rand({33}, g);
  check(own_norm, randn({1290, 33}, g), w, 1);
  check(own_norm, Tensor<float, 2>(randn({33, 1290}, g).t()), w, 1);
}

TEST_CASE("row passes over batches of rows, merged where they lie so", "[stages]") {
  Generator g(6);
  for (int dim : {0, 1, 2}) {
    const auto w170 = rand<double>({170}, g), w160 = rand<double>({160}, g), w3 = rand<double>({3}, g);
    check(own_norm, randn<double>({13, 25, 170}, g), w170, dim);
    check(own_norm, Tensor<double, 3>(transpose(randn<double>({15, 23, 160}, g), 0, 1)), w160, dim);
    check(own_norm, Tensor<double, 3>(transpose(randn<double>({15, 160, 23}, g), 1, 2)), w160, dim);
    check(own_norm, randn<double>({1, 12000, 3}, g), w3, dim);
  }
}

TEST_CASE("row passes of nothing", "[stages]") {
  const Tensor<float, 2> none = zeros({0, 8}), rows = zeros({8, 0});
  const Tensor<float, 2> a = own_norm(AtOnce{}, none, Tensor<float, 1>(ones({8})), 1);
  CHECK(a.shape() == none.shape());
  const Tensor<float, 2> b = own_norm(AtOnce{}, rows, Tensor<float, 1>(ones({0})), 1);
  CHECK(b.shape() == rows.shape());
  const Tensor<float, 1> c = sum(rows, 1) + mean(rows + 1, 1) * 0;
  CHECK(std::isnan(c.data()[3]));
}

TEST_CASE("the bits of a row pass do not depend on the number of threads", "[stages]") {
  const int before = get_num_threads();
  const auto run = [](int threads, std::int64_t rows, std::int64_t columns) {
    set_num_threads(threads);
    Generator g(5);
    const auto x = randn({rows, columns}, g).requires_grad_();
    const auto w = randn({columns}, g).requires_grad_();
    const auto up = randn({rows, columns}, g);
    const auto y = own_norm(AtOnce{}, x, w, 1);
    y.backward(up);
    const auto z = own_softmax(AtOnce{}, x, w, 1);
    z.backward(up);
    return std::tuple(y.detach(), z.detach(), x.grad(), w.grad());
  };
  for (auto [rows, columns] : {std::pair{1031, 67}, std::pair{517, 1024}, std::pair{3, 40009}, std::pair{2, 200003}}) {
    const auto [y1, z1, dx1, dw1] = run(1, rows, columns);
    const auto [y2, z2, dx2, dw2] = run(2, rows, columns);
    CHECK(same_bits(y1, y2));
    CHECK(same_bits(z1, z2));
    CHECK(same_bits(dx1, dx2));
    CHECK(same_bits(dw1, dw2));
  }
  set_num_threads(before);
}

TEST_CASE("row passes have the gradients of their formula", "[stages]") {
  Generator g(2);
  const auto x = randn<double>({4, 6}, g).requires_grad_();
  const auto w = rand<double>({6}, g).requires_grad_();
  for (int dim : {0, 1}) {
    CHECK(gradcheck([=](auto a, auto b) { return own_softmax(AtOnce{}, a, b, dim); }, x, w));
    CHECK(gradcheck([=](auto a, auto b) { return own_norm(AtOnce{}, a, b, dim); }, x, w));
    CHECK(gradcheck([=](auto a, auto b) { return own_lse(AtOnce{}, a, b, dim); }, x, w));
  }
}

TEST_CASE("what flows back in halves, into sums that exist, and under anomaly detection", "[stages]") {
  Generator g(4);
  auto x = randn({1009, 33}, g).requires_grad_();
  const Tensor<float, 1> w = ones({33});
  const auto twice = [&] {
    x.set_grad({});
    const auto y = own_softmax(AtOnce{}, x, w, 1);
    const Tensor<float, 2> z = y * x + own_norm(AtOnce{}, Tensor<float, 2>(x * y), w, 1);
    z.backward(Tensor<float, 2>(x.detach()), true);
    z.backward(Tensor<float, 2>(x.detach()));
    return x.grad().clone();
  };
  const auto plain = twice();
  DetectAnomaly detect;
  const auto watched = twice();
  for (std::int64_t i = 0; i < plain.numel(); ++i) REQUIRE(plain.data()[i] == Approx(watched.data()[i]).margin(1e-5));

  const auto h = Tensor<bfloat16, 2>(to<bfloat16>(x.detach())).requires_grad_();
  const Tensor<bfloat16, 2> s = exp(h - amax(h, 1, keepdim)) / sum(exp(h - amax(h, 1, keepdim)), 1, keepdim);
  s.backward(Tensor<bfloat16, 2>(to<bfloat16>(ones({1009, 33}))));
  for (double d : values(to<float>(h.grad()))) REQUIRE(std::abs(d) < 0.02);
}

TEST_CASE("explain() tells what runs in one pass", "[stages]") {
  const Tensor<float, 2> x = ones({256, 256});
  const auto e = exp(x - amax(x, 1, keepdim)) / sum(exp(x - amax(x, 1, keepdim)), 1, keepdim);
  CHECK(together(e) == 3);                                                      // the second amax is the first
  CHECK(together(x / sum(x, 1, keepdim) + x / mean(x * 2, 1, keepdim)) == 3);
  CHECK(together(x / sum(x, 0, keepdim)) == 0);                                 // a column's sum is known at its end only
  CHECK(together(x / sum(x)) == 0);
  CHECK(together(x.t() / sum(x, 1)) == 0);                                      // row i meets the sum of row j
  CHECK(together((x - mean(x, 1, keepdim)) * rsqrt(var(x, 1, keepdim) + 1)) == 4);
  CHECK(fused_kernels<decltype(x * rsqrt(mean(square(x), 1, keepdim) + 1))> == 3);
  const Tensor<float, 2> small = ones({64, 64});
  CHECK(together(small / sum(small, 1, keepdim)) == 0);  // it is in the cache from the first stage on
  // A mean of all, then rows.
  CHECK(together(x / (sum(exp(x - mean(x)), 1, keepdim))) == 2);
}
