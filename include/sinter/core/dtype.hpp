// SPDX-License-Identifier: MIT
// Element types: the C++ type of each dtype, its PyTorch name, and the rules by which two of them meet.
#pragma once

#include <cstdint>
#include <cstring>
#include <ostream>
#include <type_traits>

#include "sinter/core/config.hpp"

namespace sinter {

// Brain float: the upper half of a float. Storage only; arithmetic happens in float. Rounds to nearest even.
struct bfloat16 {
  std::uint16_t bits = 0;
  bfloat16() = default;
  SINTER_HOST_DEVICE bfloat16(float x) {
    std::uint32_t u;
    std::memcpy(&u, &x, 4);
    bits = (u & 0x7fffffffu) > 0x7f800000u ? std::uint16_t((u >> 16) | 64u)
                                           : std::uint16_t((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
  SINTER_HOST_DEVICE operator float() const {
    std::uint32_t u = std::uint32_t(bits) << 16;
    float x;
    std::memcpy(&x, &u, 4);
    return x;
  }
};

// IEEE 754 binary16. Storage only; arithmetic happens in float. Rounds to nearest even.
struct half {
  std::uint16_t bits = 0;
  half() = default;
  SINTER_HOST_DEVICE half(float x) {
    std::uint32_t u;
    std::memcpy(&u, &x, 4);
    const std::uint32_t sign = (u >> 16) & 0x8000u;
    u &= 0x7fffffffu;
    if (u > 0x7f800000u) {
      bits = std::uint16_t(sign | 0x7e00u);
    } else if (u >= 0x477ff000u) {  // rounds to 2^16 or more
      bits = std::uint16_t(sign | 0x7c00u);
    } else if (u < 0x38800000u) {  // subnormal: let one float addition do the rounding
      float magic = 0.5f, y;
      std::memcpy(&y, &u, 4);
      y += magic;
      std::uint32_t v, m;
      std::memcpy(&v, &y, 4);
      std::memcpy(&m, &magic, 4);
      bits = std::uint16_t(sign | (v - m));
    } else {
      u += 0xc8000fffu + ((u >> 13) & 1u);
      bits = std::uint16_t(sign | (u >> 13));
    }
  }
  SINTER_HOST_DEVICE operator float() const {
    const std::uint32_t sign = std::uint32_t(bits & 0x8000u) << 16;
    const std::uint32_t rest = bits & 0x7fffu;
    std::uint32_t u;
    if (rest >= 0x7c00u) {
      u = sign | 0x7f800000u | ((rest & 0x3ffu) << 13);
    } else if (rest >= 0x400u) {
      u = sign | ((rest << 13) + 0x38000000u);
    } else {  // subnormal: a multiple of 2^-24
      float y = float(rest) * 5.9604644775390625e-8f;
      std::memcpy(&u, &y, 4);
      u |= sign;
    }
    float x;
    std::memcpy(&x, &u, 4);
    return x;
  }
};

enum class DType : std::uint8_t { boolean, uint8, int32, int64, float16, bfloat16, float32, float64 };

template <class T>
inline constexpr bool is_reduced_float = std::is_same_v<T, bfloat16> || std::is_same_v<T, half>;
template <class T>
inline constexpr bool is_floating = std::is_floating_point_v<T> || is_reduced_float<T>;
template <class T>
inline constexpr bool is_dtype =
    std::is_same_v<T, bool> || std::is_same_v<T, std::uint8_t> || std::is_same_v<T, std::int32_t> ||
    std::is_same_v<T, std::int64_t> || std::is_same_v<T, float> || std::is_same_v<T, double> || is_reduced_float<T>;

// The type in which values of dtype T are computed.
template <class T>
using compute_t = std::conditional_t<is_reduced_float<T>, float, T>;

template <class T>
constexpr DType dtype_of() {
  static_assert(is_dtype<T>, "sinter: a tensor's element type is one of float, double, bfloat16, half, int64_t, int32_t, "
                             "uint8_t, bool");
  if constexpr (std::is_same_v<T, bool>) return DType::boolean;
  else if constexpr (std::is_same_v<T, std::uint8_t>) return DType::uint8;
  else if constexpr (std::is_same_v<T, std::int32_t>) return DType::int32;
  else if constexpr (std::is_same_v<T, std::int64_t>) return DType::int64;
  else if constexpr (std::is_same_v<T, half>) return DType::float16;
  else if constexpr (std::is_same_v<T, bfloat16>) return DType::bfloat16;
  else if constexpr (std::is_same_v<T, float>) return DType::float32;
  else return DType::float64;
}

constexpr int size_of(DType t) {
  constexpr int bytes[] = {1, 1, 4, 8, 2, 2, 4, 8};
  return bytes[int(t)];
}

// PyTorch's name without the "torch." in front.
constexpr const char* name_of(DType t) {
  constexpr const char* names[] = {"bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32", "float64"};
  return names[int(t)];
}
inline std::ostream& operator<<(std::ostream& os, DType t) { return os << name_of(t); }

// PyTorch's promotion among tensors: the higher category wins (bool < integer < floating), then the wider type;
// half meets bfloat16 in float. https://pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
template <class A, class B>
constexpr auto promote_types() {
  if constexpr (std::is_same_v<A, B>) return A{};
  else if constexpr (is_reduced_float<A> && is_reduced_float<B>) return float{};
  else if constexpr (int(dtype_of<A>()) > int(dtype_of<B>())) return A{};
  else return B{};
}
template <class A, class B>
using promote_t = decltype(promote_types<A, B>());

}  // namespace sinter
