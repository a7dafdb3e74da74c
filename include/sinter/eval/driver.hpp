// SPDX-License-Identifier: MIT
// The loop around every fused CPU kernel. It is not a template: it cuts the space into chunks, walks their rows, and calls
// the kernel through a pointer on stretches in which every operand is contiguous or constant. What is neither (gathers,
// rows shorter than a block, tails) is staged through small buffers, so that a kernel body exists once.
#pragma once

#include <algorithm>
#include <cstring>

#include "sinter/core/parallel.hpp"
#include "sinter/core/tensor_impl.hpp"
#include "sinter/eval/space.hpp"
#include "sinter/op/lane.hpp"

namespace sinter {

// How a kernel writes a target: not at all, over it, folding element by element, or folding all into one element.
enum Mode : int { skip, store, fold_each, fold_all };

// What a kernel computes: `rows` rows of n elements, n a multiple of the block. From row to row the pointers move on by bytes.
struct Extent {
  std::int64_t n, rows = 1;
  const std::int64_t *source_row = nullptr, *target_row = nullptr;
};
// Every source has step 1 or is a buffer of one block with step 0.
using Kernel = void (*)(const void* plan, const char* const* source, const std::int64_t* step, char* const* target,
                        const int* mode, const Extent& extent);

inline namespace SINTER_ABI {  // compiled for the instruction set of the file that includes it

// Folds `chunks` dense images of a target into it, in order.
inline void fold_partial(const Target& g, const char* partial, std::int64_t chunks) {
  constexpr std::int64_t grain = 4096;
  parallel_for((g.numel + grain - 1) / grain, g.numel * chunks >= parallel_threshold, [&](std::int64_t b) {
    const std::int64_t begin = b * grain, n = std::min(grain, g.numel - begin);
    for (std::int64_t c = 0; c < chunks; ++c) g.fold(g.data + begin * g.bytes, partial + (c * g.numel + begin) * g.bytes, 1, n);
  });
}

class Driver {
 public:
  Driver(Space& space, Kernel kernel, const void* plan, int block)
      : s_(space), kernel_(kernel), plan_(plan), block_(block), inner_(space.size[space.rank - 1]),
        rows_(inner_ > 0 ? space.numel() / inner_ : 0) {}

  // The part in which the outer dimensions, counted as one, lie in [row0, row1) and the last in [column0, column1): for
  // those who walk the space themselves, from any thread. Nothing folds.
  void region(std::int64_t row0, std::int64_t row1, std::int64_t column0, std::int64_t column1) const {
    if (row0 < row1 && column0 < column1) walk(row0, row1, column0, column1, nullptr);
  }

  // All of it on this thread, for those who cut the space themselves.
  void serial() { region(0, rows_, 0, inner_); }

  // Runs the kernel over the whole space. Targets that fold must have been filled or hold what is to be added to.
  void run() {
    const std::int64_t total = s_.numel();
    if (total == 0) return;
    bool folds = false, gathers = false;
    for (int t = 0; t < s_.targets; ++t) folds = folds || s_.target[t].folds;
    for (int k = 0; k < s_.sources; ++k) gathers = gathers || s_.source[k].stride[s_.rank - 1] > 1;
    const bool wide = total >= parallel_threshold;
    if (!wide) return walk(0, rows_, 0, inner_, nullptr);
    if (!folds) return gathers && rows_ > 1 ? run_tiled() : run_disjoint();
    run_folding(total);
  }

 private:
  static constexpr std::int64_t stage = 256;  // elements staged at a time
  static constexpr std::int64_t chunk_limit = 64;

  void run_disjoint() {
    constexpr std::int64_t grain = 8192;
    if (rows_ >= 64 || inner_ < 2 * grain) {
      const std::int64_t chunks = std::min<std::int64_t>(rows_, std::max<std::int64_t>(1, rows_ * inner_ / grain));
      parallel_for(chunks, true, [&](std::int64_t c) { walk(rows_ * c / chunks, rows_ * (c + 1) / chunks, 0, inner_, nullptr); });
    } else {
      const std::int64_t blocks = (inner_ + grain - 1) / grain;
      parallel_for(blocks, true, [&](std::int64_t c) { walk(0, rows_, c * grain, std::min(inner_, (c + 1) * grain), nullptr); });
    }
  }

  // Where an operand's columns are far apart in memory: tiles, in which neighbouring rows find their cache lines again.
  void run_tiled() {
    constexpr std::int64_t tile_rows = 32, tile_columns = 64;
    const std::int64_t stripes = (rows_ + tile_rows - 1) / tile_rows;
    parallel_for(stripes, true, [&](std::int64_t c) {
      for (std::int64_t j = 0; j < inner_; j += tile_columns)
        walk(c * tile_rows, std::min(rows_, (c + 1) * tile_rows), j, std::min(inner_, j + tile_columns), nullptr);
    });
  }

  // Whether two rows (or two columns) may fall on the same element of a folding target.
  bool overlaps(const Target& t, bool by_rows) const {
    if (!t.folds) return false;
    if (!by_rows) return t.stride[s_.rank - 1] == 0;
    for (int d = 0; d < s_.rank - 1; ++d)
      if (t.stride[d] == 0) return true;
    return s_.rank == 1;
  }

  // A fixed number of chunks, each folding into a buffer of its own where chunks overlap; then the buffers are folded in
  // order. Neither the chunks nor the order depend on the number of threads.
  [[gnu::cold]] void run_folding(std::int64_t total) {  // its loops are walk()'s
    std::int64_t by_rows = 0, by_columns = 0;
    for (int t = 0; t < s_.targets; ++t) {
      if (overlaps(s_.target[t], true)) by_rows += s_.target[t].numel;
      if (overlaps(s_.target[t], false)) by_columns += s_.target[t].numel;
    }
    const std::int64_t column_block = 8 * block_;
    const bool rows_pay = rows_ > 1 && (by_rows * 8 <= total || by_rows <= by_columns || inner_ < 4 * column_block);
    const std::int64_t units = rows_pay ? rows_ : (inner_ + column_block - 1) / column_block;
    std::int64_t chunks = std::min<std::int64_t>({units, chunk_limit, std::max<std::int64_t>(1, total / 16384)});
    const std::int64_t own = rows_pay ? by_rows : by_columns;
    if (own > 0) chunks = std::max<std::int64_t>(1, std::min(chunks, total / (2 * own)));

    Ref<Storage> memory[max_leaves];
    char* partial[max_leaves] = {};
    for (int t = 0; t < s_.targets; ++t)
      if (chunks > 1 && overlaps(s_.target[t], rows_pay)) {
        memory[t] = Storage::allocate(std::size_t(chunks * s_.target[t].numel * s_.target[t].bytes));
        partial[t] = static_cast<char*>(memory[t]->data);
      }
    parallel_for(chunks, true, [&](std::int64_t c) {
      char* own_data[max_leaves];
      for (int t = 0; t < s_.targets; ++t) {
        const Target& g = s_.target[t];
        own_data[t] = partial[t] ? partial[t] + c * g.numel * g.bytes : g.data;
        if (partial[t]) g.fill(own_data[t], g.numel);
      }
      const std::int64_t begin = units * c / chunks, end = units * (c + 1) / chunks;
      if (rows_pay) walk(begin, end, 0, inner_, own_data);
      else walk(0, rows_, begin * column_block, std::min(inner_, end * column_block), own_data);
    });
    for (int t = 0; t < s_.targets; ++t)
      if (partial[t]) fold_partial(s_.target[t], partial[t], chunks);
  }

  struct Segment {
    std::int64_t count;
    char* target[max_leaves];
  };

  // Rows [row0, row1), columns [col0, col1). target: where the targets begin, if not where the space says.
  void walk(std::int64_t row0, std::int64_t row1, std::int64_t col0, std::int64_t col1, char* const* target) const {
    const int last = s_.rank - 1;
    std::int64_t index[max_rank] = {};
    for (std::int64_t r = row0, d = last - 1; d >= 0; --d) {
      index[d] = r % s_.size[d];
      r /= s_.size[d];
    }
    const char* src[max_sources];
    char* dst[max_leaves];
    std::int64_t step[max_sources];
    int mode[max_leaves];
    bool whole = true;  // nothing is folded along the row
    bool direct = col1 - col0 >= 2 * block_ || (last == 0 && col1 - col0 >= block_);
    for (int k = 0; k < s_.sources; ++k) {
      const Source& o = s_.source[k];
      std::int64_t at = col0 * o.stride[last];
      for (int d = 0; d < last; ++d) at += index[d] * o.stride[d];
      src[k] = o.data + at * o.bytes;
      step[k] = o.stride[last];
      if (step[k] != 0 && step[k] != 1) direct = false;
    }
    for (int t = 0; t < s_.targets; ++t) {
      const Target& o = s_.target[t];
      std::int64_t at = col0 * o.stride[last];
      for (int d = 0; d < last; ++d) at += index[d] * o.stride[d];
      dst[t] = (target ? target[t] : o.data) + at * o.bytes;
      mode[t] = !o.wanted ? skip : o.folds ? (o.stride[last] == 0 ? fold_all : fold_each) : o.adds ? fold_each : store;
      if (o.wanted && o.stride[last] != 1 && !(o.folds && o.stride[last] == 0)) direct = false;
      whole = whole && mode[t] != fold_all;
    }
    const std::int64_t n = col1 - col0, full = direct ? n / block_ * block_ : 0;
    Stage staged(*this, mode);
    alignas(64) char constant[max_sources][512];
    // Rows that have nothing for the stage and no number of their own to be spread go to the kernel together.
    std::int64_t source_row[max_sources], target_row[max_leaves];
    bool batches = full > 0 && full == n && last > 0 && (whole || n <= stretch);
    for (int k = 0; k < s_.sources && batches; ++k) {
      source_row[k] = s_.source[k].stride[last - 1] * s_.source[k].bytes;
      batches = step[k] != 0 || source_row[k] == 0;
    }
    for (int t = 0; t < s_.targets && batches; ++t) target_row[t] = mode[t] == skip ? 0 : s_.target[t].stride[last - 1] * s_.target[t].bytes;
    for (std::int64_t row = row0;;) {
      std::int64_t count = 1;
      if (full > 0) {
        const char* p[max_sources];
        for (int k = 0; k < s_.sources; ++k) {
          p[k] = src[k];
          if (step[k] == 0) {
            spread(constant[k], src[k], s_.source[k].bytes, block_);
            p[k] = constant[k];
          }
        }
        if (batches) {
          count = std::min(row1 - row, s_.size[last - 1] - index[last - 1]);
          kernel_(plan_, p, step, dst, mode, {full, count, source_row, target_row});
        } else {
          run_row(p, step, dst, mode, full, whole);
        }
      }
      if (full < n) staged.add(src, dst, full, n);
      row += count;
      if (row == row1) break;
      for (int d = last - 1; d >= 0; --d, count = 1) {
        const bool carry = (index[d] += count) == s_.size[d];
        const std::int64_t by = carry ? count - s_.size[d] : count;
        for (int k = 0; k < s_.sources; ++k) src[k] += by * s_.source[k].stride[d] * s_.source[k].bytes;
        for (int t = 0; t < s_.targets; ++t) dst[t] += by * s_.target[t].stride[d] * s_.target[t].bytes;
        if (!carry) break;
        index[d] = 0;
      }
    }
    staged.flush();
  }

  // A long fold is cut into stretches, whose results are folded in turn: rounding errors grow with neither alone.
  static constexpr std::int64_t stretch = 4096;
  [[gnu::noinline]] void run_row(const char* const* src, const std::int64_t* step, char* const* dst, const int* mode, std::int64_t n, bool whole) const {
    if (whole || n <= stretch) return kernel_(plan_, src, step, dst, mode, {n});
    const int last = s_.rank - 1;
    for (std::int64_t j = 0; j < n; j += stretch) {
      const char* p[max_sources];
      char* q[max_leaves];
      for (int k = 0; k < s_.sources; ++k) p[k] = src[k] + j * step[k] * s_.source[k].bytes;
      for (int t = 0; t < s_.targets; ++t) q[t] = dst[t] + j * s_.target[t].stride[last] * s_.target[t].bytes;
      kernel_(plan_, p, step, q, mode, {std::min(stretch, n - j)});
    }
  }

  // Gathers stretches of rows into contiguous buffers, runs the kernel on them, and scatters what it wrote.
  struct Stage {
    const Driver& d;
    const int* mode;
    int fill = 0, segments = 0;
    Segment segment[stage];
    alignas(64) char in[max_sources][stage * 8];
    alignas(64) char out[max_leaves][stage * 8];

    Stage(const Driver& driver, const int* m) : d(driver), mode(m) {}

    [[gnu::noinline]] void add(const char* const* src, char* const* dst, std::int64_t begin, std::int64_t end) {
      const int last = d.s_.rank - 1;
      while (begin < end) {
        const std::int64_t count = std::min<std::int64_t>(end - begin, stage - fill);
        for (int k = 0; k < d.s_.sources; ++k) {
          const Source& o = d.s_.source[k];
          gather(in[k] + fill * o.bytes, src[k] + begin * o.stride[last] * o.bytes, o.stride[last], o.bytes, count);
        }
        Segment& s = segment[segments++];
        s.count = count;
        for (int t = 0; t < d.s_.targets; ++t)
          s.target[t] = dst[t] + begin * d.s_.target[t].stride[last] * d.s_.target[t].bytes;
        fill += int(count);
        begin += count;
        if (fill == stage) flush();
      }
    }

    void flush() {
      if (fill == 0) return;
      const std::int64_t padded = (fill + d.block_ - 1) / d.block_ * d.block_;
      const char* p[max_sources];
      std::int64_t step[max_sources];
      char* q[max_leaves];
      int plain[max_leaves];
      for (int k = 0; k < d.s_.sources; ++k) {
        const int bytes = d.s_.source[k].bytes;
        for (std::int64_t i = fill; i < padded; ++i) std::memcpy(in[k] + i * bytes, in[k] + (fill - 1) * bytes, std::size_t(bytes));
        p[k] = in[k];
        step[k] = 1;
      }
      for (int t = 0; t < d.s_.targets; ++t) {
        q[t] = out[t];
        plain[t] = mode[t] == skip ? skip : store;
      }
      d.kernel_(d.plan_, p, step, q, plain, {padded});
      const int last = d.s_.rank - 1;
      for (int t = 0; t < d.s_.targets; ++t) {
        const Target& o = d.s_.target[t];
        const char* from = out[t];
        for (int i = 0; i < segments; ++i) {
          const Segment& s = segment[i];
          if (mode[t] == skip) continue;
          if (mode[t] == store) scatter(s.target[t], from, o.stride[last], o.bytes, s.count);
          else o.fold(s.target[t], from, o.stride[last], s.count);
          from += s.count * o.bytes;
        }
      }
      fill = segments = 0;
    }
  };

  template <class Word>
  static void copy_words(char* to, const char* from, std::int64_t to_stride, std::int64_t from_stride, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) std::memcpy(to + i * to_stride * std::int64_t(sizeof(Word)), from + i * from_stride * std::int64_t(sizeof(Word)), sizeof(Word));
  }
  [[gnu::noinline]] static void copy_strided(char* to, const char* from, std::int64_t ts, std::int64_t fs, int bytes, std::int64_t n) {
    if (ts == 1 && fs == 1) std::memcpy(to, from, std::size_t(n * bytes));
    else if (bytes == 4) copy_words<std::uint32_t>(to, from, ts, fs, n);
    else if (bytes == 8) copy_words<std::uint64_t>(to, from, ts, fs, n);
    else if (bytes == 2) copy_words<std::uint16_t>(to, from, ts, fs, n);
    else copy_words<std::uint8_t>(to, from, ts, fs, n);
  }
  static void gather(char* to, const char* from, std::int64_t stride, int bytes, std::int64_t n) { copy_strided(to, from, 1, stride, bytes, n); }
  static void scatter(char* to, const char* from, std::int64_t stride, int bytes, std::int64_t n) { copy_strided(to, from, stride, 1, bytes, n); }
  // One element n times; whole registers are written, up to the 512 bytes that the widest block takes.
  static void spread(char* to, const char* from, int bytes, std::int64_t n) {
    if (bytes != 4) return copy_strided(to, from, 1, 0, bytes, n);
    std::uint32_t word;
    std::memcpy(&word, from, 4);
    for (std::int64_t i = 0; i < n * 4; i += 64) op::Lanes<std::uint32_t, 16>(word).store(reinterpret_cast<std::uint32_t*>(to + i));
  }

  Space& s_;
  Kernel kernel_;
  const void* plan_;
  int block_;
  std::int64_t inner_, rows_;
};

}  // namespace SINTER_ABI
}  // namespace sinter
