// SPDX-License-Identifier: MIT
// What a matrix product reads and what it calls when it is done: strided matrices, operands that exist only while they are
// packed, epilogues; and the packing of panels.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "sinter/core/cache.hpp"
#include "sinter/core/config.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace cpu {

// Memory for the duration of a kernel.
template <class T>
struct Scratch {
  std::size_t count;
  T* data;
  explicit Scratch(std::int64_t n) : count(std::size_t(n)), data(n > 0 ? static_cast<T*>(Cache::allocate(count * sizeof(T))) : nullptr) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (data) Cache::free(data, count * sizeof(T));
  }
};

// Element (i, j) is data[i * row_step + j * column_step].
template <class T>
struct Matrix {
  T* data;
  std::int64_t rows, columns, row_step, column_step;
  Matrix t() const { return {data, columns, rows, column_step, row_step}; }
  Matrix part(std::int64_t row, std::int64_t column, std::int64_t n, std::int64_t m) const {
    return {data + row * row_step + column * column_step, n, m, row_step, column_step};
  }
};

// N vectors of N, columns for rows: N a power of two.
template <class T, int N>
struct Square {
  typedef T Vector __attribute__((vector_size(N * sizeof(T))));
  using Index = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  typedef Index Indices __attribute__((vector_size(N * sizeof(T))));

  static SINTER_HOST Vector load(const T* p) {
    Vector v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  // The lanes I... of a's, then b's. By reference: without AVX four doubles are no register.
  template <int... I>
  static SINTER_HOST void pick(Vector& to, const Vector& a, const Vector& b) {
#if defined(__clang__)
    to = __builtin_shufflevector(a, b, I...);
#else
    to = __builtin_shuffle(a, b, Indices{I...});
#endif
  }
  // Lanes whose index has the bit S change places with those of the other that have not.
  template <int S, int... I>
  static SINTER_HOST void exchange(Vector& a, Vector& b, std::integer_sequence<int, I...>) {
    const Vector x = a, y = b;
    pick<(I & S ? N + I - S : I)...>(a, x, y);
    pick<(I & S ? N + I : I + S)...>(b, x, y);
  }
  template <int S = 1>
  static SINTER_HOST void transpose(Vector (&r)[N]) {
    if constexpr (S < N) {
#pragma GCC unroll 16
      for (int i = 0; i < N; ++i)
        if (!(i & S)) exchange<S>(r[i], r[i + S], std::make_integer_sequence<int, N>());
      transpose<2 * S>(r);
    }
  }
  // to[d * to_step + l] = from[l * from_step + d]
  static SINTER_HOST void transpose(T* to, std::int64_t to_step, const T* from, std::int64_t from_step) {
    Vector rows[N];
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) std::memcpy(&rows[i], from + i * from_step, sizeof(Vector));
    transpose(rows);
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) std::memcpy(to + i * to_step, &rows[i], sizeof(Vector));
  }
  // The same for `lanes` >= N of them, as much of the depth from d on as fills squares; returns where it ends.
  static std::int64_t transpose_all(T* to, std::int64_t to_step, const T* from, std::int64_t from_step, std::int64_t lanes, std::int64_t d,
                                    std::int64_t depth) {
    for (; d + N <= depth; d += N)
      for (std::int64_t l = 0; l < lanes; l += N) {
        const std::int64_t lane = std::min(l, lanes - N);  // the last ones overlap the ones before
        transpose(to + d * to_step + lane, to_step, from + lane * from_step + d, from_step);
      }
    return d;
  }
};

template <class T>
using Four = Square<T, 4>;

// to[d * to_step + l] = from[l * from_step + d]
template <class T>
void transpose(T* to, std::int64_t to_step, const T* from, std::int64_t from_step, std::int64_t lanes, std::int64_t depth) {
  constexpr int simd = simd_bytes / int(sizeof(T));
  std::int64_t done = 0;
  if constexpr (simd > 4)
    if (lanes >= simd) done = Square<T, simd>::transpose_all(to, to_step, from, from_step, lanes, done, depth);
  if (lanes >= 4) done = Square<T, 4>::transpose_all(to, to_step, from, from_step, lanes, done, depth);
  for (std::int64_t l = 0; done < depth && l < lanes; ++l)
    for (std::int64_t d = done; d < depth; ++d) to[d * to_step + l] = from[l * from_step + d];
}

// to[d * Width + l] = from[d * depth_step + l]
template <int Width, class T>
void pack_rows(T* to, const T* from, std::int64_t depth, std::int64_t depth_step) {
  for (std::int64_t d = 0; d < depth; ++d) std::memcpy(to + d * Width, from + d * depth_step, Width * sizeof(T));
}

