// SPDX-License-Identifier: MIT
// Convolution and its gradient for the image, each by the kernel that suits its shape.
#pragma once

#include "sinter/cpu/conv_direct.hpp"
#include "sinter/cpu/conv_indirect.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

template <class T>
void convolve(const ConvolutionPlan& plan, const T* source, const T* weights, T* result, Finish finish = {}) {
  if (direct_pays<T>(plan.out, plan.w.extent / plan.w.phases())) DirectConvolution<T>(plan).run(source, weights, result, finish);
  else IndirectConvolution<T>(plan).run(source, weights, result, finish);
}

// z = x * w; `finish` sees product n * groups + g, rows the channels of the group, columns the pixels.
template <class T>
void convolution(const ConvolutionShape& s, const T* x, const T* w, T* z, Finish finish = {}) { convolve(s.plan(false), x, w, z, finish); }
// The gradient for x.
template <class T>
void convolution_image_gradient(const ConvolutionShape& s, const T* dz, const T* w, T* dx) { convolve(s.plan(true), dz, w, dx); }

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
