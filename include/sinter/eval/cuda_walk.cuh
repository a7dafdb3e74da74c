// SPDX-License-Identifier: MIT
// How the threads of a fused CUDA kernel find and load their elements: the collapsed space as a kernel parameter, division by
// multiplication, and packs of 16 bytes.
#pragma once

#include "sinter/cuda/runtime.cuh"
#include "sinter/eval/space.hpp"
#include "sinter/expr/plan.hpp"

namespace sinter {
inline namespace SINTER_ABI {
namespace fused {  // beside sinter::cuda, which no flag changes

// n / d for n < 2^31, by one multiplication (Granlund and Montgomery, PLDI 1994).
struct Divider {
  std::uint32_t d = 1, multiplier = 1, shift = 0;
  Divider() = default;
  explicit Divider(std::int64_t divisor) : d(std::uint32_t(divisor)) {
    while (shift < 32 && (1ull << shift) < d) ++shift;
    multiplier = std::uint32_t(((1ull << 32) * ((1ull << shift) - d)) / d + 1);
  }
  __device__ __forceinline__ std::uint32_t divide(std::uint32_t n) const { return (__umulhi(n, multiplier) + n) >> shift; }
};

// Some dimensions counted as one index, and the bytes that each operand moves by along them.
template <int Operands>
struct Index {
  int rank = 0;
  Divider size[max_rank];
  std::int64_t step[max_rank][Operands > 0 ? Operands : 1];

  // Adds to `offset` where element i lies.
  __device__ __forceinline__ void locate(std::uint32_t i, std::int64_t (&offset)[Operands > 0 ? Operands : 1]) const {
    if (rank == 1) {
#pragma unroll
      for (int k = 0; k < Operands; ++k) offset[k] += std::int64_t(i) * step[0][k];
      return;
    }
    for (int d = rank - 1; d >= 0; --d) {
      const std::uint32_t q = d > 0 ? size[d].divide(i) : 0u, at = i - q * size[d].d;
#pragma unroll
      for (int k = 0; k < Operands; ++k) offset[k] += std::int64_t(at) * step[d][k];
      i = q;
    }
  }
};

// What one thread reads and writes at once: V elements that lie behind one another in the innermost dimension.
template <class T, int V>
struct alignas(sizeof(T) * V > 16 ? 16 : sizeof(T) * V) Pack {
  T at[V];
};

// Elements [0, count) from p on, `step` elements apart (0: the same for all). The lanes behind them hold the last.
template <class T, int V>
__device__ __forceinline__ void load_pack(compute_t<T> (&to)[V], const char* p, std::int64_t step, int count, bool aligned) {
  const T* from = reinterpret_cast<const T*>(p);
  if (step == 1 && aligned && count == V) {
    const Pack<T, V> pack = *reinterpret_cast<const Pack<T, V>*>(from);
#pragma unroll
    for (int v = 0; v < V; ++v) to[v] = compute_t<T>(pack.at[v]);
  } else {
#pragma unroll
    for (int v = 0; v < V; ++v) to[v] = compute_t<T>(from[std::int64_t(v < count ? v : count - 1) * step]);
  }
}
template <class T, int V>
__device__ __forceinline__ void store_pack(char* p, const compute_t<T> (&x)[V], std::int64_t step, int count, bool aligned) {
  T* to = reinterpret_cast<T*>(p);
  if (step == 1 && aligned && count == V) {
    Pack<T, V> pack;
#pragma unroll
    for (int v = 0; v < V; ++v) pack.at[v] = T(x[v]);
    *reinterpret_cast<Pack<T, V>*>(to) = pack;
  } else {
#pragma unroll
    for (int v = 0; v < V; ++v)
      if (v < count) to[std::int64_t(v) * step] = T(x[v]);
  }
}

// Calls f.template leaf<T, I>() for every leaf of a plan, T its dtype in memory.
template <class F, class T, int I>
__device__ __forceinline__ void each_leaf(const plan::Leaf<T, I>&, F& f) { f.template leaf<T, I>(); }
template <class F, class T>
__device__ __forceinline__ void each_leaf(const plan::Constant<T>&, F&) {}
template <class F, class Op, class T, class A>
__device__ __forceinline__ void each_leaf(const plan::Map1<Op, T, A>& p, F& f) { each_leaf(p.a, f); }
template <class F, class Op, class T, class A, class B>
__device__ __forceinline__ void each_leaf(const plan::Map2<Op, T, A, B>& p, F& f) {
  each_leaf(p.a, f);
  each_leaf(p.b, f);
}
template <class F, class Op, class T, class A, class B, class C>
__device__ __forceinline__ void each_leaf(const plan::Map3<Op, T, A, B, C>& p, F& f) {
  each_leaf(p.a, f);
  each_leaf(p.b, f);
  each_leaf(p.c, f);
}

// The narrowest element of a plan in memory decides how many fill 16 bytes.
template <class P>
struct Narrowest;
template <class T, int I>
struct Narrowest<plan::Leaf<T, I>> {
  static constexpr int bytes = int(sizeof(T));
};
template <class T>
struct Narrowest<plan::Constant<T>> {
  static constexpr int bytes = 16;
};
template <class Op, class T, class A>
struct Narrowest<plan::Map1<Op, T, A>> : Narrowest<A> {};
template <class Op, class T, class A, class B>
struct Narrowest<plan::Map2<Op, T, A, B>> {
  static constexpr int bytes = std::min(Narrowest<A>::bytes, Narrowest<B>::bytes);
};
template <class Op, class T, class A, class B, class C>
struct Narrowest<plan::Map3<Op, T, A, B, C>> {
  static constexpr int bytes = std::min({Narrowest<A>::bytes, Narrowest<B>::bytes, Narrowest<C>::bytes});
};
template <class P>
struct Narrowest<plan::Known<P>> : Narrowest<P> {};
constexpr int pack_of(int narrowest, int leaves) {
  const int v = 16 / std::max(2, std::min(16, narrowest));
  return leaves > 8 ? std::min(v, 2) : std::max(1, v);  // many operands: registers run out
}

// The registers of a plan's leaves, V elements of each.
template <int I, class C, int V>
struct LeafRegisters {
  C lane[V];
};
template <int V, class Indices, class List>
struct Registers;
template <int V, int... I, class... C>
struct Registers<V, std::integer_sequence<int, I...>, plan::Types<C...>> : LeafRegisters<I, C, V>... {
  template <int J>
  __device__ __forceinline__ auto& of() { return slot<J>(*this); }
  template <int J>
  __device__ __forceinline__ const auto& of() const { return slot<J>(*this); }

 private:
  template <int J, class T>
  __device__ static __forceinline__ auto& slot(LeafRegisters<J, T, V>& s) { return s.lane; }
  template <int J, class T>
  __device__ static __forceinline__ const auto& slot(const LeafRegisters<J, T, V>& s) { return s.lane; }
};
template <int V, class List>
struct RegistersFor;
template <int V, class... C>
struct RegistersFor<V, plan::Types<C...>> {
  using type = Registers<V, std::make_integer_sequence<int, int(sizeof...(C))>, plan::Types<C...>>;
};

// One lane of the registers, as the context that a plan computes in.
template <class R>
struct Lane {
  const R& registers;
  int v;
  template <class T, int I>
  __device__ __forceinline__ auto load() const { return registers.template of<I>()[v]; }
  template <class T>
  __device__ __forceinline__ T constant(T x) const { return x; }
};

// Where the packs of this thread lie: pointers to the innermost dimension's element j of each source.
template <int S>
struct Origin {
  const char* source[S > 0 ? S : 1];
  std::int64_t step[S > 0 ? S : 1];  // elements from one to the next
  unsigned aligned;                  // sources that may be read 16 bytes at a time, as bits
  unsigned still;                    // sources that are the same in every row
};

// Loads the leaves that are wanted (as bits).
template <class R, int V, int S, unsigned Wanted, int Offsets>
struct Loader {
  R& to;
  const Origin<S>& from;
  const std::int64_t (&offset)[Offsets];  // of the row, in bytes
  std::int64_t j;
  int count;
  unsigned which;  // of the sources now
  template <class T, int I>
  __device__ __forceinline__ void leaf() {
    if constexpr ((Wanted >> I) & 1u)  // others may be empty handles
      if ((which >> I) & 1u)
        load_pack<T, V>(to.template of<I>(), from.source[I] + offset[I] + j * from.step[I] * std::int64_t(sizeof(T)), from.step[I], count,
                        (from.aligned >> I) & 1u);
  }
};

// ---- On the host

// A kernel's name in errors and profiles: its root op.
template <class Op, class T, class A>
constexpr const char* root_of(const plan::Map1<Op, T, A>*) { return name_of<Op>(0); }
template <class Op, class T, class A, class B>
constexpr const char* root_of(const plan::Map2<Op, T, A, B>*) { return name_of<Op>(0); }
template <class Op, class T, class A, class B, class C>
constexpr const char* root_of(const plan::Map3<Op, T, A, B, C>*) { return name_of<Op>(0); }
constexpr const char* root_of(const void*) { return "copy"; }
template <class P>
constexpr const char* name_of_plan() { return root_of(static_cast<const P*>(nullptr)); }

// The pointers and inner steps of a collapsed space's sources; `alone`: the offsets of rows are multiples of 16 bytes.
template <int S>
Origin<S> origin_of(const Space& s, int vector) {
  Origin<S> o{};
  const int last = s.rank - 1;
  for (int k = 0; k < S; ++k) {
    o.source[k] = s.source[k].data;
    o.step[k] = s.source[k].stride[last];
    const std::int64_t bytes = std::int64_t(vector) * s.source[k].bytes, unit = bytes > 16 ? 16 : bytes;
    bool aligned = reinterpret_cast<std::uintptr_t>(s.source[k].data) % std::uint64_t(unit) == 0;
    for (int d = 0; d < last; ++d) aligned = aligned && (s.source[k].stride[d] * s.source[k].bytes) % unit == 0;
    bool still = true;
    for (int d = 0; d < last; ++d) still = still && s.source[k].stride[d] == 0;
    if (aligned) o.aligned |= 1u << k;
    if (still && last > 0) o.still |= 1u << k;
  }
  return o;
}
inline bool is_aligned(const Target& t, int rank, int vector) {
  const std::int64_t bytes = std::int64_t(vector) * t.bytes, unit = bytes > 16 ? 16 : bytes;
  bool aligned = reinterpret_cast<std::uintptr_t>(t.data) % std::uint64_t(unit) == 0;
  for (int d = 0; d < rank - 1; ++d) aligned = aligned && (t.stride[d] * t.bytes) % unit == 0;
  return aligned;
}
[[noreturn]] [[gnu::cold]] inline void fail_too_many(const char* what) {
  fail<DeviceError>(what, ": more than 2^31 rows or packs of elements in one kernel");
}

}  // namespace fused
}  // namespace SINTER_ABI
}  // namespace sinter
