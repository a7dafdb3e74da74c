// SPDX-License-Identifier: MIT
// What streaming kernels share: blocks that stay and take row after row, with the next row's loads under way while they
// compute, so that memory does not wait for reductions. Rows are whole packs: n is a multiple of V, and all begin aligned.
#pragma once

#include "sinter/cuda/rows.cuh"

namespace sinter {
namespace cuda {

// A thread's share of a row: packs threadIdx.x + k * blockDim.x, `pad` where the row has ended.
template <int P, class T, int V>
__device__ inline void load_share(RowPack<T, V> (&to)[P], const T* row, int packs, const RowPack<T, V>& pad) {
#pragma unroll
  for (int k = 0; k < P; ++k) {
    const int j = int(threadIdx.x) + k * int(blockDim.x);
    to[k] = pad;
    if (j < packs) to[k] = reinterpret_cast<const RowPack<T, V>*>(row)[j];
  }
}
template <class T, int V>
__device__ inline RowPack<T, V> pack_of(compute_t<T> value) {
  compute_t<T> a[V];
#pragma unroll
  for (int i = 0; i < V; ++i) a[i] = value;
  return RowPack<T, V>::of(a);
}// Elements of 16 bits stay packed between their uses, in half the registers, though the compiler would rather unpack them once.
template <class T, int V>
__device__ inline void unpack_again([[maybe_unused]] RowPack<T, V>& p) {
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(T) == 2) asm volatile("" : "+r"(p.word[0]), "+r"(p.word[1]), "+r"(p.word[2]), "+r"(p.word[3]));
#endif
}

// 16 bytes to an aligned address.
template <class A>
__device__ inline void store_words(A* to, const A* from) {
  RowPack<A, pack_elements<A>> p;
  memcpy(p.word, from, 16);
  *reinterpret_cast<RowPack<A, pack_elements<A>>*>(to) = p;
}

// Values of warps for all warps: lane l gets warp l's. One barrier a time: it writes what was read before the last one.
struct WarpExchange {
  int turn = 0;
  template <int N, class A>
  __device__ void operator()(A (&v)[N], A none) {
    __shared__ A part[2][N][32];
    const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32, warps = int(blockDim.x) / 32;
    if (lane == 0)
#pragma unroll
      for (int i = 0; i < N; ++i) part[turn][i][warp] = v[i];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < N; ++i) v[i] = lane < warps ? part[turn][i][lane] : none;
    turn ^= 1;
  }
  // The block's sum or maximum.
  template <class A, class Op>
  __device__ A reduce(A v, Op op, A none) {
    A one[1] = {lanes_reduce(v, 32, op)};
    (*this)(one, none);
    return lanes_reduce(one[0], 32, op);
  }
};

// 16 bytes into shared memory that only this thread reads, after await_packs().
template <class P>
__device__ inline void fetch_pack(P* to, const P* from) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(unsigned(__cvta_generic_to_shared(to))), "l"(from) : "memory");
#else
  *to = *from;
#endif
}
__device__ inline void await_packs() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

// Threads for shares of at most `each` packs.
inline int stream_threads(std::int64_t packs, int each) { return int((packs + 32 * each - 1) / (32 * each)) * 32; }
// As many blocks as the device runs at once with 64 registers a thread. Their number does not change results.
inline unsigned stream_grid(std::int64_t rows, int threads) {
  const std::int64_t blocks = std::int64_t(multiprocessors()) * (threads <= 64 ? 16 : 1024 / threads);
  return unsigned(rows < blocks ? rows : blocks);
}

}  // namespace cuda
}  // namespace sinter
