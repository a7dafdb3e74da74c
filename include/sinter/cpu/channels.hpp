// SPDX-License-Identifier: MIT
// Loops over one channel of (batch, channels, inner) memory, vector by vector, and batch normalisation's kernels on them.
#pragma once

#include "sinter/cpu/gemm.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

struct Channels {
  std::int64_t batch, channels, inner;
  std::int64_t count() const { return batch * inner; }
  bool wide() const { return batch * channels * inner >= parallel_threshold; }

  // f(words, i) for the elements i of channel c, where `words` loads and stores a vector or an element.
  template <class T, class F>
  void each(std::int64_t c, F f) const {
    for (std::int64_t n = 0; n < batch; ++n) {
      std::int64_t i = (n * channels + c) * inner;
      const std::int64_t end = i + inner;
      for (; i + Tile<T>::width <= end; i += Tile<T>::width) f(Tile<T>{}, i);
      for (; i < end; ++i) f(One<T>{}, i);
    }
  }
  // The sums of both members of f(words, i).
  template <class T, class F>
  std::pair<T, T> sums(std::int64_t c, F f) const {
    double first = 0, second = 0;
    for (std::int64_t n = 0; n < batch; ++n) {
      typename Tile<T>::Vector a = {}, b = {};
      std::int64_t i = (n * channels + c) * inner;
      const std::int64_t end = i + inner;
      for (; i + Tile<T>::width <= end; i += Tile<T>::width) {
        const auto v = f(Tile<T>{}, i);
        a += v.first, b += v.second;
      }
      for (int l = 0; l < Tile<T>::width; ++l) first += double(a[l]), second += double(b[l]);
      for (; i < end; ++i) {
        const auto v = f(One<T>{}, i);
        first += double(v.first), second += double(v.second);
      }
    }
    return {T(first), T(second)};
  }

 private:
  template <class T>
  struct One {
    static T load(const T* p) { return *p; }
    static void store(T* p, T v) { *p = v; }
  };
};

// Mean and biased variance of each channel, in two passes so that nothing cancels.
template <class T>
void channel_moments(const Channels& s, const T* x, T* mean, T* var) {
  parallel_for(s.channels, s.wide(), [=](std::int64_t c) {
    const T m = s.sums<T>(c, [=](auto w, std::int64_t i) { return std::pair(w.load(x + i), w.load(x + i)); }).first / T(s.count());
    mean[c] = m;
    var[c] = s.sums<T>(c, [=](auto w, std::int64_t i) {
                const auto d = w.load(x + i) - m;
                return std::pair(d * d, d);
              }).first / T(s.count());
  });
}

// y = (x - mean) * scale * weight + bias, where weight and bias may be null.
template <class T>
void channel_normalize(const Channels& s, const T* x, const T* mean, const T* scale, const T* weight, const T* bias, T* y) {
  parallel_for(s.channels, s.wide(), [=](std::int64_t c) {
    const T a = scale[c] * (weight ? weight[c] : T(1)), m = mean[c], b = bias ? bias[c] : T(0);
    s.each<T>(c, [=](auto w, std::int64_t i) { w.store(y + i, (w.load(x + i) - m) * a + b); });
  });
}

// Gradients of channel_normalize; dx may be null. `batch_moments`: mean and scale came from x itself.
template <class T>
void channel_normalize_backward(const Channels& s, const T* x, const T* dy, const T* mean, const T* scale, const T* weight, bool batch_moments,
                                T* dx, T* dweight, T* dbias) {
  parallel_for(s.channels, s.wide(), [=](std::int64_t c) {
    const T m = mean[c], r = scale[c], a = r * (weight ? weight[c] : T(1));
    const auto [along, total] = s.sums<T>(c, [=](auto w, std::int64_t i) {
      const auto g = w.load(dy + i);
      return std::pair(g * (w.load(x + i) - m), g);
    });
    dweight[c] = along * r;
    dbias[c] = total;
    if (!dx) return;
    const T n = T(s.count()), mean_gradient = batch_moments ? total / n : T(0), slope = batch_moments ? along * r * r / n : T(0);
    s.each<T>(c, [=](auto w, std::int64_t i) { w.store(dx + i, (w.load(dy + i) - mean_gradient - (w.load(x + i) - m) * slope) * a); });
  });
}

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
