// SPDX-License-Identifier: MIT
// Ops of one argument: f(x), and its slope either in the input, dx(x), in the output, dy(y), or as a constant, dx<T>().
// An op without a slope is piecewise constant. Values and subgradients are PyTorch's. Activations are in activation.hpp.
#pragma once

#include <limits>

#include "sinter/op/cast.hpp"
#include "sinter/op/lane_math.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace op {

// ---- Numbers of any dtype

struct Neg {
  static constexpr const char* name = "neg";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T x) {
    static_assert(!std::is_same_v<element_t<T>, bool>, "sinter: a bool has no negative; use logical_not()");
    return -x;
  }
  template <class T>
  SINTER_HD static T dx() { return T(-1); }
};

struct Sign {
  static constexpr const char* name = "sign";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T x) {
    const T positive = where(x > T(0), T(1), T(0));
    if constexpr (std::is_unsigned_v<element_t<T>>) return positive;
    else return where(x < T(0), T(-1), positive);
  }
  template <class T>
  SINTER_HD static T dx() { return T(0); }
};

struct Abs {
  static constexpr const char* name = "abs";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T x) { return abs(x); }
  template <class T>
  SINTER_HD static T dx(T x) { return Sign::f(x); }
};

struct Square {
  static constexpr const char* name = "square";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T x) {
    if constexpr (std::is_same_v<element_t<T>, bool>) return x;
    else return x * x;
  }
  template <class T>
  SINTER_HD static T dx(T x) { return x + x; }
};

// Integers are round already. The slope is 0 as in PyTorch, so that a result still requires a gradient.
struct Floor {
  static constexpr const char* name = "floor";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T x) {
    if constexpr (std::is_floating_point_v<element_t<T>>) return floor(x);
    else return x;
  }
  template <class T>
  SINTER_HD static T dx() { return T(0); }
};
struct Ceil {
  static constexpr const char* name = "ceil";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T x) {
    if constexpr (std::is_floating_point_v<element_t<T>>) return ceil(x);
    else return x;
  }
  template <class T>
  SINTER_HD static T dx() { return T(0); }
};
struct Trunc {
  static constexpr const char* name = "trunc";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T x) {
    if constexpr (std::is_floating_point_v<element_t<T>>) return trunc(x);
    else return x;
  }
  template <class T>
  SINTER_HD static T dx() { return T(0); }
};
// Halves go to the even neighbour.
struct Round {
  static constexpr const char* name = "round";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T x) {
    if constexpr (std::is_floating_point_v<element_t<T>>) return rint(x);
    else return x;
  }
  template <class T>
  SINTER_HD static T dx() { return T(0); }
};

// ---- Questions, answered in bool

struct IsNan {
  static constexpr const char* name = "isnan";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static auto f(T x) { return isnan(x); }
};
struct IsInf {
  static constexpr const char* name = "isinf";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static auto f(T x) { return isinf(x); }
};
struct IsFinite {
  static constexpr const char* name = "isfinite";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static auto f(T x) { return isfinite(x); }
};
struct LogicalNot {
  static constexpr const char* name = "logical_not";
  static constexpr Domain domain = Domain::boolean;
  template <class T>
  SINTER_HD static auto f(T x) { return x == T(false); }
};

// ---- Exponentials and logarithms

struct Exp {
  static constexpr const char* name = "exp";
  template <class T>
  SINTER_HD static T f(T x) { return exp(x); }
  template <class T>
  SINTER_HD static T dy(T y) { return y; }
};
struct Expm1 {
  static constexpr const char* name = "expm1";
  template <class T>
  SINTER_HD static T f(T x) { return expm1(x); }
  template <class T>
  SINTER_HD static T dy(T y) { return y + T(1); }
};
struct Log {
  static constexpr const char* name = "log";
  template <class T>
  SINTER_HD static T f(T x) { return log(x); }
  template <class T>
  SINTER_HD static T dx(T x) { return T(1) / x; }
};
struct Log1p {
  static constexpr const char* name = "log1p";
  template <class T>
  SINTER_HD static T f(T x) { return log1p(x); }
  template <class T>
  SINTER_HD static T dx(T x) { return T(1) / (x + T(1)); }
};
struct Log2 {
  static constexpr const char* name = "log2";
  template <class T>
  SINTER_HD static T f(T x) { return log2(x); }
  template <class T>
  SINTER_HD static T dx(T x) { return T(1.4426950408889634074) / x; }
};

