// SPDX-License-Identifier: MIT
// Ops of three arguments: f(a, b, c) and the slopes da, db, dc as functions of all three. A selection picks between its
// last two by a condition, of which it takes a mask; its gradient is picked likewise, and no value is needed for it.
#pragma once

#include "sinter/op/lane.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace op {

struct Where {
  static constexpr const char* name = "where";
  static constexpr Domain domain = Domain::any;
  static constexpr bool selects = true;
  template <class C, class T>
  SINTER_HD static T f(C c, T x, T y) { return where(c, x, y); }
  template <class C, class T>
  SINTER_HD static T db(C c, T, T) { return where(c, T(1), T(0)); }
  template <class C, class T>
  SINTER_HD static T dc(C c, T, T) { return where(c, T(0), T(1)); }
};

// From start (weight 0) to end (weight 1), exact at both.
struct Lerp {
  static constexpr const char* name = "lerp";
  static constexpr bool selects = false;
  template <class T>
  SINTER_HD static T f(T start, T end, T weight) {
    const T d = end - start;
    return where(abs(weight) < T(0.5), start + weight * d, end - d * (T(1) - weight));
  }
  template <class T>
  SINTER_HD static T da(T, T, T weight) { return T(1) - weight; }
  template <class T>
  SINTER_HD static T db(T, T, T weight) { return weight; }
  template <class T>
  SINTER_HD static T dc(T start, T end, T) { return end - start; }
};

// x + value * t1 * t2
struct Addcmul {
  static constexpr const char* name = "addcmul";
  static constexpr Domain domain = Domain::any;
  static constexpr bool selects = false;
  double value = 1;
  template <class T>
  SINTER_HD T f(T x, T t1, T t2) const { return x + T(value) * t1 * t2; }
  template <class T>
  SINTER_HD T da(T, T, T) const { return T(1); }
  template <class T>
  SINTER_HD T db(T, T, T t2) const { return T(value) * t2; }
  template <class T>
  SINTER_HD T dc(T, T t1, T) const { return T(value) * t1; }
};

// x + value * t1 / t2
struct Addcdiv {
  static constexpr const char* name = "addcdiv";
  static constexpr bool selects = false;
  double value = 1;
  template <class T>
  SINTER_HD T f(T x, T t1, T t2) const { return x + T(value) * (t1 / t2); }
  template <class T>
  SINTER_HD T da(T, T, T) const { return T(1); }
  template <class T>
  SINTER_HD T db(T, T, T t2) const { return T(value) / t2; }
  template <class T>
  SINTER_HD T dc(T, T t1, T t2) const { return T(-value) * (t1 / t2) / t2; }
};

}  // namespace op
}  // namespace SINTER_ABI
}  // namespace sinter
