// SPDX-License-Identifier: MIT
// Convolution: patches times weights, for each image, as expressions whose epilogue is what is done to them.
#pragma once

#include <string_view>

#include "sinter/cpu/conv.hpp"
#include "sinter/cpu/conv_weight.hpp"
#include "sinter/device/conv.hpp"
#include "sinter/functional/matmul.hpp"
#include "sinter/functional/window.hpp"

namespace sinter {

// PyTorch's keyword arguments: Conv2dOptions().stride(2).padding({1, 0}).groups(3). `bias` is for nn::Conv2d.
struct Conv2dOptions {
  Pair stride_{1}, padding_{0}, dilation_{1};
  std::int64_t groups_ = 1;
  bool same_ = false, bias_ = true;

  Conv2dOptions& stride(Pair s) { return stride_ = s, *this; }
  Conv2dOptions& padding(Pair p) { return padding_ = p, same_ = false, *this; }
  // "same": the result has the input's extents; strides must be one. "valid": no padding.
  Conv2dOptions& padding(const char* name) {
    same_ = std::string_view(name) == "same";
    if (!same_ && std::string_view(name) != "valid") fail<ValueError>("conv2d: padding is a number, \"same\" or \"valid\", not \"", name, '"');
    return padding_ = Pair(0), *this;
  }
  Conv2dOptions& dilation(Pair d) { return dilation_ = d, *this; }
  Conv2dOptions& groups(std::int64_t g) { return groups_ = g, *this; }
  Conv2dOptions& bias(bool b) { return bias_ = b, *this; }

