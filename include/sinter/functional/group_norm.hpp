// SPDX-License-Identifier: MIT
// group_norm and instance_norm: the channels of an image in groups, each group by its own mean and variance.
#pragma once

#include "sinter/functional/layer_norm.hpp"

namespace sinter {
inline namespace SINTER_ABI {

template <class T, int R>
Tensor<T, R> group_norm_of(const char* op, const Tensor<T, R>& x, std::int64_t groups, const Tensor<T, 1>& weight, const Tensor<T, 1>& bias,
                           double eps) {
  const Shape<R> sizes = x.shape();
  const std::int64_t channels = sizes[1];
  if (groups <= 0 || channels % groups != 0)
    fail<ValueError>(op, ": ", channels, " channels (axis 1 of the input ", sizes, ") do not make ", groups, " equal groups");
  const auto check = [&](const char* name, const Tensor<T, 1>& t) {
    if (t.defined() && t.size(0) != channels)
      fail<ShapeError>(op, ": ", name, " of shape ", t.shape(), " for input ", sizes, ": ", t.size(0), " against ", channels, " channels (axis 1)");
  };
  check("weight", weight), check("bias", bias);
  std::int64_t n = channels / groups;
  for (int i = 2; i < R; ++i) n *= sizes[i];
  const Shape<1> row{{n}};
  const Tensor<T, R> y = reshape(norm_of<true>(op, reshape(x, Shape<2>{{sizes[0] * groups, n}}), row, Tensor<T, 1>(), Tensor<T, 1>(), eps), sizes);
  Shape<R> each;  // a parameter along the channels
  for (int i = 0; i < R; ++i) each[i] = i == 1 ? channels : 1;
  if (weight.defined() && bias.defined()) return y * reshape(weight, each) + reshape(bias, each);
  if (weight.defined()) return y * reshape(weight, each);
  if (bias.defined()) return y + reshape(bias, each);
  return y;
}

// x (N, C), (N, C, L), (N, C, H, W) ...; weight and bias (C), or undefined tensors. Throws ShapeError, ValueError.
// https://pytorch.org/docs/stable/generated/torch.nn.functional.group_norm.html
template <class A>
auto group_norm(const Expr<A>& x, std::int64_t num_groups, const Tensor<typename A::value_type, 1>& weight = {},
                const Tensor<typename A::value_type, 1>& bias = {}, double eps = 1e-5) {
  constexpr bool fits = std::is_floating_point_v<typename A::value_type> && A::rank >= 2;
  static_assert(fits, "sinter: group_norm() takes an input (N, C, ...) of float or double");
  if constexpr (fits) return group_norm_of("group_norm", materialize(x.self()), num_groups, weight, bias, eps);
}

// Each channel of each image by its own statistics. x (N, C, L), (N, C, H, W) ...; weight and bias (C), or undefined
// tensors. Throws ShapeError, ValueError for channels of one element.
// https://pytorch.org/docs/stable/generated/torch.nn.functional.instance_norm.html
template <class A>
auto instance_norm(const Expr<A>& x, const Tensor<typename A::value_type, 1>& weight = {}, const Tensor<typename A::value_type, 1>& bias = {},
                   double eps = 1e-5) {
  constexpr bool fits = std::is_floating_point_v<typename A::value_type> && A::rank >= 3;
  static_assert(fits, "sinter: instance_norm() takes an input (N, C, L), (N, C, H, W) ... of float or double");
  if constexpr (fits) {
    const auto in = materialize(x.self());
    std::int64_t n = 1;
    for (int i = 2; i < A::rank; ++i) n *= in.size(i);
    if (n == 1) fail<ValueError>("instance_norm: needs more than 1 element for each channel, but the input is ", in.shape());
    return group_norm_of("instance_norm", in, in.size(1), weight, bias, eps);
  }
}

}  // namespace SINTER_ABI
}  // namespace sinter
