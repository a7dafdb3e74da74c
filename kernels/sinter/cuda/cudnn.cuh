// SPDX-License-Identifier: MIT
// Convolution by cuDNN (9): where CMake finds it, SINTER_CUDNN is defined and this takes the problems that cuDNN has a
// deterministic algorithm for. Algorithms are chosen once for each problem, by cuDNN's heuristics.
#pragma once

#if defined(SINTER_CUDNN) && __has_include(<cudnn.h>)
#include <cudnn.h>

#include <cstring>
#include <map>
#include <memory>

#include "sinter/cuda/runtime.cuh"
#include "sinter/device/conv.hpp"
#include "sinter/device/matmul.hpp"

namespace sinter::cuda {

inline void check_cudnn(cudnnStatus_t status) {
  if (status != CUDNN_STATUS_SUCCESS) fail<DeviceError>("conv2d: cuDNN: ", cudnnGetErrorString(status));
}

// A descriptor of cuDNN that is destroyed with its owner.
template <class Handle, cudnnStatus_t (*create)(Handle*), cudnnStatus_t (*destroy)(Handle)>
class CudnnObject {
 public:
  CudnnObject() { check_cudnn(create(&handle_)); }
  CudnnObject(const CudnnObject&) = delete;
  CudnnObject& operator=(const CudnnObject&) = delete;
  ~CudnnObject() { destroy(handle_); }
  operator Handle() const { return handle_; }

 private:
  Handle handle_ = nullptr;
};
using CudnnTensor = CudnnObject<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using CudnnFilter = CudnnObject<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using CudnnConvolution = CudnnObject<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor, cudnnDestroyConvolutionDescriptor>;

// What a choice of algorithm depends on.
struct CudnnKey {
  ConvPass pass;
  DType dtype;
  bool tf32;
  std::int64_t extents[16];

  CudnnKey(const ConvArgs& a, bool tf32)
      : pass(a.pass), dtype(a.dtype), tf32(tf32),
        extents{a.count,    a.groups,   a.in,    a.out,   a.height,     a.width,      a.kernel_h, a.kernel_w,
                a.stride_h, a.stride_w, a.pad_h, a.pad_w, a.dilation_h, a.dilation_w, a.out_h,    a.out_w} {}
  friend bool operator<(const CudnnKey& a, const CudnnKey& b) {
    if (a.pass != b.pass) return a.pass < b.pass;
    if (a.dtype != b.dtype) return a.dtype < b.dtype;
    if (a.tf32 != b.tf32) return a.tf32 < b.tf32;
    return std::memcmp(a.extents, b.extents, sizeof a.extents) < 0;
  }
};

struct CudnnPlan {
  CudnnTensor x, y, bias;
  CudnnFilter w;
  CudnnConvolution conv;
  bool usable = false;
  int algorithm = 0;
  std::size_t bytes = 0;

  static constexpr std::size_t most_bytes = std::size_t(1) << 30;

  CudnnPlan(cudnnHandle_t handle, const ConvArgs& a, bool tf32) {
    const cudnnDataType_t type = a.dtype == DType::float64    ? CUDNN_DATA_DOUBLE
                                 : a.dtype == DType::bfloat16 ? CUDNN_DATA_BFLOAT16
                                 : a.dtype == DType::float16  ? CUDNN_DATA_HALF
                                                              : CUDNN_DATA_FLOAT;
    const auto n = [](std::int64_t i) { return int(i); };
    const int in = n(a.groups * a.in), out = n(a.groups * a.out);
    check_cudnn(cudnnSetTensor4dDescriptor(x, CUDNN_TENSOR_NCHW, type, n(a.count), in, n(a.height), n(a.width)));
    check_cudnn(cudnnSetTensor4dDescriptor(y, CUDNN_TENSOR_NCHW, type, n(a.count), out, n(a.out_h), n(a.out_w)));
    check_cudnn(cudnnSetTensor4dDescriptor(bias, CUDNN_TENSOR_NCHW, type, 1, out, 1, 1));
    check_cudnn(cudnnSetFilter4dDescriptor(w, type, CUDNN_TENSOR_NCHW, out, n(a.in), n(a.kernel_h), n(a.kernel_w)));
    check_cudnn(cudnnSetConvolution2dDescriptor(conv, n(a.pad_h), n(a.pad_w), n(a.stride_h), n(a.stride_w), n(a.dilation_h), n(a.dilation_w),
                                                CUDNN_CROSS_CORRELATION, a.dtype == DType::float64 ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT));
    check_cudnn(cudnnSetConvolutionGroupCount(conv, n(a.groups)));
    const bool exact = a.dtype == DType::float32 && !tf32;
    check_cudnn(cudnnSetConvolutionMathType(conv, exact ? CUDNN_FMA_MATH : CUDNN_DEFAULT_MATH));
    if (a.pass == ConvPass::result)
      choose<cudnnConvolutionFwdAlgoPerf_t>(cudnnGetConvolutionForwardAlgorithm_v7, exact, handle, x, w, conv, y);
    if (a.pass == ConvPass::image)
      choose<cudnnConvolutionBwdDataAlgoPerf_t>(cudnnGetConvolutionBackwardDataAlgorithm_v7, exact, handle, w, y, conv, x);
    if (a.pass == ConvPass::weight)
      choose<cudnnConvolutionBwdFilterAlgoPerf_t>(cudnnGetConvolutionBackwardFilterAlgorithm_v7, exact, handle, x, y, conv, w);
  }

