// SPDX-License-Identifier: MIT
// x(i, Slice(1, 3), all, newaxis): Python's x[i, 1:3, :, None] with the rank known at compile time. The result is a view;
// `x(0, all) = e` writes into it.
#pragma once

#include <limits>

#include "sinter/tensor/view.hpp"

namespace sinter {

// start:stop:step as in Python; the bounds are clipped to the extent, negative ones count from the end.
struct Slice {
  static constexpr std::int64_t end = std::numeric_limits<std::int64_t>::max();
  std::int64_t start = 0, stop = end, step = 1;
  constexpr Slice(std::int64_t from = 0, std::int64_t to = end, std::int64_t by = 1) : start(from), stop(to), step(by) {}
};
inline constexpr Slice all{};  // :
struct NewAxis {};
inline constexpr NewAxis newaxis{};  // None

inline namespace SINTER_ABI {

template <int D, class T, int R>
auto index_at(const Tensor<T, R>& x) { return x; }
// Applies the first index to dimension D, and the rest behind it.
template <int D, class T, int R, class I, class... Rest>
auto index_at(const Tensor<T, R>& x, const I& i, const Rest&... rest) {
  if constexpr (std::is_same_v<I, NewAxis>) {
    return index_at<D + 1>(unsqueeze(x, D), rest...);
  } else {
    static_assert(D < R, "sinter: more indices than the tensor has dimensions");
    if constexpr (std::is_same_v<I, Slice>) {
      const bool whole = i.start == 0 && i.stop == Slice::end && i.step == 1;
      return index_at<D + 1>(whole ? x : slice(x, D, i.start, i.stop, i.step), rest...);
    } else {
      static_assert(std::is_integral_v<I>, "sinter: an index is an integer, a Slice, all or newaxis");
      return index_at<D>(select(x, D, std::int64_t(i)), rest...);
    }
  }
}

}  // namespace SINTER_ABI

template <class T, int R>
template <class... I>
auto Tensor<T, R>::operator()(const I&... index) const { return index_at<0>(*this, index...); }

}  // namespace sinter
