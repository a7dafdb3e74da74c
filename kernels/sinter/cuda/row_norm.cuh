// SPDX-License-Identifier: MIT
// LayerNorm and RMSNorm of rows. A row that fits the registers of its threads is read once and written once, forward and
// backward: a team of the backward keeps its rows' sums for dweight and dbias in registers too, and a second kernel adds the
// blocks' parts. Other rows are read again from the cache.
#pragma once

#include "sinter/cuda/row_norm_stream.cuh"
#include "sinter/device/norm.hpp"

namespace sinter {
namespace cuda {

template <class T, int Packs, bool Block>
__global__ void __launch_bounds__(Block ? 512 : 128) row_norm_in_registers(bool centered, std::int64_t rows, int n, int lanes, compute_t<T> eps, const T* x, const T* weight,
                                                                         const T* bias, T* y, compute_t<T>* mean, compute_t<T>* rstd) {
  using A = compute_t<T>;
  constexpr int V = pack_elements<T>;
  const Team<Block> team(lanes);
  const std::int64_t r = team.row();
  const bool live = r < rows;
  const std::int64_t begin = live ? r * n : 0;
  const PackedRow<T, V> row(x + begin, live ? n : 0);
  RowPack<T, V> raw[Packs];
  A v[Packs][V], m = 0, s = 0;
#pragma unroll
  for (int k = 0; k < Packs; ++k) raw[k] = row.load(x + begin, team.rank + k * team.width, A(0));
#pragma unroll
  for (int k = 0; k < Packs; ++k) {
    raw[k].get(v[k]);
    if (centered)
#pragma unroll
      for (int i = 0; i < V; ++i) m += v[k][i];
  }
  if (centered) m = team.sum(m) / A(n);
#pragma unroll
  for (int k = 0; k < Packs; ++k) {
    const int f = row.first(team.rank + k * team.width);
#pragma unroll
    for (int i = 0; i < V; ++i) {
      v[k][i] -= m;
      s += !centered || row.holds(f + i) ? v[k][i] * v[k][i] : A(0);
    }
  }
  const A scale = A(1) / row_sqrt(team.sum(s) / A(n) + eps);
#pragma unroll
  for (int k = 0; k < Packs; ++k)
    if (const int j = team.rank + k * team.width; j < row.packs) {
      A w[V], b[V];
      row.parameter(weight, j, A(1), w), row.parameter(bias, j, A(0), b);
#pragma unroll
      for (int i = 0; i < V; ++i) v[k][i] = v[k][i] * scale * w[i] + b[i];
      row.store(y + begin, j, v[k]);
    }
  if (!live || team.rank != 0) return;
  if (centered) mean[r] = m;
  rstd[r] = scale;
}

// f(first element, values) for every pack of a row, several loads in flight.
template <class T, int V, class F>
__device__ inline void each_pack(const Team<true>& team, const PackedRow<T, V>& row, const T* x, F f) {
  constexpr int U = 4;
  for (int j = team.rank; j < row.packs; j += U * team.width) {
    RowPack<T, V> p[U];
#pragma unroll
    for (int u = 0; u < U; ++u) p[u] = row.load(x, j + u * team.width, compute_t<T>(0));
#pragma unroll
    for (int u = 0; u < U; ++u) {
      compute_t<T> v[V];
      p[u].get(v);
      if (const int at = j + u * team.width; at < row.packs) f(at, v);
    }
  }
}

template <class T, int V>
__global__ void __launch_bounds__(512) row_norm_long(bool centered, int n, compute_t<T> eps, const T* x, const T* weight, const T* bias, T* y, compute_t<T>* mean,
                                                     compute_t<T>* rstd) {
  using A = compute_t<T>;
  const Team<true> team(0);
  const std::int64_t r = team.row(), begin = r * n;
  const PackedRow<T, V> row(x + begin, n);
  A m = 0, s = 0;
  if (centered) {
    each_pack(team, row, x + begin, [&](int, const A(&v)[V]) {
#pragma unroll
      for (int i = 0; i < V; ++i) m += v[i];
    });
    m = team.sum(m) / A(n);
  }
  each_pack(team, row, x + begin, [&](int j, const A(&v)[V]) {
#pragma unroll
    for (int i = 0; i < V; ++i)
      if (row.holds(row.first(j) + i)) s += (v[i] - m) * (v[i] - m);
  });
  const A scale = A(1) / row_sqrt(team.sum(s) / A(n) + eps);
  each_pack(team, row, x + begin, [&](int j, const A(&v)[V]) {
    A w[V], b[V], z[V];
    row.parameter(weight, j, A(1), w), row.parameter(bias, j, A(0), b);
#pragma unroll
    for (int i = 0; i < V; ++i) z[i] = (v[i] - m) * scale * w[i] + b[i];
    row.store(y + begin, j, z);
  });
  if (team.rank != 0) return;
  if (centered) mean[r] = m;
  rstd[r] = scale;
}

// dx = (g - mean(g) - xhat * mean(g * xhat)) * rstd, where g = dy * weight; mean(g) is not there where not centered.
// Rows begin at aligned addresses (V > 1) or are read one by one (V == 1). Each team goes over every so-many-th row; part, where
// wanted, gets the block's sums for dweight and dbias: (2, blocks, n).
template <class T, int V, int Packs, bool Block>
__global__ void __launch_bounds__(Block ? 512 : 128) row_norm_backward_in_registers(bool centered, std::int64_t rows, int n, const T* x, const T* weight, const compute_t<T>* mean,
                                                                                  const compute_t<T>* rstd, const T* dy, T* dx, compute_t<T>* part) {
  using A = compute_t<T>;
  const Team<Block> team(32);
  const int teams = Block ? 1 : int(blockDim.x) / 32, mine = Block ? 0 : int(threadIdx.x) / 32, packs = (n + V - 1) / V;
  A dw[Packs][V] = {}, db[Packs][V] = {};
  const std::int64_t step = std::int64_t(gridDim.x) * teams;
  for (std::int64_t first = std::int64_t(blockIdx.x) * teams; first < rows; first += step) {
    const std::int64_t r = first + mine, begin = r * n;
    const bool live = r < rows;
    const int end = live ? packs : 0;
    const PackedRow<T, V> row(x, n);  // all rows' packs begin where the row does
    RowPack<T, V> in[Packs], up[Packs];
    const A m = centered && live ? mean[r] : A(0), scale = live ? rstd[r] : A(0);
#pragma unroll
    for (int k = 0; k < Packs; ++k) {
      const int j = team.rank + k * team.width;
      const A none[V] = {};
      in[k] = up[k] = RowPack<T, V>::of(none);
      if (j < end) in[k] = *reinterpret_cast<const RowPack<T, V>*>(x + begin + j * V), up[k] = *reinterpret_cast<const RowPack<T, V>*>(dy + begin + j * V);
    }
    A sums[2] = {0, 0};
#pragma unroll
    for (int k = 0; k < Packs; ++k) {
      const int j = team.rank + k * team.width;
      if (j >= end) continue;
      A v[V], g[V], w[V];
      in[k].get(v), up[k].get(g), row.parameter(weight, j, A(1), w);
#pragma unroll
      for (int i = 0; i < V; ++i) {
        const A hat = (v[i] - m) * scale;  // what is outside of the row has no gradient
        dw[k][i] += g[i] * hat, db[k][i] += g[i];
        g[i] *= w[i];
        sums[0] += g[i] * hat;
        if (centered) sums[1] += g[i];
      }
    }
    if (!dx) continue;
    team.reduce(sums, Plus{}, A(0));
    const A slope = sums[0] / A(n), mid = centered ? sums[1] / A(n) : A(0);
#pragma unroll
    for (int k = 0; k < Packs; ++k) {
      const int j = team.rank + k * team.width;
      if (j >= end) continue;
      A v[V], g[V], w[V];
      in[k].get(v), up[k].get(g), row.parameter(weight, j, A(1), w);
#pragma unroll
      for (int i = 0; i < V; ++i) g[i] = (g[i] * w[i] - mid - (v[i] - m) * scale * slope) * scale;
      *reinterpret_cast<RowPack<T, V>*>(dx + begin + j * V) = RowPack<T, V>::of(g);
    }
  }
  if (part) {
    A *to_w = part + std::int64_t(blockIdx.x) * n, *to_b = to_w + std::int64_t(gridDim.x) * n;
    SINTER_DYNAMIC_SHARED(A, shared);  // (2, n) for teams of warps
    for (int t = 0; t < teams; ++t) {
      if (t == mine)
#pragma unroll
        for (int k = 0; k < Packs; ++k)
#pragma unroll
          for (int i = 0; i < V; ++i)
            if (const int c = (team.rank + k * team.width) * V + i; c < n) {
              const A w = t == 0 ? dw[k][i] : shared[c] + dw[k][i], b = t == 0 ? db[k][i] : shared[n + c] + db[k][i];
              if (t == teams - 1) to_w[c] = w, to_b[c] = b;
              else shared[c] = w, shared[n + c] = b;
            }
      if (teams > 1) __syncthreads();
    }
  }
}

// Rows of any length: sums, then dx.
template <class T>
__global__ void __launch_bounds__(512) row_norm_backward_long(bool centered, int n, const T* x, const T* weight, const compute_t<T>* mean, const compute_t<T>* rstd, const T* dy, T* dx) {
  using A = compute_t<T>;
  const Team<true> team(0);
  const std::int64_t r = team.row(), begin = r * n;
  const A m = centered ? mean[r] : A(0), scale = rstd[r];
  A sums[2] = {0, 0};
#pragma unroll 4
  for (int i = team.rank; i < n; i += team.width) {
    const A g = up_cast(dy[begin + i]) * (weight ? up_cast(weight[i]) : A(1));
    sums[0] += g * (up_cast(x[begin + i]) - m) * scale, sums[1] += g;
  }
  team.reduce(sums, Plus{}, A(0));
  const A slope = sums[0] / A(n), mid = centered ? sums[1] / A(n) : A(0);
#pragma unroll 4
  for (int i = team.rank; i < n; i += team.width) {
    const A g = up_cast(dy[begin + i]) * (weight ? up_cast(weight[i]) : A(1));
    dx[begin + i] = down_cast<T>((g - mid - (up_cast(x[begin + i]) - m) * scale * slope) * scale);
  }
}
// Its dweight and dbias: sums over a chunk of rows, 32 columns by 8 threads.
template <class T>
__global__ void __launch_bounds__(256) row_norm_parameters_long(bool centered, std::int64_t rows, std::int64_t chunk, int n, const T* x, const compute_t<T>* mean, const compute_t<T>* rstd,
                                                               const T* dy, compute_t<T>* part) {
  using A = compute_t<T>;
  __shared__ A shared[256];
  const ColumnTile tile(32);
  const std::int64_t c = std::int64_t(blockIdx.x) * 32 + tile.x, begin = blockIdx.y * chunk, end = begin + chunk < rows ? begin + chunk : rows;
  A w = 0, b = 0;
  if (c < n)
#pragma unroll 4
    for (std::int64_t r = begin + tile.y; r < end; r += tile.rows) {
      const A g = up_cast(dy[r * n + c]);
      w += g * (up_cast(x[r * n + c]) - (centered ? mean[r] : A(0))) * rstd[r], b += g;
    }
  w = tile.reduce(w, shared, Plus{}), b = tile.reduce(b, shared, Plus{});
  if (tile.y != 0 || c >= n) return;
  part[blockIdx.y * std::int64_t(n) + c] = w, part[(gridDim.y + blockIdx.y) * std::int64_t(n) + c] = b;
}

// The blocks' parts (2, blocks, n), added.
template <class T>
__global__ void __launch_bounds__(256) sum_parts(int blocks, int n, const compute_t<T>* part, T* dweight, T* dbias) {
  using A = compute_t<T>;
  __shared__ A shared[256];
  const ColumnTile tile(32);
  const std::int64_t c = std::int64_t(blockIdx.x) * 32 + tile.x;
  T* out = blockIdx.y ? dbias : dweight;
  if (!out) return;
  const A* from = part + blockIdx.y * std::int64_t(blocks) * n;
  A s = 0;
  if (c < n)
#pragma unroll 8
    for (int b = tile.y; b < blocks; b += tile.rows) s += from[std::int64_t(b) * n + c];
  s = tile.reduce(s, shared, Plus{});
  if (tile.y == 0 && c < n) out[c] = down_cast<T>(s);
}

inline void launch_row_norm(const RowNormArgs& a) {
  if (a.rows * a.n == 0) return;
  for_floating(a.op, a.dtype, [&](auto kind) {
    using T = decltype(kind);
    using A = compute_t<T>;
    constexpr int V = pack_elements<T>, M = most_packs<T>;
    const T *x = static_cast<const T*>(a.x), *w = static_cast<const T*>(a.weight), *b = static_cast<const T*>(a.bias);
    T* y = static_cast<T*>(a.y);
    A *mean = static_cast<A*>(a.mean), *rstd = static_cast<A*>(a.rstd);
    const int n = row_length(a.op, a.n);
    const A eps = A(a.eps);
    if (!same_phase(x, y)) {
      SINTER_LAUNCH(a.op, (row_norm_long<T, 1>), grid_of(a.op, a.rows), 256, 0, a.centered, n, eps, x, w, b, y, mean, rstd);
      return;
    }
    constexpr int most = sizeof(T) == 2 ? 2 : 4;
    if (const int packs = n / V; n % V == 0 && is_pack_aligned(x) && packs > 32 && packs <= 1024 * most && a.rows <= 0x7fffffff) {
      const auto kernel = packs <= 2048 ? row_norm_stream<T, 2> : row_norm_stream<T, most>;
      const int threads = stream_threads(packs, packs <= 2048 ? 2 : most);
      SINTER_LAUNCH(a.op, kernel, stream_grid(a.rows, threads), threads, 0, a.centered, int(a.rows), n, eps, x, w, b, y, mean, rstd);
      return;
    }
    const RowTeams t = row_teams(a.op, a.rows, packs_of<T>(a.n), M, most_threads<T>);
    if (t.packs == 1) SINTER_LAUNCH(a.op, (row_norm_in_registers<T, 1, false>), t.grid, t.threads, 0, a.centered, a.rows, n, t.lanes, eps, x, w, b, y, mean, rstd);
    else if (!t.block) SINTER_LAUNCH(a.op, (row_norm_in_registers<T, M, false>), t.grid, t.threads, 0, a.centered, a.rows, n, t.lanes, eps, x, w, b, y, mean, rstd);
    else if (t.packs) SINTER_LAUNCH(a.op, (row_norm_in_registers<T, M, true>), t.grid, t.threads, 0, a.centered, a.rows, n, t.lanes, eps, x, w, b, y, mean, rstd);
    else SINTER_LAUNCH(a.op, (row_norm_long<T, V>), t.grid, t.threads, 0, a.centered, n, eps, x, w, b, y, mean, rstd);
  });
}

// How many blocks share the rows of a backward: a multiple of the processors of an H100 or H200, on every device, so that sums
// are the same everywhere.
inline std::int64_t backward_blocks(std::int64_t rows, int threads, int teams) {
  const std::int64_t most = 132 * (threads <= 128 ? 4 : threads <= 256 ? 2 : 1), wanted = (rows + teams - 1) / teams;
  return wanted < most ? wanted : most;
}

// The kernel, given the bytes of shared memory that it needs, then the sums of its parts.
template <class T, class Kernel>
void run_row_norm_backward(const RowNormBackwardArgs& a, Kernel kernel, int threads, int teams, std::size_t shared) {
  using A = compute_t<T>;
  const int n = int(a.n);
  const T *x = static_cast<const T*>(a.x), *w = static_cast<const T*>(a.weight), *dy = static_cast<const T*>(a.dy);
  const A *mean = static_cast<const A*>(a.mean), *rstd = static_cast<const A*>(a.rstd);
  T *dx = static_cast<T*>(a.dx), *dw = static_cast<T*>(a.dweight), *db = static_cast<T*>(a.dbias);
  const int blocks = int(backward_blocks(a.rows, threads, teams));
  const Workspace space(dw || db ? std::size_t(blocks) * std::size_t(n) * 2 * sizeof(A) : 0);
  A* part = dw || db ? static_cast<A*>(space.data()) : nullptr;
  SINTER_LAUNCH(a.op, kernel, blocks, threads, shared, a.centered, a.rows, n, x, w, mean, rstd, dy, dx, part);
  if (part) SINTER_LAUNCH(a.op, (sum_parts<T>), dim3(unsigned((n + 31) / 32), 2), 256, 0, blocks, n, part, dw, db);
}

inline void launch_row_norm_backward(const RowNormBackwardArgs& a) {
  for_floating(a.op, a.dtype, [&](auto kind) {
    using T = decltype(kind);
    using A = compute_t<T>;
    constexpr int V = pack_elements<T>, M = sizeof(T) == 2 ? 2 : 4;
    const int n = row_length(a.op, a.n);
    const T *x = static_cast<const T*>(a.x), *w = static_cast<const T*>(a.weight), *dy = static_cast<const T*>(a.dy);
    const A *mean = static_cast<const A*>(a.mean), *rstd = static_cast<const A*>(a.rstd);
    T *dx = static_cast<T*>(a.dx), *dw = static_cast<T*>(a.dweight), *db = static_cast<T*>(a.dbias);
    if (n == 0) return;
    if (a.rows == 0) {  // sums of nothing
      if (dw) SINTER_LAUNCH(a.op, (sum_parts<T>), dim3(unsigned((n + 31) / 32), 1), 256, 0, 0, n, nullptr, dw, dw);
      if (db) SINTER_LAUNCH(a.op, (sum_parts<T>), dim3(unsigned((n + 31) / 32), 1), 256, 0, 0, n, nullptr, db, db);
      return;
    }
    const bool packed = n % V == 0 && is_pack_aligned(x) && is_pack_aligned(dy) && (!dx || is_pack_aligned(dx));
    const int packs = packed ? n / V : n;
    if (packed && packs <= 32) return run_row_norm_backward<T>(a, row_norm_backward_in_registers<T, V, 1, false>, 128, 4, std::size_t(n) * 2 * sizeof(A));
    if (packed && packs <= 512 * M) {
      const int threads = stream_threads(packs, M);
      return run_row_norm_backward<T>(a, row_norm_backward_stream<T, M>, threads, 1, std::size_t(threads) * M * 32);
    }
    for (int threads = 128; threads <= 512; threads *= 2)
      if (!packed && packs <= threads * 8) return run_row_norm_backward<T>(a, row_norm_backward_in_registers<T, 1, 8, true>, threads, 1, 0);
    if (dx) SINTER_LAUNCH(a.op, (row_norm_backward_long<T>), grid_of(a.op, a.rows), 512, 0, a.centered, n, x, w, mean, rstd, dy, dx);
    if (!dw && !db) return;
    const std::int64_t chunk = (a.rows + 31) / 32, chunks = (a.rows + chunk - 1) / chunk;
    const Workspace space(std::size_t(chunks) * std::size_t(n) * 2 * sizeof(A));
    A* part = static_cast<A*>(space.data());
    const unsigned columns = unsigned((n + 31) / 32);
    SINTER_LAUNCH(a.op, (row_norm_parameters_long<T>), dim3(columns, unsigned(chunks)), 256, 0, a.centered, a.rows, chunk, n, x, mean, rstd, dy, part);
    SINTER_LAUNCH(a.op, (sum_parts<T>), dim3(columns, 2), 256, 0, int(chunks), n, part, dw, db);
  });
}

inline const bool row_norm_registered = row_norm_on_device.set(launch_row_norm) && row_norm_backward_on_device.set(launch_row_norm_backward);

}  // namespace cuda
}  // namespace sinter
