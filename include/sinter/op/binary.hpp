// SPDX-License-Identifier: MIT
// Ops of two arguments: f(a, b), and the slopes da and db as functions of both or, where constant, da<T>() and db<T>().
// An op without slopes is piecewise constant. Integers wrap; their division by zero gives 0 and never traps.
#pragma once

#include "sinter/op/lane_math.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace op {

// ---- Arithmetic. Among bools, add is "or" and mul is "and".

struct Add {
  static constexpr const char* name = "add";
  static constexpr Domain domain = Domain::any;
  static constexpr bool adds = true;
  template <class T>
  SINTER_HD static T f(T a, T b) {
    if constexpr (std::is_same_v<element_t<T>, bool>) return max(a, b);
    else return a + b;
  }
  template <class T>
  SINTER_HD static T da() { return T(1); }
  template <class T>
  SINTER_HD static T db() { return T(1); }
};

struct Sub {
  static constexpr const char* name = "sub";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T a, T b) {
    static_assert(!std::is_same_v<element_t<T>, bool>, "sinter: bools are not subtracted; use logical_xor()");
    return a - b;
  }
  template <class T>
  SINTER_HD static T da() { return T(1); }
  template <class T>
  SINTER_HD static T db() { return T(-1); }
};

struct Mul {
  static constexpr const char* name = "mul";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T a, T b) {
    if constexpr (std::is_same_v<element_t<T>, bool>) return min(a, b);
    else return a * b;
  }
  template <class U, class T>
  SINTER_HD static T da(const U&, T b) { return b; }
  template <class T, class U>
  SINTER_HD static T db(T a, const U&) { return a; }
};

struct Div {
  static constexpr const char* name = "div";
  template <class T>
  SINTER_HD static T f(T a, T b) { return a / b; }
  template <class U, class T>
  SINTER_HD static T da(const U&, T b) { return T(1) / b; }
  template <class T>
  SINTER_HD static T db(T a, T b) { return -(a / b) / b; }
};

// ---- Division with rounding, and its rests

// The quotient of integers towards zero.
template <class T>
SINTER_HD T int_quotient(T a, T b) {
  using E = element_t<T>;
  const auto zero = b == T(0);
  if constexpr (std::is_signed_v<E>) {
    const auto minus = b == T(E(-1));  // the least integer has no opposite: negate it without overflow
    const T q = a / where(zero | minus, T(1), b);
    T opposite;
    if constexpr (is_lanes<T>) opposite = -a;
    else opposite = T(0 - std::make_unsigned_t<T>(a));
    return where(zero, T(0), where(minus, opposite, q));
  } else {
    const T q = a / where(zero, T(1), b);
    return where(zero, T(0), q);
  }
}
template <class T>
SINTER_HD T int_rest(T a, T b) {
  using E = element_t<T>;
  auto none = b == T(0);
  if constexpr (std::is_signed_v<E>) none = none | (b == T(E(-1)));
  const T d = where(none, T(1), b);
  return a - a / d * d;
}
// Has the rest another sign than the divisor?
template <class T>
SINTER_HD auto wrong_side(T rest, T b) {
  if constexpr (is_lanes<T>) return (rest != T(0)) & ((rest < T(0)) ^ (b < T(0)));
  else return rest != T(0) && (rest < T(0)) != (b < T(0));
}

struct DivTrunc {
  static constexpr const char* name = "div_trunc";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T a, T b) {
    if constexpr (std::is_floating_point_v<element_t<T>>) return trunc(a / b);
    else return int_quotient(a, b);
  }
  template <class T>
  SINTER_HD static T da() { return T(0); }
  template <class T>
  SINTER_HD static T db() { return T(0); }
};

// Python's //: exact where a / b would round up to an integer.
struct DivFloor {
  static constexpr const char* name = "div_floor";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T a, T b) {
    if constexpr (std::is_floating_point_v<element_t<T>>) {
      const T rest = fmod(a, b), whole = (a - rest) / b;
      const T q = where(wrong_side(rest, b), whole - T(1), whole), down = floor(q);
      const T y = where(q - down > T(0.5), down + T(1), down);
      return where(b == T(0), a / b, where(q == T(0), copysign(T(0), a / b), y));
    } else {
      const T q = int_quotient(a, b);
      if constexpr (std::is_unsigned_v<element_t<T>>) return q;
      else return where(wrong_side(int_rest(a, b), b), T(q - T(1)), q);
    }
  }
  template <class T>
  SINTER_HD static T da() { return T(0); }
  template <class T>
  SINTER_HD static T db() { return T(0); }
};

// The rest with the dividend's sign.
struct Fmod {
  static constexpr const char* name = "fmod";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T a, T b) {
    if constexpr (std::is_floating_point_v<element_t<T>>) return fmod(a, b);
    else return int_rest(a, b);
  }
  template <class T>
  SINTER_HD static T da() { return T(1); }
  template <class T>
  SINTER_HD static T db(T a, T b) { return -DivTrunc::f(a, b); }
};

