// SPDX-License-Identifier: MIT
// Lane blocks as nvcc sees them while it makes code for the device, where they never run: declarations alone, so that the
// host code around the kernels still parses (bodies only where a friend needs one). Vectors themselves would be refused wherever a function is for both.
#pragma once

#include "sinter/op/lane_base.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace lane {  // never op: see lane.hpp

template <class T, int N>
struct alignas(N * sizeof(T)) Vector {
  T word[N];
  Vector() = default;
  Vector(T);
  T& operator[](int);
  T operator[](int) const;
  Vector& operator+=(Vector);
  friend Vector operator+(Vector, Vector) { return {}; }
  friend Vector operator-(Vector, Vector) { return {}; }
  friend Vector operator*(Vector, Vector) { return {}; }
  friend Vector operator/(Vector, Vector) { return {}; }
  friend Vector operator&(Vector, Vector) { return {}; }
  friend Vector operator|(Vector, Vector) { return {}; }
  friend Vector operator~(Vector) { return {}; }
};

template <int Bytes, int N>
struct Mask {
  using Int = typename IntOf<Bytes>::type;
  using V = Vector<Int, N>;
  V v;
  friend Mask operator&(Mask, Mask) { return {}; }
  friend Mask operator|(Mask, Mask) { return {}; }
  friend Mask operator^(Mask, Mask) { return {}; }
  friend Mask operator!(Mask) { return {}; }
};

template <class T, int N>
struct Lanes {
  using element = T;
  static constexpr int size = N;
  using Word = std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>;
  using V = Vector<Word, N>;
  using Cmp = Mask<int(sizeof(Word)), N>;
  V v;
  Lanes() = default;
  Lanes(V);
  Lanes(T);
  static Lanes load(const T*);
  void store(T*) const;
  T operator[](int) const;
  friend Lanes operator+(Lanes, Lanes) { return {}; }
  friend Lanes operator-(Lanes, Lanes) { return {}; }
  friend Lanes operator*(Lanes, Lanes) { return {}; }
  friend Lanes operator/(Lanes, Lanes) { return {}; }
  friend Lanes operator-(Lanes) { return {}; }
  friend Cmp operator==(Lanes, Lanes) { return {}; }
  friend Cmp operator!=(Lanes, Lanes) { return {}; }
  friend Cmp operator<(Lanes, Lanes) { return {}; }
  friend Cmp operator<=(Lanes, Lanes) { return {}; }
  friend Cmp operator>(Lanes, Lanes) { return {}; }
  friend Cmp operator>=(Lanes, Lanes) { return {}; }
};

template <int B, int N>
Lanes<bool, N> plain(Mask<B, N>);
template <int B, int N>
Mask<B, N> mask(Lanes<bool, N>);
template <int B, int A, int N>
Mask<B, N> mask(Mask<A, N>);
template <int B, class T, int N>
Lanes<T, N> where(Mask<B, N>, Lanes<T, N>, Lanes<T, N>);
template <class T, int N>
Lanes<T, N> where(Lanes<bool, N>, Lanes<T, N>, Lanes<T, N>);
template <class To, class T, int N>
Lanes<To, N> convert(Lanes<T, N>);
template <class To, int B, int N>
Lanes<To, N> convert(Mask<B, N>);
template <class T, int N>
T sum(Lanes<T, N>);
template <class T, int N>
T prod(Lanes<T, N>);
template <class T, int N>
T max(Lanes<T, N>);
template <class T, int N>
T min(Lanes<T, N>);
template <int N, class T>
Lanes<compute_t<T>, N> load_lanes(const T*);
template <class T, int N>
void store_lanes(T*, Lanes<compute_t<T>, N>);
template <class T, int N, class F>
Lanes<T, N> each_lane(Lanes<T, N>, Lanes<T, N>, F);
template <int B, int N>
bool any(Mask<B, N>);
template <class T, int N>
Vector<T, N> at_least(Vector<T, N>, Vector<T, N>);

// The functions of analysis.
template <class T, int N>
Lanes<T, N> exp(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> expm1(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> log(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> log1p(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> log2(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> pow(Lanes<T, N>, Lanes<T, N>);
template <class T, int N>
Lanes<T, N> sqrt(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> rsqrt(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> sin(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> cos(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> tan(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> asin(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> acos(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> atan(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> atan2(Lanes<T, N>, Lanes<T, N>);
template <class T, int N>
Lanes<T, N> sinh(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> cosh(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> tanh(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> erf(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> erfc(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> floor(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> ceil(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> rint(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> trunc(Lanes<T, N>);
template <class T, int N>
Lanes<T, N> fmod(Lanes<T, N>, Lanes<T, N>);

}  // namespace lane
}  // namespace SINTER_ABI
}  // namespace sinter
