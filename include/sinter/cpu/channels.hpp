// SPDX-License-Identifier: MIT
// Batch normalisation's kernels on (batch, channels, inner) memory: two passes forward, statistics and normalisation, and two
// backward. The inner elements lie in the lanes, or the channels where there is but one inner element.
#pragma once

#include <limits>
#include <utility>

#include "sinter/cpu/gemm.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// Loads and stores one element, where Tile<T> does a vector.
template <class T>
struct One {
  using Vector = T;
  static constexpr int width = 1;
  static T load(const T* p) { return *p; }
  static void store(T* p, T v) { *p = v; }
};

struct Channels {
  std::int64_t batch, channels, inner;
  std::int64_t count() const { return batch * inner; }
  bool wide() const { return batch * channels * inner >= parallel_threshold; }
  bool across() const { return inner == 1; }

  // Channels in the lanes: f(words, c) for the vectors of channels, then for what is left.
  template <class T, class F>
  void each_across(F f) const {
    constexpr std::int64_t width = Tile<T>::width;
    parallel_for((channels + width - 1) / width, wide(), [=](std::int64_t i) {
      if ((i + 1) * width <= channels) return f(Tile<T>{}, i * width);
      for (std::int64_t c = i * width; c < channels; ++c) f(One<T>{}, c);
    });
  }
  // The sums of both members of g(i) over the elements i of channels c.
  template <class W, class F>
  auto sums_across(W, std::int64_t c, F g) const {
    typename W::Vector first = {}, second = {};
    constexpr std::int64_t block = 64;  // summed apart, so that rounding does not grow with the batch
    for (std::int64_t n0 = 0; n0 < batch; n0 += block) {
      typename W::Vector a = {}, b = {};
      for (std::int64_t n = n0; n < std::min(batch, n0 + block); ++n) {
        const auto v = g(n * channels + c);
        a += v.first, b += v.second;
      }
      first += a, second += b;
    }
    return std::pair(first, second);
  }

  // f(words, i) for the elements i of channel c.
  template <class T, class F>
  void each(std::int64_t c, F f) const {
    for (std::int64_t n = 0; n < batch; ++n) {
      std::int64_t i = (n * channels + c) * inner;
      const std::int64_t end = i + inner;
      for (; i + Tile<T>::width <= end; i += Tile<T>::width) f(Tile<T>{}, i);
      for (; i < end; ++i) f(One<T>{}, i);
    }
  }
  // Runs of a channel: elements [first, last) of planes [n0, n1), few enough to stay in the first cache.
  struct Run {
    std::int64_t c, n0, n1, first, last;
    double count() const { return double((n1 - n0) * (last - first)); }
  };
  template <class F>
  void each_run(std::int64_t c, F f) const {
    constexpr std::int64_t most = 4096;
    const std::int64_t planes = std::max<std::int64_t>(1, most / std::max<std::int64_t>(inner, 1));
    for (std::int64_t n = 0; n < batch; n += planes)
      for (std::int64_t i = 0; i < inner; i += most) f(Run{c, n, std::min(batch, n + planes), i, std::min(inner, i + most)});
  }
  // The sums of both members of f(words, i) over a run.
  template <class T, class F>
  std::pair<double, double> sums(const Run& r, F f) const {
    using Vector = typename Tile<T>::Vector;
    constexpr std::int64_t width = Tile<T>::width, chains = 4;
    Vector a[chains] = {}, b[chains] = {};
    T a1 = 0, b1 = 0;
    for (std::int64_t n = r.n0; n < r.n1; ++n) {
      std::int64_t i = (n * channels + r.c) * inner + r.first;
      const std::int64_t end = i + r.last - r.first;
      for (; i + chains * width <= end; i += chains * width)
#pragma GCC unroll 4
        for (int k = 0; k < chains; ++k) {
          const auto v = f(Tile<T>{}, i + k * width);
          a[k] += v.first, b[k] += v.second;
        }
      for (; i + width <= end; i += width) {
        const auto v = f(Tile<T>{}, i);
        a[0] += v.first, b[0] += v.second;
      }
      for (; i < end; ++i) {
        const auto v = f(One<T>{}, i);
        a1 += v.first, b1 += v.second;
      }
    }
    const Vector first = (a[0] + a[1]) + (a[2] + a[3]), second = (b[0] + b[1]) + (b[2] + b[3]);
    std::pair<double, double> total(a1, b1);
    for (int l = 0; l < width; ++l) total.first += double(first[l]), total.second += double(second[l]);
    return total;
  }
};

