// SPDX-License-Identifier: MIT
// The fused CUDA kernel of an expression's gradients: one pass writes those of all operands. What falls on a broadcast operand
// is summed over the rows or columns of a tile and left as one partial sum for each tile; a second kernel folds those in order.
#pragma once

#include "sinter/eval/cpu.hpp"
#include "sinter/eval/cuda_reduce.cuh"
#include "sinter/op/reduce.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace fused {  // beside sinter::cuda, which no flag changes

enum class Deliver : int { nowhere, store, add, over_rows, over_columns, over_all };

struct Delivery {
  char* to;  // the gradient, or its partial sums
  std::int64_t step;
  Deliver how;
  bool aligned;
};

template <int S, int K>
struct AdjointWalk {
  Origin<S> from;
  Index<S> in_row;   // where a row's operands lie,
  Index<K> out_row;  // and its gradients
  Delivery gradient[K];
  std::int64_t inner, rows, rows_per_tile, packs;
  int tiles;  // along a row
  int width;  // threads side by side
  unsigned wanted;
};

// A plan's leaves and what flows in from above, as the context that gradients are computed in.
template <class R, class U, int Leaves>
struct GradientLane {
  const R& registers;
  const U& upstream;
  int v;
  template <class T, int I>
  __device__ __forceinline__ auto load() const {
    if constexpr (I < Leaves) return registers.template of<I>()[v];
    else return upstream.lane[I - Leaves][v];
  }
  template <class T>
  __device__ __forceinline__ T constant(T x) const { return x; }
};

template <class G>
struct LaneSink {
  G& gradient;
  int v;
  unsigned wanted;
  template <class Subtree>
  __device__ __forceinline__ bool wants() const { return (wanted >> Subtree::first) & ((1u << Subtree::leaves) - 1u); }
  template <int J, class T>
  __device__ __forceinline__ void receive(const T& g) { gradient.template of<J>()[v] = g; }
};

template <class C, int N, int V>
struct UpstreamRegisters {
  C lane[N][V];
};

// Leaf I's gradient of one pack, to where it goes.
template <class C, int V>
__device__ __forceinline__ void deliver(const Delivery& d, std::int64_t offset, std::int64_t j, std::int64_t row, std::int64_t tile, std::int64_t tiles,
                                        const C (&g)[V], C (&sum)[V], int count, int width, bool leader) {
  if constexpr (!std::is_floating_point_v<C>) return;
  switch (d.how) {
    case Deliver::nowhere: return;
    case Deliver::store:
      if (count > 0) store_pack<C, V>(d.to + offset + j * d.step * std::int64_t(sizeof(C)), g, d.step, count, d.aligned);
      return;
    case Deliver::add:
      if (count > 0) {
        char* to = d.to + offset + j * d.step * std::int64_t(sizeof(C));
        C total[V];
        load_pack<C, V>(total, to, d.step, count, d.aligned);
#pragma unroll
        for (int v = 0; v < V; ++v) total[v] += g[v];
        store_pack<C, V>(to, total, d.step, count, d.aligned);
      }
      return;
    case Deliver::over_rows:
#pragma unroll
      for (int v = 0; v < V; ++v)
        if (v < count) sum[v] += g[v];
      return;
    default: {
      C s = 0;
#pragma unroll
      for (int v = 0; v < V; ++v)
        if (v < count) s += g[v];
      if (d.how == Deliver::over_all) {
        sum[0] += s;
        return;
      }
      for (int o = width / 2; o > 0; o /= 2) s += __shfl_xor_sync(0xffffffffu, s, o);
      if (leader) reinterpret_cast<C*>(d.to)[row * tiles + tile] = s;
    }
  }
}

// What a block has summed of leaf I's gradient, to its partial sums.
template <class C, int V>
__device__ __forceinline__ void deliver_sums(const Delivery& d, C (&sum)[V], unsigned char* memory, int width, std::int64_t inner, std::int64_t j, std::int64_t row_tile) {
  if (!std::is_floating_point_v<C> || (d.how != Deliver::over_rows && d.how != Deliver::over_all)) return;
  C* shared = reinterpret_cast<C*>(memory);
  const int x = int(threadIdx.x) % width, y = int(threadIdx.x) / width, others = int(blockDim.x) / width;
  const bool all = d.how == Deliver::over_all;
  __syncthreads();
#pragma unroll
  for (int v = 0; v < V; ++v) shared[v * 256 + threadIdx.x] = sum[v];
  __syncthreads();
  for (int span = (all ? 256 : others) / 2; span > 0; span /= 2) {
    if (all) {
      if (int(threadIdx.x) < span) shared[threadIdx.x] += shared[threadIdx.x + span];
    } else if (y < span) {
#pragma unroll
      for (int v = 0; v < V; ++v) shared[v * 256 + threadIdx.x] += shared[v * 256 + threadIdx.x + span * width];
    }
    __syncthreads();
  }
  if (all) {
    if (threadIdx.x == 0) reinterpret_cast<C*>(d.to)[blockIdx.x] = shared[0];
  } else if (y == 0) {
#pragma unroll
    for (int v = 0; v < V; ++v)
      if (j + v < inner) reinterpret_cast<C*>(d.to)[row_tile * inner + j + v] = shared[v * 256 + x];
  }
}

