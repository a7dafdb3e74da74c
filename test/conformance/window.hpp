// SPDX-License-Identifier: MIT
// Attributes that are one number for both spatial dimensions or one for each.
#pragma once

#include "conformance/case.hpp"
#include "sinter/functional/window.hpp"

namespace conformance {

inline Pair pair_of(const Case& c, const char* key, std::int64_t otherwise) {
  if (!c.has(key)) return Pair(otherwise);
  const Ints v = c.ints(key);
  return v.size() == 1 ? Pair(v[0]) : Pair(v[0], v[1]);
}

}  // namespace conformance
