// SPDX-License-Identifier: MIT
// Activations: ops of one argument as in unary.hpp. Written so that neither value nor slope meets inf * 0 at large x.
#pragma once

#include <limits>

#include "sinter/op/lane_math.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace op {

// ---- Piecewise linear. A NaN passes through.

struct Relu {
  static constexpr const char* name = "relu";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T x) { return where(x <= T(0), T(0), x); }
  template <class T>
  SINTER_HD static T dy(T y) { return where(y <= T(0), T(0), T(1)); }
};

struct LeakyRelu {
  static constexpr const char* name = "leaky_relu";
  double negative_slope = 0.01;
  template <class T>
  SINTER_HD T f(T x) const { return where(x > T(0), x, x * T(negative_slope)); }
  template <class T>
  SINTER_HD T dx(T x) const { return where(x > T(0), T(1), T(negative_slope)); }
};

// A bound that is absent is infinite; integers get their own extremes for it. Both ends have slope 1.
struct Clamp {
  static constexpr const char* name = "clamp";
  static constexpr Domain domain = Domain::any;
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();

  template <class E>
  SINTER_HD static E bound(double x) {
    using L = std::numeric_limits<E>;
    if constexpr (std::is_floating_point_v<E>) return E(x);
    else return x <= double(L::lowest()) ? L::lowest() : x >= double(L::max()) ? L::max() : E(x);
  }
  template <class T>
  SINTER_HD T f(T x) const {
    const T lo(bound<element_t<T>>(min)), hi(bound<element_t<T>>(max));
    const T y = where(x < lo, lo, x);
    return where(y > hi, hi, y);
  }
  template <class T>
  SINTER_HD T dx(T x) const { return where((x >= T(min)) & (x <= T(max)), T(1), T(0)); }
};

// Unlike clamp, both ends have slope 0.
struct Hardtanh {
  static constexpr const char* name = "hardtanh";
  double min_val = -1, max_val = 1;
  template <class T>
  SINTER_HD T f(T x) const { return Clamp{min_val, max_val}.f(x); }
  template <class T>
  SINTER_HD T dx(T x) const { return where((x > T(min_val)) & (x < T(max_val)), T(1), T(0)); }
};

struct Relu6 {
  static constexpr const char* name = "relu6";
  template <class T>
  SINTER_HD static T f(T x) { return Hardtanh{0, 6}.f(x); }
  template <class T>
  SINTER_HD static T dx(T x) { return Hardtanh{0, 6}.dx(x); }
};

struct HardSigmoid {
  static constexpr const char* name = "hardsigmoid";
  template <class T>
  SINTER_HD static T f(T x) { return Relu6::f(x + T(3)) / T(6); }
  template <class T>
  SINTER_HD static T dx(T x) { return where((x > T(-3)) & (x < T(3)), T(1.0f / 6), T(0)); }  // a float's sixth, like PyTorch
};

struct HardSwish {
  static constexpr const char* name = "hardswish";
  template <class T>
  SINTER_HD static T f(T x) { return x * HardSigmoid::f(x); }
  template <class T>
  SINTER_HD static T dx(T x) {
    const T inside = where(x >= T(3), T(1), x / T(3) + T(0.5));
    return where(x < T(-3), T(0), inside);
  }
};

// ---- Exponential below zero

struct Elu {
  static constexpr const char* name = "elu";
  double alpha = 1;
  template <class T>
  SINTER_HD T f(T x) const { return where(x > T(0), x, T(alpha) * expm1(x)); }
  template <class T>
  SINTER_HD T dx(T x) const { return where(x > T(0), T(1), T(alpha) * exp(x)); }
};

struct Celu {
  static constexpr const char* name = "celu";
  double alpha = 1;
  template <class T>
  SINTER_HD T f(T x) const { return where(x > T(0), x, T(alpha) * expm1(x / T(alpha))); }
  template <class T>
  SINTER_HD T dx(T x) const { return where(x > T(0), T(1), exp(x / T(alpha))); }
};

struct Selu {
  static constexpr const char* name = "selu";
  static constexpr double scale = 1.0507009873554804934, alpha = 1.6732632423543772848;
  template <class T>
  SINTER_HD static T f(T x) { return where(x > T(0), T(scale) * x, T(scale * alpha) * expm1(x)); }
  template <class T>
  SINTER_HD static T dx(T x) { return where(x > T(0), T(scale), T(scale * alpha) * exp(x)); }
};

