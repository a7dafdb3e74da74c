// SPDX-License-Identifier: MIT
// Copies between tensors whose types are known at run time only: state dicts, optimizers. Any layouts, any dtypes; fast where
// both are dense and of one dtype.
#pragma once

#include <cstring>

#include "sinter/core/tensor_impl.hpp"

namespace sinter {

// Row-major without gaps.
inline bool is_dense(const TensorImpl& t) {
  std::int64_t step = 1;
  for (int i = t.rank - 1; i >= 0; --i) {
    if (t.sizes[i] != 1 && t.strides[i] != step) return t.numel() == 0;
    step *= t.sizes[i];
  }
  return true;
}

inline bool same_shape(const TensorImpl& a, const TensorImpl& b) { return a.shape() == b.shape(); }

// The element at a byte address of the host.
inline double widened(DType t, const void* p) {
  switch (t) {
    case DType::boolean: return *static_cast<const bool*>(p);
    case DType::uint8: return *static_cast<const std::uint8_t*>(p);
    case DType::int32: return *static_cast<const std::int32_t*>(p);
    case DType::int64: return double(*static_cast<const std::int64_t*>(p));
    case DType::float16: return float(*static_cast<const half*>(p));
    case DType::bfloat16: return float(*static_cast<const bfloat16*>(p));
    case DType::float32: return *static_cast<const float*>(p);
    default: return *static_cast<const double*>(p);
  }
}
inline void store_as(DType t, void* p, double x) {
  switch (t) {
    case DType::boolean: *static_cast<bool*>(p) = x != 0; return;
    case DType::uint8: *static_cast<std::uint8_t*>(p) = std::uint8_t(x); return;
    case DType::int32: *static_cast<std::int32_t*>(p) = std::int32_t(x); return;
    case DType::int64: *static_cast<std::int64_t*>(p) = std::int64_t(x); return;
    case DType::float16: *static_cast<half*>(p) = half(float(x)); return;
    case DType::bfloat16: *static_cast<bfloat16*>(p) = bfloat16(float(x)); return;
    case DType::float32: *static_cast<float*>(p) = float(x); return;
    default: *static_cast<double*>(p) = x;
  }
}

// Element by element, for what copy_elements() does not know better.
[[gnu::cold]] inline void copy_strided(TensorImpl& to, const TensorImpl& from) {
  const std::int64_t n = to.numel(), wt = size_of(to.dtype), wf = size_of(from.dtype);
  std::int64_t index[max_rank] = {}, at_to = 0, at_from = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    char* p = static_cast<char*>(to.data) + at_to * wt;
    const char* q = static_cast<const char*>(from.data) + at_from * wf;
    if (to.dtype == from.dtype) std::memcpy(p, q, std::size_t(wt));
    else store_as(to.dtype, p, widened(from.dtype, q));
    for (int d = to.rank - 1; d >= 0; --d) {
      const bool carry = ++index[d] == to.sizes[d];
      at_to += carry ? (1 - to.sizes[d]) * to.strides[d] : to.strides[d];
      at_from += carry ? (1 - from.sizes[d]) * from.strides[d] : from.strides[d];
      if (!carry) break;
      index[d] = 0;
    }
  }
}

// A fresh dense tensor.
inline Ref<TensorImpl> empty_dense(DType dtype, ShapeView shape, Device device = {}) {
  Ref<TensorImpl> t = Ref<TensorImpl>::adopt(new TensorImpl);
  t->dtype = dtype;
  t->rank = shape.rank;
  std::int64_t step = 1;
  for (int i = shape.rank - 1; i >= 0; --i) {
    t->sizes[i] = shape.d[i];
    t->strides[i] = step;
    step *= shape.d[i];
  }
  t->storage = Storage::allocate(std::size_t(step) * std::size_t(size_of(dtype)), device);
  t->data = t->storage->data;
  return t;
}

[[gnu::noinline]] inline Ref<TensorImpl> zeros_dense(DType dtype, ShapeView shape, Device device = {}) {
  Ref<TensorImpl> t = empty_dense(dtype, shape, device);
  const auto bytes = std::size_t(t->numel() * size_of(dtype));
  if (!device.is_cpu()) backend_of("zeros", device).fill(device.index, t->data, 0, bytes);
  else if (bytes > 0) std::memset(t->data, 0, bytes);
  return t;
}

inline void copy_elements(TensorImpl& to, const TensorImpl& from);

// to[...] = from[...] within a device, of one shape, any layouts and dtypes.
inline DeviceKernel<void(const TensorImpl& to, const TensorImpl& from)> copy_on_device{"copy"};
// The same where at least one of the two is not on the CPU. Between devices goes dense memory of one dtype only.
[[gnu::cold]] inline void copy_across(TensorImpl& to, const TensorImpl& from) {
  const Device there = to.device(), here = from.device();
  if (to.numel() == 0) return;
  if (to.dtype == from.dtype && is_dense(to) && is_dense(from)) {
    const Backend& backend = backend_of("copy", there.is_cpu() ? here : there);
    return backend.copy(to.data, there.is_cpu() ? -1 : there.index, from.data, here.is_cpu() ? -1 : here.index,
                        std::size_t(to.numel() * size_of(to.dtype)));
  }
  if (there == here) return copy_on_device(to, from);
  const bool as_target = size_of(to.dtype) < size_of(from.dtype);  // the fewer bytes travel
  const Ref<TensorImpl> packed = empty_dense(as_target ? to.dtype : from.dtype, from.shape(), here);
  copy_elements(*packed, from);
  if (is_dense(to) && to.dtype == packed->dtype) return copy_elements(to, *packed);
  const Ref<TensorImpl> arrived = empty_dense(packed->dtype, from.shape(), there);
  copy_elements(*arrived, *packed);
  copy_elements(to, *arrived);
}

// to[...] = from[...], of one shape, any layouts, dtypes and devices.
inline void copy_elements(TensorImpl& to, const TensorImpl& from) {
  if (!to.device().is_cpu() || !from.device().is_cpu()) return copy_across(to, from);
  if (to.dtype != from.dtype || !is_dense(to) || !is_dense(from)) return copy_strided(to, from);
  if (const std::int64_t n = to.numel(); n > 0) std::memcpy(to.data, from.data, std::size_t(n * size_of(to.dtype)));
}

// A dense copy, in the same dtype or another, on the same device or another.
[[gnu::noinline]] inline Ref<TensorImpl> dense_clone(const TensorImpl& t, DType dtype, Device device) {
  Ref<TensorImpl> copy = empty_dense(dtype, t.shape(), device);
  copy_elements(*copy, t);
  return copy;
}
inline Ref<TensorImpl> dense_clone(const TensorImpl& t, DType dtype) { return dense_clone(t, dtype, t.device()); }

}  // namespace sinter