template <class W, class G, int... I>
__device__ __forceinline__ void deliver_all(const W& w, const std::int64_t* offset, std::int64_t j, std::int64_t row, std::int64_t tile, const G& g, G& sum,
                                            int count, bool leader, std::integer_sequence<int, I...>) {
  (deliver(w.gradient[I], offset[I], j, row, tile, w.tiles, g.template of<I>(), sum.template of<I>(), count, w.width, leader), ...);
}
template <class W, class G, int... I>
__device__ __forceinline__ void deliver_all_sums(const W& w, G& sum, unsigned char* memory, std::int64_t j, std::int64_t row_tile, std::integer_sequence<int, I...>) {
  (deliver_sums(w.gradient[I], sum.template of<I>(), memory, w.width, w.inner, j, row_tile), ...);
}
template <class G, int V, int... I>
__device__ __forceinline__ void clear(G& g, std::integer_sequence<int, I...>) {
#pragma unroll
  for (int v = 0; v < V; ++v) ((g.template of<I>()[v] = 0), ...);
}

template <class P, class Up>
inline constexpr unsigned read_by_backward = plan::needed_leaves<P>(Up::needs_value);

template <class P, class Up, int V>
__global__ void __launch_bounds__(256, 2) adjoint_kernel(const P plan, const Up up, const AdjointWalk<P::leaves + Up::sources, P::leaves> w) {
#if SINTER_DEVICE_CODE
  constexpr int K = P::leaves, S = K + Up::sources;
  using R = typename RegistersFor<V, typename P::leaf_types>::type;
  using U = UpstreamRegisters<compute_t<typename Up::type>, Up::sources, V>;
  constexpr std::make_integer_sequence<int, K> leaves{};
  alignas(16) __shared__ unsigned char memory[256 * V * 8];
  const int x = int(threadIdx.x) % w.width, y = int(threadIdx.x) / w.width, others = int(blockDim.x) / w.width;
  const std::int64_t row_tile = blockIdx.x / unsigned(w.tiles), tile = blockIdx.x - row_tile * w.tiles;
  const std::int64_t pack = tile * w.width + x, j = pack * V;
  const std::int64_t row0 = row_tile * w.rows_per_tile, row1 = row0 + w.rows_per_tile < w.rows ? row0 + w.rows_per_tile : w.rows;
  const int whole = pack >= w.packs ? 0 : w.inner - j < V ? int(w.inner - j) : V;
  R sum, still, in, next;
  U upstream, following;
  clear<R, V>(sum, leaves);
  {
    std::int64_t zero[S];
#pragma unroll
    for (int k = 0; k < S; ++k) zero[k] = 0;
    Loader<R, V, S, read_by_backward<P, Up>, S> once{still, w.from, zero, j, whole, whole > 0 ? w.from.still : 0u};
    each_leaf(plan, once);
  }
  const auto load = [&](R& to, U& up_to, std::int64_t row) {
    to = still;
    if (row >= row1 || whole == 0) return;
    std::int64_t offset[S];
#pragma unroll
    for (int k = 0; k < S; ++k) offset[k] = 0;
    w.in_row.locate(std::uint32_t(row), offset);
    Loader<R, V, S, read_by_backward<P, Up>, S> loader{to, w.from, offset, j, whole, ~w.from.still};
    each_leaf(plan, loader);
#pragma unroll
    for (int u = 0; u < Up::sources; ++u)
      load_pack<typename Up::type, V>(up_to.lane[u], w.from.source[K + u] + offset[K + u] + j * w.from.step[K + u] * std::int64_t(sizeof(typename Up::type)),
                                      w.from.step[K + u], whole, (w.from.aligned >> (K + u)) & 1u);
  };
  load(in, upstream, row0 + y);
  for (std::int64_t first = row0; first < row1; first += others) {
    const std::int64_t row = first + y;
    const int count = row < row1 ? whole : 0;
    load(next, following, row + others);  // on its way while this row is computed
    R gradient;
    clear<R, V>(gradient, leaves);
    std::int64_t offset[K];
#pragma unroll
    for (int k = 0; k < K; ++k) offset[k] = 0;
    if (count > 0) {
      w.out_row.locate(std::uint32_t(row), offset);
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const GradientLane<R, U, K> lane{in, upstream, v};
        LaneSink<R> sink{gradient, v, w.wanted};
        const auto tape = plan.template tape<Up::needs_value>(lane);
        plan.adjoint(tape, up.gradient(lane, plan::result_of(tape)), sink);
      }
    }
    deliver_all(w, offset, j, row, tile, gradient, sum, count, x == 0 && row < row1, leaves);
    in = next;
    upstream = following;
  }
  deliver_all_sums(w, sum, memory, j, row_tile, leaves);
