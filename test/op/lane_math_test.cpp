// SPDX-License-Identifier: MIT
// How far the functions on lanes are from the truth, in units of the last place (ulp), over the whole range: the C
// library one precision higher is the truth. The bounds are what was measured at SSE2, AVX2 and AVX-512, rounded up.
#include "sinter/op/lane_math.hpp"

#include "op/check.hpp"

using check::Block;
template <class T>
using Wide = std::conditional_t<sizeof(T) == 4, double, long double>;

// NaN for NaN, the same infinity, the same sign of zero; else the distance.
template <class T>
double ulps(T got, Wide<T> want) {
  using L = std::numeric_limits<T>;
  constexpr double wrong = 1e30;
  if (std::isnan(got) || std::isnan(want)) return std::isnan(got) && std::isnan(want) ? 0 : wrong;
  const T rounded = T(want);
  if (got == rounded && (got == 0 || std::isinf(got))) return std::signbit(got) == std::signbit(rounded) ? 0 : wrong;
  if (std::isinf(got) || std::isinf(rounded)) return std::fabs(std::isinf(got) ? want : got) >= L::max() * T(0.999999) ? 1 : wrong;
  int e;
  std::frexp(want, &e);
  if (want == 0 || e < L::min_exponent) e = L::min_exponent;
  return double(std::fabs(Wide<T>(got) - want) / std::ldexp(Wide<T>(1), e - L::digits));
}

template <class T>
const std::vector<T>& inputs() {
  static const std::vector<T> all = [] {
    std::vector<T> v = check::specials<T>();
    std::mt19937_64 random(7);
    for (int i = 0; i < 40000; ++i) {  // all magnitudes
      const auto u = random();
      T x;
      std::memcpy(&x, &u, sizeof(T));
      v.push_back(x);
    }
    for (double r : {0.01, 1.0, 3.0, 10.0, 30.0, 110.0, 750.0, 5000.0, 1e6}) {
      std::uniform_real_distribution<double> in(-r, r);
      for (int i = 0; i < 4000; ++i) v.push_back(T(in(random)));
    }
    for (int k = -600; k < 600; ++k)  // where sines and cosines vanish
      for (T away : {T(0), T(1e30), T(-1e30)}) v.push_back(std::nextafter(T(k * 1.5707963267948966192313L), away));
    while (v.size() % 64) v.push_back(T(1));
    return v;
  }();
  return all;
}

template <class T, class F, class G>
void within_as(const char* name, double bound, F lanes, G exact) {
  using L = Block<T>;
  const auto& v = inputs<T>();
  double worst = 0;
  T at = 0;
  for (std::size_t i = 0; i < v.size(); i += L::size) {
    const L y = lanes(L::load(&v[i]));
    for (int j = 0; j < L::size; ++j) {
      const double u = ulps<T>(y[j], exact(Wide<T>(v[i + j])));
      if (u > worst) worst = u, at = v[i + j];
    }
  }
  INFO(name << " of " << sizeof(T) << " bytes is worst at " << at);
  CHECK(worst <= bound);
}
template <class F, class G>
void within(const char* name, double bound, F lanes, G exact) {
  within_as<float>(name, bound, lanes, exact);
  within_as<double>(name, bound, lanes, exact);
}

