// SPDX-License-Identifier: MIT
// How a loss's elements become its result: loss(x, y), loss(x, y, reduction::sum), loss(x, y, reduction::none). A tag,
// since it decides the result's rank.
#pragma once

#include "sinter/tensor/view.hpp"

namespace sinter {
namespace reduction {

enum class Kind { mean, sum, none, batchmean };
template <Kind K>
struct Tag {};
inline constexpr Tag<Kind::mean> mean{};
inline constexpr Tag<Kind::sum> sum{};
inline constexpr Tag<Kind::none> none{};
inline constexpr Tag<Kind::batchmean> batchmean{};  // kl_div only: the sum by the first extent

}  // namespace reduction

inline namespace SINTER_ABI {

// Losses are expressions, evaluated in one pass where a statement wants them.
template <reduction::Kind K, class E>
auto reduced(reduction::Tag<K>, const E& e) {
  static_assert(K != reduction::Kind::batchmean, "sinter: reduction::batchmean is for kl_div() only");
  if constexpr (K == reduction::Kind::none) return e;
  else if constexpr (K == reduction::Kind::sum) return sum(e);
  else return mean(e);
}

// For losses that do not broadcast, as PyTorch's do not.
template <class A, class B>
void check_same_shape(const char* op, const A& a, const B& b) {
  static_assert(A::rank == B::rank, "sinter: this loss takes an input and a target of the same rank");
  if constexpr (A::rank == B::rank)
    for (int i = 0; i < A::rank; ++i)
      if (a.shape()[i] != b.shape()[i])
        fail<ShapeError>(op, ": shapes ", a.shape(), " x ", b.shape(), " differ: ", a.shape()[i], " against ", b.shape()[i], " (axis ", i, ")");
}

}  // namespace SINTER_ABI
}  // namespace sinter
