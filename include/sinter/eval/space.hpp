// SPDX-License-Identifier: MIT
// The iteration space of a fused loop: its extents and, for every operand, the strides with which it is walked.
// Dimensions are dropped and merged until no two can be one; what remains has its innermost loop last.
#pragma once

#include <algorithm>
#include <cstdint>
#include <new>
#include <utility>

#include "sinter/core/config.hpp"
#include "sinter/core/device.hpp"
#include "sinter/core/shape.hpp"

namespace sinter {

inline constexpr int max_sources = max_leaves + 2;  // what a kernel reads, and what flows in from above

// A tensor that is read.
struct Source {
  const char* data;
  int bytes;                      // of an element
  std::int64_t stride[max_rank];  // in elements; 0 where it is broadcast
};

// A tensor that is written. One that is broadcast against the space folds all values that fall on an element.
struct Target {
  char* data;
  std::int64_t stride[max_rank];
  void (*fold)(char* to, const char* from, std::int64_t to_stride, std::int64_t n) = nullptr;  // to = to (+) from
  void (*fill)(char* to, std::int64_t n) = nullptr;                                          // to = the neutral element
  std::int64_t numel = 0;
  int bytes = 0;
  bool wanted = true;
  bool folds = false;
  bool adds = false;  // folds into what is there, though not broadcast
};

struct Space {
  // Grows by add_target() alone.
  class Count {
   public:
    operator int() const { return n_; }

   private:
    friend struct Space;
    int n_ = 0;
  };
  int rank = 0;
  int sources = 0;
  Count targets;
  Device device;
  double scale = 1;                                                // of the first target once it is folded: means
  void (*multiply)(char* to, std::int64_t n, double by) = nullptr;  // that does it
  std::int64_t size[max_rank];
  Source source[max_sources];
  union {  // the first `targets` of them are there: to set up all sixteen would take longer than a small loop
    Target target[max_leaves];
  };
  Space() {}
  // Becomes o; what o does not use is not touched.
  void copy(const Space& o) {
    rank = o.rank, sources = o.sources, targets = o.targets, device = o.device, scale = o.scale, multiply = o.multiply;
    std::copy_n(o.size, rank, size);
    std::copy_n(o.source, sources, source);
    for (int t = 0; t < targets; ++t) new (&target[t]) Target(o.target[t]);
  }
  Target& add_target() { return *new (&target[targets.n_++]) Target; }

  std::int64_t numel() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= size[i];
    return n;
  }

  // Targets that fold begin with the neutral element, unless they add to what is there.
  void clear_folds() const {
    for (int t = 0; t < targets; ++t)
      if (const Target& w = target[t]; w.wanted && w.folds && !w.adds) w.fill(w.data, w.numel);
  }

  // Orders the dimensions so that the innermost has the smallest strides, drops extents of one, and merges neighbours that
  // every operand walks as one.
  void collapse() {
    for (int i = 1; i < rank; ++i)
      for (int j = i; j > 0 && belongs_inside(j - 1, j); --j) swap(j - 1, j);
    int out = 0;
    for (int i = 0; i < rank; ++i) {
      if (size[i] == 1) continue;
      if (out > 0 && merges(out - 1, i)) {
        size[out - 1] *= size[i];
        move(out - 1, i);
      } else {
        size[out] = size[i];
        move(out, i);
        ++out;
      }
    }
    if (out == 0) {  // a single element
      size[0] = 1;
      for (int k = 0; k < sources; ++k) source[k].stride[0] = 1;
      for (int k = 0; k < targets; ++k) target[k].stride[0] = 1;
      out = 1;
    }
    rank = out;
  }

  // Makes the last n dimensions one, in their order, so that rows are those of a matrix; false where an operand does not
  // walk them so.
  bool join_last(int n) {
    for (; n > 1; --n) {
      const int outer = rank - 2;
      if (size[outer] == 1) {
        move(outer, rank - 1);
      } else if (size[rank - 1] != 1) {
        if (!merges(outer, rank - 1)) return false;
        move(outer, rank - 1);
      }
      size[outer] *= size[rank - 1];
      --rank;
    }
    return true;
  }

 private:
  // Whether `outer` should be walked within `inner`. Operands decide in turn, the written ones first; one that is broadcast
  // along either has no opinion.
  bool belongs_inside(int outer, int inner) const {
    for (int k = 0; k < targets; ++k)
      if (const std::int64_t a = target[k].stride[outer], b = target[k].stride[inner]; a != 0 && b != 0 && a != b) return a < b;
    for (int k = 0; k < sources; ++k)
      if (const std::int64_t a = source[k].stride[outer], b = source[k].stride[inner]; a != 0 && b != 0 && a != b) return a < b;
    return false;
  }
  void swap(int i, int j) {
    std::swap(size[i], size[j]);
    for (int k = 0; k < sources; ++k) std::swap(source[k].stride[i], source[k].stride[j]);
    for (int k = 0; k < targets; ++k) std::swap(target[k].stride[i], target[k].stride[j]);
  }
  bool merges(int outer, int inner) const {
    for (int k = 0; k < sources; ++k)
      if (source[k].stride[outer] != source[k].stride[inner] * size[inner]) return false;
    for (int k = 0; k < targets; ++k)
      if (target[k].stride[outer] != target[k].stride[inner] * size[inner]) return false;
    return true;
  }
  void move(int to, int from) {
    for (int k = 0; k < sources; ++k) source[k].stride[to] = source[k].stride[from];
    for (int k = 0; k < targets; ++k) target[k].stride[to] = target[k].stride[from];
  }
};

}  // namespace sinter
