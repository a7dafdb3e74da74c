// SPDX-License-Identifier: MIT
// The mathematics of pointwise losses that are no combination of other ops, or would lose precision as one.
#pragma once

#include "sinter/expr/map.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace op {

// Of the difference d: quadratic within beta of 0, linear outside. https://arxiv.org/abs/1504.08083
struct SmoothL1 {
  static constexpr const char* name = "smooth_l1_loss";
  double beta = 1;
  template <class T>
  SINTER_HD T f(T d) const {
    if (beta == 0) return abs(d);
    return where(abs(d) < T(beta), d * d * T(0.5 / beta), abs(d) - T(0.5 * beta));
  }
  template <class T>
  SINTER_HD T dx(T d) const {
    const T s = where(d > T(0), T(1), where(d < T(0), T(-1), T(0)));
    if (beta == 0) return s;
    return where(abs(d) < T(beta), d * T(1 / beta), s);
  }
};

// https://en.wikipedia.org/wiki/Huber_loss
struct Huber {
  static constexpr const char* name = "huber_loss";
  double delta = 1;
  template <class T>
  SINTER_HD T f(T d) const { return where(abs(d) <= T(delta), d * d * T(0.5), (abs(d) - T(0.5 * delta)) * T(delta)); }
  template <class T>
  SINTER_HD T dx(T d) const { return where(d > T(delta), T(delta), where(d < T(-delta), T(-delta), d)); }
};

// log(1 + exp(-x)) without overflow.
template <class T>
SINTER_HD T log1p_exp_minus(T x) { return where(x < T(0), -x, T(0)) + log1p(exp(-abs(x))); }
template <class T>
SINTER_HD T logistic(T x) {
  const T e = exp(-abs(x));
  return where(x < T(0), e, T(1)) / (T(1) + e);
}

// Of logits x and targets t.
struct BceWithLogits {
  static constexpr const char* name = "binary_cross_entropy_with_logits";
  template <class T>
  SINTER_HD static T f(T x, T t) { return (T(1) - t) * x + log1p_exp_minus(x); }
  template <class T>
  SINTER_HD static T da(T x, T t) { return logistic(x) - t; }
  template <class T, class U>
  SINTER_HD static T db(T x, const U&) { return -x; }
};
// The same with the positive class weighed p times.
struct BceWithLogitsWeighed {
  static constexpr const char* name = "binary_cross_entropy_with_logits";
  template <class T>
  SINTER_HD static T f(T x, T t, T p) { return (T(1) - t) * x + (T(1) + (p - T(1)) * t) * log1p_exp_minus(x); }
  template <class T>
  SINTER_HD static T da(T x, T t, T p) { return (T(1) - t) - (T(1) + (p - T(1)) * t) * logistic(-x); }
  template <class T>
  SINTER_HD static T db(T x, T, T p) { return (p - T(1)) * log1p_exp_minus(x) - x; }
  template <class T>
  SINTER_HD static T dc(T x, T t, T) { return t * log1p_exp_minus(x); }
};

// Of probabilities x and targets t; logarithms are no less than -100, and the slope is finite at 0 and 1, as in PyTorch.
struct Bce {
  static constexpr const char* name = "binary_cross_entropy";
  template <class T>
  SINTER_HD static T bounded(T log) { return where(log < T(-100), T(-100), log); }
  template <class T>
  SINTER_HD static T f(T x, T t) { return (t - T(1)) * bounded(log1p(-x)) - t * bounded(log(x)); }
  template <class T>
  SINTER_HD static T da(T x, T t) {
    const T v = x * (T(1) - x);
    return (x - t) / where(v < T(1e-12), T(1e-12), v);
  }
  template <class T, class U>
  SINTER_HD static T db(T x, const U&) { return bounded(log1p(-x)) - bounded(log(x)); }
};

// t log t, 0 at 0.
struct XLogX {
  static constexpr const char* name = "xlogy";
  template <class T>
  SINTER_HD static T f(T t) { return where(t == T(0), T(0), t * log(t)); }
  template <class T>
  SINTER_HD static T dx(T t) { return log(t) + T(1); }
};

// Stirling's approximation of log t! for t > 1, else 0.
struct Stirling {
  static constexpr const char* name = "stirling";
  template <class T>
  SINTER_HD static T f(T t) {
    const T s = where(t > T(1), t, T(1));
    return where(t > T(1), s * log(s) - s + T(0.5) * log(T(6.283185307179586477) * s), T(0));
  }
  template <class T>
  SINTER_HD static T dx(T t) {
    const T s = where(t > T(1), t, T(1));
    return where(t > T(1), log(s) + T(0.5) / s, T(0));
  }
};

}  // namespace op
}  // namespace SINTER_ABI
}  // namespace sinter
