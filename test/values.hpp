// SPDX-License-Identifier: MIT
// What tests compare: the elements of a tensor or expression, in row-major order.
#pragma once

#include <vector>

#include "sinter/tensor/view.hpp"

using V = std::vector<double>;

template <class E>
V values(const sinter::Expr<E>& e) {
  const auto t = sinter::no_grad([&] { return sinter::Tensor(e).detach(); });
  const auto dense = t.contiguous();
  V v;
  for (std::int64_t i = 0; i < dense.numel(); ++i) v.push_back(double(dense.data()[i]));
  return v;
}
