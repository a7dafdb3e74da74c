// SPDX-License-Identifier: MIT
// Pooling: the greatest or the mean of every window of an image. Each plane is one thread's work.
#pragma once

#include <limits>

#include "sinter/autograd/function.hpp"
#include "sinter/cpu/conv.hpp"
#include "sinter/cpu/pool.hpp"
#include "sinter/device/pool.hpp"
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
// Those of all output elements: windows that slide, or (kernel 0) ones that divide the extent as evenly as possible.
struct Spans {
  std::int64_t count, extent, kernel = 0, stride = 0, padding = 0, dilation = 0;

  std::int64_t size() const { return count; }
  Span operator[](std::int64_t i) const {
    if (kernel == 0) {
      const std::int64_t begin = i * extent / count, end = ((i + 1) * extent + count - 1) / count;
      return {begin, end, end - begin};
    }
    const std::int64_t first = i * stride - padding, last = std::min(first + dilation * (kernel - 1) + 1, extent + padding);
    const std::int64_t skipped = first < 0 ? (-first + dilation - 1) / dilation * dilation : 0;
    return {first + skipped, std::min(last, extent), last - first};
  }
};

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
  return {count, extent, kernel, stride, padding, dilation};
}
// One channel's windows.
inline cpu::Patches pool_patches(const Spans& rows, const Spans& columns) {
  return {1, rows.extent, columns.extent, rows.kernel, columns.kernel, rows.stride, columns.stride, rows.padding, columns.padding,
          rows.dilation, columns.dilation, rows.count, columns.count};
}

inline DeviceWindows on_device(const Spans& s) { return {s.count, s.extent, s.kernel, s.stride, s.padding, s.dilation}; }

inline namespace SINTER_ABI {

template <class T, int R>
DevicePooling pooling_on_device(const Tensor<T, R>& x, const Spans& rows, const Spans& columns) {
  std::int64_t planes = 1;
  for (int i = 0; i < R - 2; ++i) planes *= x.size(i);
  return {planes, on_device(rows), on_device(columns)};
}

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
  return Tensor<T, R>(TensorImpl::empty(dtype_of<T>(), s, x.device()));
}

