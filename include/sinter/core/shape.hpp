// SPDX-License-Identifier: MIT
// Extents and strides, counted in elements; broadcasting; the layout algebra behind every view.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>

#include "sinter/core/error.hpp"

namespace sinter {

// R numbers, one for each dimension. Serves as extents, strides and index.
template <int R>
struct Shape {
  std::int64_t d[R > 0 ? R : 1] = {};
  static constexpr int rank = R;

  constexpr std::int64_t& operator[](int i) { return d[i]; }
  constexpr std::int64_t operator[](int i) const { return d[i]; }
  constexpr int size() const { return R; }
  constexpr const std::int64_t* begin() const { return d; }
  constexpr const std::int64_t* end() const { return d + R; }
  constexpr std::int64_t numel() const {
    std::int64_t n = 1;
    for (int i = 0; i < R; ++i) n *= d[i];
    return n;
  }
  friend constexpr bool operator==(const Shape& a, const Shape& b) {
    for (int i = 0; i < R; ++i)
      if (a.d[i] != b.d[i]) return false;
    return true;
  }
  friend constexpr bool operator!=(const Shape& a, const Shape& b) { return !(a == b); }
};
template <class... I>
Shape(I...) -> Shape<int(sizeof...(I))>;
// Of a list in braces, as in zeros({2, 3}).
template <std::size_t R>
constexpr Shape<int(R)> shape_of(const std::int64_t (&sizes)[R]) {
  Shape<int(R)> s;
  for (std::size_t i = 0; i < R; ++i) s.d[i] = sizes[i];
  return s;
}

// A shape whose rank is only known at run time, for messages and type-erased code.
struct ShapeView {
  const std::int64_t* d;
  int rank;
  ShapeView(const std::int64_t* sizes, int r) : d(sizes), rank(r) {}
  template <int R>
  ShapeView(const Shape<R>& s) : d(s.d), rank(R) {}
  friend bool operator==(ShapeView a, ShapeView b) {
    if (a.rank != b.rank) return false;
    for (int i = 0; i < a.rank; ++i)
      if (a.d[i] != b.d[i]) return false;
    return true;
  }
  friend std::ostream& operator<<(std::ostream& os, ShapeView s) {
    os << '[';
    for (int i = 0; i < s.rank; ++i) os << (i ? ", " : "") << s.d[i];
    return os << ']';
  }
};
template <int R>
std::ostream& operator<<(std::ostream& os, const Shape<R>& s) {
  return os << ShapeView(s);
}

// Row-major strides.
template <int R>
constexpr Shape<R> contiguous_strides(const Shape<R>& sizes) {
  Shape<R> s;
  std::int64_t step = 1;
  for (int i = R - 1; i >= 0; --i) {
    s[i] = step;
    step *= sizes[i];
  }
  return s;
}

// Row-major without gaps; the stride of an extent of one does not matter.
template <int R>
constexpr bool is_contiguous(const Shape<R>& sizes, const Shape<R>& strides) {
  std::int64_t step = 1;
  for (int i = R - 1; i >= 0; --i) {
    if (sizes[i] != 1 && strides[i] != step) return sizes.numel() == 0;
    step *= sizes[i];
  }
  return true;
}

// Python's reading of a dimension: -1 is the last. Throws IndexError naming the operation.
inline int wrap_dim(const char* op, std::int64_t dim, int rank) {
  const int n = rank > 0 ? rank : 1;
  if (dim < -n || dim >= n)
    fail<IndexError>(op, ": dimension ", dim, " is out of range for rank ", rank, " (expected ", -n, " to ", n - 1, ")");
  return int(dim < 0 ? dim + n : dim);
}

// Extents of a negative size are refused; every creation function passes here.
template <int R>
void check_sizes(const char* op, const Shape<R>& sizes) {
  for (int i = 0; i < R; ++i)
    if (sizes[i] < 0) fail<ShapeError>(op, ": negative extent ", sizes[i], " (axis ", i, ") in shape ", sizes);
}

// NumPy broadcasting: shapes are aligned at the last axis, an extent of one stretches.
template <int A, int B>
Shape<(A > B ? A : B)> broadcast_shapes(const char* op, const Shape<A>& a, const Shape<B>& b) {
  constexpr int R = A > B ? A : B;
  Shape<R> out;
  for (int i = 0; i < R; ++i) {
    const int ia = i - (R - A), ib = i - (R - B);
    const std::int64_t x = ia < 0 ? 1 : a[ia], y = ib < 0 ? 1 : b[ib];
    if (x != y && x != 1 && y != 1)
      fail<ShapeError>(op, ": shapes ", a, " x ", b, " do not broadcast: ", x, " against ", y, " (axis ", ia,
                       " of the left, axis ", ib, " of the right)");
    out[i] = x == 1 ? y : x;
  }
  return out;
}

// Where the elements of a view lie: element (i0, i1, ...) is at offset + i0 * strides[0] + i1 * strides[1] + ...
template <int R>
struct Layout {
  Shape<R> sizes, strides;
  std::int64_t offset = 0;

  static Layout contiguous(const Shape<R>& sizes) { return {sizes, contiguous_strides(sizes), 0}; }
};

}  // namespace sinter
