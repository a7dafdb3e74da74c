// SPDX-License-Identifier: MIT
// The loop under every optimizer: each element of every parameter is read, updated with its gradient and state, and written
// once, in lane blocks, in one parallel pass over all parameters. A rule states the arithmetic alone:
//
//   template <class V> void operator()(V& p, V g, V* s) const;     // V: a lane block or a number; s: the state's slots
#pragma once

#include <vector>

#include "sinter/core/copy.hpp"
#include "sinter/core/parallel.hpp"
#include "sinter/op/lane_math.hpp"
#include "sinter/tensor/tensor.hpp"

namespace sinter {
namespace optim {
inline namespace SINTER_ABI {

inline constexpr int max_slots = 3;

// One parameter in memory. State has the parameter's dtype, but float for half and bfloat16.
struct Update {
  TensorImpl* p = nullptr;
  const TensorImpl* g = nullptr;
  void* slot[max_slots] = {};
};

inline DType state_dtype(DType t) { return t == DType::float64 ? DType::float64 : DType::float32; }

template <int Slots, class T, class Rule>
void update_elements(const Update& u, const Rule& rule, std::int64_t begin, std::int64_t end) {
  using C = compute_t<T>;
  constexpr int N = simd_bytes / int(sizeof(C));
  using V = lane::Lanes<C, N>;
  T* p = static_cast<T*>(u.p->data);
  const T* g = static_cast<const T*>(u.g->data);
  C* slot[max_slots];
  for (int k = 0; k < Slots; ++k) slot[k] = static_cast<C*>(u.slot[k]);
  std::int64_t i = begin;
  for (; i + N <= end; i += N) {
    V x = lane::load_lanes<N>(p + i), s[Slots > 0 ? Slots : 1];
    for (int k = 0; k < Slots; ++k) s[k] = V::load(slot[k] + i);
    rule(x, V(lane::load_lanes<N>(g + i)), s);
    for (int k = 0; k < Slots; ++k) s[k].store(slot[k] + i);
    lane::store_lanes<T>(p + i, x);
  }
  for (; i < end; ++i) {
    C x = C(p[i]), s[Slots > 0 ? Slots : 1];
    for (int k = 0; k < Slots; ++k) s[k] = slot[k][i];
    rule(x, C(g[i]), s);
    for (int k = 0; k < Slots; ++k) slot[k][i] = s[k];
    p[i] = T(x);
  }
}

// Updates all parameters; rule(i, C{}) is that of parameter i in the compute type C. Chunks are cut alike for any number
// of threads.
template <int Slots, class MakeRule>
void update_all(const std::vector<Update>& updates, const MakeRule& make_rule) {
  constexpr std::int64_t grain = 8192;
  struct Chunk {
    int update;
    std::int64_t begin;
  };
  std::vector<Chunk> chunks;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < updates.size(); ++i) {
    const std::int64_t n = updates[i].p->numel();
    total += n;
    for (std::int64_t b = 0; b < n; b += grain) chunks.push_back({int(i), b});
  }
  parallel_for(std::int64_t(chunks.size()), total >= parallel_threshold, [&](std::int64_t c) {
    const Chunk& chunk = chunks[std::size_t(c)];
    const Update& u = updates[std::size_t(chunk.update)];
    const std::int64_t end = std::min(u.p->numel(), chunk.begin + grain);
    switch (u.p->dtype) {
      case DType::float64: return update_elements<Slots, double>(u, make_rule(chunk.update, double{}), chunk.begin, end);
      case DType::float16: return update_elements<Slots, half>(u, make_rule(chunk.update, float{}), chunk.begin, end);
      case DType::bfloat16: return update_elements<Slots, bfloat16>(u, make_rule(chunk.update, float{}), chunk.begin, end);
      default: return update_elements<Slots, float>(u, make_rule(chunk.update, float{}), chunk.begin, end);
    }
  });
}

// A dense copy, or the tensor itself where it is dense.
inline Ref<TensorImpl> densely(const Ref<TensorImpl>& t) {
  if (is_dense(*t)) return t;
  Ref<TensorImpl> copy = empty_dense(t->dtype, t->shape());
  copy_elements(*copy, *t);
  return copy;
}

}  // namespace SINTER_ABI
}  // namespace optim
}  // namespace sinter