#endif
}

// A gradient that is folded, and how its partial sums become one.
struct Folded {
  int target = -1;
  Deliver how = Deliver::nowhere;
  std::size_t at = 0;  // of its partial sums in the workspace
};

template <class P>
struct LeafTypes;
template <class... C>
struct LeafTypes<plan::Types<C...>> {
  static constexpr bool wide[] = {std::is_same_v<C, double>..., false};
};

// Sums partial images: dimension d of the result has `size` and, in the images, stride `from`; stride 0 of the result folds.
inline void fold_partials(Device device, const Target& out, bool wide, int rank, const std::int64_t* size, const std::int64_t* from, const std::int64_t* to, const char* images) {
  Space s;
  s.device = device;
  s.rank = rank;
  std::copy_n(size, rank, s.size);
  s.sources = 1;
  s.source[0].data = images;
  s.source[0].bytes = wide ? 8 : 4;
  std::copy_n(from, rank, s.source[0].stride);
  Target& t = s.add_target();
  t = out;
  std::copy_n(to, rank, t.stride);
  const plan::Leaf<double, 0> wide_leaf{};
  const plan::Leaf<float, 0> leaf{};
  if (wide) launch_reduce<op::Sum, plan::Leaf<double, 0>>(s, &wide_leaf);
  else launch_reduce<op::Sum, plan::Leaf<float, 0>>(s, &leaf);
}

