// SPDX-License-Identifier: MIT
// Elements chosen by a condition: masked_fill, masked_select, nonzero, and one_hot.
#pragma once

#include "sinter/device/scan.hpp"
#include "sinter/functional/gather.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// value where the mask (dtype bool, broadcast) holds, else x; a fused expression.
template <class A, class M, class S>
auto masked_fill(const Expr<A>& x, const Expr<M>& mask, S value) {
  static_assert(std::is_same_v<typename M::value_type, bool>, "sinter: masked_fill() takes a mask of dtype bool");
  broadcast_shapes("masked_fill", x.self().shape(), mask.self().shape());
  return where(mask.self(), typename A::value_type(value), x.self());
}

// The places where a dense mask on a device holds. The host waits for their number.
template <int R>
Tensor<std::int64_t, 1> selected_places(const Tensor<bool, R>& mask) {
  const std::int64_t n = mask.numel();
  Tensor<std::int64_t, 1> places(TensorImpl::empty(DType::int64, Shape{n}, mask.device()));
  if (n == 0) return places;
  const Tensor<std::int64_t, 0> count(TensorImpl::empty(DType::int64, Shape<0>{}, mask.device()));
  select_on_device(mask.data(), n, places.data(), count.data());
  return Tensor<std::int64_t, 1>(dense_clone(*narrow(places, 0, 0, count.item()).impl, DType::int64));
}

// The elements of x where the mask holds, in row-major order; x and the mask are broadcast against each other.
template <class A, class M>
auto masked_select(const Expr<A>& x, const Expr<M>& mask) {
  using T = typename A::value_type;
  static_assert(std::is_same_v<typename M::value_type, bool>, "sinter: masked_select() takes a mask of dtype bool");
  const auto sizes = broadcast_shapes("masked_select", x.self().shape(), mask.self().shape());
  constexpr int R = decltype(sizes)::rank;
  const Tensor<T, R> in = materialize(expand(materialize(x.self()), sizes));
  const Tensor<bool, R> on = no_grad([&] { return materialize(expand(materialize(mask.self()), sizes)).contiguous(); });
  const Tensor<T, R> from = no_grad([&] { return in.detach().contiguous(); });
  const Device device = shared_device("masked_select", from, on);
  const std::int64_t n = in.numel();
  Tensor<std::int64_t, 1> at;
  if (device.is_cuda()) at = selected_places(on);
  else at = Tensor<std::int64_t, 1>(TensorImpl::empty(DType::int64, Shape{std::int64_t(std::count(on.data(), on.data() + n, true))}));
  Tensor<T, 1> out(TensorImpl::empty(dtype_of<T>(), at.shape(), device));
  if (device.is_cuda()) gather_rows_on_device({"masked_select", dtype_of<T>(), out.data(), from.data(), at.data(), 1, n, 1, at.numel()});
  else for (std::int64_t i = 0, o = 0; i < n; ++i)
    if (on.data()[i]) at.data()[o] = i, out.data()[o++] = from.data()[i];
  if (!any_requires_grad(in)) return out;
  auto back = [at, sizes](const Tensor<T, 1>& grad, const auto&) {
    Tensor<T, R> dx = zeros_of<T>(sizes, grad.device());
    if (grad.device().is_cuda()) scatter_on_device(gather_args<T>("masked_select", Shape{dx.numel()}, 0, at), dx.data(), grad.data());
    else for (std::int64_t o = 0; o < grad.numel(); ++o) dx.data()[at.data()[o]] = grad.data()[o];
    return std::tuple(dx);
  };
  return record("masked_select", out, std::move(back), in);
}

// The indices of the elements other than zero, (count, rank), int64.
template <class A>
Tensor<std::int64_t, 2> nonzero(const Expr<A>& e) {
  constexpr int R = A::rank;
  const auto x = no_grad([&] { return materialize(e.self() != 0).contiguous(); });
  if (x.device().is_cuda()) {
    const auto places = selected_places(x);
    Tensor<std::int64_t, 2> out(TensorImpl::empty(DType::int64, Shape{places.numel(), std::int64_t(R)}, x.device()));
    unravel_on_device(out.data(), places.data(), places.numel(), R, x.shape().d);
    return out;
  }
  const std::int64_t n = x.numel(), count = std::count(x.data(), x.data() + n, true);
  Tensor<std::int64_t, 2> out(TensorImpl::empty(DType::int64, Shape{count, std::int64_t(R)}));
  std::int64_t* to = out.data();
  for (std::int64_t i = 0; i < n; ++i) {
    if (!x.data()[i]) continue;
    std::int64_t rest = i;
    for (int d = R - 1; d >= 0; --d) {
      to[d] = rest % x.shape()[d];
      rest /= x.shape()[d];
    }
    to += R;
  }
  return out;
}

// (d...) -> (d..., num_classes), int64; -1 takes the greatest class there is.
template <class I>
Tensor<std::int64_t, I::rank + 1> one_hot(const Expr<I>& index, std::int64_t num_classes = -1) {
  constexpr int R = I::rank;
  const auto in = materialize(index.self());
  std::int64_t classes = num_classes;
  if (classes < 0) {
    classes = in.numel() == 0 ? 0 : materialize(amax(in)).item() + 1;
    if (in.numel() == 0) fail<ValueError>("one_hot: num_classes must be given for an index without elements");
  }
  const auto at = checked_index("one_hot", in, classes, R);
  Shape<R + 1> sizes;
  for (int i = 0; i < R; ++i) sizes[i] = at.shape()[i];
  sizes[R] = classes;
  if (at.device().is_cuda()) {
    Tensor<std::int64_t, R + 1> out(TensorImpl::empty(DType::int64, sizes, at.device()));
    one_hot_on_device(out.data(), at.data(), at.numel(), classes);
    return out;
  }
  auto out = zeros_of<std::int64_t>(sizes, Device());
  for (std::int64_t i = 0; i < at.numel(); ++i) out.data()[i * classes + at.data()[i]] = 1;
  return out;
}

}  // namespace SINTER_ABI
}  // namespace sinter
