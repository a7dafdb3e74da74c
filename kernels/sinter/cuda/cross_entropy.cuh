// SPDX-License-Identifier: MIT
// cross_entropy and nll_loss of class labels. Forward reads the logits once, whatever their number; backward reads and writes
// them once. Sums over labels go by chunks of a fixed size, in double, and repeat to the bit.
#pragma once

#include "sinter/cuda/index_fault.cuh"
#include "sinter/cuda/online.cuh"
#include "sinter/device/loss.hpp"

namespace sinter {
namespace cuda {

template <class T>
struct LabelTerms {
  using A = compute_t<T>;
  const std::int64_t* label;
  const A* weight;
  std::int64_t ignore;
  A own, share;  // 1 - label_smoothing, label_smoothing / classes
  int classes;
  FaultReport fault;
  LabelTerms(const char* op, const DeviceLabels& l, std::int64_t n)
      : label(l.label), weight(static_cast<const A*>(l.weight)), ignore(l.ignore), own(A(1 - l.smoothing)),
        share(n > 0 ? A(l.smoothing / double(n)) : A(0)), classes(row_length(op, n)), fault(FaultReport::of(op)) {}
  __device__ A weight_of(std::int64_t y) const { return weight ? weight[y] : A(1); }
};

// The loss of one label, given what its row holds. smooth: the sum of weight * (x - top).
template <class T, class A = compute_t<T>>
__device__ inline A label_loss(const LabelTerms<T>& t, std::int64_t y, const T* row, std::int64_t step, A top, A log_sum, A smooth, A weight_sum) {
  if (y == t.ignore) return 0;
  if (!t.fault.accepts(y, t.classes)) return A(NAN);
  A loss = t.own * t.weight_of(y) * ((top - up_cast(row[y * step])) + log_sum);
  if (t.share != 0) loss += t.share * (weight_sum * log_sum - smooth);
  return loss;
}

template <class T, int V, bool Block>
__global__ void __launch_bounds__(Block ? 512 : 128)
    cross_entropy_rows(std::int64_t rows, int lanes, LabelTerms<T> t, const T* x, compute_t<T>* top, compute_t<T>* log_sum, compute_t<T>* losses, double* totals) {
  using A = compute_t<T>;
  const Team<Block> team(lanes);
  const std::int64_t r = team.row();
  const bool live = r < rows;
  const T* from = x + (live ? r * t.classes : 0);
  const PackedRow<T, V> row(from, live ? t.classes : 0);
  // The smooth part is summed about the row's first element, since the greatest is not known yet.
  const A first = live ? up_cast(from[0]) : A(0), about = first - first == A(0) ? first : A(0);
  A smooth[2] = {0, 0};  // of weight * (x - about), of weights
  Online<A> sum;
  if (t.share == 0) {
    online_row(team, row, from, sum, [](int, const auto&) {});
  } else {
    online_row(team, row, from, sum, [&](int f, const A(&v)[V]) {
#pragma unroll
      for (int i = 0; i < V; ++i)
        if (row.holds(f + i)) {
          const A w = t.weight_of(f + i);
          smooth[0] += w * (v[i] - about), smooth[1] += w;
        }
    });
    team.reduce(smooth, Plus{}, A(0));
  }
  sum.join(team);
  if (team.rank != 0 || !live) return;
  const A log_total = row_log(sum.total);
  top[r] = sum.top, log_sum[r] = log_total;
  losses[r] = label_loss(t, t.label[r], from, 1, sum.top, log_total, smooth[0] - smooth[1] * (sum.top - about), smooth[1]);
  if (r == 0) totals[1] = double(smooth[1]);
}

// Classes that lie `inner` apart.
template <class T>
__global__ void __launch_bounds__(256)
    cross_entropy_across(DeviceRows rows, int columns, LabelTerms<T> t, const T* x, compute_t<T>* top, compute_t<T>* log_sum, compute_t<T>* losses, double* totals) {
  using A = compute_t<T>;
  __shared__ A shared[256];
  const ColumnTile tile(columns);
  const std::int64_t tiles = (rows.inner + columns - 1) / columns, o = blockIdx.x / tiles, c = blockIdx.x % tiles * columns + tile.x;
  const T* from = x + o * rows.n * rows.inner + c;
  const std::int64_t n = c < rows.inner ? rows.n : 0, r = o * rows.inner + c;
  const A first = n > 0 ? up_cast(from[0]) : A(0), about = first - first == A(0) ? first : A(0);
  A smooth = 0, weights = 0;
  Online<A> sum;
  for (std::int64_t k = tile.y; k < n; k += tile.rows) {
    const A v[1] = {up_cast(from[k * rows.inner])};
    sum.add(v);
    if (t.share != 0) {
      const A w = t.weight_of(k);
      smooth += w * (v[0] - about), weights += w;
    }
  }
  if (t.share != 0) smooth = tile.reduce(smooth, shared, Plus{}), weights = tile.reduce(weights, shared, Plus{});
  sum.join(tile, shared);
  if (tile.y != 0 || n == 0) return;
  const A log_total = row_log(sum.total);
  top[r] = sum.top, log_sum[r] = log_total;
  losses[r] = label_loss(t, t.label[r], from, rows.inner, sum.top, log_total, smooth - weights * (sum.top - about), weights);
  if (r == 0) totals[1] = double(weights);
}

template <class T>
__global__ void __launch_bounds__(256) nll_losses(DeviceRows rows, LabelTerms<T> t, const T* x, compute_t<T>* losses) {
  using A = compute_t<T>;
  const std::int64_t r = std::int64_t(blockIdx.x) * 256 + threadIdx.x;
  if (r >= rows.outer * rows.inner) return;
  const std::int64_t y = t.label[r];
  A loss = 0;
  if (y != t.ignore) {
    if (t.fault.accepts(y, t.classes)) loss = -t.weight_of(y) * up_cast(x[r / rows.inner * rows.n * rows.inner + r % rows.inner + y * rows.inner]);
    else loss = A(NAN);
  }
  losses[r] = loss;
}

// Sums of a chunk's losses and of its labels' weights.
inline constexpr int label_chunk = 8192;
template <class T>
__global__ void __launch_bounds__(512) sum_losses(std::int64_t count, LabelTerms<T> t, const compute_t<T>* losses, double* partial) {
  const Team<true> team(0);
  double s[2] = {0, 0};
  const std::int64_t begin = std::int64_t(blockIdx.x) * label_chunk, end = begin + label_chunk < count ? begin + label_chunk : count;
  for (std::int64_t i = begin + team.rank; i < end; i += team.width) {
    const std::int64_t y = t.label[i];
    s[0] += double(losses[i]);
    if (y != t.ignore && 0 <= y && y < t.classes) s[1] += double(t.weight_of(y));
  }
  team.reduce(s, Plus{}, 0.0);
  if (team.rank == 0) partial[2 * blockIdx.x] = s[0], partial[2 * blockIdx.x + 1] = s[1];
}
template <class T>
__global__ void __launch_bounds__(512) finish_losses(int chunks, bool mean, const double* partial, double* totals, T* out) {
  const Team<true> team(0);
  double s[2] = {0, 0};
  for (int i = team.rank; i < chunks; i += team.width) s[0] += partial[2 * i], s[1] += partial[2 * i + 1];
  team.reduce(s, Plus{}, 0.0);
  if (team.rank != 0) return;
  totals[0] = s[1];
  *out = down_cast<T>(compute_t<T>(mean ? s[0] / s[1] : s[0]));
}
template <class T>
__global__ void __launch_bounds__(256) narrow_losses(std::int64_t count, const compute_t<T>* losses, T* out) {
  if (const std::int64_t i = std::int64_t(blockIdx.x) * 256 + threadIdx.x; i < count) out[i] = down_cast<T>(losses[i]);
}

// The gradient of a label's loss.
template <class T>
struct LossGradient {
  using A = compute_t<T>;
  LossReduction reduction;
  const T* dy;
  const double* totals;
  __device__ A operator()(std::int64_t r) const {
    if (reduction == LossReduction::none) return up_cast(dy[r]);
    const A g = up_cast(*dy);
    return reduction == LossReduction::mean ? A(double(g) / totals[0]) : g;
  }
};
// dx = exp(x - top - log_sum) * total - share * weight, less `own` at the label.
template <class T>
struct RowGradient {
  using A = compute_t<T>;
  std::int64_t label;
  A top, log_sum, own, share, total;
  __device__ RowGradient(const LabelTerms<T>& t, const LossGradient<T>& gradient, std::int64_t r, A m, A l) : label(t.label[r]), top(m), log_sum(l) {
    A g = 0;
    own = 0;
    if (label == t.ignore) {
      label = -1;
    } else if (label >= 0 && label < t.classes) {
      g = gradient(r);
      own = g * t.own * t.weight_of(label);
    } else {
      label = -1, own = A(NAN);
    }
    share = g * t.share;
    total = own;
    if (t.share != 0) total += share * A(t.weight ? gradient.totals[1] : double(t.classes));
  }
  __device__ A operator()(A x, std::int64_t c, const LabelTerms<T>& t) const {
    A d = total == A(0) ? A(0) : row_exp(x - top - log_sum) * total;
    if (t.share != 0) d -= share * t.weight_of(c);
    return c == label ? d - own : d;
  }
};

template <class T, int V, bool Block>
__global__ void __launch_bounds__(Block ? 512 : 128) cross_entropy_backward_rows(std::int64_t rows, int lanes, LabelTerms<T> t, LossGradient<T> gradient, const T* x,
                                                                               const compute_t<T>* top, const compute_t<T>* log_sum, T* dx) {
  using A = compute_t<T>;
  constexpr int U = 4;
  const Team<Block> team(lanes);
  const std::int64_t r = team.row();
  if (r >= rows) return;  // no reduction follows
  const T* from = x + r * t.classes;
  T* to = dx + r * t.classes;
  const PackedRow<T, V> row(from, t.classes);
  const RowGradient<T> f(t, gradient, r, top[r], log_sum[r]);
  for (int j = team.rank; j < row.packs; j += U * team.width) {
    RowPack<T, V> p[U];
#pragma unroll
    for (int u = 0; u < U; ++u) p[u] = row.load(from, j + u * team.width, A(0));
#pragma unroll
    for (int u = 0; u < U; ++u) {
      const int at = j + u * team.width;
      if (at >= row.packs) break;
      A v[V];
      p[u].get(v);
#pragma unroll
      for (int i = 0; i < V; ++i)
        if (row.holds(row.first(at) + i)) v[i] = f(v[i], row.first(at) + i, t);
      row.store(to, at, v);
    }
  }
}

// A column for each thread.
template <class T>
__global__ void __launch_bounds__(256) cross_entropy_backward_across(DeviceRows rows, LabelTerms<T> t, LossGradient<T> gradient, const T* x,
                                                                    const compute_t<T>* top, const compute_t<T>* log_sum, T* dx) {
  const std::int64_t r = std::int64_t(blockIdx.x) * 256 + threadIdx.x;
  if (r >= rows.outer * rows.inner) return;
  const RowGradient<T> f(t, gradient, r, top[r], log_sum[r]);
  const std::int64_t begin = r / rows.inner * rows.n * rows.inner + r % rows.inner;
#pragma unroll 4
  for (std::int64_t k = 0; k < rows.n; ++k) dx[begin + k * rows.inner] = down_cast<T>(f(up_cast(x[begin + k * rows.inner]), k, t));
}

template <class T>
__global__ void __launch_bounds__(256) nll_backward(DeviceRows rows, LabelTerms<T> t, LossGradient<T> gradient, T* dx) {
  using A = compute_t<T>;
  const std::int64_t count = rows.outer * rows.n * rows.inner, step = std::int64_t(gridDim.x) * 256;
  for (std::int64_t i = std::int64_t(blockIdx.x) * 256 + threadIdx.x; i < count; i += step) {
    const std::int64_t c = i / rows.inner % rows.n, r = i / (rows.inner * rows.n) * rows.inner + i % rows.inner, y = t.label[r];
    A d = 0;
    if (y != t.ignore) {
      if (y == c) d = -t.weight_of(y) * gradient(r);
      else if (y < 0 || y >= rows.n) d = A(NAN);
    }
    dx[i] = down_cast<T>(d);
  }
}

template <class T>
void reduce_label_losses(const char* name, const CrossEntropyArgs& a, const LabelTerms<T>& t, std::int64_t count) {
  using A = compute_t<T>;
  const A* losses = static_cast<const A*>(a.losses);
  T* out = static_cast<T*>(a.out);
  if (a.reduction == LossReduction::none) {
    if (count > 0) SINTER_LAUNCH(name, (narrow_losses<T>), grid_of(name, (count + 255) / 256), 256, 0, count, losses, out);
    return;
  }
  const std::int64_t chunks = (count + label_chunk - 1) / label_chunk;
  const Workspace partial(std::size_t(chunks) * 16 + 16);
  double* sums = static_cast<double*>(partial.data());
  if (chunks > 0) SINTER_LAUNCH(name, (sum_losses<T>), grid_of(name, chunks), 512, 0, count, t, losses, sums);
  SINTER_LAUNCH(name, (finish_losses<T>), 1, 512, 0, int(chunks), a.reduction == LossReduction::mean, sums, a.totals, out);
}

inline void launch_cross_entropy(const CrossEntropyArgs& a) {
  constexpr const char* name = "cross_entropy";
  const DeviceRows& s = a.rows;
  for_floating(name, a.dtype, [&](auto kind) {
    using T = decltype(kind);
    using A = compute_t<T>;
    constexpr int V = pack_elements<T>;
    const LabelTerms<T> t(name, a.labels, s.n);
    const T* x = static_cast<const T*>(a.x);
    A *top = static_cast<A*>(a.top), *log_sum = static_cast<A*>(a.log_sum), *losses = static_cast<A*>(a.losses);
    const std::int64_t count = s.outer * s.inner;
    if (count > 0 && s.n > 0) {
      if (s.inner > 1) {
        const int columns = power_of_two(s.inner, s.n >= 256 ? 32 : 256);
        const unsigned grid = grid_of(name, s.outer * ((s.inner + columns - 1) / columns));
        SINTER_LAUNCH(name, (cross_entropy_across<T>), grid, 256, 0, s, columns, t, x, top, log_sum, losses, a.totals);
      } else if (const std::int64_t packs = packs_of<T>(s.n); packs <= 256) {
        const int lanes = power_of_two(packs, 32);
        const std::int64_t teams = 128 / lanes;
        SINTER_LAUNCH(name, (cross_entropy_rows<T, V, false>), grid_of(name, (count + teams - 1) / teams), 128, 0, count, lanes, t, x, top, log_sum, losses, a.totals);
      } else {
        SINTER_LAUNCH(name, (cross_entropy_rows<T, V, true>), grid_of(name, count), packs <= 2048 ? 256 : 512, 0, count, 0, t, x, top, log_sum, losses, a.totals);
      }
    }
    reduce_label_losses<T>(name, a, t, count);
  });
}

inline void launch_cross_entropy_backward(const CrossEntropyBackwardArgs& a) {
  constexpr const char* name = "cross_entropy backward";
  const DeviceRows& s = a.rows;
  if (s.outer * s.n * s.inner == 0) return;
  for_floating(name, a.dtype, [&](auto kind) {
    using T = decltype(kind);
    using A = compute_t<T>;
    constexpr int V = pack_elements<T>;
    const LabelTerms<T> t(name, a.labels, s.n);
    const LossGradient<T> gradient{a.reduction, static_cast<const T*>(a.dy), a.totals};
    const T* x = static_cast<const T*>(a.x);
    const A *top = static_cast<const A*>(a.top), *log_sum = static_cast<const A*>(a.log_sum);
    T* dx = static_cast<T*>(a.dx);
    const std::int64_t count = s.outer * s.inner;
    if (s.inner > 1) {
      SINTER_LAUNCH(name, (cross_entropy_backward_across<T>), grid_of(name, (count + 255) / 256), 256, 0, s, t, gradient, x, top, log_sum, dx);
      return;
    }
    const auto run = [&](auto width) {
      constexpr int W = decltype(width)::value;
      const std::int64_t packs = W == 1 ? s.n : packs_of<T>(s.n);
      const int lanes = power_of_two(packs, 32), teams = 128 / lanes;
      if (packs <= 256) SINTER_LAUNCH(name, (cross_entropy_backward_rows<T, W, false>), grid_of(name, (count + teams - 1) / teams), 128, 0, count, lanes, t, gradient, x, top, log_sum, dx);
      else SINTER_LAUNCH(name, (cross_entropy_backward_rows<T, W, true>), grid_of(name, count), packs <= 2048 ? 256 : 512, 0, count, 0, t, gradient, x, top, log_sum, dx);
    };
    if (same_phase(x, dx)) run(std::integral_constant<int, V>());
    else run(std::integral_constant<int, 1>());
  });
}

inline void launch_nll_loss(const CrossEntropyArgs& a) {
  constexpr const char* name = "nll_loss";
  for_floating(name, a.dtype, [&](auto kind) {
    using T = decltype(kind);
    const LabelTerms<T> t(name, a.labels, a.rows.n);
    const std::int64_t count = a.rows.outer * a.rows.inner;
    if (count > 0) SINTER_LAUNCH(name, (nll_losses<T>), grid_of(name, (count + 255) / 256), 256, 0, a.rows, t, static_cast<const T*>(a.x), static_cast<compute_t<T>*>(a.losses));
    reduce_label_losses<T>(name, a, t, count);
  });
}
inline void launch_nll_loss_backward(const CrossEntropyBackwardArgs& a) {
  constexpr const char* name = "nll_loss backward";
  const std::int64_t count = a.rows.outer * a.rows.n * a.rows.inner;
  if (count == 0) return;
  for_floating(name, a.dtype, [&](auto kind) {
    using T = decltype(kind);
    const LabelTerms<T> t(name, a.labels, a.rows.n);
    const LossGradient<T> gradient{a.reduction, static_cast<const T*>(a.dy), a.totals};
    const std::int64_t blocks = (count + 255) / 256;
    SINTER_LAUNCH(name, (nll_backward<T>), unsigned(blocks < 4096 ? blocks : 4096), 256, 0, a.rows, t, gradient, static_cast<T*>(a.dx));
  });
}

inline const bool cross_entropy_registered =
    cross_entropy_on_device.set(launch_cross_entropy) && cross_entropy_backward_on_device.set(launch_cross_entropy_backward) &&
    nll_loss_on_device.set(launch_nll_loss) && nll_loss_backward_on_device.set(launch_nll_loss_backward);

}  // namespace cuda
}  // namespace sinter
