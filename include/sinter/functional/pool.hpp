// SPDX-License-Identifier: MIT
// Pooling: the greatest or the mean of every window of an image. Each plane is one thread's work.
#pragma once

#include <limits>
#include <vector>

#include "sinter/autograd/function.hpp"
#include "sinter/cpu/gemm.hpp"
#include "sinter/functional/window.hpp"

namespace sinter {

// PyTorch's keyword arguments; the stride is the kernel's size unless it is given.
struct MaxPool2dOptions {
  Pair stride_{0}, padding_{0}, dilation_{1};
  bool has_stride_ = false, ceil_mode_ = false;
  MaxPool2dOptions& stride(Pair s) { return stride_ = s, has_stride_ = true, *this; }
  MaxPool2dOptions& padding(Pair p) { return padding_ = p, *this; }
  MaxPool2dOptions& dilation(Pair d) { return dilation_ = d, *this; }
  MaxPool2dOptions& ceil_mode(bool c) { return ceil_mode_ = c, *this; }
};
struct AvgPool2dOptions {
  Pair stride_{0}, padding_{0};
  bool has_stride_ = false, ceil_mode_ = false, count_include_pad_ = true;
  AvgPool2dOptions& stride(Pair s) { return stride_ = s, has_stride_ = true, *this; }
  AvgPool2dOptions& padding(Pair p) { return padding_ = p, *this; }
  AvgPool2dOptions& ceil_mode(bool c) { return ceil_mode_ = c, *this; }
  AvgPool2dOptions& count_include_pad(bool c) { return count_include_pad_ = c, *this; }
};

// What one output element sees along one dimension: [begin, end) in steps, and how many there would be with padding.
struct Span {
  std::int64_t begin, end, padded;
};
using Spans = CachedVector<Span>;

// Windows of `kernel` elements, as PyTorch counts them. Throws ValueError or ShapeError.
inline Spans sliding_spans(const char* op, std::int64_t extent, std::int64_t kernel, std::int64_t stride, std::int64_t padding,
                           std::int64_t dilation, bool ceil_mode, int axis) {
  const auto all = Pair(kernel);
  check_at_least(op, "kernel_size", all, 1);
  check_at_least(op, "stride", Pair(stride), 1);
  check_at_least(op, "padding", Pair(padding), 0);
  check_at_least(op, "dilation", Pair(dilation), 1);
  if (padding > kernel / 2) fail<ValueError>(op, ": padding ", padding, " is more than half of kernel_size ", kernel, " (axis ", axis, ")");
  const std::int64_t span = dilation * (kernel - 1) + 1, room = extent + 2 * padding - span;
  std::int64_t count = room < 0 ? 0 : (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  if (count > 0 && ceil_mode && (count - 1) * stride >= extent + padding) --count;  // no window starts in the padding behind
  if (count < 1)
    fail<ShapeError>(op, ": a kernel that spans ", span, " does not fit extent ", extent, " with padding ", padding, " (axis ", axis, ")");
  Spans spans;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t first = i * stride - padding, last = std::min(first + span, extent + padding);
    const std::int64_t skipped = first < 0 ? (-first + dilation - 1) / dilation * dilation : 0;
    spans.push_back({first + skipped, std::min(last, extent), last - first});
  }
  return spans;
}
// Windows that divide an extent as evenly as possible.
inline Spans adaptive_spans(std::int64_t extent, std::int64_t count) {
  Spans spans;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t begin = i * extent / count, end = ((i + 1) * extent + count - 1) / count;
    spans.push_back({begin, end, end - begin});
  }
  return spans;
}

