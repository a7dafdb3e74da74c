// SPDX-License-Identifier: MIT
// The algebra of views: each function takes a layout (extents, strides, offset) and gives that of the view. They know
// nothing of tensors, so that a view's backward applies the same function to a gradient's layout.
#pragma once

#include <utility>

#include "sinter/core/shape.hpp"

namespace sinter {

template <int R>
Layout<R> transposed(Layout<R> l, int d0, int d1) {
  std::swap(l.sizes[d0], l.sizes[d1]);
  std::swap(l.strides[d0], l.strides[d1]);
  return l;
}

template <int R>
Layout<R> permuted(const Layout<R>& l, const Shape<R>& dims) {
  Layout<R> v = l;
  for (int i = 0; i < R; ++i) {
    v.sizes[i] = l.sizes[int(dims[i])];
    v.strides[i] = l.strides[int(dims[i])];
  }
  return v;
}
// Dimensions as given by a user: wrapped, each exactly once.
template <int R>
Shape<R> check_permutation(Shape<R> dims) {
  unsigned seen = 0;
  for (int i = 0; i < R; ++i) {
    dims[i] = wrap_dim("permute", dims[i], R);
    if ((seen >> dims[i]) & 1u) fail<IndexError>("permute: dimension ", dims[i], " occurs twice in ", dims);
    seen |= 1u << dims[i];
  }
  return dims;
}

// Every step-th element of [start, stop) along d; the bounds are within the extent.
template <int R>
Layout<R> sliced(Layout<R> l, int d, std::int64_t start, std::int64_t stop, std::int64_t step) {
  l.offset += start * l.strides[d];
  l.sizes[d] = stop > start ? (stop - start + step - 1) / step : 0;
  l.strides[d] *= step;
  return l;
}

template <int R>
Layout<R - 1> selected(const Layout<R>& l, int d, std::int64_t index) {
  static_assert(R > 0, "sinter: a tensor of rank 0 has no dimension to select from");
  Layout<R - 1> v;
  v.offset = l.offset + index * l.strides[d];
  for (int i = 0, o = 0; i < R; ++i)
    if (i != d) {
      v.sizes[o] = l.sizes[i];
      v.strides[o++] = l.strides[i];
    }
  return v;
}

template <int R>
Layout<R + 1> unsqueezed(const Layout<R>& l, int d) {
  Layout<R + 1> v;
  v.offset = l.offset;
  for (int i = 0, o = 0; o < R + 1; ++o) {
    v.sizes[o] = o == d ? 1 : l.sizes[i];
    v.strides[o] = o == d ? 1 : l.strides[i];
    if (o != d) ++i;
  }
  return v;
}

// Stretches extents of one, and adds leading dimensions; -1 keeps an extent.
template <int R, int A>
Layout<R> expanded(const char* op, const Layout<A>& l, const Shape<R>& sizes) {
  static_assert(R >= A, "sinter: expand() cannot drop dimensions");
  Layout<R> v;
  v.offset = l.offset;
  constexpr int leading = R - A;
  for (int i = 0; i < leading; ++i) {
    if (sizes[i] < 0) fail<ShapeError>(op, ": a new leading dimension needs an extent, not ", sizes[i], " (axis ", i, ")");
    v.sizes[i] = sizes[i];
    v.strides[i] = 0;
  }
  for (int j = 0; j < A; ++j) {
    const std::int64_t wanted = sizes[leading + j];
    const bool keeps = wanted == -1 || wanted == l.sizes[j];
    if (!keeps && (l.sizes[j] != 1 || wanted < 0))
      fail<ShapeError>(op, ": shape ", l.sizes, " does not expand to ", sizes, ": ", l.sizes[j], " against ", wanted, " (axis ", j, ")");
    v.sizes[leading + j] = keeps ? l.sizes[j] : wanted;
    v.strides[leading + j] = keeps ? l.strides[j] : 0;
  }
  return v;
}

// The extents that a reshape asks for, one of which may be -1.
template <int R>
Shape<R> inferred_sizes(const char* op, std::int64_t numel, Shape<R> sizes, ShapeView from) {
  std::int64_t known = 1;
  int infer = -1;
  for (int i = 0; i < R; ++i) {
    if (sizes[i] == -1 && infer < 0) infer = i;
    else if (sizes[i] < 0) fail<ShapeError>(op, ": shape ", sizes, " has a negative extent ", sizes[i], " (axis ", i, ")");
    else known *= sizes[i];
  }
  if (infer >= 0 && known != 0 && numel % known == 0) {
    sizes[infer] = numel / known;
    known = numel;
  }
  if (known != numel || (infer >= 0 && sizes[infer] < 0))
    fail<ShapeError>(op, ": ", from, " with ", numel, " elements does not fit shape ", sizes);
  return sizes;
}

// The layout with other extents over the same elements in the same order, if strides can express it.
template <int R, int A>
bool reshaped(const Layout<A>& l, const Shape<R>& sizes, Layout<R>& out) {
  out.sizes = sizes;
  out.strides = contiguous_strides(sizes);
  out.offset = l.offset;
  if (l.sizes.numel() == 0 || is_contiguous(l.sizes, l.strides)) return true;
  int o = R - 1;
  for (int i = A - 1; i >= 0;) {
    if (l.sizes[i] == 1) {
      --i;
      continue;
    }
    std::int64_t run = l.sizes[i];  // a run of dimensions that lie behind one another
    const std::int64_t step = l.strides[i];
    int j = i - 1;
    while (j >= 0 && (l.sizes[j] == 1 || l.strides[j] == run * step)) {
      run *= l.sizes[j];
      --j;
    }
    std::int64_t covered = 1;
    while (o >= 0 && covered < run) {
      out.strides[o] = covered * step;
      covered *= sizes[o--];
    }
    while (o >= 0 && sizes[o] == 1) out.strides[o--] = 1;
    if (covered != run) return false;
    i = j;
  }
  return true;
}

// The views as values: a layout function with its arguments, of which a view's node keeps a copy.
struct Transpose {
  int d0, d1;
  template <int R>
  Layout<R> operator()(const Layout<R>& l) const { return transposed(l, d0, d1); }
};
template <int R>
struct Permute {
  Shape<R> dims;
  Layout<R> operator()(const Layout<R>& l) const { return permuted(l, dims); }
};
struct Stretch {  // start:stop:step along d
  int d;
  std::int64_t start, stop, step;
  template <int R>
  Layout<R> operator()(const Layout<R>& l) const { return sliced(l, d, start, stop, step); }
};
struct Select {
  int d;
  std::int64_t index;
  template <int R>
  Layout<R - 1> operator()(const Layout<R>& l) const { return selected(l, d, index); }
};
struct Unsqueeze {
  int d;
  template <int R>
  Layout<R + 1> operator()(const Layout<R>& l) const { return unsqueezed(l, d); }
};
template <int N>
struct ExpandTo {
  Shape<N> sizes;
  template <int R>
  Layout<N> operator()(const Layout<R>& l) const { return expanded("expand", l, sizes); }
};
template <int N>
struct ReshapeTo {
  Shape<N> sizes;
  template <int R>
  Layout<N> operator()(const Layout<R>& l) const {
    Layout<N> v;
    if (!reshaped(l, sizes, v))
      fail<ShapeError>("view: shape ", l.sizes, " with strides ", l.strides, " cannot be viewed as ", sizes, "; use reshape()");
    return v;
  }
};

// One layout function after another.
template <class F, class G>
struct Then {
  F first;
  G second;
  template <int R>
  auto operator()(const Layout<R>& l) const { return second(first(l)); }
};

}  // namespace sinter
