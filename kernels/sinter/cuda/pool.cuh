// SPDX-License-Identifier: MIT
// Max and average pooling. Forward: a thread for each window, or a warp where windows are large. Backward: a thread for each
// element of the image, which looks at the windows that cover it.
#pragma once

#include "sinter/cuda/rows.cuh"
#include "sinter/device/pool.hpp"

namespace sinter {
namespace cuda {

struct Windows {
  int count, extent, kernel, stride, padding, dilation;
  explicit Windows(const DeviceWindows& w)
      : count(int(w.count)), extent(int(w.extent)), kernel(int(w.kernel)), stride(int(w.stride)), padding(int(w.padding)), dilation(int(w.dilation)) {}
  // Elements begin, begin + step, ... before end; padded: their number with the padding.
  struct Span {
    int begin, end, step, padded;
    __device__ int size() const { return end > begin ? (end - begin + step - 1) / step : 0; }
  };
  __device__ Span operator[](int i) const {
    if (kernel == 0) {
      const int begin = int(std::int64_t(i) * extent / count), end = int((std::int64_t(i + 1) * extent + count - 1) / count);
      return {begin, end, 1, end - begin};
    }
    const int first = i * stride - padding, behind = first + dilation * (kernel - 1) + 1, last = behind < extent + padding ? behind : extent + padding;
    const int skipped = first < 0 ? (-first + dilation - 1) / dilation * dilation : 0;
    return {first + skipped, last < extent ? last : extent, dilation, last - first};
  }
  // Windows [begin, end) are those that may cover element p; with a dilation, not all of them do.
  struct Cover {
    int begin, end;
  };
  __device__ Cover covering(int p) const {
    if (kernel == 0) return {int(std::int64_t(p) * count / extent), int((std::int64_t(p + 1) * count + extent - 1) / extent)};
    const int reach = dilation * (kernel - 1), from = p + padding - reach, last = (p + padding) / stride + 1;
    return {from > 0 ? (from + stride - 1) / stride : 0, last < count ? last : count};
  }
};
struct Pooling {
  Windows rows, columns;
  std::int64_t planes;
  explicit Pooling(const DevicePooling& p) : rows(p.rows), columns(p.columns), planes(p.planes) {}
  SINTER_HOST_DEVICE int area() const { return rows.count * columns.count; }
  SINTER_HOST_DEVICE int plane() const { return rows.extent * columns.extent; }
  SINTER_HOST_DEVICE std::int64_t outputs() const { return planes * area(); }
  SINTER_HOST_DEVICE std::int64_t inputs() const { return planes * plane(); }
};

template <class T>
__global__ void __launch_bounds__(256) max_pool(Pooling s, const T* x, T* y, std::int32_t* place) {
  using A = compute_t<T>;
  const std::int64_t o = std::int64_t(blockIdx.x) * 256 + threadIdx.x;
  if (o >= s.outputs()) return;
  const std::int64_t p = o / s.area();
  const int i = int(o - p * s.area()), r = i / s.columns.count, c = i - r * s.columns.count;
  const Windows::Span h = s.rows[r], w = s.columns[c];
  const T* from = x + p * s.plane();
  A best = lowest<A>();
  int at = h.begin * s.columns.extent + w.begin;
  for (int a = h.begin; a < h.end; a += h.step)
    for (int b = w.begin; b < w.end; b += w.step) {
      const int k = a * s.columns.extent + b;
      const A v = up_cast(from[k]);
      if (v > best || v != v) best = v, at = k;
    }
  y[o] = down_cast<T>(best);
  place[o] = at;
}
// Windows of 2 x 2 side by side: a thread reads a pack of each of two rows and writes V / 2 windows. Rows are aligned.
template <class T>
__global__ void __launch_bounds__(256) max_pool_2x2(Pooling s, const T* x, T* y, std::int32_t* place) {
  using A = compute_t<T>;
  constexpr int V = pack_elements<T>;
  const int width = s.columns.extent, each = width / V;  // threads of a row of windows
  const std::int64_t i = std::int64_t(blockIdx.x) * 256 + threadIdx.x, row = i / each;  // of windows, among all planes
  if (row >= s.planes * s.rows.count) return;
  const std::int64_t p = row / s.rows.count;
  const int r = int(row - p * s.rows.count), c = int(i - row * each) * V, first = 2 * r * width + c;
  const T* from = x + p * s.plane() + first;
  A top[V], low[V];
  const auto above = *reinterpret_cast<const RowPack<T, V>*>(from), below = *reinterpret_cast<const RowPack<T, V>*>(from + width);
  above.get(top), below.get(low);
  const std::int64_t to = row * s.columns.count + c / 2;
#pragma unroll
  for (int k = 0; k < V / 2; ++k) {
    const A v[4] = {top[2 * k], top[2 * k + 1], low[2 * k], low[2 * k + 1]};
    const int at[4] = {0, 1, width, width + 1};
    A best = lowest<A>();
    int where = 0;
#pragma unroll
    for (int j = 0; j < 4; ++j)
      if (v[j] > best || v[j] != v[j]) best = v[j], where = at[j];
    y[to + k] = down_cast<T>(best);
    place[to + k] = first + 2 * k + where;
  }
}
template <class T>
__global__ void __launch_bounds__(256) max_pool_backward(Pooling s, const T* dy, const std::int32_t* place, T* dx) {
  const std::int64_t i = std::int64_t(blockIdx.x) * 256 + threadIdx.x;
  if (i >= s.inputs()) return;
  const std::int64_t p = i / s.plane();
  const int k = int(i - p * s.plane()), h = k / s.columns.extent, w = k - h * s.columns.extent;
  const Windows::Cover rows = s.rows.covering(h), columns = s.columns.covering(w);
  compute_t<T> sum = 0;
  for (int r = rows.begin; r < rows.end; ++r)
    for (int c = columns.begin; c < columns.end; ++c) {
      const std::int64_t o = p * s.area() + r * s.columns.count + c;
      if (place[o] == k) sum += up_cast(dy[o]);
    }
  dx[i] = down_cast<T>(sum);
}
template <class T>
__global__ void __launch_bounds__(256) pick_places(Pooling s, const T* x, const std::int32_t* place, T* y) {
  const std::int64_t o = std::int64_t(blockIdx.x) * 256 + threadIdx.x;
  if (o < s.outputs()) y[o] = x[o / s.area() * s.plane() + place[o]];
}

template <class A>
__device__ inline A window_share(const Windows::Span& h, const Windows::Span& w, bool with_padding) {
  return A(1) / A(with_padding ? std::int64_t(h.padded) * w.padded : std::int64_t(h.size()) * w.size());
}
// `lanes` neighbours, a power of two, share a window.
template <class T>
__global__ void __launch_bounds__(256) avg_pool(Pooling s, int lanes, bool with_padding, const T* x, T* y) {
  using A = compute_t<T>;
  const Team<false> team(lanes);
  const std::int64_t o = team.row();
  const bool live = o < s.outputs();
  A sum = 0, share = 0;
  if (live) {
    const std::int64_t p = o / s.area();
    const int i = int(o - p * s.area()), r = i / s.columns.count;
    const Windows::Span h = s.rows[r], w = s.columns[i - r * s.columns.count];
    const T* from = x + p * s.plane();
    share = window_share<A>(h, w, with_padding);
    if (w.end - w.begin == s.columns.extent) {  // whole rows lie behind one another
      const int end = h.end * s.columns.extent;
#pragma unroll 4
      for (int k = h.begin * s.columns.extent + team.rank; k < end; k += lanes) sum += up_cast(from[k]);
    } else {
      const int n = w.size(), all = h.size() * n;
      for (int k = team.rank; k < all; k += lanes) {
        const int a = k / n;
        sum += up_cast(from[(h.begin + a) * s.columns.extent + w.begin + k - a * n]);
      }
    }
  }
  sum = lanes_reduce(sum, lanes, Plus{});
  if (live && team.rank == 0) y[o] = down_cast<T>(sum * share);
}
template <class T>
__global__ void __launch_bounds__(256) avg_pool_backward(Pooling s, bool with_padding, const T* dy, T* dx) {
  using A = compute_t<T>;
  const std::int64_t i = std::int64_t(blockIdx.x) * 256 + threadIdx.x;
  if (i >= s.inputs()) return;
  const std::int64_t p = i / s.plane();
  const int k = int(i - p * s.plane()), h = k / s.columns.extent;
  const Windows::Cover rows = s.rows.covering(h), columns = s.columns.covering(k - h * s.columns.extent);
  A sum = 0;
  for (int r = rows.begin; r < rows.end; ++r)
    for (int c = columns.begin; c < columns.end; ++c)
      sum += up_cast(dy[p * s.area() + r * s.columns.count + c]) * window_share<A>(s.rows[r], s.columns[c], with_padding);
  dx[i] = down_cast<T>(sum);
}

inline unsigned pool_grid(const char* name, const DevicePooling& s, std::int64_t threads) {
  if (s.rows.extent * s.columns.extent > 0x7fffffff || s.rows.count * s.columns.count > 0x7fffffff)
    fail<DeviceError>(name, ": a plane of ", s.rows.extent, " x ", s.columns.extent, " is larger than its CUDA kernel takes");
  return grid_of(name, (threads + 255) / 256);
}

inline void launch_max_pool(const MaxPoolArgs& a) {
  constexpr const char* name = "max_pool2d";
  const Pooling s(a.shape);
  if (s.outputs() == 0) return;
  const auto halves = [](const DeviceWindows& w) { return w.kernel == 2 && w.stride == 2 && w.padding == 0 && w.dilation == 1 && 2 * w.count <= w.extent; };
  for_floating(name, a.dtype, [&](auto kind) {
    using T = decltype(kind);
    constexpr int V = pack_elements<T>;
    const T* x = static_cast<const T*>(a.x);
    T* y = static_cast<T*>(a.y);
    if (halves(a.shape.rows) && halves(a.shape.columns) && s.columns.extent % V == 0 && is_pack_aligned(x))
      SINTER_LAUNCH(name, (max_pool_2x2<T>), pool_grid(name, a.shape, s.planes * s.rows.count * (s.columns.extent / V)), 256, 0, s, x, y, a.place);
    else SINTER_LAUNCH(name, (max_pool<T>), pool_grid(name, a.shape, s.outputs()), 256, 0, s, x, y, a.place);
  });
}
inline void launch_max_pool_backward(const MaxPoolBackwardArgs& a) {
  constexpr const char* name = "max_pool2d backward";
  const Pooling s(a.shape);
  if (s.inputs() == 0) return;
  for_floating(name, a.dtype, [&](auto kind) {
    using T = decltype(kind);
    SINTER_LAUNCH(name, (max_pool_backward<T>), pool_grid(name, a.shape, s.inputs()), 256, 0, s, static_cast<const T*>(a.dy), a.place, static_cast<T*>(a.dx));
  });
}
inline void launch_pick_places(const PickPlacesArgs& a) {
  constexpr const char* name = "max_pool2d";
  const Pooling s(a.shape);
  if (s.outputs() == 0) return;
  for_floating(name, a.dtype, [&](auto kind) {
    using T = decltype(kind);
    SINTER_LAUNCH(name, (pick_places<T>), pool_grid(name, a.shape, s.outputs()), 256, 0, s, static_cast<const T*>(a.x), a.place, static_cast<T*>(a.y));
  });
}
inline void launch_avg_pool(const AvgPoolArgs& a) {
  constexpr const char* name = "avg_pool2d";
  const Pooling s(a.shape);
  if (s.outputs() == 0) return;
  const auto most = [](const DeviceWindows& w) { return w.kernel ? w.kernel : (w.extent + w.count - 1) / w.count; };
  const int lanes = power_of_two(most(a.shape.rows) * most(a.shape.columns) / 8, 32);
  for_floating(name, a.dtype, [&](auto kind) {
    using T = decltype(kind);
    SINTER_LAUNCH(name, (avg_pool<T>), pool_grid(name, a.shape, s.outputs() * lanes), 256, 0, s, lanes, a.with_padding, static_cast<const T*>(a.x), static_cast<T*>(a.y));
  });
}
inline void launch_avg_pool_backward(const AvgPoolArgs& a) {
  constexpr const char* name = "avg_pool2d backward";
  const Pooling s(a.shape);
  if (s.inputs() == 0) return;
  for_floating(name, a.dtype, [&](auto kind) {
    using T = decltype(kind);
    SINTER_LAUNCH(name, (avg_pool_backward<T>), pool_grid(name, a.shape, s.inputs()), 256, 0, s, a.with_padding, static_cast<const T*>(a.x), static_cast<T*>(a.y));
  });
}

inline const bool pool_registered = max_pool_on_device.set(launch_max_pool) && max_pool_backward_on_device.set(launch_max_pool_backward) &&
                                    pick_places_on_device.set(launch_pick_places) && avg_pool_on_device.set(launch_avg_pool) &&
                                    avg_pool_backward_on_device.set(launch_avg_pool_backward);

}  // namespace cuda
}  // namespace sinter
