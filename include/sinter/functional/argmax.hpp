// SPDX-License-Identifier: MIT
// Where the extremes lie: argmax and argmin; and max, min with the indices of what they return. The first of equals wins,
// a NaN is greater and less than any number, as in PyTorch.
#pragma once

#include <limits>

#include "sinter/autograd/function.hpp"
#include "sinter/tensor/create.hpp"

namespace sinter {

// What max, min, sort, topk ... over a dimension give: auto [values, indices] = max(x, 1).
template <class T, int R>
struct ValuesIndices {
  Tensor<T, R> values;
  Tensor<std::int64_t, R> indices;
};

inline namespace SINTER_ABI {

// The numbers 0, step, 2 step, ... along dimension d, with an extent of one along all others.
template <int R>
Tensor<std::int64_t, R> counted_along(Device device, int d, std::int64_t n, std::int64_t step) {
  Shape<R> sizes;
  for (int i = 0; i < R; ++i) sizes[i] = i == d ? n : 1;
  Tensor<std::int64_t, R> t(TensorImpl::empty(DType::int64, sizes, device));
  if (device.is_cuda()) sequence_on_device({t.data(), DType::int64, n, true, false, 0, step, 0, 0, 0});
  else for (std::int64_t i = 0; i < n; ++i) t.data()[i] = i * step;
  return t;
}
// The place of each element in row-major order: a sum over dimensions, broadcast in the loop.
template <int D, int R>
auto places(Device device, const Shape<R>& sizes) {
  const auto along = counted_along<R>(device, D, sizes[D], contiguous_strides(sizes)[D]);
  if constexpr (D + 1 == R) return Leaf<std::int64_t, R>(along);
  else return along + places<D + 1>(device, sizes);
}

// The least place at which e equals its extreme over `axes`; `place` numbers the elements there. A second pass over the
// operand, as fused as the first, so that it never lies in memory.
template <class Extreme, class E, int K, bool Keep, class P>
auto first_place(const char* op, const E& e, Axes<K, Keep> axes, const P& place) {
  constexpr std::int64_t nowhere = std::numeric_limits<std::int64_t>::max();
  const auto extreme = materialize(reduce<Extreme>(op, e, keeping(axes)));
  if constexpr (is_floating<typename E::value_type>)  // a NaN equals nothing, and wins
    return materialize(reduce<op::Amin>(op, where(logical_or(e == extreme, isnan(e)), place, nowhere), axes));
  else return materialize(reduce<op::Amin>(op, where(e == extreme, place, nowhere), axes));
}
template <class Extreme, bool Keep, class E>
auto place_along(const char* op, const E& e, std::int64_t dim) {
  constexpr int R = E::rank;
  NoGradGuard no_grad;
  if constexpr (R == 0) {
    wrap_dim(op, dim, R);
    return full(Shape<0>{}, std::int64_t(0), device_of(op, e));
  } else {
    const int d = wrap_dim(op, dim, R);
    return first_place<Extreme>(op, e, Axes<1, Keep>{1u << d}, counted_along<R>(device_of(op, e), d, e.shape()[d], 1));
  }
}
template <class Extreme, class E>
auto place_of_all(const char* op, const E& e) {
  constexpr int R = E::rank;
  NoGradGuard no_grad;
  if constexpr (R == 0) return full(Shape<0>{}, std::int64_t(0), device_of(op, e));
  else return first_place<Extreme>(op, e, Axes<R, false>{(1u << R) - 1u}, places<0>(device_of(op, e), Shape<R>(e.shape())));
}

// The index of the greatest element: into the flattened tensor, or along dim. int64.
template <class E>
auto argmax(const Expr<E>& x) { return place_of_all<op::Amax>("argmax", x.self()); }
template <class E>
auto argmax(const Expr<E>& x, std::int64_t dim) { return place_along<op::Amax, false>("argmax", x.self(), dim); }
template <class E>
auto argmax(const Expr<E>& x, std::int64_t dim, KeepDim) { return place_along<op::Amax, true>("argmax", x.self(), dim); }
template <class E>
auto argmin(const Expr<E>& x) { return place_of_all<op::Amin>("argmin", x.self()); }
template <class E>
auto argmin(const Expr<E>& x, std::int64_t dim) { return place_along<op::Amin, false>("argmin", x.self(), dim); }
template <class E>
auto argmin(const Expr<E>& x, std::int64_t dim, KeepDim) { return place_along<op::Amin, true>("argmin", x.self(), dim); }

template <class T, int R>
Tensor<T, (R > 0 ? R - 1 : 0)> drop_dim(const Tensor<T, R>& x, std::int64_t dim) {
  if constexpr (R == 0) return x;
  else return squeeze(x, dim);
}

}  // namespace SINTER_ABI
}  // namespace sinter