// The targets of the space = the gradients of the plan's leaves; sources behind the leaves flow in. `wanted` as bits.
template <class P, class Up>
void launch_adjoint(Space& space, const void* adjoint) {
  const cuda::DeviceGuard guard(space.device.index);
  constexpr int K = P::leaves, S = K + Up::sources;
  constexpr int V = pack_of(std::min(Narrowest<P>::bytes, int(sizeof(typename Up::type))), S);
  const auto& a = *static_cast<const cpu::Adjoint<P, Up>*>(adjoint);
  using Types = LeafTypes<typename P::leaf_types>;
  if (space.numel() == 0) {
    for (int t = 0; t < K; ++t)
      if (space.target[t].wanted && !space.target[t].adds && space.target[t].numel > 0)
        cuda_backend->fill(space.device.index, space.target[t].data, 0, std::size_t(space.target[t].numel * space.target[t].bytes));
    return;
  }
  space.collapse();
  const int last = space.rank - 1;
  AdjointWalk<S, K> w{};
  w.from = origin_of<S>(space, V);
  w.inner = space.size[last];
  w.packs = (w.inner + V - 1) / V;
  w.rows = space.numel() / w.inner;
  w.wanted = a.wanted;
  if (w.rows >> 31) fail_too_many("backward");
  const bool single = w.rows == 1;
  for (w.width = 1; w.width < (single ? 256 : 32) && w.width < w.packs; w.width *= 2) {}
  if (single) w.width = 256;
  w.tiles = int((w.packs + w.width - 1) / w.width);

  Folded folded[K];
  int folds = 0;
  for (int t = 0; t < K; ++t) {
    const Target& g = space.target[t];
    Delivery& d = w.gradient[t];
    d.how = Deliver::nowhere;
    if (!g.wanted) continue;
    bool rows = false, kept = false;
    for (int i = 0; i < last; ++i) (g.stride[i] == 0 ? rows : kept) = true;
    const bool columns = g.stride[last] == 0 && w.inner > 1;
    if (!rows && !columns) d.how = g.adds ? Deliver::add : Deliver::store;
    else if (columns) d.how = single ? Deliver::over_all : rows && !kept ? Deliver::over_all : Deliver::over_columns;
    else d.how = kept ? Deliver::store : Deliver::over_rows;  // over some of the rows: by way of a whole image
    if (rows || columns) folded[folds++] = {t, d.how, 0};
  }
  // Tiles of rows: where sums are kept, few enough that their partial sums do not weigh.
  const std::int64_t others = 256 / w.width;
  bool sums = false;
  for (int i = 0; i < folds; ++i) sums = sums || folded[i].how == Deliver::over_rows || folded[i].how == Deliver::over_all;
  std::int64_t row_tiles = (w.rows + others * 2 - 1) / (others * 2);
  if (sums) row_tiles = std::min((w.rows + others * 4 - 1) / (others * 4), std::max<std::int64_t>(1, 1024 / w.tiles));
  w.rows_per_tile = (w.rows + row_tiles - 1) / row_tiles;
  row_tiles = (w.rows + w.rows_per_tile - 1) / w.rows_per_tile;
  if (row_tiles * w.tiles >> 31) fail_too_many("backward");

  std::size_t bytes = 0;
  for (int i = 0; i < folds; ++i) {
    const std::int64_t count = folded[i].how == Deliver::over_rows ? row_tiles * w.inner : folded[i].how == Deliver::over_columns ? w.rows * w.tiles
                               : folded[i].how == Deliver::over_all ? row_tiles * w.tiles : w.rows * w.inner;
    folded[i].at = bytes;
    bytes += (std::size_t(count) * std::size_t(space.target[folded[i].target].bytes) + 255) / 256 * 256;
  }
  const cuda::Workspace partial(bytes);
  for (int t = 0; t < K; ++t) {
    Delivery& d = w.gradient[t];
    d.to = space.target[t].data;
    d.step = space.target[t].stride[last];
    d.aligned = is_aligned(space.target[t], space.rank, V);
  }
  w.in_row.rank = w.out_row.rank = last;
  std::int64_t image[max_rank], dense = w.inner;  // strides of a whole image
  for (int d = last - 1; d >= 0; --d) {
    image[d] = dense;
    dense *= space.size[d];
    w.in_row.size[d] = w.out_row.size[d] = Divider(space.size[d]);
    for (int k = 0; k < S; ++k) w.in_row.step[d][k] = space.source[k].stride[d] * space.source[k].bytes;
    for (int t = 0; t < K; ++t) w.out_row.step[d][t] = space.target[t].stride[d] * space.target[t].bytes;
  }
  for (int i = 0; i < folds; ++i) {
    const int t = folded[i].target;
    Delivery& d = w.gradient[t];
    d.to = static_cast<char*>(partial.data()) + folded[i].at;
    if (d.how != Deliver::store) continue;
    d.step = 1;
    d.aligned = w.inner % V == 0;
    for (int k = 0; k < last; ++k) w.out_row.step[k][t] = image[k] * space.target[t].bytes;
  }
  SINTER_LAUNCH(name_of_plan<P>(), (adjoint_kernel<P, Up, V>), unsigned(row_tiles * w.tiles), 256, 0, a.plan, a.up, w);

  for (int i = 0; i < folds; ++i) {
    const Target& g = space.target[folded[i].target];
    const char* images = static_cast<const char*>(partial.data()) + folded[i].at;
    const bool wide = Types::wide[folded[i].target];
    std::int64_t size[max_rank + 1], from[max_rank + 1], to[max_rank + 1];
    int rank = 0;
    const auto add = [&](std::int64_t n, std::int64_t in, std::int64_t out) { size[rank] = n, from[rank] = in, to[rank++] = out; };
    switch (folded[i].how) {
      case Deliver::over_rows:
        add(row_tiles, w.inner, 0);
        add(w.inner, 1, g.stride[last]);
        break;
      case Deliver::over_all: add(row_tiles * w.tiles, 1, 0); break;
      case Deliver::over_columns:
        for (int d = 0; d < last; ++d) add(space.size[d], image[d] / w.inner * w.tiles, g.stride[d]);
        add(w.tiles, 1, 0);
        break;
      default:
        for (int d = 0; d < last; ++d) add(space.size[d], image[d], g.stride[d]);
        add(w.inner, 1, g.stride[last]);
    }
    fold_partials(space.device, g, wide, rank, size, from, to, images);
  }
}

}  // namespace fused
}  // namespace SINTER_ABI
}  // namespace sinter
