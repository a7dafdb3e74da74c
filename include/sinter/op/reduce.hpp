// SPDX-License-Identifier: MIT
// Reducers: how two values become one, and what changes nothing. `gradient` of an input is stated per element in
// eval/adjoint.hpp, where the reduced value is at hand.
#pragma once

#include <limits>

#include "sinter/op/lane.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace op {

struct Sum {
  static constexpr const char* name = "sum";
  static constexpr bool needs_elements = false;  // an extent of zero gives the neutral element
  template <class T>
  SINTER_HD static T combine(T a, T b) { return a + b; }
  template <class T>
  SINTER_HD static T neutral() { return T(0); }
  template <class T, int N>
  SINTER_HOST static T horizontal(const Lanes<T, N>& v) { return sum(v); }
};

struct Prod {
  static constexpr const char* name = "prod";
  static constexpr bool needs_elements = false;
  template <class T>
  SINTER_HD static T combine(T a, T b) { return a * b; }
  template <class T>
  SINTER_HD static T neutral() { return T(1); }
  template <class T, int N>
  SINTER_HOST static T horizontal(const Lanes<T, N>& v) { return prod(v); }
};

// Greatest and least; a NaN wins over any number.
struct Amax {
  static constexpr const char* name = "amax";
  static constexpr bool needs_elements = true;
  template <class T>
  SINTER_HD static T combine(T a, T b) { return max(a, b); }
  template <class T>
  SINTER_HD static T neutral() {
    if constexpr (std::is_floating_point_v<T>) return -std::numeric_limits<T>::infinity();
    else return std::numeric_limits<T>::lowest();
  }
  template <class T, int N>
  SINTER_HOST static T horizontal(const Lanes<T, N>& v) { return max(v); }
};
struct Amin {
  static constexpr const char* name = "amin";
  static constexpr bool needs_elements = true;
  template <class T>
  SINTER_HD static T combine(T a, T b) { return min(a, b); }
  template <class T>
  SINTER_HD static T neutral() {
    if constexpr (std::is_floating_point_v<T>) return std::numeric_limits<T>::infinity();
    else return std::numeric_limits<T>::max();
  }
  template <class T, int N>
  SINTER_HOST static T horizontal(const Lanes<T, N>& v) { return min(v); }
};

// Of dtype bool; of nothing, true and false.
struct All : Amin {
  static constexpr const char* name = "all";
  static constexpr bool needs_elements = false;
};
struct Any : Amax {
  static constexpr const char* name = "any";
  static constexpr bool needs_elements = false;
};

}  // namespace op
}  // namespace SINTER_ABI
}  // namespace sinter