// ---- Roots and the reciprocal

struct Sqrt {
  static constexpr const char* name = "sqrt";
  template <class T>
  SINTER_HD static T f(T x) { return sqrt(x); }
  template <class T>
  SINTER_HD static T dy(T y) { return T(0.5) / y; }
};
struct Rsqrt {
  static constexpr const char* name = "rsqrt";
  template <class T>
  SINTER_HD static T f(T x) { return rsqrt(x); }
  template <class T>
  SINTER_HD static T dy(T y) { return T(-0.5) * y * y * y; }
};
struct Reciprocal {
  static constexpr const char* name = "reciprocal";
  template <class T>
  SINTER_HD static T f(T x) { return T(1) / x; }
  template <class T>
  SINTER_HD static T dy(T y) { return -y * y; }
};

// ---- Trigonometry

struct Sin {
  static constexpr const char* name = "sin";
  template <class T>
  SINTER_HD static T f(T x) { return sin(x); }
  template <class T>
  SINTER_HD static T dx(T x) { return cos(x); }
};
struct Cos {
  static constexpr const char* name = "cos";
  template <class T>
  SINTER_HD static T f(T x) { return cos(x); }
  template <class T>
  SINTER_HD static T dx(T x) { return -sin(x); }
};
struct Tan {
  static constexpr const char* name = "tan";
  template <class T>
  SINTER_HD static T f(T x) { return tan(x); }
  template <class T>
  SINTER_HD static T dy(T y) { return T(1) + y * y; }
};
struct Asin {
  static constexpr const char* name = "asin";
  template <class T>
  SINTER_HD static T f(T x) { return asin(x); }
  template <class T>
  SINTER_HD static T dx(T x) { return rsqrt((T(1) - x) * (T(1) + x)); }
};
struct Acos {
  static constexpr const char* name = "acos";
  template <class T>
  SINTER_HD static T f(T x) { return acos(x); }
  template <class T>
  SINTER_HD static T dx(T x) { return -rsqrt((T(1) - x) * (T(1) + x)); }
};
struct Atan {
  static constexpr const char* name = "atan";
  template <class T>
  SINTER_HD static T f(T x) { return atan(x); }
  template <class T>
  SINTER_HD static T dx(T x) { return T(1) / (T(1) + x * x); }
};

// ---- Hyperbolic functions and the error function

struct Sinh {
  static constexpr const char* name = "sinh";
  template <class T>
  SINTER_HD static T f(T x) { return sinh(x); }
  template <class T>
  SINTER_HD static T dx(T x) { return cosh(x); }
};
struct Cosh {
  static constexpr const char* name = "cosh";
  template <class T>
  SINTER_HD static T f(T x) { return cosh(x); }
  template <class T>
  SINTER_HD static T dx(T x) { return sinh(x); }
};
struct Tanh {
  static constexpr const char* name = "tanh";
  template <class T>
  SINTER_HD static T f(T x) { return tanh(x); }
  template <class T>
  SINTER_HD static T dy(T y) { return T(1) - y * y; }
};
struct Erf {
  static constexpr const char* name = "erf";
  template <class T>
  SINTER_HD static T f(T x) { return erf(x); }
  template <class T>
  SINTER_HD static T dx(T x) { return T(1.1283791670955125739) * exp(-x * x); }
};
struct Erfc {
  static constexpr const char* name = "erfc";
  template <class T>
  SINTER_HD static T f(T x) { return erfc(x); }
  template <class T>
  SINTER_HD static T dx(T x) { return T(-1.1283791670955125739) * exp(-x * x); }
};

}  // namespace op
}  // namespace SINTER_ABI
}  // namespace sinter
