// SPDX-License-Identifier: MIT
// Which problems of attention the kernels for tensor cores can take, and which of those kernels a problem gets.
#pragma once

#include "sinter/cuda/attention_parts.cuh"

namespace sinter {
namespace cuda {

inline constexpr float log2_e = 1.4426950408889634f, ln_2 = 0.6931471805599453f;

// Rows of whole 16-byte words, where rows are more than one.
inline bool fits_tensor_cores(const DeviceHeads& x, std::int64_t width) {
  if (!x.data) return true;
  const auto whole = [](std::int64_t n) { return n % 8 == 0; };
  return x.step[3] == 1 && whole(width) && width <= 128 && width > 0 && whole(x.step[0]) && whole(x.step[1]) && whole(x.step[2]) &&
         reinterpret_cast<std::uintptr_t>(x.data) % 16 == 0;
}
inline bool fits_tensor_cores(const AttentionArgs& a) {
  return (a.dtype == DType::bfloat16 || a.dtype == DType::float16) && a.scale > 0 && fits_tensor_cores(a.q, a.width) && fits_tensor_cores(a.k, a.width) &&
         fits_tensor_cores(a.v, a.value_width) && fits_tensor_cores(a.out, a.value_width);
}
inline bool is_masked(const AttentionArgs& a) { return a.allowed.data || a.bias.data || a.dropout > 0; }

// f(T(), whole<D>) for the dtype and the padded width.
template <int D>
using HeadWidth = std::integral_constant<int, D>;
template <class F>
void for_flash_kernel(const AttentionArgs& a, F f) {
  const bool narrow = a.width <= 64 && a.value_width <= 64;
  if (a.dtype == DType::bfloat16) narrow ? f(bfloat16(), HeadWidth<64>()) : f(bfloat16(), HeadWidth<128>());
  else narrow ? f(half(), HeadWidth<64>()) : f(half(), HeadWidth<128>());
}

}  // namespace cuda
}  // namespace sinter
