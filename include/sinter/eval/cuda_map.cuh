// SPDX-License-Identifier: MIT
// The fused CUDA kernel of an expression's values: 16 bytes of every operand at a time, as many packs in flight as registers
// allow. Contiguous operands, broadcast ones and strided ones are told apart at run time, alike for all threads.
#pragma once

#include "sinter/eval/cuda_walk.cuh"

namespace sinter {
inline namespace SINTER_ABI {
namespace fused {  // beside sinter::cuda, which no flag changes

// Rows, tile by tile: `width` threads go along a row, a pack each, and the block's others take the rows beside it. What is the
// same in all rows is read once. A space of one dimension is cut into rows of 256 packs.
template <int S>
struct MapWalk {
  Origin<S> from;
  Index<S + 1> outer;  // the row; the last operand is the result
  char* to;
  std::int64_t to_step;
  bool to_aligned;
  std::int64_t inner, last;  // elements of a row, and of the last one
  std::int64_t rows, rows_per_tile, packs;
  int tiles;  // along a row
  int width;
};

template <class P, class T, int V, int Unroll>
__global__ void __launch_bounds__(256) map_kernel(const P plan, const MapWalk<P::leaves> w) {
#if SINTER_DEVICE_CODE
  constexpr int S = P::leaves;
  using R = typename RegistersFor<V, typename P::leaf_types>::type;
  const int x = int(threadIdx.x) % w.width, y = int(threadIdx.x) / w.width, others = 256 / w.width;
  const std::int64_t row_tile = blockIdx.x / unsigned(w.tiles), tile = blockIdx.x - row_tile * w.tiles;
  const std::int64_t pack = tile * w.width + x, j = pack * V;
  if (pack >= w.packs) return;
  const std::int64_t row0 = row_tile * w.rows_per_tile, row1 = row0 + w.rows_per_tile < w.rows ? row0 + w.rows_per_tile : w.rows;
  const int whole = w.inner - j < V ? int(w.inner - j) : V, rest = w.last - j < V ? int(w.last - j) : V;
  std::int64_t zero[S + 1];
#pragma unroll
  for (int k = 0; k <= S; ++k) zero[k] = 0;
  R still;
  Loader<R, V, S, ~0u, S + 1> once{still, w.from, zero, j, whole, w.from.still};
  each_leaf(plan, once);
  for (std::int64_t first = row0 + y; first < row1; first += others * Unroll) {
    R in[Unroll];
    std::int64_t offset[Unroll][S + 1];
    int count[Unroll];
#pragma unroll
    for (int u = 0; u < Unroll; ++u) {
      const std::int64_t row = first + u * others;
      count[u] = row >= row1 ? 0 : row == w.rows - 1 ? rest : whole;
      if (count[u] <= 0) continue;
#pragma unroll
      for (int k = 0; k <= S; ++k) offset[u][k] = 0;
      w.outer.locate(std::uint32_t(row), offset[u]);
      in[u] = still;
      Loader<R, V, S, ~0u, S + 1> loader{in[u], w.from, offset[u], j, count[u], ~w.from.still};
      each_leaf(plan, loader);
    }
#pragma unroll
    for (int u = 0; u < Unroll; ++u) {
      if (count[u] <= 0) continue;
      compute_t<T> out[V];
#pragma unroll
      for (int v = 0; v < V; ++v) out[v] = plan.value(Lane<R>{in[u], v});
      store_pack<T, V>(w.to + offset[u][S] + j * w.to_step * std::int64_t(sizeof(T)), out, w.to_step, count[u], w.to_aligned);
    }
  }
#endif
}

// out = the plan's values; the space has one target of dtype T.
template <class P, class T>
void launch_map(Space& space, const void* plan) {
  const cuda::DeviceGuard guard(space.device.index);
  if (space.numel() == 0) return;
  space.collapse();
  constexpr int S = P::leaves, V = pack_of(std::min(Narrowest<P>::bytes, int(sizeof(T))), S), unroll = S * V <= 8 ? 4 : S * V <= 32 ? 2 : 1;
  const int last = space.rank - 1;
  MapWalk<S> w{};
  w.from = origin_of<S>(space, V);
  w.to = space.target[0].data;
  w.to_step = space.target[0].stride[last];
  w.to_aligned = is_aligned(space.target[0], space.rank, V);
  w.inner = w.last = space.size[last];
  w.rows = space.numel() / w.inner;
  w.outer.rank = last;
  for (int d = 0; d < last; ++d) {
    w.outer.size[d] = Divider(space.size[d]);
    for (int k = 0; k < S; ++k) w.outer.step[d][k] = space.source[k].stride[d] * space.source[k].bytes;
    w.outer.step[d][S] = space.target[0].stride[d] * space.target[0].bytes;
  }
  if (last == 0) {
    constexpr std::int64_t cut = 256 * V;
    w.rows = (w.inner + cut - 1) / cut;
    w.last = w.inner - (w.rows - 1) * cut;
    if (w.rows > 1) w.inner = cut;
    w.outer.rank = 1;
    w.outer.size[0] = Divider(std::max<std::int64_t>(w.rows, 1));
    for (int k = 0; k < S; ++k) {
      w.outer.step[0][k] = cut * space.source[k].stride[0] * space.source[k].bytes;
      if (space.source[k].stride[0] == 0) w.from.still |= 1u << k;
    }
    w.outer.step[0][S] = cut * space.target[0].stride[0] * space.target[0].bytes;
  }
  w.packs = (w.inner + V - 1) / V;
  for (w.width = 1; w.width < 256 && w.width < w.packs; w.width *= 2) {}
  w.tiles = int((w.packs + w.width - 1) / w.width);
  const std::int64_t others = 256 / w.width, rounds = w.rows * w.tiles / (others * unroll * 2048);  // 2048 blocks at least, where there is so much
  w.rows_per_tile = others * unroll * std::max<std::int64_t>(1, std::min<std::int64_t>(rounds, 4));
  const std::int64_t row_tiles = (w.rows + w.rows_per_tile - 1) / w.rows_per_tile;
  if (w.rows >> 31 || (row_tiles * w.tiles) >> 31) fail_too_many("map");
  SINTER_LAUNCH(name_of_plan<P>(), (map_kernel<P, T, V, unroll>), unsigned(row_tiles * w.tiles), 256, 0, *static_cast<const P*>(plan), w);
}

}  // namespace fused
}  // namespace SINTER_ABI
}  // namespace sinter
