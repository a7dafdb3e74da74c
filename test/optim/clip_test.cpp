// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <limits>

#include "sinter/optim/clip.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

namespace {

struct Two {
  Tensor<float, 1> a = zeros({2}).requires_grad_();
  Tensor<double, 2> b = zeros<double>({1, 2}).requires_grad_();
  Tensor<float, 1> without = zeros({2}).requires_grad_();
  Two() {
    a.set_grad(tensor<float>({3, 0}));
    b.set_grad(tensor<double>({{0, -4}}));
  }
};

}  // namespace

TEST_CASE("clip_grad_norm_ takes all gradients together") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  Two t;
  CHECK(clip_grad_norm_({t.a, t.b, t.without}, 10) == 5);
  CHECK(t.a.grad().data()[0] == 3);  // below the limit
  const auto before = t.a.grad().version();
  CHECK(clip_grad_norm_({t.a, t.b, t.without}, 1) == 5);
  CHECK(t.a.grad().version() == before + 1);
  CHECK(t.a.grad().data()[0] == Approx(0.6));
  CHECK(t.b.grad().data()[1] == Approx(-0.8));
  Two u;
  CHECK(clip_grad_norm_({u.a, u.b}, 100, 1) == 7);
  CHECK(clip_grad_norm_({u.a, u.b}, 100, 0) == 2);
  CHECK(clip_grad_norm_({u.a, u.b}, 100, 3) == Approx(std::cbrt(91.0)));
  CHECK(clip_grad_norm_({u.a, u.b}, 2, inf) == 4);
  CHECK(u.b.grad().data()[1] == Approx(-2));
  CHECK(clip_grad_norm_({u.without}, 1) == 0);
}

TEST_CASE("clip_grad_norm_ of what is not finite, and of nonsense") {
  Two t;
  t.a.grad().data()[0] = NAN;
  CHECK_THROWS_AS(clip_grad_norm_({t.a, t.b}, 1, 2, true), ValueError);
  CHECK(t.b.grad().data()[1] == -4);
  CHECK(std::isnan(clip_grad_norm_({t.a, t.b}, 1, std::numeric_limits<double>::infinity())));
  CHECK_THROWS_WITH(clip_grad_norm_({t.a}, -1), Catch::Contains("-1"));
}

TEST_CASE("clip_grad_norm_ gives the same bits at one and two threads") {
  Generator g(3);
  auto p = zeros({100003}).requires_grad_();
  const Tensor<float, 1> grad = randn<float>({100003}, g);
  double norms[2];
  for (int threads : {1, 2}) {
    const int before = get_num_threads();
    set_num_threads(threads);
    p.set_grad(grad.clone());
    norms[threads - 1] = clip_grad_norm_({p}, 1);
    set_num_threads(before);
  }
  CHECK(norms[0] == norms[1]);
  double square = 0;
  for (int i = 0; i < 100003; ++i) square += double(grad.data()[i]) * grad.data()[i];
  CHECK(norms[0] == Approx(std::sqrt(square)).epsilon(1e-12));
}

TEST_CASE("clip_grad_value_ clamps") {
  Two t;
  clip_grad_value_({t.a, t.b, t.without}, 0.5);
  CHECK(t.a.grad().data()[0] == 0.5f);
  CHECK(t.a.grad().data()[1] == 0);
  CHECK(t.b.grad().data()[1] == -0.5);
  CHECK_THROWS_AS(clip_grad_value_({t.a}, -0.5), ValueError);
}

TEST_CASE("norms follow a sum in long double at any size and dtype") {
  Generator g(5);
  const auto check = [&](auto type, std::int64_t n, double tolerance) {
    using T = decltype(type);
    const Tensor<T, 1> x = to<T>(randn<double>({n}, g));
    auto p = zeros<T>({n}).requires_grad_();
    p.set_grad(x);
    for (const double kind : {2.0, 1.0, 0.0, 2.5, std::numeric_limits<double>::infinity()}) {
      long double sum = 0, top = 0;
      for (std::int64_t i = 0; i < n; ++i) {
        const long double a = std::fabs(static_cast<long double>(double(x.data()[i])));
        top = std::max(top, a);
        sum += kind == 0 ? a != 0 : std::pow(a, static_cast<long double>(kind));
      }
      const double expected = std::isinf(kind) ? double(top) : kind == 0 ? double(sum) : double(std::pow(sum, 1 / static_cast<long double>(kind)));
      CHECK(clip_grad_norm_({p}, std::numeric_limits<double>::max(), kind) == Approx(expected).epsilon(tolerance));
    }
  };
  for (const std::int64_t n : {0, 1, 7, 8, 15, 16, 17, 31, 997, 8191, 8192, 8193, 40009}) {
    check(float{}, n, 1e-12);
    check(double{}, n, 1e-12);
    check(half{}, n, 1e-12);
    check(bfloat16{}, n, 1e-12);
  }
}

TEST_CASE("large and tiny gradients neither overflow nor vanish in the norm") {
  auto p = zeros({2}).requires_grad_();
  p.set_grad(tensor<float>({3e30f, 4e30f}));
  CHECK(clip_grad_norm_({p}, 1) == Approx(5e30));
  p.set_grad(tensor<float>({3e-40f, 4e-40f}));
  CHECK(clip_grad_norm_({p}, 1) == Approx(5e-40).epsilon(1e-4));
}