// cpu::max_plane() for windows of 2 x 2 side by side, four at a time; the last four may overlap those before.
template <class T>
void max_plane_2x2(const T* x, std::int64_t width, std::int64_t out_h, std::int64_t out_w, T* y, std::int32_t* place) {
  using F = cpu::Four<T>;
  using Vector = typename F::Vector;
  using Indices = typename F::Indices;
  using Index = typename F::Index;
  for (std::int64_t r = 0; r < out_h; ++r, y += out_w, place += out_w)
    for (std::int64_t o = 0; o < out_w; o = o + 4 > out_w - 4 && o + 4 < out_w ? out_w - 4 : o + 4) {
      const std::int64_t from = 2 * r * width + 2 * o;
      const Vector a = F::load(x + from), b = F::load(x + from + 4), c = F::load(x + from + width), d = F::load(x + from + width + 4);
      Vector at[4];
      F::template pick<0, 2, 4, 6>(at[0], a, b), F::template pick<1, 3, 5, 7>(at[1], a, b);
      F::template pick<0, 2, 4, 6>(at[2], c, d), F::template pick<1, 3, 5, 7>(at[3], c, d);
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
Tensor<T, R> max_pool2d_on_cuda(const Tensor<T, R>& x, const Spans& rows, const Spans& columns) {
  const Tensor<T, R> dense = x.detach().contiguous(), y = pooled_like(x, rows.size(), columns.size());
  const Tensor<std::int32_t, R> place(TensorImpl::empty(DType::int32, y.shape(), x.device()));
  const DevicePooling shape = pooling_on_device(x, rows, columns);
  max_pool_on_device({dtype_of<T>(), shape, dense.data(), y.data(), place.data()});
  if (!any_requires_grad(x)) return y;
  const auto pick = [shape, place](const Tensor<T, R>& from) {
    const Tensor<T, R> to(TensorImpl::empty(dtype_of<T>(), place.shape(), from.device()));
    pick_places_on_device({dtype_of<T>(), shape, from.data(), place.data(), to.data()});
    return to;
  };
  const auto back = [shape, place, sizes = x.shape()](const Tensor<T, R>& grad) {
    const Tensor<T, R> g(TensorImpl::empty(dtype_of<T>(), sizes, grad.device()));
    max_pool_backward_on_device({dtype_of<T>(), shape, grad.data(), place.data(), g.data()});
    return g;
  };
  return record_linear("max_pool2d", y, pick, back, x);
}
// Means of sliding windows or of those that divide the extents.
template <class T, int R>
Tensor<T, R> avg_pool2d_on_cuda(const char* op, const Tensor<T, R>& x, const Spans& rows, const Spans& columns, bool with_padding) {
  const DevicePooling shape = pooling_on_device(x, rows, columns);
  const auto pool = [=](const Tensor<T, R>& from) {
    const Tensor<T, R> y = pooled_like(from, rows.size(), columns.size());
    avg_pool_on_device({dtype_of<T>(), shape, with_padding, from.data(), y.data()});
    return y;
  };
  const Tensor<T, R> y = pool(x.detach().contiguous());
  if (!any_requires_grad(x)) return y;
  const auto back = [=, sizes = x.shape()](const Tensor<T, R>& grad) {
    const Tensor<T, R> g(TensorImpl::empty(dtype_of<T>(), sizes, grad.device()));
    avg_pool_backward_on_device({dtype_of<T>(), shape, with_padding, grad.data(), g.data()});
    return g;
  };
  return record_linear(op, y, pool, back, x);
}

template <class T, int R>
Tensor<T, R> max_pool2d_of(const Tensor<T, R>& x, Pair kernel, const MaxPool2dOptions& o) {
  const Pair stride = o.has_stride_ ? o.stride_ : kernel;
  const std::int64_t height = x.size(-2), width = x.size(-1);
  const Spans rows = sliding_spans("max_pool2d", height, kernel.h, stride.h, o.padding_.h, o.dilation_.h, o.ceil_mode_, R - 2);
  const Spans columns = sliding_spans("max_pool2d", width, kernel.w, stride.w, o.padding_.w, o.dilation_.w, o.ceil_mode_, R - 1);
  if (height * width > std::numeric_limits<std::int32_t>::max()) fail<ShapeError>("max_pool2d: a plane of ", x.shape(), " has too many elements");
  if (x.device().is_cuda()) return max_pool2d_on_cuda(x, rows, columns);
  const Tensor<T, R> dense = x.detach().contiguous();
  const std::int64_t out_h = rows.size(), out_w = columns.size(), area = out_h * out_w, plane = height * width;
  Tensor<T, R> y = pooled_like(x, out_h, out_w);
  Tensor<std::int32_t, R> place(TensorImpl::empty(DType::int32, y.shape()));
  const auto is = [](Pair p, std::int64_t n) { return p.h == n && p.w == n; };
  const bool halves = is(kernel, 2) && is(stride, 2) && is(o.padding_, 0) && is(o.dilation_, 1) && !o.ceil_mode_ && out_w >= 4;
  const cpu::Patches patches = pool_patches(rows, columns);
  cpu::Scratch<std::int32_t> first(out_w);
  for (std::int64_t i = 0; i < out_w; ++i) first.data[i] = std::int32_t(columns[i].begin);
  for_each_plane(x, [&](std::int64_t p) {
    if (halves) return max_plane_2x2(dense.data() + p * plane, width, out_h, out_w, y.data() + p * area, place.data() + p * area);
    cpu::max_plane(patches, dense.data() + p * plane, first.data, y.data() + p * area, place.data() + p * area);
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

// Means of sliding windows: a convolution of every plane with ones.
template <class T>
struct SlidingMeans {
  Spans rows, columns;
  bool with_padding;
  cpu::ConvolutionShape shape;  // its count: the planes

  SlidingMeans(const Spans& r, const Spans& c, bool with, std::int64_t planes)
      : rows(r), columns(c), with_padding(with), shape{pool_patches(r, c), planes, 1, 1} {}
  void forward(const T* x, T* y) const {
    const cpu::Scratch<T> ones(shape.patches.taps());
    std::fill_n(ones.data, shape.patches.taps(), T(1));
    cpu::convolution(shape, x, ones.data, y);
    each_plane([=](std::int64_t i, T factor) { y[i] *= factor; });
  }
  void backward(const T* dy, T* dx) const {
    const cpu::Scratch<T> ones(shape.patches.taps()), shares(shape.count * shape.patches.columns());
    std::fill_n(ones.data, shape.patches.taps(), T(1));
    each_plane([dy, to = shares.data](std::int64_t i, T factor) { to[i] = dy[i] * factor; });
    cpu::convolution_image_gradient<T>(shape, shares.data, ones.data, dx);
  }

 private:
  // f(i, one over the number of elements in window i) for every element of the result.
  template <class F>
  void each_plane(F f) const {
    const std::int64_t h = rows.size(), w = columns.size();
    const cpu::Scratch<T> factor(h * w);
    for (std::int64_t r = 0; r < h; ++r)
      for (std::int64_t c = 0; c < w; ++c) {
        const Span a = rows[r], b = columns[c];
        factor.data[r * w + c] = T(1) / T(with_padding ? a.padded * b.padded : (a.end - a.begin) * (b.end - b.begin));
      }
    parallel_for(shape.count, shape.count * h * w >= parallel_threshold, [=, factors = factor.data](std::int64_t p) {
      for (std::int64_t i = 0; i < h * w; ++i) f(p * h * w + i, factors[i]);
    });
  }
};

template <class T, int R>
Tensor<T, R> avg_pool2d_of(const Tensor<T, R>& x, const Spans& rows, const Spans& columns, bool with_padding) {
  if (x.device().is_cuda()) return avg_pool2d_on_cuda("avg_pool2d", x, rows, columns, with_padding);
  std::int64_t planes = 1;
  for (int i = 0; i < R - 2; ++i) planes *= x.size(i);
  const SlidingMeans<T> means(rows, columns, with_padding, planes);
  const auto pool = [means](const Tensor<T, R>& from) {
    Tensor<T, R> y = pooled_like(from, means.rows.size(), means.columns.size());
    means.forward(from.data(), y.data());
    return y;
  };
  const Tensor<T, R> y = pool(x.detach().contiguous());
  if (!any_requires_grad(x)) return y;
  const auto back = [means, sizes = x.shape()](const Tensor<T, R>& grad) {
    Tensor<T, R> g(TensorImpl::empty(dtype_of<T>(), sizes));
    means.backward(grad.data(), g.data());
    return g;
  };
  return record_linear("avg_pool2d", y, pool, back, x);
}

// The sum of n elements.
template <class T>
T sum_run(const T* p, std::int64_t n) {
  using M = cpu::Tile<T>;
  typename M::Vector lanes = {};
  std::int64_t i = 0;
  for (; i + M::width <= n; i += M::width) lanes += M::load(p + i);
  T total = 0;
  if (i > 0)
    for (int l = 0; l < M::width; ++l) total += lanes[l];
  for (; i < n; ++i) total += p[i];
  return total;
}

template <class T, int R>
Tensor<T, R> adaptive_avg_pool2d_of(const Tensor<T, R>& x, const Spans& rows, const Spans& columns) {
  if (x.device().is_cuda()) return avg_pool2d_on_cuda("adaptive_avg_pool2d", x, rows, columns, true);
  const std::int64_t out_h = rows.size(), out_w = columns.size(), area = out_h * out_w, width = x.size(-1), plane = x.size(-2) * width;
  // f(first element, rows, elements of a row, index of the window) for every window; whole rows count as one.
  const auto each_window = [=](auto f) {
    for (std::int64_t r = 0; r < out_h; ++r)
      for (std::int64_t c = 0; c < out_w; ++c) {
        const Span a = rows[r], b = columns[c];
        const std::int64_t h = a.end - a.begin, w = b.end - b.begin;
        w == width ? f(a.begin * width, std::int64_t(1), h * w, r * out_w + c) : f(a.begin * width + b.begin, h, w, r * out_w + c);
      }
  };
  const auto pool = [=](const Tensor<T, R>& dense) {
    Tensor<T, R> y = pooled_like(dense, out_h, out_w);
    for_each_plane(dense, [&](std::int64_t p) {
      each_window([from = dense.data() + p * plane, to = y.data() + p * area, width](std::int64_t first, std::int64_t h, std::int64_t w, std::int64_t i) {
        T total = 0;
        for (std::int64_t k = 0; k < h; ++k) total += sum_run(from + first + k * width, w);
        to[i] = total / T(h * w);
      });
    });
    return y;
  };
  const Tensor<T, R> y = pool(x.detach().contiguous());
  if (!any_requires_grad(x)) return y;
  const auto back = [=, sizes = x.shape()](const Tensor<T, R>& grad) {
    Tensor<T, R> g(TensorImpl::empty(dtype_of<T>(), sizes));
    for_each_plane(g, [&](std::int64_t p) {
      std::fill_n(g.data() + p * plane, plane, T(0));
      each_window([to = g.data() + p * plane, from = grad.data() + p * area, width](std::int64_t first, std::int64_t h, std::int64_t w, std::int64_t i) {
        const T each = from[i] / T(h * w);
        for (std::int64_t k = 0; k < h; ++k)
          for (std::int64_t j = 0; j < w; ++j) to[first + k * width + j] += each;
      });
    });
    return g;
  };
  return record_linear("adaptive_avg_pool2d", y, pool, back, x);
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
    return avg_pool2d_of(x, sliding_spans("avg_pool2d", x.size(-2), kernel_size.h, stride.h, o.padding_.h, 1, o.ceil_mode_, A::rank - 2),
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
    return adaptive_avg_pool2d_of(x, Spans{output_size.h, x.size(-2)}, Spans{output_size.w, x.size(-1)});
  }
}

}  // namespace SINTER_ABI
}  // namespace sinter
