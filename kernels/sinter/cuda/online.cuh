// SPDX-License-Identifier: MIT
// The greatest element of a row and the sum of exp(x - greatest), in one pass, for softmax and cross entropy.
#pragma once

#include "sinter/cuda/rows.cuh"

namespace sinter {
namespace cuda {

template <class A>
struct Online {
  A top = lowest<A>(), total = 0;

  template <int N>
  __device__ void add(const A (&v)[N]) {
    A t = top;
#pragma unroll
    for (int i = 0; i < N; ++i) t = greater_of(t, v[i]);
    if (t > top) {
      total *= row_exp(top - t);
      top = t;
    }
    const A shift = top == lowest<A>() ? A(0) : top;  // -infinity counts for nothing
#pragma unroll
    for (int i = 0; i < N; ++i) total += row_exp(v[i] - shift);
  }
  // Those of all threads of a team. The greatest first: every thread then adds the same terms in the same order.
  template <bool Block>
  __device__ void join(const Team<Block>& team) {
    const A all = team.max(top);
    total = team.sum(scaled(all));
    top = all;
  }
  __device__ void join(const ColumnTile& tile, A* shared) {
    const A all = tile.reduce(top, shared, Greater{});
    total = tile.reduce(scaled(all), shared, Plus{});
    top = all;
  }

 private:
  __device__ A scaled(A all) const { return top == all || top == lowest<A>() ? total : total * row_exp(top - all); }
};

// A team's pass over a row; also(first element of a pack, its values) sees all packs, with -infinity outside of the row.
template <class T, int V, bool Block, class F>
__device__ inline void online_row(const Team<Block>& team, const PackedRow<T, V>& row, const T* x, Online<compute_t<T>>& sum, F also) {
  using A = compute_t<T>;
  constexpr int U = V == 8 ? 2 : 4;  // packs in flight
  for (int j = team.rank; j < row.packs; j += U * team.width) {
    RowPack<T, V> p[U];
#pragma unroll
    for (int u = 0; u < U; ++u) p[u] = row.load(x, j + u * team.width, lowest<A>());
    A v[U * V];
#pragma unroll
    for (int u = 0; u < U; ++u) {
      A part[V];
      p[u].get(part);
      also(row.first(j + u * team.width), part);
#pragma unroll
      for (int i = 0; i < V; ++i) v[u * V + i] = part[i];
    }
    sum.add(v);
  }
}

}  // namespace cuda
}  // namespace sinter
