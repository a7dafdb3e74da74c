// SPDX-License-Identifier: MIT
// layer_norm, rms_norm, group_norm, instance_norm: against their formulas in double, at sizes of every remainder, strided, with
// the same bits at any number of threads.
#include "sinter/functional/layer_norm.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/functional/group_norm.hpp"
#include "sinter/tensor/create.hpp"
#include "values.hpp"

using namespace sinter;

namespace {

// Rows of n: their values normalised, `centered` or by the root mean square alone; weights and biases of n each.
V formula(const V& x, std::size_t n, bool centered, const V& w, const V& b, double eps) {
  V y(x.size());
  for (std::size_t r = 0; n > 0 && r < x.size() / n; ++r) {
    double mean = 0, square = 0;
    for (std::size_t j = 0; j < n && centered; ++j) mean += x[r * n + j] / double(n);
    for (std::size_t j = 0; j < n; ++j) square += (x[r * n + j] - mean) * (x[r * n + j] - mean) / double(n);
    for (std::size_t j = 0; j < n; ++j)
      y[r * n + j] = (x[r * n + j] - mean) / std::sqrt(square + eps) * (w.empty() ? 1 : w[j]) + (b.empty() ? 0 : b[j]);
  }
  return y;
}
void check_close(const V& a, const V& b, double eps) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) REQUIRE(a[i] == Approx(b[i]).margin(eps).epsilon(eps));
}
template <class T, int R>
bool same_bits(const Tensor<T, R>& a, const Tensor<T, R>& b) {
  return std::memcmp(a.data(), b.data(), std::size_t(a.numel()) * sizeof(T)) == 0;
}

}  // namespace

TEMPLATE_TEST_CASE("layer_norm and rms_norm follow their formulas", "[norm]", float, double) {
  using T = TestType;
  const double eps = sizeof(T) == 8 ? 1e-12 : 3e-5;
  Generator g(1);
  for (std::int64_t rows : {0, 1, 2, 13, 300})
    for (std::int64_t n : {1, 2, 3, 7, 8, 15, 16, 17, 31, 64, 65, 127, 257, 1000}) {
      INFO(rows << " x " << n);
      const auto x = Tensor<T, 2>(randn<T>({rows, n}, g) * 2 + 3);
      const auto w = randn<T>({n}, g), b = randn<T>({n}, g);
      const auto size = std::size_t(n);
      check_close(values(layer_norm(x, {n}, w, b, 1e-3)), formula(values(x), size, true, values(w), values(b), 1e-3), eps * 10);
      check_close(values(layer_norm(x, {n})), formula(values(x), size, true, {}, {}, 1e-5), eps * 300);
      check_close(values(rms_norm(x, {n}, w)), formula(values(x), size, false, values(w), {}, double(std::numeric_limits<T>::epsilon())), eps);
      check_close(values(rms_norm(x, {n}, w, 0.5)), formula(values(x), size, false, values(w), {}, 0.5), eps);
    }
  const auto x = randn<T>({5, 6, 7}, g);
  const auto w = randn<T>({7, 5}, g), b = randn<T>({7, 5}, g);
  const Tensor<T, 3> view = permute(x, {1, 2, 0});  // (6, 7, 5), not dense
  const Tensor<T, 2> strided = Tensor<T, 2>(w.t()).t();
  check_close(values(layer_norm(view, {7, 5}, strided, b)), formula(values(view), 35, true, values(w), values(b), 1e-5), eps);
  check_close(values(layer_norm(x, x.shape(), Tensor<T, 3>(), x)), formula(values(x), 210, true, {}, values(x), 1e-5), eps);
}

TEST_CASE("layer_norm's mean does not cancel", "[norm]") {
  Generator g(2);
  const Tensor<float, 2> x = randn({4, 1000}, g) + 10000.f;
  check_close(values(layer_norm(x, {1000})), formula(values(x), 1000, true, {}, {}, 1e-5), 2e-3);
  CHECK(layer_norm(Tensor<float, 2>(ones({3, 0})), {0}).numel() == 0);
}

TEST_CASE("gradients of layer_norm and rms_norm", "[norm]") {
  Generator g(3);
  for (std::int64_t n : {1, 5, 8, 19}) {
    const auto x = randn<double>({3, n}, g), w = randn<double>({1, n}, g), b = randn<double>({1, n}, g);
    const auto row = [](const auto& t) { return squeeze(t, 0); };
    CHECK(gradcheck([=](auto a, auto c, auto d) { return layer_norm(a, {n}, row(c), row(d), 0.1); }, x, w, b));
    CHECK(gradcheck([=](auto a) { return layer_norm(a, {n}, {}, {}, 0.1); }, x));
    CHECK(gradcheck([=](auto c) { return layer_norm(x, {n}, row(c), {}, 0.1); }, w));
    CHECK(gradcheck([=](auto d) { return layer_norm(x, {n}, {}, row(d), 0.1); }, b));
    CHECK(gradcheck([=](auto a, auto c) { return rms_norm(a, {n}, row(c), 0.1); }, x, w));
  }
  const auto x = randn<double>({2, 4, 3}, g);
  const auto w = randn<double>({4, 3}, g), b = randn<double>({4, 3}, g);
  CHECK(gradcheck([](auto a, auto c, auto d) { return layer_norm(a, {4, 3}, c, d); }, x, w, b));
  CHECK(gradcheck([](auto a, auto c) { return layer_norm(transpose(a, 0, 1), {2, 3}, c); }, x, randn<double>({2, 3}, g)));
}

