// SPDX-License-Identifier: MIT
// LayerNorm and RMSNorm of rows of whole packs: blocks take row after row, with weights in registers. To read those between a
// reduction and the stores costs more time than the rows do.
#pragma once

#include "sinter/cuda/row_stream.cuh"

namespace sinter {
namespace cuda {

// With few packs a thread, weight and bias are in registers.
template <class T, int P>
__global__ void __launch_bounds__(1024) row_norm_stream(bool centered, int rows, int n, compute_t<T> eps, const T* x, const T* weight, const T* bias, T* y,
                                                        compute_t<T>* mean, compute_t<T>* rstd) {
  using A = compute_t<T>;
  constexpr int V = pack_elements<T>, Kept = P <= 2 ? P : 1;
  const PackedRow<T, V> row(x, n);
  const int rank = int(threadIdx.x), width = int(blockDim.x), packs = n / V;
  const RowPack<T, V> pad = pack_of<T, V>(A(0));
  RowPack<T, V> next[P], gain[Kept], shift[Kept];
  load_share(next, x + std::int64_t(blockIdx.x) * n, packs, pad);
  A held = 0;  // elements of this warp, and of the warp that this lane sees in exchanges
#pragma unroll
  for (int k = 0; k < P; ++k) {
    const int j = rank + k * width;
    if (j < packs) held += V;
    if constexpr (Kept == P) {
      A a[V];
      row.parameter(weight, j, A(1), a), gain[k] = RowPack<T, V>::of(a);
      row.parameter(bias, j, A(0), a), shift[k] = RowPack<T, V>::of(a);
    }
  }
  WarpExchange exchange;
  held = lanes_reduce(held, 32, Plus{});
  A seen[1] = {held};
  exchange(seen, A(0));
  const A share = held > 0 ? A(1) / held : A(0);
  const std::int64_t step = std::int64_t(gridDim.x) * n;
  x += (blockIdx.x + std::int64_t(gridDim.x)) * n, y += std::int64_t(blockIdx.x) * n;
  for (int r = int(blockIdx.x); r < rows; r += int(gridDim.x), x += step, y += step) {
    A s[2] = {0, 0}, m = 0;
    RowPack<T, V> in[P];
#pragma unroll
    for (int k = 0; k < P; ++k) in[k] = next[k];
    if (r < rows - int(gridDim.x)) load_share(next, x, packs, pad);
    if (centered) {
#pragma unroll
      for (int k = 0; k < P; ++k) {
        A v[V];
        in[k].get(v);
#pragma unroll
        for (int i = 0; i < V; ++i) s[0] += v[i];
      }
      s[0] = lanes_reduce(s[0], 32, Plus{}) * share;
    }
    // A warp's mean and its squares about that: then one exchange is enough, https://doi.org/10.1080/00031305.1983.10483115
#pragma unroll
    for (int k = 0; k < P; ++k)
      if (rank + k * width < packs) {
        A v[V];
        unpack_again(in[k]), in[k].get(v);
#pragma unroll
        for (int i = 0; i < V; ++i) s[1] += (v[i] - s[0]) * (v[i] - s[0]);
      }
    s[1] = lanes_reduce(s[1], 32, Plus{});
    exchange(s, A(0));
    if (centered) {
      m = lanes_reduce(s[0] * seen[0], 32, Plus{}) / A(n);
      s[1] += seen[0] * (s[0] - m) * (s[0] - m);
    }
    const A scale = A(1) / row_sqrt(lanes_reduce(s[1], 32, Plus{}) / A(n) + eps);
#pragma unroll
    for (int k = 0; k < P; ++k)
      if (const int j = rank + k * width; j < packs) {
        A v[V], w[V], b[V];
        unpack_again(in[k]), in[k].get(v);
        if constexpr (Kept == P) unpack_again(gain[k]), unpack_again(shift[k]), gain[k].get(w), shift[k].get(b);
        else row.parameter(weight, j, A(1), w), row.parameter(bias, j, A(0), b);
#pragma unroll
        for (int i = 0; i < V; ++i) v[i] = (v[i] - m) * scale * w[i] + b[i];
        reinterpret_cast<RowPack<T, V>*>(y)[j] = RowPack<T, V>::of(v);
      }
    if (rank != 0) continue;
    if (centered) mean[r] = m;
    rstd[r] = scale;
  }
}

// dx = (g - mean(g) - xhat * mean(g * xhat)) * rstd, where g = dy * weight; mean(g) is not there where not centered. The next
// row's x and dy are on their way to shared memory, where each thread has places of its own (2, P, threads), while a row is
// computed. part, where wanted, gets the block's sums for dweight and dbias: (2, blocks, n).
template <class T, int P>
__global__ void __launch_bounds__(512) row_norm_backward_stream(bool centered, std::int64_t rows, int n, const T* x, const T* weight, const compute_t<T>* mean,
                                                                const compute_t<T>* rstd, const T* dy, T* dx, compute_t<T>* part) {
  using A = compute_t<T>;
  constexpr int V = pack_elements<T>, U = 16 / int(sizeof(A));
  using Pack = RowPack<T, V>;
  const PackedRow<T, V> row(x, n);
  const int rank = int(threadIdx.x), width = int(blockDim.x), packs = n / V;
  SINTER_DYNAMIC_SHARED(Pack, ahead);
  const auto fetch = [&](std::int64_t r) {
#pragma unroll
    for (int k = 0; k < P; ++k)
      if (const int j = rank + k * width; j < packs) {
        fetch_pack(&ahead[j], reinterpret_cast<const Pack*>(x + r * n) + j);
        fetch_pack(&ahead[P * width + j], reinterpret_cast<const Pack*>(dy + r * n) + j);
      }
  };
  fetch(blockIdx.x);
  A next_mean = centered ? mean[blockIdx.x] : A(0), next_scale = rstd[blockIdx.x];
  A dw[P][V] = {}, db[P][V] = {};
  Pack gain[P];
#pragma unroll
  for (int k = 0; k < P; ++k) {
    A a[V];
    row.parameter(weight, rank + k * width, A(1), a), gain[k] = Pack::of(a);
  }
  WarpExchange exchange;
  for (std::int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    const A m = next_mean, scale = next_scale;
    Pack in[P], up[P];
    await_packs();
#pragma unroll
    for (int k = 0; k < P; ++k) {
      in[k] = up[k] = pack_of<T, V>(A(0));  // what is behind the row has no gradient
      if (const int j = rank + k * width; j < packs) in[k] = ahead[j], up[k] = ahead[P * width + j];
    }
    if (const std::int64_t later = r + gridDim.x; later < rows) {
      fetch(later);
      if (centered) next_mean = mean[later];
      next_scale = rstd[later];
    }
    A sums[2] = {0, 0};
#pragma unroll
    for (int k = 0; k < P; ++k) {
      A v[V], g[V], w[V];
      in[k].get(v), up[k].get(g), gain[k].get(w);
#pragma unroll
      for (int i = 0; i < V; ++i) {
        const A hat = (v[i] - m) * scale;
        dw[k][i] += g[i] * hat, db[k][i] += g[i];
        g[i] *= w[i];
        sums[0] += g[i] * hat, sums[1] += g[i];
      }
    }
    if (!dx) continue;
    sums[0] = lanes_reduce(sums[0], 32, Plus{}), sums[1] = lanes_reduce(sums[1], 32, Plus{});
    exchange(sums, A(0));
    const A slope = lanes_reduce(sums[0], 32, Plus{}) / A(n), mid = centered ? lanes_reduce(sums[1], 32, Plus{}) / A(n) : A(0);
#pragma unroll
    for (int k = 0; k < P; ++k) {
      const int j = rank + k * width;
      if (j >= packs) continue;
      A v[V], g[V], w[V];
      in[k].get(v), up[k].get(g), gain[k].get(w);
#pragma unroll
      for (int i = 0; i < V; ++i) g[i] = (g[i] * w[i] - mid - (v[i] - m) * scale * slope) * scale;
      reinterpret_cast<Pack*>(dx + r * n)[j] = Pack::of(g);
    }
  }
  if (!part) return;
  A *to_w = part + std::int64_t(blockIdx.x) * n, *to_b = to_w + std::int64_t(gridDim.x) * n;
#pragma unroll
  for (int k = 0; k < P; ++k)
    if (const int j = rank + k * width; j < packs)
#pragma unroll
      for (int i = 0; i < V; i += U) store_words(to_w + j * V + i, &dw[k][i]), store_words(to_b + j * V + i, &db[k][i]);
}

}  // namespace cuda
}  // namespace sinter