// The rest with the divisor's sign.
struct Remainder {
  static constexpr const char* name = "remainder";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T a, T b) {
    const T rest = Fmod::f(a, b);
    if constexpr (std::is_unsigned_v<element_t<T>>) return rest;
    else return where(wrong_side(rest, b), T(rest + b), rest);
  }
  template <class T>
  SINTER_HD static T da() { return T(1); }
  template <class T>
  SINTER_HD static T db(T a, T b) { return -DivFloor::f(a, b); }
};

// ---- Powers and angles

struct Pow {
  static constexpr const char* name = "pow";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T a, T b) {
    if constexpr (std::is_floating_point_v<element_t<T>>) return pow(a, b);
    else return int_pow(a, b);
  }
  template <class T>
  SINTER_HD static T da(T a, T b) { return where(b == T(0), T(0), b * pow(a, b - T(1))); }
  template <class T>
  SINTER_HD static T db(T a, T b) { return where((a == T(0)) & (b >= T(0)), T(0), pow(a, b) * log(a)); }

 private:
  // By repeated squaring, a bit of the exponent at a time; a negative exponent gives what is left of 1 / a^-b: 1, -1 or 0.
  template <class T>
  SINTER_HD static T int_pow(T a, T b) {
    if constexpr (is_lanes<T>) {
      return each_lane(a, b, [](auto x, auto y) { return int_pow(x, y); });
    } else {
      using U = std::make_unsigned_t<std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>>;
      if (b < T(0)) return a == T(1) ? T(1) : a == T(-1) ? (b % 2 ? T(-1) : T(1)) : T(0);
      U x = U(a), y = 1;
      for (U n = U(b); n; n = U(n >> 1)) {
        if (n & 1) y = U(y * x);
        x = U(x * x);
      }
      return T(y);
    }
  }
};

// The angle of the point (b, a). Slopes are b / (a^2 + b^2) and -a / (a^2 + b^2), without squaring huge or tiny numbers.
struct Atan2 {
  static constexpr const char* name = "atan2";
  template <class T>
  SINTER_HD static T f(T a, T b) { return atan2(a, b); }
  template <class T>
  SINTER_HD static T da(T a, T b) {
    const auto steep = abs(a) >= abs(b);
    const T big = where(steep, a, b), q = where(steep, b, a) / big, s = T(1) / big / (T(1) + q * q);
    return where(steep, q * s, s);
  }
  template <class T>
  SINTER_HD static T db(T a, T b) { return -da(b, a); }
};

// ---- The greater and the smaller. A NaN wins; equals share the gradient.

struct Maximum {
  static constexpr const char* name = "maximum";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T a, T b) { return max(a, b); }
  template <class T>
  SINTER_HD static T da(T a, T b) { return where(a == b, T(0.5), where(a < b, T(0), T(1))); }
  template <class T>
  SINTER_HD static T db(T a, T b) { return da(b, a); }
};
struct Minimum {
  static constexpr const char* name = "minimum";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static T f(T a, T b) { return min(a, b); }
  template <class T>
  SINTER_HD static T da(T a, T b) { return where(a == b, T(0.5), where(a > b, T(0), T(1))); }
  template <class T>
  SINTER_HD static T db(T a, T b) { return da(b, a); }
};

// ---- Comparisons and logic: the result is bool

struct Eq {
  static constexpr const char* name = "eq";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static auto f(T a, T b) { return a == b; }
};
struct Ne {
  static constexpr const char* name = "ne";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static auto f(T a, T b) { return a != b; }
};
struct Lt {
  static constexpr const char* name = "lt";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static auto f(T a, T b) { return a < b; }
};
struct Le {
  static constexpr const char* name = "le";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static auto f(T a, T b) { return a <= b; }
};
struct Gt {
  static constexpr const char* name = "gt";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static auto f(T a, T b) { return a > b; }
};
struct Ge {
  static constexpr const char* name = "ge";
  static constexpr Domain domain = Domain::any;
  template <class T>
  SINTER_HD static auto f(T a, T b) { return a >= b; }
};

struct LogicalAnd {
  static constexpr const char* name = "logical_and";
  static constexpr Domain domain = Domain::boolean;
  template <class T>
  SINTER_HD static T f(T a, T b) { return min(a, b); }
};
struct LogicalOr {
  static constexpr const char* name = "logical_or";
  static constexpr Domain domain = Domain::boolean;
  template <class T>
  SINTER_HD static T f(T a, T b) { return max(a, b); }
};
struct LogicalXor {
  static constexpr const char* name = "logical_xor";
  static constexpr Domain domain = Domain::boolean;
  template <class T>
  SINTER_HD static auto f(T a, T b) { return a != b; }
};

}  // namespace op
}  // namespace SINTER_ABI
}  // namespace sinter
