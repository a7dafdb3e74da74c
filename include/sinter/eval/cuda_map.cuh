// SPDX-License-Identifier: MIT
// The fused CUDA kernel of an expression's values: 16 bytes of every operand at a time, as many packs in flight as registers
// allow. Contiguous operands, broadcast ones and strided ones are told apart at run time, alike for all threads.
#pragma once

#include "sinter/eval/cuda_walk.cuh"

namespace sinter {
inline namespace SINTER_ABI {
namespace fused {  // beside sinter::cuda, which no flag changes

template <int S>
struct MapWalk {
  Origin<S> from;
  Index<S + 1> rows;  // the last operand is the result
  Divider packs;      // of a row
  char* to;
  std::int64_t to_step;
  bool to_aligned;
  std::int64_t inner, total;  // elements of a row; packs in all
};

template <class P, class T, int V, int Unroll>
__global__ void __launch_bounds__(256) map_kernel(const P plan, const MapWalk<P::leaves> w) {
#if SINTER_DEVICE_CODE
  constexpr int S = P::leaves;
  using R = typename RegistersFor<V, typename P::leaf_types>::type;
  const std::int64_t threads = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t first = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; first < w.total; first += threads * Unroll) {
    R in[Unroll];
    std::int64_t row[Unroll][S + 1], j[Unroll];
    int count[Unroll];
#pragma unroll
    for (int u = 0; u < Unroll; ++u) {
      const std::int64_t pack = first + u * threads;
      count[u] = 0;
      if (pack >= w.total) continue;
#pragma unroll
      for (int k = 0; k <= S; ++k) row[u][k] = 0;
      j[u] = pack * V;
      if (w.rows.rank > 0) {
        const std::uint32_t r = w.packs.divide(std::uint32_t(pack));
        j[u] = std::int64_t(std::uint32_t(pack) - r * w.packs.d) * V;
        w.rows.locate(r, row[u]);
      }
      count[u] = w.inner - j[u] < V ? int(w.inner - j[u]) : V;
      Loader<R, V, S, ~0u, S + 1> loader{in[u], w.from, row[u], j[u], count[u]};
      each_leaf(plan, loader);
    }
#pragma unroll
    for (int u = 0; u < Unroll; ++u) {
      if (count[u] == 0) continue;
      compute_t<T> out[V];
#pragma unroll
      for (int v = 0; v < V; ++v) out[v] = plan.value(Lane<R>{in[u], v});
      store_pack<T, V>(w.to + row[u][S] + j[u] * w.to_step * std::int64_t(sizeof(T)), out, w.to_step, count[u], w.to_aligned);
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
  constexpr int S = P::leaves, V = pack_of(std::min(Narrowest<P>::bytes, int(sizeof(T))), S), unroll = S * V <= 8 ? 4 : S * V <= 16 ? 2 : 1;
  const int last = space.rank - 1;
  MapWalk<S> w{};
  w.from = origin_of<S>(space, V);
  w.to = space.target[0].data;
  w.to_step = space.target[0].stride[last];
  w.to_aligned = is_aligned(space.target[0], space.rank, V);
  w.inner = space.size[last];
  const std::int64_t packs = (w.inner + V - 1) / V;
  w.total = packs * (space.numel() / w.inner);
  w.rows.rank = last;
  if (last > 0) {
    if (w.total >> 31) fail_too_many("map");
    w.packs = Divider(packs);
    for (int d = 0; d < last; ++d) {
      w.rows.size[d] = Divider(space.size[d]);
      for (int k = 0; k < S; ++k) w.rows.step[d][k] = space.source[k].stride[d] * space.source[k].bytes;
      w.rows.step[d][S] = space.target[0].stride[d] * space.target[0].bytes;
    }
  }
  const std::int64_t blocks = (w.total + 256 * unroll - 1) / (256 * unroll);
  SINTER_LAUNCH(name_of_plan<P>(), (map_kernel<P, T, V, unroll>), unsigned(std::min<std::int64_t>(blocks, 1 << 30)), 256, 0, *static_cast<const P*>(plan), w);
}

}  // namespace fused
}  // namespace SINTER_ABI
}  // namespace sinter
