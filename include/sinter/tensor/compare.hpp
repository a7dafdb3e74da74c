// SPDX-License-Identifier: MIT
// Whole tensors compared, on the CPU: equal and allclose. https://pytorch.org/docs/stable/generated/torch.allclose.html
#pragma once

#include <cmath>

#include "sinter/tensor/view.hpp"

namespace sinter {
inline namespace SINTER_ABI {

template <class A, class B>
bool any_on_device(const A& a, const B& b) {
  return device_of("equal", a).is_cuda() || device_of("equal", b).is_cuda();
}

// The same shape and the same values; a NaN equals nothing.
template <class A, class B>
bool equal(const Expr<A>& a, const Expr<B>& b) {
  if constexpr (A::rank != B::rank) {
    return false;
  } else {
    NoGradGuard guard;
    for (int i = 0; i < A::rank; ++i)
      if (a.self().shape()[i] != b.self().shape()[i]) return false;
    if (any_on_device(a.self(), b.self())) return equal(materialize(a.self()).cpu(), materialize(b.self()).cpu());
    return materialize(all_of(a.self() == b.self())).item();
  }
}

// |a - b| <= atol + rtol * |b| everywhere; infinities only equal themselves, NaNs each other if equal_nan. Broadcasts.
template <class A, class B>
bool allclose(const Expr<A>& a, const Expr<B>& b, double rtol = 1e-5, double atol = 1e-8, bool equal_nan = false) {
  NoGradGuard guard;
  if (any_on_device(a.self(), b.self())) return allclose(materialize(a.self()).cpu(), materialize(b.self()).cpu(), rtol, atol, equal_nan);
  const auto x = to<double>(a.self());
  const auto y = to<double>(b.self());
  const auto close = logical_or(x == y, logical_and(isfinite(y), abs(x - y) <= rtol * abs(y) + atol));
  if (!equal_nan) return materialize(all_of(close)).item();
  return materialize(all_of(logical_or(close, logical_and(isnan(x), isnan(y))))).item();
}

}  // namespace SINTER_ABI
}  // namespace sinter
