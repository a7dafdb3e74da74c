// SPDX-License-Identifier: MIT
// The fused CUDA kernel of a reduction. Each output is folded by a group of threads, in an order that depends on the shape
// alone; where outputs are few, each is cut into chunks, whose results a second, like kernel folds.
#pragma once

#include "sinter/eval/cuda_map.cuh"

namespace sinter {
inline namespace SINTER_ABI {
namespace fused {  // beside sinter::cuda, which no flag changes

// Threads of a block. Where the innermost dimension is reduced, `group` of them fold one output together, along it. Where it
// is kept, each folds V neighbouring outputs, `group` of them side by side, and the block's others share the work.
template <int S>
struct ReduceWalk {
  Origin<S> from;
  Index<S + 1> kept;     // outer dimensions that are kept; the last operand is the result
  Index<S> reduced;      // outer dimensions that are not
  Divider packs, chunks_of;
  char* to;              // the result, or [chunk][output] to be folded again
  std::int64_t inner, chunk_bytes, to_step;
  std::int64_t outputs;  // groups of outputs, those of one pack counted once
  std::int64_t length;   // packs (or rows, where the innermost is kept) folded into one output
  std::int64_t chunk;    // of these to a chunk
  int chunks, group;
  bool along;            // the innermost dimension is reduced
  bool adds;
  double scale;
};

template <class Reducer, class P, int V>
__global__ void __launch_bounds__(256) reduce_kernel(const P plan, const ReduceWalk<P::leaves> w) {
#if SINTER_DEVICE_CODE
  constexpr int S = P::leaves;
  using T = typename P::type;
  using R = typename RegistersFor<V, typename P::leaf_types>::type;
  __shared__ T shared[256 * V];
  const int x = int(threadIdx.x) % w.group, y = int(threadIdx.x) / w.group, others = int(blockDim.x) / w.group;
  // Along: `others` outputs to a block. Across: `group` packs of outputs to a block.
  const std::int64_t item = w.along ? std::int64_t(blockIdx.x) * others + y : std::int64_t(blockIdx.x);
  std::int64_t output, chunk, column = 0;
  bool active = true;
  if (w.along) {
    active = item < w.outputs * w.chunks;
    output = active ? item / w.chunks : 0;
    chunk = active ? item - output * w.chunks : 0;
  } else {
    chunk = item % w.chunks;
    const std::int64_t packs = w.packs.d, tiles = (packs + w.group - 1) / w.group, tile = item / w.chunks;
    output = tile / tiles;
    column = (tile - output * tiles) * w.group + x;
    active = column < packs;
  }
  const std::int64_t begin = chunk * w.chunk, end = begin + w.chunk < w.length ? begin + w.chunk : w.length;
  std::int64_t base[S + 1], zero[S > 0 ? S : 1];
#pragma unroll
  for (int k = 0; k <= S; ++k) base[k] = 0;
  w.kept.locate(std::uint32_t(output), base);
#pragma unroll
  for (int k = 0; k < S; ++k) zero[k] = base[k];
  T acc[V];
#pragma unroll
  for (int v = 0; v < V; ++v) acc[v] = Reducer::template neutral<T>();
  if (active)
    for (std::int64_t i = begin + (w.along ? x : y); i < end; i += w.along ? w.group : others) {
      std::int64_t offset[S > 0 ? S : 1], j = column * V;
#pragma unroll
      for (int k = 0; k < S; ++k) offset[k] = zero[k];
      if (w.along) {
        if (w.reduced.rank > 0) {
          const std::uint32_t r = w.packs.divide(std::uint32_t(i));
          j = std::int64_t(std::uint32_t(i) - r * w.packs.d) * V;
          w.reduced.locate(r, offset);
        } else {
          j = i * V;
        }
      } else {
        w.reduced.locate(std::uint32_t(i), offset);
      }
      const int count = w.inner - j < V ? int(w.inner - j) : V;
      R in;
      Loader<R, V, S, ~0u, (S > 0 ? S : 1)> loader{in, w.from, offset, j, count, ~0u};
      each_leaf(plan, loader);
#pragma unroll
      for (int v = 0; v < V; ++v)
        if (v < count) acc[v] = Reducer::combine(acc[v], T(plan.value(Lane<R>{in, v})));
    }
  // Within the block, as a fixed tree.
  if (w.along) {
#pragma unroll
    for (int width = V / 2; width > 0; width /= 2)
#pragma unroll
      for (int v = 0; v < width; ++v) acc[v] = Reducer::combine(acc[v], acc[v + width]);
    shared[threadIdx.x] = acc[0];
    __syncthreads();
    for (int width = w.group / 2; width > 0; width /= 2) {
      if (x < width) shared[threadIdx.x] = Reducer::combine(shared[threadIdx.x], shared[threadIdx.x + width]);
      __syncthreads();
    }
    if (x == 0 && active) {
      T* to = reinterpret_cast<T*>(w.to + base[S] + chunk * w.chunk_bytes);
      T value = w.scale == 1 ? shared[threadIdx.x] : T(double(shared[threadIdx.x]) * w.scale);
      *to = w.adds ? Reducer::combine(*to, value) : value;
    }
  } else {
#pragma unroll
    for (int v = 0; v < V; ++v) shared[v * 256 + threadIdx.x] = acc[v];
    __syncthreads();
    for (int width = others / 2; width > 0; width /= 2) {
      if (y < width)
#pragma unroll
        for (int v = 0; v < V; ++v)
          shared[v * 256 + threadIdx.x] = Reducer::combine(shared[v * 256 + threadIdx.x], shared[v * 256 + threadIdx.x + width * w.group]);
      __syncthreads();
    }
    if (y == 0 && active) {
      T* to = reinterpret_cast<T*>(w.to + base[S] + chunk * w.chunk_bytes) + column * V * w.to_step;
#pragma unroll
      for (int v = 0; v < V; ++v)
        if (column * V + v < w.inner) {
          const T folded = shared[v * 256 + threadIdx.x], value = w.scale == 1 ? folded : T(double(folded) * w.scale);
          T& at = to[v * w.to_step];
          at = w.adds ? Reducer::combine(at, value) : value;
        }
    }
  }
#endif
}

// Folds the [chunk][output] images of a dense result.
template <class Reducer, class T>
void fold_chunks(Device device, Target result, int rank, const std::int64_t* size, const char* images, std::int64_t chunks, double scale);

// Where nothing is reduced: the neutral element, or nothing added.
template <class Reducer, class T>
void fill_neutral(const Space& space) {
  const Target& out = space.target[0];
  if (out.adds) return;
  Space dense;
  dense.device = space.device;
  for (int d = 0; d < space.rank; ++d)
    if (out.stride[d] != 0) dense.size[dense.rank++] = space.size[d];
  if (dense.rank == 0) dense.size[dense.rank++] = 1;
  Target& to = dense.add_target();
  to = out;
  for (int d = 0, i = 0; d < space.rank; ++d)
    if (out.stride[d] != 0) to.stride[i++] = out.stride[d];
  if (space.target[0].numel == 1) to.stride[0] = 1;
  const T neutral = Reducer::template neutral<T>();
  const plan::Constant<T> value{space.scale == 1 ? neutral : T(double(neutral) * space.scale)};
  launch_map<plan::Constant<T>, T>(dense, &value);
}

// The target of the space = the reduction of the plan's values over the dimensions along which the target does not move.
template <class Reducer, class P>
void launch_reduce(Space& space, const void* plan) {
  const cuda::DeviceGuard guard(space.device.index);
  using T = typename P::type;
  constexpr int S = P::leaves, V = pack_of(Narrowest<P>::bytes, S);
  Target& out = space.target[0];
  if (out.numel == 0) return;
  if (space.numel() == 0) return fill_neutral<Reducer, T>(space);
  space.collapse();
  const int last = space.rank - 1;
  ReduceWalk<S> w{};
  w.from = origin_of<S>(space, V);
  w.inner = space.size[last];
  w.along = out.stride[last] == 0 || w.inner == 1;
  w.scale = space.scale;
  w.adds = out.adds;
  const std::int64_t packs = (w.inner + V - 1) / V;
  w.packs = Divider(packs);
  std::int64_t kept = 1, reduced = 1;
  int kept_dim[max_rank];
  for (int d = 0; d < last; ++d) {
    const bool keeps = out.stride[d] != 0;
    (keeps ? kept : reduced) *= space.size[d];
    if (keeps) kept_dim[w.kept.rank] = d;
    const int at = keeps ? w.kept.rank++ : w.reduced.rank++;
    (keeps ? w.kept.size : w.reduced.size)[at] = Divider(space.size[d]);
    for (int k = 0; k < S; ++k) (keeps ? w.kept.step[at][k] : w.reduced.step[at][k]) = space.source[k].stride[d] * space.source[k].bytes;
  }
  w.outputs = kept;
  w.length = w.along ? reduced * packs : reduced;
  if (kept >> 31 || (w.reduced.rank > 0 && w.length >> 31)) fail_too_many(Reducer::name);
  std::int64_t units;  // that run side by side: groups of threads, or blocks
  if (w.along) {
    for (w.group = 8; w.group < 256 && w.group * 2 < w.length; w.group *= 2) {}
    units = kept * w.group / 256;
  } else {
    for (w.group = 1; w.group < 32 && w.group < packs; w.group *= 2) {}
    units = kept * ((packs + w.group - 1) / w.group);
  }
  // Chunks: enough to fill a device, none with less than 16 rounds of its threads.
  const std::int64_t round = w.along ? w.group : 256 / w.group;
  w.chunks = int(std::max<std::int64_t>(1, std::min((w.length + 16 * round - 1) / (16 * round), 1024 / std::max<std::int64_t>(1, units))));
  w.chunk = (w.length + w.chunks - 1) / w.chunks;
  w.chunks = int((w.length + w.chunk - 1) / w.chunk);

  const bool twice = w.chunks > 1;
  const cuda::Workspace partial(twice ? std::size_t(w.chunks * out.numel) * sizeof(T) : 0);
  w.to = twice ? static_cast<char*>(partial.data()) : out.data;
  // Images are dense over the kept dimensions.
  std::int64_t image_step[max_rank + 1], dense = w.along ? 1 : w.inner;
  for (int i = w.kept.rank - 1; i >= 0; --i) {
    image_step[i] = dense;
    dense *= space.size[kept_dim[i]];
  }
  for (int i = 0; i < w.kept.rank; ++i) w.kept.step[i][S] = (twice ? image_step[i] : out.stride[kept_dim[i]]) * std::int64_t(sizeof(T));
  w.chunk_bytes = dense * std::int64_t(sizeof(T));
  w.to_step = twice ? 1 : out.stride[last];
  if (twice) w.scale = 1, w.adds = false;
  const std::int64_t blocks = w.along ? (kept * w.chunks * w.group + 255) / 256 : kept * ((packs + w.group - 1) / w.group) * w.chunks;
  SINTER_LAUNCH(Reducer::name, (reduce_kernel<Reducer, P, V>), unsigned(blocks), 256, 0, *static_cast<const P*>(plan), w);
  if (!twice) return;
  Target result = out;
  std::int64_t size[max_rank];
  int rank = 0;
  for (; rank < w.kept.rank; ++rank) {
    size[rank] = space.size[kept_dim[rank]];
    result.stride[rank] = out.stride[kept_dim[rank]];
  }
  if (!w.along) {
    size[rank] = w.inner;
    result.stride[rank++] = out.stride[last];
  }
  fold_chunks<Reducer, T>(space.device, result, rank, size, w.to, w.chunks, space.scale);
}

template <class Reducer, class T>
void fold_chunks(Device device, Target result, int rank, const std::int64_t* size, const char* images, std::int64_t chunks, double scale) {
  using P = plan::Leaf<T, 0>;
  Space space;
  space.device = device;
  space.rank = rank + 1;
  space.size[0] = chunks;
  std::copy_n(size, rank, space.size + 1);
  space.sources = 1;
  Source& from = space.source[0];
  from.data = images;
  from.bytes = int(sizeof(T));
  std::int64_t dense = 1;
  for (int i = rank - 1; i >= 0; --i) {
    from.stride[i + 1] = dense;
    dense *= size[i];
  }
  from.stride[0] = dense;
  Target& to = space.add_target();
  to = result;
  to.stride[0] = 0;
  for (int i = 0; i < rank; ++i) to.stride[i + 1] = result.stride[i];
  space.scale = scale;
  const P p{};
  launch_reduce<Reducer, P>(space, &p);
}

}  // namespace fused
}  // namespace SINTER_ABI
}  // namespace sinter
