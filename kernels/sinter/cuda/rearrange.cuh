// SPDX-License-Identifier: MIT
// flip, roll, repeat, repeat_interleave and pad by the rules of device/index.hpp, and back.
#pragma once

#include "sinter/cuda/stride.cuh"
#include "sinter/device/index.hpp"

namespace sinter {
namespace cuda {

// Element i of the side with extents `size`, read where the rules say.
template <class I>
struct Rearrangement {
  int rank;
  IndexRule rule[max_rank];
  Divisor<I> size[max_rank];
  std::int64_t stride[max_rank];  // of the other side
  I n;
};
template <class I>
Rearrangement<I> rearrangement_of(const RearrangeArgs& a, bool back) {
  Rearrangement<I> r;
  r.rank = a.rank;
  std::int64_t n = 1, other = 1;
  for (int d = a.rank - 1; d >= 0; --d) {
    const IndexRule& rule = r.rule[d] = a.rule[d];
    r.size[d] = Divisor<I>(back ? rule.n : rule.size);
    r.stride[d] = other;
    n *= back ? rule.n : rule.size;
    other *= back ? rule.size : rule.n;
  }
  r.n = I(n);
  return r;
}
inline std::int64_t elements_of(const RearrangeArgs& a, bool back) {
  std::int64_t n = 1;
  for (int d = 0; d < a.rank; ++d) n *= back ? a.rule[d].n : a.rule[d].size;
  return n;
}

template <class W, class I>
__global__ void __launch_bounds__(block_threads) rearrange_kernel(W* out, const W* x, W fill, Rearrangement<I> r) {
  for (I i = I(blockIdx.x) * I(block_threads) + I(threadIdx.x); i < r.n; i += I(gridDim.x) * I(block_threads)) {
    I rest = i;
    std::int64_t at = 0;
    bool inside = true;
    for (int d = r.rank - 1; d >= 0; --d) {
      const I q = d > 0 ? r.size[d].quotient(rest) : 0;
      const std::int64_t j = r.rule[d].source(std::int64_t(rest - q * r.size[d].d));
      inside = inside && j >= 0;
      at += j * r.stride[d];
      rest = q;
    }
    out[i] = inside ? x[at] : fill;
  }
}
inline void launch_rearrange(const RearrangeArgs& a, void* out, const void* x) {
  const std::int64_t n = elements_of(a, false);
  if (n == 0) return;
  for_word(size_of(a.dtype), [&](auto word) {
    using W = decltype(word);
    if constexpr (sizeof(W) <= 8) for_count(n, [&](auto i) {
      using I = decltype(i);
      const auto kernel = rearrange_kernel<W, I>;
      SINTER_LAUNCH(a.op, kernel, blocks_for(n), block_threads, 0, static_cast<W*>(out), static_cast<const W*>(x), W(a.fill), rearrangement_of<I>(a, false));
    });
  });
}
inline const bool rearrange_registered = rearrange_on_device.set(launch_rearrange);

// The preimages of an element are a box of the result: their product over the dimensions, walked in row-major order.
template <class T, class I>
__global__ void __launch_bounds__(block_threads) rearrange_back_kernel(T* dx, const T* grad, Rearrangement<I> r) {
  for (I i = I(blockIdx.x) * I(block_threads) + I(threadIdx.x); i < r.n; i += I(gridDim.x) * I(block_threads)) {
    std::int64_t j[max_rank], count[max_rank], k[max_rank], total = 1;
    I rest = i;
    for (int d = r.rank - 1; d >= 0; --d) {
      const I q = d > 0 ? r.size[d].quotient(rest) : 0;
      j[d] = std::int64_t(rest - q * r.size[d].d);
      count[d] = r.rule[d].preimages(j[d]);
      k[d] = 0;
      total *= count[d];
      rest = q;
    }
    total_t<T> sum = 0;
    for (std::int64_t m = 0; m < total; ++m) {
      std::int64_t at = 0;
      for (int d = 0; d < r.rank; ++d) at += r.rule[d].preimage(j[d], k[d]) * r.stride[d];
      sum += total_t<T>(grad[at]);
      for (int d = r.rank - 1; d >= 0; --d) {
        if (++k[d] < count[d]) break;
        k[d] = 0;
      }
    }
    dx[i] = T(sum);
  }
}
inline void launch_rearrange_back(const RearrangeArgs& a, void* dx, const void* grad) {
  const std::int64_t n = elements_of(a, true);
  if (n == 0) return;
  for_floating(a.op, a.dtype, [&](auto t) {
    using T = decltype(t);
    for_count(n, [&](auto i) {
      using I = decltype(i);
      const auto kernel = rearrange_back_kernel<T, I>;
      SINTER_LAUNCH(a.op, kernel, blocks_for(n), block_threads, 0, static_cast<T*>(dx), static_cast<const T*>(grad), rearrangement_of<I>(a, true));
    });
  });
}
inline const bool rearrange_back_registered = rearrange_back_on_device.set(launch_rearrange_back);

}  // namespace cuda
}  // namespace sinter
