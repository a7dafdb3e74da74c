// SPDX-License-Identifier: MIT
// Normalisation of the channels of single images. https://pytorch.org/docs/stable/generated/torch.nn.GroupNorm.html
#pragma once

#include "sinter/functional/group_norm.hpp"
#include "sinter/nn/init.hpp"
#include "sinter/nn/module.hpp"

namespace sinter {
namespace nn {
inline namespace SINTER_ABI {

// Channels in num_groups groups. Throws ValueError where they do not divide.
template <class T>
struct GroupNormOf : Module<GroupNormOf<T>> {
  Parameter<T, 1> weight, bias;
  std::int64_t num_groups;
  double eps;

  GroupNormOf(std::int64_t groups, std::int64_t num_channels, double e = 1e-5, bool affine = true) : num_groups(groups), eps(e) {
    if (groups <= 0 || num_channels % groups != 0)
      fail<ValueError>("GroupNorm: ", num_channels, " channels do not make ", groups, " equal groups");
    if (affine) weight = ones<T>(Shape<1>{{num_channels}}), bias = zeros<T>(Shape<1>{{num_channels}});
  }
  template <class V>
  void visit(V&& v) {
    v("weight", weight);
    v("bias", bias);
  }
  template <class X>
  auto forward(const X& x) const { return sinter::group_norm(x, num_groups, weight, bias, eps); }
};
using GroupNorm = GroupNormOf<float>;

// Each channel by itself, always by the image's own statistics. PyTorch's default has no weight and bias.
// https://pytorch.org/docs/stable/generated/torch.nn.InstanceNorm2d.html
template <class T, int R>
struct InstanceNormOf : Module<InstanceNormOf<T, R>> {
  Parameter<T, 1> weight, bias;
  double eps;

  explicit InstanceNormOf(std::int64_t num_features, double e = 1e-5, bool affine = false) : eps(e) {
    if (affine) weight = ones<T>(Shape<1>{{num_features}}), bias = zeros<T>(Shape<1>{{num_features}});
  }
  template <class V>
  void visit(V&& v) {
    v("weight", weight);
    v("bias", bias);
  }
  template <class X>
  auto forward(const X& x) const {
    static_assert(X::rank == R, "sinter: InstanceNorm1d takes (N, C, L), InstanceNorm2d takes (N, C, H, W)");
    return sinter::instance_norm(x, weight, bias, eps);
  }
};
template <class T>
using InstanceNorm1dOf = InstanceNormOf<T, 3>;
template <class T>
using InstanceNorm2dOf = InstanceNormOf<T, 4>;
using InstanceNorm1d = InstanceNorm1dOf<float>;
using InstanceNorm2d = InstanceNorm2dOf<float>;

}  // namespace SINTER_ABI
}  // namespace nn
}  // namespace sinter
