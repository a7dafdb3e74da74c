// SPDX-License-Identifier: MIT
// Reductions run at rank 5 with keepdim; the extents of one are dropped from the result where the case says so.
#pragma once

#include "conformance/case.hpp"

namespace conformance {

// The dimensions of a case, as given, or all; checked against the input's rank by the library's own rule.
inline unsigned dims_of(const Case& c) {
  const int r = c.rank(0);
  unsigned mask = 0;
  if (!c.has("dim")) {
    for (int d = wide - r; d < wide; ++d) mask |= 1u << d;
    return mask;
  }
  for (const std::int64_t d : c.ints("dim")) {
    const int wrapped = wrap_dim(c.op.c_str(), d, r);
    if (r > 0) mask |= 1u << (wide - r + wrapped);
  }
  return mask;
}
// One dimension, at rank 5.
inline std::int64_t dim_of(const Case& c) {
  const int r = c.rank(0);
  return r == 0 ? wide - 1 : wide - r + wrap_dim(c.op.c_str(), c.integer("dim"), r);
}
inline Value without(const Value& x, const Case& c, unsigned mask) {
  if (c.flag("keepdim", false)) return with_rank(x, c.rank(0));
  std::int64_t sizes[max_rank], strides[max_rank];
  int n = 0;
  for (int d = wide - c.rank(0); d < wide; ++d)
    if (!((mask >> d) & 1u)) sizes[n] = x->sizes[d], strides[n++] = x->strides[d];
  return with_sizes(x, n, sizes, strides);
}

}  // namespace conformance