 private:
  // The first algorithm that gives the same result every time, in memory that is there.
  template <class Found, class Get, class... Descriptors>
  void choose(Get get, bool exact, cudnnHandle_t handle, const Descriptors&... d) {
    Found found[16];
    int n = 0;
    if (get(handle, d..., 16, &n, found) != CUDNN_STATUS_SUCCESS) return;
    for (int i = 0; i < n && !usable; ++i) {
      const Found& f = found[i];
      if (f.status != CUDNN_STATUS_SUCCESS || f.determinism != CUDNN_DETERMINISTIC || f.memory > most_bytes) continue;
      if (!exact && cudnnSetConvolutionMathType(conv, f.mathType) != CUDNN_STATUS_SUCCESS) continue;
      usable = true, algorithm = int(f.algo), bytes = f.memory;
    }
  }
};

// One thread's cuDNN on one device.
struct Cudnn {
  CudnnObject<cudnnHandle_t, cudnnCreate, cudnnDestroy> handle;
  std::map<CudnnKey, std::unique_ptr<CudnnPlan>> plans;

  static Cudnn& current() {
    thread_local std::map<int, std::unique_ptr<Cudnn>> all;
    int device = 0;
    cudaGetDevice(&device);
    std::unique_ptr<Cudnn>& mine = all[device];
    if (!mine) mine = std::make_unique<Cudnn>();
    return *mine;
  }
  CudnnPlan& plan(const ConvArgs& a) {
    std::unique_ptr<CudnnPlan>& p = plans[CudnnKey(a, allows_tf32())];
    if (!p) p = std::make_unique<CudnnPlan>(handle, a, allows_tf32());
    return *p;
  }
};

inline bool cudnn_takes(const ConvArgs& a) {
  // cuDNN pads both sides alike.
  const auto symmetric = [](std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t pad, std::int64_t dilation) {
    return out == (in + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
  };
  const bool floating = a.dtype == DType::float32 || a.dtype == DType::float64 || a.dtype == DType::float16 || a.dtype == DType::bfloat16;
  const std::int64_t x = a.x_numel(), y = a.y_numel(), w = a.w_numel(), most = (std::int64_t(1) << 31) - 1;
  return floating && x > 0 && y > 0 && w > 0 && x <= most && y <= most && w <= most && a.pad_h < most && a.pad_w < most &&
         symmetric(a.height, a.out_h, a.kernel_h, a.stride_h, a.pad_h, a.dilation_h) &&
         symmetric(a.width, a.out_w, a.kernel_w, a.stride_w, a.pad_w, a.dilation_w);
}

inline bool cudnn_conv(const ConvArgs& a) {
  if (!cudnn_takes(a)) return false;
  Cudnn& dnn = Cudnn::current();
  CudnnPlan& p = dnn.plan(a);
  if (!p.usable) return false;
  check_cudnn(cudnnSetStream(dnn.handle, current_stream()));
  Workspace space(p.bytes);
  const float one = 1, zero = 0;
  const double one_double = 1, zero_double = 0;
  const bool wide = a.dtype == DType::float64;
  const void *alpha = wide ? static_cast<const void*>(&one_double) : &one, *beta = wide ? static_cast<const void*>(&zero_double) : &zero;
  if (a.pass == ConvPass::result) {
    const auto algorithm = cudnnConvolutionFwdAlgo_t(p.algorithm);
    check_cudnn(cudnnConvolutionForward(dnn.handle, alpha, p.x, a.a, p.w, a.b, p.conv, algorithm, space.data(), p.bytes, beta, p.y, a.to));
    if (a.bias) check_cudnn(cudnnAddTensor(dnn.handle, alpha, p.bias, a.bias, alpha, p.y, a.to));
  } else if (a.pass == ConvPass::image) {
    const auto algorithm = cudnnConvolutionBwdDataAlgo_t(p.algorithm);
    check_cudnn(cudnnConvolutionBackwardData(dnn.handle, alpha, p.w, a.b, p.y, a.a, p.conv, algorithm, space.data(), p.bytes, beta, p.x, a.to));
  } else {
    const auto algorithm = cudnnConvolutionBwdFilterAlgo_t(p.algorithm);
    check_cudnn(cudnnConvolutionBackwardFilter(dnn.handle, alpha, p.x, a.a, p.y, a.b, p.conv, algorithm, space.data(), p.bytes, beta, p.w, a.to));
  }
  return true;
}
inline const bool cudnn_registered = cudnn_conv_on_device.set(cudnn_conv);

}  // namespace sinter::cuda
#endif