TEST_CASE("norms have the same bits at one thread and at two", "[norm]") {
  const int before = get_num_threads();
  const auto run = [](int threads, std::int64_t rows, std::int64_t n) {
    set_num_threads(threads);
    Generator g(5);
    const auto x = randn({rows, n}, g).requires_grad_();
    const auto w = randn({n}, g).requires_grad_(), b = randn({n}, g).requires_grad_();
    const auto y = layer_norm(x, {n}, w, b);
    y.backward(randn({rows, n}, g));
    return std::tuple(y.detach(), x.grad(), w.grad(), b.grad());
  };
  for (auto [rows, n] : {std::pair{1031, 67}, std::pair{130, 1024}, std::pair{3, 40009}}) {
    const auto [y1, dx1, dw1, db1] = run(1, rows, n);
    const auto [y2, dx2, dw2, db2] = run(2, rows, n);
    CHECK((same_bits(y1, y2) && same_bits(dx1, dx2) && same_bits(dw1, dw2) && same_bits(db1, db2)));
  }
  set_num_threads(before);
}

TEST_CASE("layer_norm in half precision computes in float", "[norm]") {
  Generator g(4);
  const Tensor<bfloat16, 2> x = to<bfloat16>(randn({3, 40}, g));
  const Tensor<bfloat16, 1> w = to<bfloat16>(randn({40}, g));
  const Tensor<bfloat16, 2> y = layer_norm(x, {40}, w);
  check_close(values(to<float>(y)), formula(values(to<float>(x)), 40, true, values(to<float>(w)), {}, 1e-5), 1e-2);
}

TEST_CASE("group_norm and instance_norm follow their formulas", "[norm]") {
  Generator g(6);
  const auto x = randn<double>({2, 6, 5, 3}, g);
  const auto w = randn<double>({1, 6}, g), b = randn<double>({1, 6}, g);
  const auto affine = [&](V y, std::int64_t inner) {
    const V gain = values(w), shift = values(b);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = y[i] * gain[i / std::size_t(inner) % 6] + shift[i / std::size_t(inner) % 6];
    return y;
  };
  const Tensor<double, 1> gain = squeeze(w, 0), shift = squeeze(b, 0);
  for (std::int64_t groups : {1, 2, 3, 6})
    check_close(values(group_norm(x, groups, gain, shift)), affine(formula(values(x), std::size_t(90 / groups), true, {}, {}, 1e-5), 15), 1e-12);
  check_close(values(instance_norm(x, gain, shift, 0.1)), affine(formula(values(x), 15, true, {}, {}, 0.1), 15), 1e-12);
  const Tensor<double, 2> flat = reshape(x, Shape{30, 6});
  check_close(values(group_norm(flat, 2)), formula(values(flat), 3, true, {}, {}, 1e-5), 1e-12);
  const auto row = [](const auto& t) { return squeeze(t, 0); };
  const auto small = randn<double>({2, 4, 3}, g);
  const auto c = randn<double>({1, 4}, g);
  CHECK(gradcheck([=](auto a, auto f, auto d) { return group_norm(a, 2, row(f), row(d), 0.1); }, small, c, c));
  CHECK(gradcheck([=](auto a, auto f) { return instance_norm(a, row(f), {}, 0.1); }, small, c));
  CHECK(gradcheck([=](auto a, auto d) { return group_norm(a, 4, {}, row(d), 0.1); }, small, c));
}

TEST_CASE("norms name what does not fit", "[norm]") {
  const Tensor<float, 3> x = zeros({2, 5, 7});
  const Tensor<float, 1> w = ones({4});
  CHECK_THROWS_WITH(layer_norm(x, {5, 8}), Catch::Contains("7 against 8 (axis 2 of the input, axis 1"));
  CHECK_THROWS_AS(layer_norm(x, {5}), ShapeError);
  CHECK_THROWS_WITH(layer_norm(x, {7}, w), Catch::Contains("weight of shape [4]"));
  CHECK_THROWS_AS(rms_norm(x, {7}, w), ShapeError);
  CHECK_THROWS_WITH(group_norm(x, 2), Catch::Contains("5 channels") && Catch::Contains("2 equal groups"));
  CHECK_THROWS_AS(group_norm(x, 0), ValueError);
  CHECK_THROWS_WITH(group_norm(x, 5, w), Catch::Contains("4 against 5 channels"));
  CHECK_THROWS_AS(instance_norm(Tensor<float, 3>(zeros({2, 5, 1}))), ValueError);
}