  void check(const char* op) const {
    check_at_least(op, "stride", stride_, 1);
    check_at_least(op, "padding", padding_, 0);
    check_at_least(op, "dilation", dilation_, 1);
    if (groups_ < 1) fail<ValueError>(op, ": groups must be at least 1, but is ", groups_);
    if (same_ && (stride_.h != 1 || stride_.w != 1)) fail<ValueError>(op, ": padding \"same\" needs strides of 1, not ", stride_);
  }
};

inline namespace SINTER_ABI {

// Throws ShapeError or ValueError.
inline cpu::ConvolutionShape conv_shape(const char* op, const Shape<4>& x, const Shape<4>& w, const Conv2dOptions& o) {
  o.check(op);
  if (w[0] % o.groups_ != 0)
    fail<ShapeError>(op, ": ", w[0], " output channels (axis 0 of the weight ", w, ") are not divisible by ", o.groups_, " groups");
  if (x[1] != w[1] * o.groups_)
    fail<ShapeError>(op, ": input ", x, " x weight ", w, " in ", o.groups_, " group(s): ", x[1], " channels against ", w[1] * o.groups_,
                     " (axis 1)");
  const std::int64_t span_h = o.dilation_.h * (w[2] - 1) + 1, span_w = o.dilation_.w * (w[3] - 1) + 1;
  const std::int64_t all_h = o.same_ ? span_h - 1 : 2 * o.padding_.h, all_w = o.same_ ? span_w - 1 : 2 * o.padding_.w;
  if (w[2] < 1 || w[3] < 1) fail<ShapeError>(op, ": the weight ", w, " has an empty kernel");
  if (x[2] + all_h < span_h || x[3] + all_w < span_w)
    fail<ShapeError>(op, ": a kernel that spans ", Pair(span_h, span_w), " does not fit input ", x, " padded to ", Pair(x[2] + all_h, x[3] + all_w));
  const cpu::Patches p{w[1],       x[2],       x[3],  w[2],  w[3], o.stride_.h, o.stride_.w, all_h / 2, all_w / 2, o.dilation_.h, o.dilation_.w,
                       (x[2] + all_h - span_h) / o.stride_.h + 1, (x[3] + all_w - span_w) / o.stride_.w + 1};
  return {p, x[0], o.groups_, w[0] / o.groups_};
}

// One of the three on the device where its operands are.
inline void device_convolution(ConvPass pass, const cpu::ConvolutionShape& s, const TensorImpl& a, const TensorImpl& b, void* to) {
  const cpu::Patches& p = s.patches;
  convolve_on_device({pass, a.dtype, s.count, s.groups, p.channels, s.out, p.height, p.width, p.kernel_h, p.kernel_w, p.stride_h, p.stride_w,
                      p.pad_h, p.pad_w, p.dilation_h, p.dilation_w, p.out_h, p.out_w, a.data, b.data, nullptr, to});
}

// A convolution y = x * w and its two gradients as functions of their own: each is linear in both of its arguments, and its
// gradients are the other two. `x`, `w` and `y` name shapes; g has that of y.
template <class T>
struct ConvolutionFamily {
  using X = Tensor<T, 4>;
  const char* op;
  cpu::ConvolutionShape conv;
  Shape<4> x_shape, w_shape;

  X result(const X& x, const X& w) const {
    const X a = dense(x), b = dense(w);
    X y(TensorImpl::empty(dtype_of<T>(), Shape{x_shape[0], w_shape[0], conv.patches.out_h, conv.patches.out_w}, a.device()));
    if (a.device().is_cuda()) device_convolution(ConvPass::result, conv, *a.impl, *b.impl, y.impl->data);
    else cpu::convolution(conv, a.data(), b.data(), y.data());
    return recorded(y, x, w, [f = *this](const X& g, const X& x, const X& w, const auto& needs) {
      return std::tuple(needs[0] ? f.image(g, w) : X(), needs[1] ? f.weight(x, g) : X());
    });
  }
  X image(const X& g, const X& w) const {
    const X a = dense(g), b = dense(w);
    X dx(TensorImpl::empty(dtype_of<T>(), x_shape, a.device()));
    if (a.device().is_cuda()) device_convolution(ConvPass::image, conv, *a.impl, *b.impl, dx.impl->data);
    else cpu::convolution_image_gradient(conv, a.data(), b.data(), dx.data());
    return recorded(dx, g, w, [f = *this](const X& v, const X& g, const X& w, const auto& needs) {
      return std::tuple(needs[0] ? f.result(v, w) : X(), needs[1] ? f.weight(v, g) : X());
    });
  }
  X weight(const X& x, const X& g) const {
    const X a = dense(x), b = dense(g);
    X dw(TensorImpl::empty(dtype_of<T>(), w_shape, a.device()));
    if (a.device().is_cuda()) device_convolution(ConvPass::weight, conv, *a.impl, *b.impl, dw.impl->data);
    else cpu::convolution_weight_gradient(conv, a.data(), b.data(), dw.data(), static_cast<T*>(nullptr));
    return recorded(dw, x, g, [f = *this](const X& v, const X& x, const X& g, const auto& needs) {
      return std::tuple(needs[0] ? f.image(g, v) : X(), needs[1] ? f.result(x, v) : X());
    });
  }

 private:
  static X dense(const X& t) { return t.detach().contiguous(); }
  template <class Back>
  X recorded(const X& out, const X& a, const X& b, Back back) const {
    if (!any_requires_grad(a, b)) return out;
    return record(op, out, Differentiable([back, op = op, a = Saved(a), b = Saved(b)](const X& up, const auto& needs) {
      return back(up, needs.input(0, a.get(op)), needs.input(1, b.get(op)), needs);
    }), a, b);
  }
};

// x * weight, a contraction as expr/product.hpp asks for it: the product of image n and group g has an output channel for each
// row and a pixel for each column.
template <class T>
struct Convolution {
  using value_type = T;
  static constexpr int rank = 4, column_dims = 2;
  const char* name;
  Tensor<T, 4> x, weight;
  cpu::ConvolutionShape conv;
  Shape<4> shape;

  Convolution(const char* op, Tensor<T, 4> input, Tensor<T, 4> w, const Conv2dOptions& o)
      : name(op), x(std::move(input)), weight(std::move(w)), conv(conv_shape(op, x.shape(), weight.shape(), o)),
        shape{x.size(0), weight.size(0), conv.patches.out_h, conv.patches.out_w} {}
  std::int64_t product_rows() const { return conv.out; }
  std::array<Operand, 2> operands() const { return {&x.impl, &weight.impl}; }
  bool requires_grad() const { return any_requires_grad(x, weight); }
  void compute(T* out, cpu::Finish finish) const {
    const Tensor<T, 4> images = x.detach().contiguous(), w = weight.detach().contiguous();
    if (images.device().is_cuda()) return device_convolution(ConvPass::result, conv, *images.impl, *w.impl, out);
    cpu::convolution(conv, images.data(), w.data(), out, finish);
  }

  struct Back {
    static constexpr bool differentiable = true;
    Edge edge_x, edge_weight;
    ConvolutionFamily<T> family;
    Saved<T, 4> x, weight;
    void run(const char* op, const Ref<TensorImpl>& dz) const {
      const Tensor<T, 4> up(dz);
      if (edge_x) give(edge_x, family.image(up, weight.get(op, edge_weight)).impl);
      if (edge_weight) give(edge_weight, family.weight(x.get(op, edge_x), up).impl);
    }
  };
  Back back() const {
    return {Edge(x.impl), Edge(weight.impl), {name, conv, x.shape(), weight.shape()}, saved_for(weight, x), saved_for(x, weight)};
  }
};

template <class T>
auto convolve(const char* op, const Tensor<T, 4>& x, const Tensor<T, 4>& weight, const Tensor<T, 1>& bias, const Conv2dOptions& o) {
  Convolution<T> product(op, x, weight, o);
  if (!bias.defined()) {
    const Device device = product.x.device();
    return Product<Convolution<T>>(std::move(product)) + absent_bias<T, 3>(device);
  }
  if (bias.size(0) != weight.size(0))
    fail<ShapeError>(op, ": bias of shape ", bias.shape(), " for a weight of shape ", weight.shape(), ": ", bias.size(0), " against ",
                     weight.size(0), " (axis 0)");
  const Tensor<T, 3> planes = bias.view(weight.size(0), 1, 1);
  return Product<Convolution<T>>(std::move(product)) + static_cast<const Leaf<T, 3>&>(planes);
}

// x (N, C, H, W) or (C, H, W); weight (out, C / groups, kh, kw); bias (out) or undefined. An expression as matmul() is one:
// an activation around it runs in its epilogue. Throws ShapeError, ValueError.
// https://pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html
template <class A, class B>
auto conv2d(const Expr<A>& x, const Expr<B>& weight, const Tensor<typename A::value_type, 1>& bias = {}, const Conv2dOptions& options = {}) {
  using T = typename A::value_type;
  constexpr bool fits = std::is_floating_point_v<T> && std::is_same_v<T, typename B::value_type>;
  constexpr bool ranked = (A::rank == 3 || A::rank == 4) && B::rank == 4;
  static_assert(fits, "sinter: conv2d() takes an input and a weight of one dtype, float or double; convert with to<T>(x)");
  static_assert(ranked, "sinter: conv2d() takes an input (N, C, H, W) or (C, H, W) and a weight (out, C / groups, kh, kw)");
  if constexpr (fits && ranked) {
    if constexpr (A::rank == 3) return materialize(squeeze(conv2d(unsqueeze(x, 0), weight, bias, options), 0));
    else return convolve("conv2d", materialize(x.self()), materialize(weight.self()), bias, options);
  }
}
// x (N, C, L) or (C, L); weight (out, C / groups, k). Of the options the width counts: stride({1, 2}) or stride(2).
template <class A, class B>
auto conv1d(const Expr<A>& x, const Expr<B>& weight, const Tensor<typename A::value_type, 1>& bias = {}, Conv2dOptions o = {}) {
  using T = typename A::value_type;
  constexpr bool fits = std::is_floating_point_v<T> && std::is_same_v<T, typename B::value_type>;
  constexpr bool ranked = (A::rank == 2 || A::rank == 3) && B::rank == 3;
  static_assert(fits, "sinter: conv1d() takes an input and a weight of one dtype, float or double; convert with to<T>(x)");
  static_assert(ranked, "sinter: conv1d() takes an input (N, C, L) or (C, L) and a weight (out, C / groups, k)");
  if constexpr (fits && ranked) {
    o.stride_.h = o.dilation_.h = 1;
    o.padding_.h = 0;
    if constexpr (A::rank == 2) return materialize(squeeze(conv1d(unsqueeze(x, 0), weight, bias, o), 0));
    else return materialize(squeeze(convolve("conv1d", materialize(unsqueeze(x, 2)), materialize(unsqueeze(weight, 2)), bias, o), 2));
  }
}

}  // namespace SINTER_ABI
}  // namespace sinter
