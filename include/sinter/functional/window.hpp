// SPDX-License-Identifier: MIT
// Arguments of functions that slide a window over images: one number for both dimensions, or one for each.
#pragma once

#include "sinter/core/error.hpp"

namespace sinter {

// stride(2), or stride({2, 1}) for height and width.
struct Pair {
  std::int64_t h, w;
  constexpr Pair(std::int64_t both) : h(both), w(both) {}
  constexpr Pair(std::int64_t height, std::int64_t width) : h(height), w(width) {}
  friend std::ostream& operator<<(std::ostream& os, Pair p) { return os << '[' << p.h << ", " << p.w << ']'; }
};

inline void check_at_least(const char* op, const char* what, Pair p, std::int64_t least) {
  if (p.h < least || p.w < least)
    fail<ValueError>(op, ": ", what, " must be at least ", least, ", but is ", p.h == p.w ? Pair(p.h) : p);
}

}  // namespace sinter