inline namespace SINTER_ABI {

// f(plane) for every plane of x.
template <class T, int R, class F>
void for_each_plane(const Tensor<T, R>& x, F&& f) {
  const std::int64_t plane = x.size(-1) * x.size(-2);
  parallel_for(plane == 0 ? 0 : x.numel() / plane, x.numel() >= parallel_threshold, f);
}

template <class T, int R>
Tensor<T, R> pooled_like(const Tensor<T, R>& x, std::int64_t h, std::int64_t w) {
  Shape<R> s = x.shape();
  s[R - 2] = h, s[R - 1] = w;
  return Tensor<T, R>(TensorImpl::empty(dtype_of<T>(), s));
}

// The greatest of each window and its place in the plane. NaN is greater than everything, the first of equals wins.
template <class T>
void max_plane(const T* x, std::int64_t width, const Spans& rows, const Spans& columns, Pair step, T* y, std::int32_t* place) {
  for (const Span& r : rows)
    for (const Span& c : columns) {
      T best = -std::numeric_limits<T>::infinity();
      std::int64_t at = r.begin * width + c.begin;
      for (std::int64_t i = r.begin; i < r.end; i += step.h)
        for (std::int64_t j = c.begin; j < c.end; j += step.w) {
          const T v = x[i * width + j];
          const bool greater = v > best || v != v;
          best = greater ? v : best;
          at = greater ? i * width + j : at;
        }
      *y++ = best;
      *place++ = std::int32_t(at);
    }
}

// The same for windows of 2 x 2 side by side, four at a time; the last four may overlap those before.
template <class T>
void max_plane_2x2(const T* x, std::int64_t width, std::int64_t out_h, std::int64_t out_w, T* y, std::int32_t* place) {
  using F = cpu::Four<T>;
  using Vector = typename F::Vector;
  using Indices = typename F::Indices;
  using Index = typename F::Index;
  for (std::int64_t r = 0; r < out_h; ++r, y += out_w, place += out_w)
    for (std::int64_t o = 0; o < out_w; o = o + 4 > out_w - 4 && o + 4 < out_w ? out_w - 4 : o + 4) {
      const std::int64_t from = 2 * r * width + 2 * o;
      Vector in[4], at[4];  // of two rows, eight each; then the windows' four corners
      for (int i = 0; i < 4; ++i) std::memcpy(&in[i], x + from + (i / 2) * width + (i % 2) * 4, sizeof(Vector));
      F::template pick<0, 2, 4, 6>(at[0], in[0], in[1]);
      F::template pick<1, 3, 5, 7>(at[1], in[0], in[1]);
      F::template pick<0, 2, 4, 6>(at[2], in[2], in[3]);
      F::template pick<1, 3, 5, 7>(at[3], in[2], in[3]);
      const Index step[4] = {0, 1, Index(width), Index(width + 1)};
      Vector best = at[0];
      const Indices first = Indices{0, 2, 4, 6} + Index(from);
      Indices index = first;
      for (int i = 1; i < 4; ++i) {
        const Indices greater = (at[i] > best) | (at[i] != at[i]);
        best = greater ? at[i] : best;
        index = greater ? first + step[i] : index;
      }
      std::memcpy(y + o, &best, sizeof best);
      for (int i = 0; i < 4; ++i) place[o + i] = std::int32_t(index[i]);
    }
}

template <class T, int R>
Tensor<T, R> max_pool2d_of(const Tensor<T, R>& x, Pair kernel, const MaxPool2dOptions& o) {
  const Pair stride = o.has_stride_ ? o.stride_ : kernel;
  const std::int64_t height = x.size(-2), width = x.size(-1);
  const Spans rows = sliding_spans("max_pool2d", height, kernel.h, stride.h, o.padding_.h, o.dilation_.h, o.ceil_mode_, R - 2);
  const Spans columns = sliding_spans("max_pool2d", width, kernel.w, stride.w, o.padding_.w, o.dilation_.w, o.ceil_mode_, R - 1);
  if (height * width > std::numeric_limits<std::int32_t>::max()) fail<ShapeError>("max_pool2d: a plane of ", x.shape(), " has too many elements");
  const Tensor<T, R> dense = x.detach().contiguous();
  const auto out_h = std::int64_t(rows.size()), out_w = std::int64_t(columns.size()), area = out_h * out_w, plane = height * width;
  Tensor<T, R> y = pooled_like(x, out_h, out_w);
  Tensor<std::int32_t, R> place(TensorImpl::empty(DType::int32, y.shape()));
  const auto is = [](Pair p, std::int64_t n) { return p.h == n && p.w == n; };
  const bool halves = is(kernel, 2) && is(stride, 2) && is(o.padding_, 0) && is(o.dilation_, 1) && !o.ceil_mode_ && out_w >= 4;
  for_each_plane(x, [&](std::int64_t p) {
    if (halves) return max_plane_2x2(dense.data() + p * plane, width, out_h, out_w, y.data() + p * area, place.data() + p * area);
    max_plane(dense.data() + p * plane, width, rows, columns, o.dilation_, y.data() + p * area, place.data() + p * area);
  });
  if (!any_requires_grad(x)) return y;
  const auto pick = [sizes = y.shape(), place, area, plane](const Tensor<T, R>& from) {
    Tensor<T, R> to(TensorImpl::empty(dtype_of<T>(), sizes));
    for_each_plane(to, [&](std::int64_t p) {
      for (std::int64_t i = p * area; i < (p + 1) * area; ++i) to.data()[i] = from.data()[p * plane + place.data()[i]];
    });
    return to;
  };
  const auto back = [sizes = x.shape(), place, area, plane](const Tensor<T, R>& grad) {
    Tensor<T, R> g(TensorImpl::empty(dtype_of<T>(), sizes));
    for_each_plane(g, [&](std::int64_t p) {
      T* to = g.data() + p * plane;
      std::fill_n(to, plane, T(0));
      for (std::int64_t i = p * area; i < (p + 1) * area; ++i) to[place.data()[i]] += grad.data()[i];
    });
    return g;
  };
  return record_linear("max_pool2d", y, pick, back, x);
}

template <class T, int R>
Tensor<T, R> mean_pool_of(const char* op, const Tensor<T, R>& x, Spans rows, Spans columns, bool with_padding) {
  const Tensor<T, R> dense = x.detach().contiguous();
  const auto out_h = std::int64_t(rows.size()), out_w = std::int64_t(columns.size()), area = out_h * out_w;
  const std::int64_t width = x.size(-1), plane = x.size(-2) * width;
  const auto share = [with_padding](const Span& r, const Span& c) {
    const std::int64_t n = with_padding ? r.padded * c.padded : (r.end - r.begin) * (c.end - c.begin);
    return T(1) / T(n);
  };
  const auto pool = [=](const Tensor<T, R>& x) {
    Tensor<T, R> y = pooled_like(x, out_h, out_w);
    for_each_plane(x, [&](std::int64_t p) {
      const T* from = x.data() + p * plane;
      T* to = y.data() + p * area;
      for (const Span& r : rows)
        for (const Span& c : columns) {
          T total = 0;
          for (std::int64_t i = r.begin; i < r.end; ++i)
            for (std::int64_t j = c.begin; j < c.end; ++j) total += from[i * width + j];
          *to++ = total * share(r, c);
        }
    });
    return y;
  };
  const Tensor<T, R> y = pool(dense);
  if (!any_requires_grad(x)) return y;
  const auto back = [=, sizes = x.shape()](const Tensor<T, R>& grad) {
    Tensor<T, R> g(TensorImpl::empty(dtype_of<T>(), sizes));
    for_each_plane(g, [&](std::int64_t p) {
      const T* from = grad.data() + p * area;
      T* to = g.data() + p * plane;
      std::fill_n(to, plane, T(0));
      for (const Span& r : rows)
        for (const Span& c : columns) {
          const T each = *from++ * share(r, c);
          for (std::int64_t i = r.begin; i < r.end; ++i)
            for (std::int64_t j = c.begin; j < c.end; ++j) to[i * width + j] += each;
        }
    });
    return g;
  };
  return record_linear(op, y, pool, back, x);
}

template <class A>
constexpr bool check_pooled() {
  static_assert(std::is_floating_point_v<typename A::value_type>, "sinter: pooling takes images of dtype float or double; convert with to<float>(x)");
  static_assert(A::rank == 3 || A::rank == 4, "sinter: pooling takes images (N, C, H, W) or (C, H, W)");
  return std::is_floating_point_v<typename A::value_type> && (A::rank == 3 || A::rank == 4);
}

// x (N, C, H, W) or (C, H, W). Throws ShapeError, ValueError.
// https://pytorch.org/docs/stable/generated/torch.nn.functional.max_pool2d.html
template <class A>
auto max_pool2d(const Expr<A>& x, Pair kernel_size, const MaxPool2dOptions& options = {}) {
  if constexpr (check_pooled<A>()) return max_pool2d_of(materialize(x.self()), kernel_size, options);
}
// https://pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool2d.html
template <class A>
auto avg_pool2d(const Expr<A>& e, Pair kernel_size, const AvgPool2dOptions& o = {}) {
  if constexpr (check_pooled<A>()) {
    const auto x = materialize(e.self());
    const Pair stride = o.has_stride_ ? o.stride_ : kernel_size;
    return mean_pool_of("avg_pool2d", x,
                        sliding_spans("avg_pool2d", x.size(-2), kernel_size.h, stride.h, o.padding_.h, 1, o.ceil_mode_, A::rank - 2),
                        sliding_spans("avg_pool2d", x.size(-1), kernel_size.w, stride.w, o.padding_.w, 1, o.ceil_mode_, A::rank - 1),
                        o.count_include_pad_);
  }
}
// Windows chosen so that the result is output_size large.
// https://pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool2d.html
template <class A>
auto adaptive_avg_pool2d(const Expr<A>& e, Pair output_size) {
  if constexpr (check_pooled<A>()) {
    const auto x = materialize(e.self());
    check_at_least("adaptive_avg_pool2d", "output_size", output_size, 0);
    if (x.size(-1) == 0 || x.size(-2) == 0) fail<ShapeError>("adaptive_avg_pool2d: input ", x.shape(), " has empty images");
    return mean_pool_of("adaptive_avg_pool2d", x, adaptive_spans(x.size(-2), output_size.h), adaptive_spans(x.size(-1), output_size.w), false);
  }
}

}  // namespace SINTER_ABI
}  // namespace sinter