// to[d * width + l] = from[l * lane_step + d * depth_step], lanes from `lanes` to `width` are zero.
template <class T, class P>
void pack(T* to, int width, const P* from, int lanes, std::int64_t lane_step, std::int64_t depth, std::int64_t depth_step) {
  constexpr int simd = simd_bytes / int(sizeof(T));
  if (lanes < width)
    for (std::int64_t d = 0; d < depth; ++d) std::fill(to + d * width + lanes, to + (d + 1) * width, T(0));
  if constexpr (std::is_same_v<T, P>) {
    if (lane_step == 1 && lanes == width) {
      if (width == 4 * simd) return pack_rows<4 * simd>(to, from, depth, depth_step);
      if (width == 2 * simd) return pack_rows<2 * simd>(to, from, depth, depth_step);
      if (width == simd) return pack_rows<simd>(to, from, depth, depth_step);
      if (width == 6) return pack_rows<6>(to, from, depth, depth_step);
    }
  }
  if (lane_step == 1) {
    for (std::int64_t d = 0; d < depth; ++d)
      for (int l = 0; l < lanes; ++l) to[d * width + l] = T(from[d * depth_step + l]);
    return;
  }
  if constexpr (std::is_same_v<T, P>)
    if (depth_step == 1) return transpose<T>(to, width, from, lane_step, lanes, depth);
  constexpr std::int64_t block = 16;  // a cache line of every lane at a time
  for (std::int64_t d0 = 0; d0 < depth; d0 += block)
    for (int l = 0; l < lanes; ++l)
      for (std::int64_t d = d0; d < std::min(depth, d0 + block); ++d) to[d * width + l] = T(from[l * lane_step + d * depth_step]);
}

// One side of a product: `lanes` lie along the result (the left's rows, the right's columns), the other direction, `depth`, is
// summed over. Either a strided matrix (of T, or of a narrower type that is widened), or anything that fills panels, such as the
// patches of an image: source(s) calls s.pack(T* to, int width, k, depth, lane, int lanes), which writes element (lane + l, k + d)
// to to[d * width + l] and zeros for l in [lanes, width). s outlives the product and is read by several threads.
template <class T>
struct Operand {
  using Fill = void (*)(const void* base, const Operand& o, T* to, int width, std::int64_t k, std::int64_t depth, std::int64_t lane, int lanes);
  const void* base = nullptr;
  std::int64_t lane_step = 0, depth_step = 0;
  Fill fill = nullptr;  // none: base is a matrix of T
  std::int64_t lane0 = 0, k0 = 0;

  template <class P>
  static Operand lanes_of(const P* data, std::int64_t lane_step, std::int64_t depth_step) {
    Operand o{data, lane_step, depth_step};
    if constexpr (!std::is_same_v<P, T>)
      o.fill = [](const void* from, const Operand& o, T* to, int width, std::int64_t k, std::int64_t depth, std::int64_t lane, int lanes) {
        cpu::pack(to, width, static_cast<const P*>(from) + lane * o.lane_step + k * o.depth_step, lanes, o.lane_step, depth, o.depth_step);
      };
    return o;
  }
  template <class P>
  static Operand left(Matrix<P> a) { return lanes_of<std::remove_const_t<P>>(a.data, a.row_step, a.column_step); }
  template <class P>
  static Operand right(Matrix<P> b) { return lanes_of<std::remove_const_t<P>>(b.data, b.column_step, b.row_step); }
  template <class Source>
  static Operand source(const Source& s) {
    Operand o{&s};
    o.fill = [](const void* from, const Operand&, T* to, int width, std::int64_t k, std::int64_t depth, std::int64_t lane, int lanes) {
      static_cast<const Source*>(from)->pack(to, width, k, depth, lane, lanes);
    };
    return o;
  }

  // What lies from (lane, k) on.
  Operand from(std::int64_t lane, std::int64_t k) const {
    Operand o = *this;
    o.lane0 += lane, o.k0 += k;
    return o;
  }
  bool in_memory() const { return !fill; }
  const T* at(std::int64_t lane, std::int64_t k) const {
    return static_cast<const T*>(base) + (lane0 + lane) * lane_step + (k0 + k) * depth_step;
  }
  void panel(T* to, int width, std::int64_t k, std::int64_t depth, std::int64_t lane, int lanes) const {
    if (fill) fill(base, *this, to, width, k0 + k, depth, lane0 + lane, lanes);
    else cpu::pack(to, width, at(lane, k), lanes, lane_step, depth, depth_step);
  }
};

// An epilogue: run(self, product, row0, row1, column0, column1) is called exactly once for every rectangle of every result c,
// in c's own coordinates, after its final values are stored and while they are in the cache, by the thread that stored them.
// Together the rectangles cover c. With an inner extent of 0 as well.
struct Finish {
  void (*run)(const void* self, std::int64_t product, std::int64_t row0, std::int64_t row1, std::int64_t column0, std::int64_t column1) = nullptr;
  const void* self = nullptr;
};

// Where in a result a block of it lies; `flipped` when the block is of the transposed result.
struct Spot {
  std::int64_t product = 0, row = 0, column = 0;
  bool flipped = false;
  Spot t() const { return {product, row, column, !flipped}; }
  Spot from(std::int64_t i, std::int64_t j) const { return {product, row + (flipped ? j : i), column + (flipped ? i : j), flipped}; }
  void finish(const Finish& f, std::int64_t row0, std::int64_t row1, std::int64_t column0, std::int64_t column1) const {
    if (!f.run) return;
    if (flipped) f.run(f.self, product, row + column0, row + column1, column + row0, column + row1);
    else f.run(f.self, product, row + row0, row + row1, column + column0, column + column1);
  }
};

}  // namespace cpu
}  // namespace SINTER_ABI
}  // namespace sinter
