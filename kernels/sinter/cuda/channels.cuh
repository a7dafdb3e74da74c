// SPDX-License-Identifier: MIT
// Batch normalisation of (batch, channels, inner): moments in one pass, normalisation in one, their gradients in two. A channel's
// elements are summed by chunks that fit a block's registers; chunks are joined after Chan, Golub and LeVeque (1979), in
// double and in an order that depends on the shape only.
#pragma once

#include "sinter/cuda/rows.cuh"
#include "sinter/device/norm.hpp"

namespace sinter {
namespace cuda {

// Where a thread finds the elements of a chunk of a channel: packs of V, 256 apart.
template <int V, int Packs>
struct ChannelChunk {
  static constexpr int elements = 256 * V * Packs;
  int chunk, c;
  unsigned count, inner;
  std::int64_t stride, begin;  // between images; of the channel
  __device__ ChannelChunk(const DeviceChannels& s, int chunks)
      : chunk(int(blockIdx.x) % chunks), c(int(blockIdx.x) / chunks), count(unsigned(s.batch * s.inner)), inner(unsigned(s.inner)), stride(s.channels * s.inner),
        begin(c * s.inner) {}
  // The element of pack k, or -1 behind the last.
  __device__ std::int64_t at(int k) const {
    const unsigned e = unsigned(chunk) * elements + (unsigned(k) * 256 + threadIdx.x) * V;
    if (e >= count) return -1;
    const unsigned n = e / inner;
    return n * stride + begin + (e - n * inner);
  }
  __device__ int size() const { return int(count - unsigned(chunk) * elements < elements ? count - unsigned(chunk) * elements : elements); }
};

// part[2 * block]: a chunk's mean, and its sum of squares about that.
template <class T, int V, int Packs>
__global__ void __launch_bounds__(256) channel_chunk_moments(DeviceChannels s, int chunks, const T* x, compute_t<T>* part) {
  using A = compute_t<T>;
  const Team<true> team(0);
  const ChannelChunk<V, Packs> chunk(s, chunks);
  RowPack<T, V> raw[Packs];
  bool has[Packs];
#pragma unroll
  for (int k = 0; k < Packs; ++k) {
    const std::int64_t at = chunk.at(k);
    has[k] = at >= 0;
    const A none[V] = {};
    raw[k] = has[k] ? *reinterpret_cast<const RowPack<T, V>*>(x + at) : RowPack<T, V>::of(none);
  }
  A mean = 0, squares = 0;
#pragma unroll
  for (int k = 0; k < Packs; ++k) {
    A v[V];
    raw[k].get(v);
#pragma unroll
    for (int i = 0; i < V; ++i) mean += v[i];
  }
  mean = team.sum(mean) / A(chunk.size());
#pragma unroll
  for (int k = 0; k < Packs; ++k) {
    A v[V];
    raw[k].get(v);
#pragma unroll
    for (int i = 0; i < V; ++i) squares += has[k] ? (v[i] - mean) * (v[i] - mean) : A(0);
  }
  squares = team.sum(squares);
  if (team.rank == 0) part[2 * std::int64_t(blockIdx.x)] = mean, part[2 * std::int64_t(blockIdx.x) + 1] = squares;
}
// The same of (batch, channels): neighbouring channels in neighbouring threads.
inline constexpr int column_chunk = 256;
template <class T>
__global__ void __launch_bounds__(256) column_chunk_moments(DeviceChannels s, int chunks, const T* x, compute_t<T>* part) {
  using A = compute_t<T>;
  __shared__ A shared[256];
  const ColumnTile tile(32);
  const int chunk = int(blockIdx.x) % chunks;
  const std::int64_t c = std::int64_t(blockIdx.x) / chunks * 32 + tile.x, first = std::int64_t(chunk) * column_chunk;
  const int rows = int(s.batch - first < column_chunk ? s.batch - first : column_chunk), mine = c < s.channels ? rows : 0;
  constexpr int each = column_chunk / 8;
  A v[each], mean = 0, squares = 0;
#pragma unroll
  for (int k = 0; k < each; ++k) v[k] = tile.y + 8 * k < mine ? up_cast(x[(first + tile.y + 8 * k) * s.channels + c]) : A(0);
#pragma unroll
  for (int k = 0; k < each; ++k) mean += v[k];
  mean = tile.reduce(mean, shared, Plus{}) / A(rows);
#pragma unroll
  for (int k = 0; k < each; ++k) squares += tile.y + 8 * k < mine ? (v[k] - mean) * (v[k] - mean) : A(0);
  squares = tile.reduce(squares, shared, Plus{});
  if (tile.y == 0 && c < s.channels) part[2 * (c * chunks + chunk)] = mean, part[2 * (c * chunks + chunk) + 1] = squares;
}

// A block for each channel.
template <class T>
__global__ void __launch_bounds__(128) join_channel_moments(std::int64_t count, int chunks, int chunk, double eps, double momentum, const compute_t<T>* part,
                                                           T* running_mean, T* running_var, compute_t<T>* mean, compute_t<T>* scale) {
  using A = compute_t<T>;
  const Team<true> team(0);
  const int c = int(blockIdx.x);
  const compute_t<T>* mine = part + 2 * std::int64_t(c) * chunks;
  const auto size = [=](int j) {
    const std::int64_t left = count - std::int64_t(j) * chunk;
    return double(left < chunk ? left : chunk);
  };
  double total = 0, squares = 0;
  for (int j = team.rank; j < chunks; j += team.width) total += size(j) * double(mine[2 * j]);
  const double centre = team.sum(total) / double(count);
  for (int j = team.rank; j < chunks; j += team.width) {
    const double off = double(mine[2 * j]) - centre;
    squares += double(mine[2 * j + 1]) + size(j) * off * off;
  }
  const double var = team.sum(squares) / double(count);
  if (team.rank != 0) return;
  mean[c] = A(centre);
  scale[c] = A(1 / ::sqrt(var + eps));
  if (count == 0) return;
  if (running_mean) running_mean[c] = down_cast<T>(A(up_cast(running_mean[c]) * (1 - momentum) + centre * momentum));
  if (running_var) running_var[c] = down_cast<T>(A(up_cast(running_var[c]) * (1 - momentum) + var * (momentum * double(count) / double(count - 1))));
}
template <class T>
__global__ void __launch_bounds__(256) running_moments(int channels, double eps, const T* running_mean, const T* running_var, compute_t<T>* mean, compute_t<T>* scale) {
  using A = compute_t<T>;
  const int c = int(blockIdx.x) * 256 + int(threadIdx.x);
  if (c >= channels) return;
  mean[c] = up_cast(running_mean[c]);
  scale[c] = A(1) / row_sqrt(up_cast(running_var[c]) + A(eps));
}

// part[2 * block]: a chunk's sums of dy * (x - mean) and of dy.
template <class T, int V, int Packs>
__global__ void __launch_bounds__(256) channel_chunk_gradients(DeviceChannels s, int chunks, const T* x, const T* dy, const compute_t<T>* mean, compute_t<T>* part) {
  using A = compute_t<T>;
  const Team<true> team(0);
  const ChannelChunk<V, Packs> chunk(s, chunks);
  const A m = mean[chunk.c];
  A sums[2] = {0, 0};
  constexpr int U = Packs < 4 ? Packs : 4;
#pragma unroll 1
  for (int k0 = 0; k0 < Packs; k0 += U) {
    RowPack<T, V> in[U], up[U];
    const A none[V] = {};
#pragma unroll
    for (int u = 0; u < U; ++u) {
      const std::int64_t at = chunk.at(k0 + u);
      in[u] = at >= 0 ? *reinterpret_cast<const RowPack<T, V>*>(x + at) : RowPack<T, V>::of(none);
      up[u] = at >= 0 ? *reinterpret_cast<const RowPack<T, V>*>(dy + at) : RowPack<T, V>::of(none);
    }
#pragma unroll
    for (int u = 0; u < U; ++u) {
      A v[V], g[V];
      in[u].get(v), up[u].get(g);
#pragma unroll
      for (int i = 0; i < V; ++i) sums[0] += g[i] * (v[i] - m), sums[1] += g[i];
    }
  }
  team.reduce(sums, Plus{}, A(0));
  if (team.rank == 0) part[2 * std::int64_t(blockIdx.x)] = sums[0], part[2 * std::int64_t(blockIdx.x) + 1] = sums[1];
}
template <class T>
__global__ void __launch_bounds__(256) column_chunk_gradients(DeviceChannels s, int chunks, const T* x, const T* dy, const compute_t<T>* mean, compute_t<T>* part) {
  using A = compute_t<T>;
  __shared__ A shared[256];
  const ColumnTile tile(32);
  const int chunk = int(blockIdx.x) % chunks;
  const std::int64_t c = std::int64_t(blockIdx.x) / chunks * 32 + tile.x, first = std::int64_t(chunk) * column_chunk;
  const int rows = c >= s.channels ? 0 : int(s.batch - first < column_chunk ? s.batch - first : column_chunk);
  const A m = c < s.channels ? mean[c] : A(0);
  A along = 0, total = 0;
#pragma unroll 4
  for (int k = tile.y; k < rows; k += tile.rows) {
    const std::int64_t i = (first + k) * s.channels + c;
    const A g = up_cast(dy[i]);
    along += g * (up_cast(x[i]) - m), total += g;
  }
  along = tile.reduce(along, shared, Plus{}), total = tile.reduce(total, shared, Plus{});
  if (tile.y == 0 && c < s.channels) part[2 * (c * chunks + chunk)] = along, part[2 * (c * chunks + chunk) + 1] = total;
}
// dweight, dbias; and for dx = (dy - mid - (x - mean) * slope) * scale * weight: mid[c] and slope[c] behind all of those.
template <class T>
__global__ void __launch_bounds__(128) join_channel_gradients(std::int64_t count, int chunks, bool moments, const compute_t<T>* part, const compute_t<T>* scale, T* dweight,
                                                             T* dbias, compute_t<T>* mid) {
  using A = compute_t<T>;
  const Team<true> team(0);
  const int c = int(blockIdx.x);
  double sums[2] = {0, 0};
  for (int j = team.rank; j < chunks; j += team.width) {
    const std::int64_t at = 2 * (std::int64_t(c) * chunks + j);
    sums[0] += double(part[at]), sums[1] += double(part[at + 1]);
  }
  team.reduce(sums, Plus{}, 0.0);
  if (team.rank != 0) return;
  const double r = chunks > 0 ? double(scale[c]) : 0.0, share = moments && count > 0 ? 1 / double(count) : 0.0;
  if (dweight) dweight[c] = down_cast<T>(A(sums[0] * r));
  if (dbias) dbias[c] = down_cast<T>(A(sums[1]));
  mid[c] = A(sums[1] * share);
  mid[gridDim.x + c] = A(sums[0] * r * r * share);
}

// What is done to an element, by channel.
template <class T>
struct Normalize {
  using A = compute_t<T>;
  static constexpr bool binary = false;
  const A *mean, *scale;
  const T *weight, *bias;
  A m, a, b;
  __device__ void at(int c) {
    m = mean[c];
    a = weight ? scale[c] * up_cast(weight[c]) : scale[c];
    b = bias ? up_cast(bias[c]) : A(0);
  }
  __device__ A operator()(A x, A) const { return (x - m) * a + b; }
};
template <class T>
struct NormalizeGradient {
  using A = compute_t<T>;
  static constexpr bool binary = true;
  const A *mean, *scale, *mid;
  const T* weight;
  int channels;
  A m, a, shift, slope;
  __device__ void at(int c) {
    m = mean[c];
    a = weight ? scale[c] * up_cast(weight[c]) : scale[c];
    shift = mid[c], slope = mid[channels + c];
  }
  __device__ A operator()(A x, A g) const { return (g - shift - (x - m) * slope) * a; }
};
// y = f(x, dy) over all elements, with f of the element's channel.
template <class T, int V, class F>
__global__ void __launch_bounds__(256) map_channels(DeviceChannels s, std::int64_t total, F f, const T* x, const T* dy, T* y) {
  using A = compute_t<T>;
  constexpr int U = 4, span = 256 * U * V;
  const std::int64_t first = std::int64_t(blockIdx.x) * span, plane = first / s.inner;
  const unsigned i0 = unsigned(first - plane * s.inner), c0 = unsigned(plane % s.channels), inner = unsigned(s.inner), channels = unsigned(s.channels);
  const bool split = V > 1 && inner % V != 0;
  RowPack<T, V> in[U], up[U];
#pragma unroll
  for (int u = 0; u < U; ++u)
    if (const std::int64_t e = first + (u * 256 + int(threadIdx.x)) * V; e + V <= total) {
      in[u] = *reinterpret_cast<const RowPack<T, V>*>(x + e);
      if (F::binary) up[u] = *reinterpret_cast<const RowPack<T, V>*>(dy + e);
    }
#pragma unroll
  for (int u = 0; u < U; ++u) {
    const unsigned offset = (u * 256 + threadIdx.x) * V, q = (i0 + offset) / inner;
    const std::int64_t e = first + offset;
    if (e >= total) continue;
    unsigned i = i0 + offset - q * inner, c = (c0 + q) % channels;
    f.at(int(c));
    if (e + V <= total) {
      A v[V], g[V] = {};
      in[u].get(v);
      if (F::binary) up[u].get(g);
#pragma unroll
      for (int k = 0; k < V; ++k) {
        if (split && i == inner) {
          i = 0, c = c + 1 == channels ? 0 : c + 1;
          f.at(int(c));
        }
        v[k] = f(v[k], g[k]);
        ++i;
      }
      *reinterpret_cast<RowPack<T, V>*>(y + e) = RowPack<T, V>::of(v);
    } else {
      for (std::int64_t k = e; k < total; ++k, ++i) {
        if (i == inner) {
          i = 0, c = c + 1 == channels ? 0 : c + 1;
          f.at(int(c));
        }
        y[k] = down_cast<T>(f(up_cast(x[k]), F::binary ? up_cast(dy[k]) : A(0)));
      }
    }
  }
}
template <class T, class F>
void launch_map_channels(const char* name, const DeviceChannels& s, const F& f, const T* x, const T* dy, T* y) {
  constexpr int V = pack_elements<T>;
  const std::int64_t total = s.batch * s.channels * s.inner;
  const bool packed = is_pack_aligned(x) && is_pack_aligned(y) && (!dy || is_pack_aligned(dy));
  const std::int64_t span = 1024 * (packed ? V : 1);
  const unsigned grid = grid_of(name, (total + span - 1) / span);
  if (packed) SINTER_LAUNCH(name, (map_channels<T, V, F>), grid, 256, 0, s, total, f, x, dy, y);
  else SINTER_LAUNCH(name, (map_channels<T, 1, F>), grid, 256, 0, s, total, f, x, dy, y);
}

// By how many chunks of what size a channel is summed.
struct ChannelSplit {
  bool columns, packed;
  int chunk, chunks;
  template <class T>
  static ChannelSplit of(const char* name, const DeviceChannels& s, bool aligned, T) {
    constexpr int V = pack_elements<T>;
    const std::int64_t count = row_length(name, s.batch * s.inner);
    ChannelSplit r{s.inner == 1, aligned && s.inner % V == 0, 0, 0};
    r.chunk = r.columns ? column_chunk : 256 * (r.packed ? V * most_packs<T> : 16);
    r.chunks = int((count + r.chunk - 1) / r.chunk);
    return r;
  }
  unsigned grid(const char* name, std::int64_t channels) const { return grid_of(name, (columns ? (channels + 31) / 32 : channels) * chunks); }
};

inline void launch_channel_moments(const ChannelMomentsArgs& a) {
  constexpr const char* name = "batch_norm";
  const DeviceChannels& s = a.shape;
  if (s.channels == 0) return;
  for_floating(name, a.dtype, [&](auto kind) {
    using T = decltype(kind);
    using A = compute_t<T>;
    constexpr int V = pack_elements<T>;
    const T* x = static_cast<const T*>(a.x);
    T *running_mean = static_cast<T*>(a.running_mean), *running_var = static_cast<T*>(a.running_var);
    A *mean = static_cast<A*>(a.mean), *scale = static_cast<A*>(a.scale);
    if (!a.training) {
      SINTER_LAUNCH(name, (running_moments<T>), grid_of(name, (s.channels + 255) / 256), 256, 0, int(s.channels), a.eps, running_mean, running_var, mean, scale);
      return;
    }
    const ChannelSplit split = ChannelSplit::of(name, s, is_pack_aligned(x), T{});
    const Workspace space(std::size_t(s.channels) * std::size_t(split.chunks) * 2 * sizeof(A) + 16);
    A* part = static_cast<A*>(space.data());
    if (split.chunks > 0) {
      const unsigned grid = split.grid(name, s.channels);
      if (split.columns) SINTER_LAUNCH(name, (column_chunk_moments<T>), grid, 256, 0, s, split.chunks, x, part);
      else if (split.packed) SINTER_LAUNCH(name, (channel_chunk_moments<T, V, most_packs<T>>), grid, 256, 0, s, split.chunks, x, part);
      else SINTER_LAUNCH(name, (channel_chunk_moments<T, 1, 16>), grid, 256, 0, s, split.chunks, x, part);
    }
    SINTER_LAUNCH(name, (join_channel_moments<T>), grid_of(name, s.channels), 128, 0, s.batch * s.inner, split.chunks, split.chunk, a.eps, a.momentum, part, running_mean,
                  running_var, mean, scale);
  });
}

inline void launch_channel_norm(const ChannelNormArgs& a) {
  if (a.shape.batch * a.shape.channels * a.shape.inner == 0) return;
  for_floating("batch_norm", a.dtype, [&](auto kind) {
    using T = decltype(kind);
    using A = compute_t<T>;
    const Normalize<T> f{static_cast<const A*>(a.mean), static_cast<const A*>(a.scale), static_cast<const T*>(a.weight), static_cast<const T*>(a.bias), 0, 0, 0};
    launch_map_channels<T>("batch_norm", a.shape, f, static_cast<const T*>(a.x), nullptr, static_cast<T*>(a.y));
  });
}

inline void launch_channel_norm_backward(const ChannelNormBackwardArgs& a) {
  constexpr const char* name = "batch_norm backward";
  const DeviceChannels& s = a.shape;
  if (s.channels == 0) return;
  for_floating(name, a.dtype, [&](auto kind) {
    using T = decltype(kind);
    using A = compute_t<T>;
    constexpr int V = pack_elements<T>;
    const T *x = static_cast<const T*>(a.x), *dy = static_cast<const T*>(a.dy);
    const A *mean = static_cast<const A*>(a.mean), *scale = static_cast<const A*>(a.scale);
    const ChannelSplit split = ChannelSplit::of(name, s, is_pack_aligned(x) && is_pack_aligned(dy), T{});
    const Workspace space((std::size_t(split.chunks) + 1) * std::size_t(s.channels) * 2 * sizeof(A));
    A *part = static_cast<A*>(space.data()), *mid = part + 2 * std::int64_t(split.chunks) * s.channels;
    if (split.chunks > 0) {
      const unsigned grid = split.grid(name, s.channels);
      if (split.columns) SINTER_LAUNCH(name, (column_chunk_gradients<T>), grid, 256, 0, s, split.chunks, x, dy, mean, part);
      else if (split.packed) SINTER_LAUNCH(name, (channel_chunk_gradients<T, V, most_packs<T>>), grid, 256, 0, s, split.chunks, x, dy, mean, part);
      else SINTER_LAUNCH(name, (channel_chunk_gradients<T, 1, 16>), grid, 256, 0, s, split.chunks, x, dy, mean, part);
    }
    SINTER_LAUNCH(name, (join_channel_gradients<T>), grid_of(name, s.channels), 128, 0, s.batch * s.inner, split.chunks, a.moments, part, scale, static_cast<T*>(a.dweight),
                  static_cast<T*>(a.dbias), mid);
    if (!a.dx || split.chunks == 0) return;
    const NormalizeGradient<T> f{mean, scale, mid, static_cast<const T*>(a.weight), int(s.channels), 0, 0, 0, 0};
    launch_map_channels<T>(name, s, f, x, dy, static_cast<T*>(a.dx));
  });
}

inline const bool channels_registered = channel_moments_on_device.set(launch_channel_moments) && channel_norm_on_device.set(launch_channel_norm) &&
                                        channel_norm_backward_on_device.set(launch_channel_norm_backward);

}  // namespace cuda
}  // namespace sinter
