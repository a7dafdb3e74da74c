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

// Elements of one type, in which rule computes; slots are at the same places as p.
template <int Slots, class C, class Rule>
void update_elements(C* p, const C* g, C* const* slot, std::int64_t n, const Rule& rule) {
  constexpr int N = simd_bytes / int(sizeof(C));
  using V = lane::Lanes<C, N>;
  std::int64_t i = 0;
  for (; i + N <= n; i += N) {
    V x = V::load(p + i), s[Slots > 0 ? Slots : 1];
    for (int k = 0; k < Slots; ++k) s[k] = V::load(slot[k] + i);
    rule(x, V::load(g + i), s);
    for (int k = 0; k < Slots; ++k) s[k].store(slot[k] + i);
    x.store(p + i);
  }
  for (; i < n; ++i) {
    C s[Slots > 0 ? Slots : 1];
    for (int k = 0; k < Slots; ++k) s[k] = slot[k][i];
    rule(p[i], C(g[i]), s);
    for (int k = 0; k < Slots; ++k) slot[k][i] = s[k];
  }
}

// Elements [begin, end) of one parameter. Those of half and bfloat16 pass through float.
template <int Slots, class C, class Rule>
void update_range(const Update& u, std::int64_t begin, std::int64_t end, const Rule& rule) {
  C* slot[max_slots] = {};
  for (int k = 0; k < Slots; ++k) slot[k] = static_cast<C*>(u.slot[k]) + begin;
  if (u.p->dtype == DType::float32 || u.p->dtype == DType::float64) {
    update_elements<Slots, C>(static_cast<C*>(u.p->data) + begin, static_cast<const C*>(u.g->data) + begin, slot, end - begin, rule);
    return;
  }
  constexpr std::int64_t stretch = 256;
  C p[stretch], g[stretch];
  for (; begin < end; begin += stretch) {
    const std::int64_t n = std::min(stretch, end - begin);
    char* at = static_cast<char*>(u.p->data) + 2 * begin;
    const char* from = static_cast<const char*>(u.g->data) + 2 * begin;
    for (std::int64_t i = 0; i < n; ++i) p[i] = C(widened(u.p->dtype, at + 2 * i)), g[i] = C(widened(u.p->dtype, from + 2 * i));
    update_elements<Slots, C>(p, g, slot, n, rule);
    for (std::int64_t i = 0; i < n; ++i) store_as(u.p->dtype, at + 2 * i, double(p[i]));
    for (int k = 0; k < Slots; ++k) slot[k] += n;
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
    if (u.p->dtype == DType::float64) update_range<Slots, double>(u, chunk.begin, end, make_rule(chunk.update, double{}));
    else update_range<Slots, float>(u, chunk.begin, end, make_rule(chunk.update, float{}));
  });
}

// A dense copy, or the tensor itself where it is dense.
inline Ref<TensorImpl> densely(const Ref<TensorImpl>& t) {
  return is_dense(*t) ? t : dense_clone(*t, t->dtype);
}

}  // namespace SINTER_ABI
}  // namespace optim
}  // namespace sinter