// ---- The logistic function and what is made of it

struct Sigmoid {
  static constexpr const char* name = "sigmoid";
  template <class T>
  SINTER_HD static T f(T x) { return inverse(T(1) + exp(-x)); }
  template <class T>
  SINTER_HD static T dy(T y) { return y * (T(1) - y); }
};

struct LogSigmoid {
  static constexpr const char* name = "logsigmoid";
  template <class T>
  SINTER_HD static T f(T x) { return where(x > T(0), T(0), x) - log1p(exp(-abs(x))); }
  template <class T>
  SINTER_HD static T dx(T x) { return inverse(T(1) + exp(x)); }
};

// log(1 + exp(beta x)) / beta, and x itself where beta x exceeds the threshold.
struct Softplus {
  static constexpr const char* name = "softplus";
  double beta = 1, threshold = 20;
  template <class T>
  SINTER_HD T f(T x) const {
    const T z = x * T(beta);
    return where(z > T(threshold), x, (where(z < T(0), T(0), z) + log1p(exp(-abs(z)))) / T(beta));
  }
  template <class T>
  SINTER_HD T dx(T x) const {
    const T z = x * T(beta);
    return where(z > T(threshold), T(1), Sigmoid::f(z));
  }
};

struct Silu {
  static constexpr const char* name = "silu";
  template <class T>
  SINTER_HD static T f(T x) { return x / (T(1) + exp(-x)); }
  template <class T>
  SINTER_HD static T dx(T x) {
    const T s = Sigmoid::f(x);
    return s * (T(1) + x * (T(1) - s));
  }
};

// x tanh(softplus(x)) = x n/d, a ratio of polynomials in e = exp(-|x|).
struct Mish {
  static constexpr const char* name = "mish";
  template <class T>
  SINTER_HD static T f(T x) {
    const T e = exp(-abs(x)), a = e * (e + T(2));
    return where(x < T(0), x * (a / (a + T(2))), x * ((T(1) + T(2) * e) / (T(1) + e * (T(2) + T(2) * e))));
  }
  template <class T>
  SINTER_HD static T dx(T x) {
    const T e = exp(-abs(x)), a = e * (e + T(2)), b = T(1) + T(2) * e;
    const auto below = x < T(0);
    const T n = where(below, a, b), d = where(below, a + T(2), b + T(2) * e * e);
    const T rise = T(4) * (T(1) + e) * where(below, e, e * e) / (d * d);
    return n / d + x * rise;
  }
};

// ---- Gaussian error linear units

// x times the normal distribution's integral up to x.
struct Gelu {
  static constexpr const char* name = "gelu";
  template <class T>
  SINTER_HD static T f(T x) { return T(0.5) * x * (T(1) + erf(x * T(0.70710678118654752440))); }
  template <class T>
  SINTER_HD static T dx(T x) {
    const T density = T(0.39894228040143267794) * exp(T(-0.5) * x * x);
    return T(0.5) * (T(1) + erf(x * T(0.70710678118654752440))) + x * density;
  }
};

// 0.5 x (1 + tanh(u / 2)) with u = sqrt(8 / pi) (x + 0.044715 x^3): x times the logistic function of u.
struct GeluTanh {
  static constexpr const char* name = "gelu_tanh";
  static constexpr double k1 = 1.5957691216057307117, k3 = 0.044715 * k1;
  template <class T>
  SINTER_HD static T f(T x) { return x * gate(x, flat_square(x)); }
  template <class T>
  SINTER_HD static T dx(T x) {
    const T x2 = flat_square(x), s = gate(x, x2);
    return s + x * (s * (T(1) - s)) * (T(k1) + T(3 * k3) * x2);
  }

 private:  // value and slope in the same words, so that a compiler that sees both computes them once
  template <class T>
  SINTER_HD static T flat_square(T x) { return where(x * x > T(100), T(100), x * x); }  // saturated beyond, to the last bit
  template <class T>
  SINTER_HD static T gate(T x, T x2) { return inverse(T(1) + exp(x * (T(-k1) - T(k3) * x2))); }
};

}  // namespace op
}  // namespace SINTER_ABI
}  // namespace sinter