// Mean and biased variance of each channel. Each run of elements is centred by its own mean while it is in the cache, and
// the runs joined after Chan, Golub and LeVeque (1979), so that nothing cancels and memory is read once.
template <class T>
void channel_moments(const Channels& s, const T* x, T* mean, T* var) {
  if (s.across())
    return s.each_across<T>([=](auto w, std::int64_t c) {
      using V = typename decltype(w)::Vector;
      const V m = s.sums_across(w, c, [=](std::int64_t i) { return std::pair(w.load(x + i), V{}); }).first / T(s.batch);
      const V v = s.sums_across(w, c, [=](std::int64_t i) {
                     const V d = w.load(x + i) - m;
                     return std::pair<V, V>(d * d, V{});
                   }).first / T(s.batch);
      w.store(mean + c, m), w.store(var + c, v);
    });
  parallel_for(s.channels, s.wide(), [=](std::int64_t c) {
    double n = 0, centre = 0, squares = 0;
    s.each_run(c, [&](const Channels::Run& r) {
      const double k = r.count();
      const double m = s.sums<T>(r, [=](auto w, std::int64_t i) { return std::pair(w.load(x + i), typename decltype(w)::Vector{}); }).first / k;
      const auto [square, rest] = s.sums<T>(r, [x, m = T(m)](auto w, std::int64_t i) {
        const typename decltype(w)::Vector d = w.load(x + i) - m;
        return std::pair(d * d, d);
      });
      const double off = rest / k, shift = double(T(m)) + off - centre;  // T(m) was rounded
      squares += square - rest * off + shift * shift * n * k / (n + k);
      centre += shift * k / (n + k);
      n += k;
    });
    mean[c] = n > 0 ? T(centre) : std::numeric_limits<T>::quiet_NaN();
    var[c] = T(squares / n);
  });
}

// y = (x - mean) * scale * weight + bias, where weight and bias may be null. The epilogue sees rows of inner elements, a few
// channels of an image at a time.
template <class T>
void channel_normalize(const Channels& s, const T* x, const T* mean, const T* scale, const T* weight, const T* bias, T* y, Finish finish = {}) {
  if (s.across()) {
    s.each_across<T>([=](auto w, std::int64_t c) {
      using V = typename decltype(w)::Vector;
      const V m = w.load(mean + c), a = weight ? V(w.load(scale + c) * w.load(weight + c)) : w.load(scale + c), b = bias ? w.load(bias + c) : V{};
      for (std::int64_t n = 0, i = c; n < s.batch; ++n, i += s.channels) w.store(y + i, (w.load(x + i) - m) * a + b);
    });
    if (finish.run) finish.run(finish.self, 0, 0, s.batch * s.channels, 0, 1);
    return;
  }
  constexpr std::int64_t most = 16384;  // elements that stay in the cache until the epilogue has seen them
  const std::int64_t rows = std::max<std::int64_t>(1, most / std::max<std::int64_t>(s.inner, 1)), all = s.batch * s.channels;
  parallel_for((all + rows - 1) / rows, s.wide(), [=](std::int64_t block) {
    const std::int64_t begin = block * rows, end = std::min(all, begin + rows);
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t c = r % s.channels, last = (r + 1) * s.inner;
      const T a = scale[c] * (weight ? weight[c] : T(1)), m = mean[c], b = bias ? bias[c] : T(0);
      std::int64_t i = r * s.inner;
      for (; i + Tile<T>::width <= last; i += Tile<T>::width) Tile<T>::store(y + i, (Tile<T>::load(x + i) - m) * a + b);
      for (; i < last; ++i) y[i] = (x[i] - m) * a + b;
    }
    if (finish.run) finish.run(finish.self, 0, begin, end, 0, s.inner);
  });
}

// Gradients of channel_normalize; dx may be null. `batch_moments`: mean and scale came from x itself.
template <class T>
void channel_normalize_backward(const Channels& s, const T* x, const T* dy, const T* mean, const T* scale, const T* weight, bool batch_moments,
                                T* dx, T* dweight, T* dbias) {
  const T share = batch_moments ? T(1) / T(s.count()) : T(0);
  if (s.across())
    return s.each_across<T>([=](auto w, std::int64_t c) {
      using V = typename decltype(w)::Vector;
      const V m = w.load(mean + c), r = w.load(scale + c), a = weight ? V(r * w.load(weight + c)) : r;
      const auto [along, total] = s.sums_across(w, c, [=](std::int64_t i) {
        const V g = w.load(dy + i);
        return std::pair<V, V>(g * (w.load(x + i) - m), g);
      });
      w.store(dweight + c, along * r), w.store(dbias + c, total);
      if (!dx) return;
      const V mean_gradient = total * share, slope = along * r * r * share;
      for (std::int64_t n = 0, i = c; n < s.batch; ++n, i += s.channels)
        w.store(dx + i, (w.load(dy + i) - mean_gradient - (w.load(x + i) - m) * slope) * a);
    });
  parallel_for(s.channels, s.wide(), [=](std::int64_t c) {
    const T m = mean[c], r = scale[c], a = r * (weight ? weight[c] : T(1));
    double sum_along = 0, sum_total = 0;
    s.each_run(c, [&](const Channels::Run& run) {
      const auto [p, q] = s.sums<T>(run, [=](auto w, std::int64_t i) {
        const auto g = w.load(dy + i);
        return std::pair(g * (w.load(x + i) - m), g);
      });
      sum_along += p, sum_total += q;
    });
    const T along = T(sum_along), total = T(sum_total);
    dweight[c] = along * r;
    dbias[c] = total;
    if (!dx) return;
    const T mean_gradient = total * share, slope = along * r * r * share;
    s.each<T>(c, [=](auto w, std::int64_t i) { w.store(dx + i, (w.load(dy + i) - mean_gradient - (w.load(x + i) - m) * slope) * a); });
  });
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
