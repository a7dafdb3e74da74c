// SPDX-License-Identifier: MIT
// softmax and log_softmax. A row that fits the registers of its threads is read once and written once. Longer
// ones are read twice, greatest and sum together the first time, after Milakov and Gimelshein, https://arxiv.org/abs/1805.02867.
#pragma once

#include "sinter/cuda/online.cuh"
#include "sinter/cuda/row_stream.cuh"
#include "sinter/device/rows.hpp"

namespace sinter {
namespace cuda {

// exp(x - top) / total, or its logarithm.
template <class A>
struct SoftmaxOf {
  A top, factor, log_total;
  __device__ SoftmaxOf(A t, A total, bool log) : top(t), factor(log ? A(0) : A(1) / total), log_total(log ? row_log(total) : A(0)) {}
  __device__ A operator()(A x, bool log) const { return log ? x - top - log_total : row_exp(x - top) * factor; }
};

template <class T>
inline constexpr int stream_packs = sizeof(T) == 2 ? 2 : 4;

template <class T, bool Log, int Packs, bool Block>
__global__ void __launch_bounds__(Block ? most_threads<T> : 128) softmax_in_registers(std::int64_t rows, int n, int lanes, const T* x, T* y) {
  using A = compute_t<T>;
  constexpr int V = pack_elements<T>;
  const Team<Block> team(lanes);
  const std::int64_t r = team.row();
  const bool live = r < rows;
  const std::int64_t begin = live ? r * n : 0;
  const PackedRow<T, V> row(x + begin, live ? n : 0);
  A v[Packs][V], top = lowest<A>(), total = 0;
  RowPack<T, V> raw[Packs];
#pragma unroll
  for (int k = 0; k < Packs; ++k) raw[k] = row.load(x + begin, team.rank + k * team.width, lowest<A>());
#pragma unroll
  for (int k = 0; k < Packs; ++k) {
    raw[k].get(v[k]);
#pragma unroll
    for (int i = 0; i < V; ++i) top = greater_of(top, v[k][i]);
  }
  top = team.max(top);
#pragma unroll
  for (int k = 0; k < Packs; ++k)
    if (k * team.width < row.packs) {
#pragma unroll
      for (int i = 0; i < V; ++i) {  // -infinity outside of the row adds 0, unless all of the row is that: then all is NaN
        const A e = row_exp(v[k][i] - top);
        if (!Log) v[k][i] = e;
        total += e;
      }
    }
  total = team.sum(total);
  const A factor = Log ? row_log(total) : A(1) / total;
#pragma unroll
  for (int k = 0; k < Packs; ++k)
    if (const int j = team.rank + k * team.width; j < row.packs) {
#pragma unroll
      for (int i = 0; i < V; ++i) v[k][i] = Log ? v[k][i] - top - factor : v[k][i] * factor;
      row.store(y + begin, j, v[k]);
    }
}

// Blocks that take row after row, which begin at aligned addresses.
template <class T, bool Log>
__global__ void __launch_bounds__(1024) softmax_stream(std::int64_t rows, int n, const T* x, T* y) {
  using A = compute_t<T>;
  constexpr int V = pack_elements<T>, P = stream_packs<T>;
  const int packs = n / V;
  const RowPack<T, V> pad = pack_of<T, V>(lowest<A>());
  WarpExchange exchange;
  RowPack<T, V> next[P];
  load_share(next, x + std::int64_t(blockIdx.x) * n, packs, pad);
  for (std::int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    A v[P][V], top = lowest<A>(), total = 0;
#pragma unroll
    for (int k = 0; k < P; ++k) next[k].get(v[k]);
    if (r + gridDim.x < rows) load_share(next, x + (r + gridDim.x) * n, packs, pad);
#pragma unroll
    for (int k = 0; k < P; ++k)
#pragma unroll
      for (int i = 0; i < V; ++i) top = greater_of(top, v[k][i]);
    top = exchange.reduce(top, Greater{}, lowest<A>());
#pragma unroll
    for (int k = 0; k < P; ++k)
#pragma unroll
      for (int i = 0; i < V; ++i) {  // -infinity behind the row adds 0, unless all of the row is that: then all is NaN
        const A e = row_exp(v[k][i] - top);
        if (!Log) v[k][i] = e;
        total += e;
      }
    total = exchange.reduce(total, Plus{}, A(0));
    const A factor = Log ? row_log(total) : A(1) / total;
#pragma unroll
    for (int k = 0; k < P; ++k)
      if (const int j = int(threadIdx.x) + k * int(blockDim.x); j < packs) {
#pragma unroll
        for (int i = 0; i < V; ++i) v[k][i] = Log ? v[k][i] - top - factor : v[k][i] * factor;
        reinterpret_cast<RowPack<T, V>*>(y + r * n)[j] = RowPack<T, V>::of(v[k]);
      }
  }
}

template <class T, bool Log, int V>
__global__ void __launch_bounds__(1024) softmax_long(int n, const T* x, T* y) {
  using A = compute_t<T>;
  const Team<true> team(0);
  const std::int64_t begin = team.row() * n;
  const PackedRow<T, V> row(x + begin, n);
  Online<A> sum;
  online_row(team, row, x + begin, sum, [](int, const auto&) {});
  sum.join(team);
  const SoftmaxOf<A> f(sum.top, sum.total, Log);
  for (int j = team.rank; j < row.packs; j += team.width) {
    A v[V];
    row.load(x + begin, j, A(0)).get(v);
#pragma unroll
    for (int i = 0; i < V; ++i) v[i] = f(v[i], Log);
    row.store(y + begin, j, v);
  }
}

// Along a dimension that others lie behind: neighbouring threads have neighbouring columns.
template <class T, bool Log>
__global__ void __launch_bounds__(256) softmax_across(DeviceRows rows, int columns, const T* x, T* y) {
  using A = compute_t<T>;
  __shared__ A shared[256];
  const ColumnTile tile(columns);
  const std::int64_t tiles = (rows.inner + columns - 1) / columns, o = blockIdx.x / tiles, c = blockIdx.x % tiles * columns + tile.x;
  const std::int64_t begin = o * rows.n * rows.inner + c, n = c < rows.inner ? rows.n : 0;
  Online<A> sum;
  for (std::int64_t k = tile.y; k < n; k += tile.rows) {
    const A v[1] = {up_cast(x[begin + k * rows.inner])};
    sum.add(v);
  }
  sum.join(tile, shared);
  const SoftmaxOf<A> f(sum.top, sum.total, Log);
  for (std::int64_t k = tile.y; k < n; k += tile.rows) y[begin + k * rows.inner] = down_cast<T>(f(up_cast(x[begin + k * rows.inner]), Log));
}

template <class T, bool Log, int Packs, bool Block>
__global__ void __launch_bounds__(Block ? most_threads<T> : 128)
    softmax_backward_in_registers(std::int64_t rows, int n, int lanes, const T* y, const T* dy, T* dx) {
  using A = compute_t<T>;
  constexpr int V = pack_elements<T>;
  const Team<Block> team(lanes);
  const std::int64_t r = team.row();
  const bool live = r < rows;
  const std::int64_t begin = live ? r * n : 0;
  const PackedRow<T, V> row(y + begin, live ? n : 0);
  RowPack<T, V> out[Packs], up[Packs];
#pragma unroll
  for (int k = 0; k < Packs; ++k) {
    up[k] = row.load(dy + begin, team.rank + k * team.width, A(0));
    out[k] = row.load(y + begin, team.rank + k * team.width, A(0));
  }
  A s = 0;
#pragma unroll
  for (int k = 0; k < Packs; ++k) {
    A g[V], z[V];
    up[k].get(g), out[k].get(z);
#pragma unroll
    for (int i = 0; i < V; ++i) s += Log ? g[i] : g[i] * z[i];
  }
  s = team.sum(s);
#pragma unroll
  for (int k = 0; k < Packs; ++k) {
    const int j = team.rank + k * team.width;
    if (j >= row.packs) continue;
    A g[V], z[V];
    up[k].get(g), out[k].get(z);
#pragma unroll
    for (int i = 0; i < V; ++i) g[i] = Log ? g[i] - row_exp(z[i]) * s : z[i] * (g[i] - s);
    row.store(dx + begin, j, g);
  }
}

template <class T, bool Log, int V>
__global__ void __launch_bounds__(1024) softmax_backward_long(int n, const T* y, const T* dy, T* dx) {
  using A = compute_t<T>;
  constexpr int U = 2;
  const Team<true> team(0);
  const std::int64_t begin = team.row() * n;
  const PackedRow<T, V> row(y + begin, n);
  A s = 0;
  for (int j = team.rank; j < row.packs; j += U * team.width) {
    RowPack<T, V> up[U], out[U];
#pragma unroll
    for (int u = 0; u < U; ++u) {
      up[u] = row.load(dy + begin, j + u * team.width, A(0));
      if (!Log) out[u] = row.load(y + begin, j + u * team.width, A(0));
    }
#pragma unroll
    for (int u = 0; u < U; ++u) {
      A g[V], z[V] = {};
      up[u].get(g);
      if (!Log) out[u].get(z);
#pragma unroll
      for (int i = 0; i < V; ++i) s += Log ? g[i] : g[i] * z[i];
    }
  }
  s = team.sum(s);
  for (int j = team.rank; j < row.packs; j += team.width) {
    A g[V], z[V];
    row.load(dy + begin, j, A(0)).get(g), row.load(y + begin, j, A(0)).get(z);
#pragma unroll
    for (int i = 0; i < V; ++i) g[i] = Log ? g[i] - row_exp(z[i]) * s : z[i] * (g[i] - s);
    row.store(dx + begin, j, g);
  }
}

template <class T, bool Log>
__global__ void __launch_bounds__(256) softmax_backward_across(DeviceRows rows, int columns, const T* y, const T* dy, T* dx) {
  using A = compute_t<T>;
  __shared__ A shared[256];
  const ColumnTile tile(columns);
  const std::int64_t tiles = (rows.inner + columns - 1) / columns, o = blockIdx.x / tiles, c = blockIdx.x % tiles * columns + tile.x;
  const std::int64_t begin = o * rows.n * rows.inner + c, n = c < rows.inner ? rows.n : 0;
  A s = 0;
  for (std::int64_t k = tile.y; k < n; k += tile.rows) {
    const std::int64_t i = begin + k * rows.inner;
    s += Log ? up_cast(dy[i]) : up_cast(dy[i]) * up_cast(y[i]);
  }
  s = tile.reduce(s, shared, Plus{});
  for (std::int64_t k = tile.y; k < n; k += tile.rows) {
    const std::int64_t i = begin + k * rows.inner;
    const A g = up_cast(dy[i]), z = up_cast(y[i]);
    dx[i] = down_cast<T>(Log ? g - row_exp(z) * s : z * (g - s));
  }
}

// f(log) with the flag as a constant.
template <class F>
void with_log(bool flag, F&& f) {
  if (flag) f(std::true_type{});
  else f(std::false_type{});
}

inline void launch_softmax(const SoftmaxArgs& a) {
  const DeviceRows& s = a.rows;
  if (s.outer * s.n * s.inner == 0) return;
  for_floating("softmax", a.dtype, [&](auto t) {
    with_log(a.log, [&](auto log) {
      using T = decltype(t);
      constexpr bool Log = decltype(log)::value;
      constexpr int V = pack_elements<T>;
      const T* x = static_cast<const T*>(a.x);
      T* y = static_cast<T*>(a.y);
      if (s.inner > 1) {
        const int columns = power_of_two(s.inner, 32);
        const unsigned grid = grid_of("softmax", s.outer * ((s.inner + columns - 1) / columns));
        SINTER_LAUNCH("softmax", (softmax_across<T, Log>), grid, 256, 0, s, columns, x, y);
        return;
      }
      const int n = row_length("softmax", s.n);
      if (!same_phase(x, y)) {
        SINTER_LAUNCH("softmax", (softmax_long<T, Log, 1>), grid_of("softmax", s.outer), 512, 0, n, x, y);
        return;
      }
      constexpr int M = most_packs<T>;
      if (n % V == 0 && is_pack_aligned(x) && n / V > 32 * M && n / V <= 1024 * stream_packs<T>) {
        const int threads = stream_threads(n / V, stream_packs<T>);
        SINTER_LAUNCH("softmax", (softmax_stream<T, Log>), stream_grid(s.outer, threads), threads, 0, s.outer, n, x, y);
        return;
      }
      const RowTeams teams = row_teams("softmax", s.outer, packs_of<T>(s.n), M, most_threads<T>);
      if (teams.packs == 1) SINTER_LAUNCH("softmax", (softmax_in_registers<T, Log, 1, false>), teams.grid, teams.threads, 0, s.outer, n, teams.lanes, x, y);
      else if (!teams.block) SINTER_LAUNCH("softmax", (softmax_in_registers<T, Log, M, false>), teams.grid, teams.threads, 0, s.outer, n, teams.lanes, x, y);
      else if (teams.packs) SINTER_LAUNCH("softmax", (softmax_in_registers<T, Log, M, true>), teams.grid, teams.threads, 0, s.outer, n, teams.lanes, x, y);
      else SINTER_LAUNCH("softmax", (softmax_long<T, Log, V>), teams.grid, 1024, 0, n, x, y);
    });
  });
}

inline void launch_softmax_backward(const SoftmaxBackwardArgs& a) {
  const DeviceRows& s = a.rows;
  constexpr const char* name = "softmax backward";
  if (s.outer * s.n * s.inner == 0) return;
  for_floating(name, a.dtype, [&](auto t) {
    with_log(a.log, [&](auto log) {
      using T = decltype(t);
      constexpr bool Log = decltype(log)::value;
      constexpr int V = pack_elements<T>;
      const T *y = static_cast<const T*>(a.y), *dy = static_cast<const T*>(a.dy);
      T* dx = static_cast<T*>(a.dx);
      if (s.inner > 1) {
        const int columns = power_of_two(s.inner, 32);
        const unsigned grid = grid_of(name, s.outer * ((s.inner + columns - 1) / columns));
        SINTER_LAUNCH(name, (softmax_backward_across<T, Log>), grid, 256, 0, s, columns, y, dy, dx);
        return;
      }
      const int n = row_length(name, s.n);
      if (!same_phase(y, dy) || !same_phase(y, dx)) {
        SINTER_LAUNCH(name, (softmax_backward_long<T, Log, 1>), grid_of(name, s.outer), 512, 0, n, y, dy, dx);
        return;
      }
      constexpr int M = most_packs<T>;
      const RowTeams teams = row_teams(name, s.outer, packs_of<T>(s.n), M, most_threads<T>);
      if (teams.packs == 1) SINTER_LAUNCH(name, (softmax_backward_in_registers<T, Log, 1, false>), teams.grid, teams.threads, 0, s.outer, n, teams.lanes, y, dy, dx);
      else if (!teams.block) SINTER_LAUNCH(name, (softmax_backward_in_registers<T, Log, M, false>), teams.grid, teams.threads, 0, s.outer, n, teams.lanes, y, dy, dx);
      else if (teams.packs) SINTER_LAUNCH(name, (softmax_backward_in_registers<T, Log, M, true>), teams.grid, teams.threads, 0, s.outer, n, teams.lanes, y, dy, dx);
      else SINTER_LAUNCH(name, (softmax_backward_long<T, Log, V>), teams.grid, 1024, 0, n, y, dy, dx);
    });
  });
}

inline const bool softmax_registered = softmax_on_device.set(launch_softmax) && softmax_backward_on_device.set(launch_softmax_backward);

}  // namespace cuda
}  // namespace sinter