TEST_CASE("exponentials and logarithms on lanes") {
  within("exp", 1.1, [](auto x) { return exp(x); }, [](auto x) { return std::exp(x); });
  within("expm1", 2.3, [](auto x) { return expm1(x); }, [](auto x) { return std::expm1(x); });
  within("log", 1, [](auto x) { return log(x); }, [](auto x) { return std::log(x); });
  within("log1p", 2.5, [](auto x) { return log1p(x); }, [](auto x) { return std::log1p(x); });
  within("log2", 2, [](auto x) { return log2(x); }, [](auto x) { return std::log2(x); });
  within("sinh", 2, [](auto x) { return sinh(x); }, [](auto x) { return std::sinh(x); });
  within("cosh", 2, [](auto x) { return cosh(x); }, [](auto x) { return std::cosh(x); });
  within("tanh", 3, [](auto x) { return tanh(x); }, [](auto x) { return std::tanh(x); });
}
TEST_CASE("sines and their inverses on lanes") {
  within("sin", 2.5, [](auto x) { return sin(x); }, [](auto x) { return std::sin(x); });
  within("cos", 2.5, [](auto x) { return cos(x); }, [](auto x) { return std::cos(x); });
  within("tan", 4, [](auto x) { return tan(x); }, [](auto x) { return std::tan(x); });
  within("asin", 3, [](auto x) { return asin(x); }, [](auto x) { return std::asin(x); });
  within("acos", 3.2, [](auto x) { return acos(x); }, [](auto x) { return std::acos(x); });
  within("atan", 2.5, [](auto x) { return atan(x); }, [](auto x) { return std::atan(x); });
}
TEST_CASE("the error function on lanes") {
  within("erf", 3.2, [](auto x) { return erf(x); }, [](auto x) { return std::erf(x); });
  within("erfc", 4, [](auto x) { return erfc(x); }, [](auto x) { return std::erfc(x); });
}
TEST_CASE("roots and rounding on lanes") {
  within("sqrt", 0.5001, [](auto x) { return sqrt(x); }, [](auto x) { return std::sqrt(x); });
  within("rsqrt", 1.6, [](auto x) { return rsqrt(x); }, [](auto x) { return 1 / std::sqrt(x); });
  within("rint", 0, [](auto x) { return rint(x); }, [](auto x) { return std::nearbyint(x); });
  within("floor", 0, [](auto x) { return floor(x); }, [](auto x) { return std::floor(x); });
  within("ceil", 0, [](auto x) { return ceil(x); }, [](auto x) { return std::ceil(x); });
  within("trunc", 0, [](auto x) { return trunc(x); }, [](auto x) { return std::trunc(x); });
}

template <class T, class F, class G>
void pairs_within(const char* name, double bound, F lanes, G exact) {
  using L = Block<T>;
  std::vector<T> a, b;
  for (T x : check::specials<T>())
    for (T y : check::specials<T>()) a.push_back(x), b.push_back(y);
  std::mt19937_64 random(9);
  std::uniform_real_distribution<double> in(-20, 20);
  for (int i = 0; i < 20000; ++i) {
    a.push_back(T(i % 2 ? std::exp(in(random)) : in(random)));
    b.push_back(T(i % 5 ? in(random) : std::nearbyint(in(random))));
  }
  while (a.size() % 64) a.push_back(1), b.push_back(1);
  double worst = 0;
  T at_a = 0, at_b = 0;
  for (std::size_t i = 0; i < a.size(); i += L::size) {
    const L y = lanes(L::load(&a[i]), L::load(&b[i]));
    for (int j = 0; j < L::size; ++j) {
      const double u = ulps<T>(y[j], exact(Wide<T>(a[i + j]), Wide<T>(b[i + j])));
      if (u > worst) worst = u, at_a = a[i + j], at_b = b[i + j];
    }
  }
  INFO(name << " of " << sizeof(T) << " bytes is worst at " << at_a << ", " << at_b);
  CHECK(worst <= bound);
}
template <class F, class G>
void pairs(const char* name, double bound, F lanes, G exact) {
  pairs_within<float>(name, bound, lanes, exact);
  pairs_within<double>(name, bound, lanes, exact);
}
TEST_CASE("functions of two arguments on lanes") {
  pairs("pow", 1, [](auto x, auto y) { return pow(x, y); }, [](auto x, auto y) { return std::pow(x, y); });
  pairs("atan2", 2.5, [](auto x, auto y) { return atan2(x, y); }, [](auto x, auto y) { return std::atan2(x, y); });
  pairs("fmod", 0, [](auto x, auto y) { return fmod(x, y); }, [](auto x, auto y) { return std::fmod(x, y); });
}

TEST_CASE("a lane's value does not depend on its neighbours") {  // sines of huge numbers leave the vector path
  using L = Block<float>;
  float a[L::size], b[L::size];
  for (int i = 0; i < L::size; ++i) a[i] = b[i] = 0.1f + float(i);
  b[0] = 1e20f;
  CHECK(sin(L::load(a))[1] == sin(L::load(b))[1]);
  CHECK(tan(L::load(a))[1] == tan(L::load(b))[1]);
  CHECK(cos(L::load(b))[0] == std::cos(1e20f));
}
