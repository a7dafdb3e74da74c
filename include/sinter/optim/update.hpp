// SPDX-License-Identifier: MIT
// The loop under every optimizer: each element of every parameter is read, updated with its gradient and state, and written
// once, in lane blocks, in one parallel pass over all parameters. The arithmetic alone is device/optim.hpp's.
#pragma once

#include <algorithm>

#include "sinter/core/copy.hpp"
#include "sinter/core/parallel.hpp"
#include "sinter/device/optim.hpp"
#include "sinter/op/lane_math.hpp"
#include "sinter/tensor/tensor.hpp"

namespace sinter {
namespace optim {
inline namespace SINTER_ABI {

// One parameter in memory. State has the parameter's dtype, but float for half and bfloat16.
struct Update {
  TensorImpl* p = nullptr;
  const TensorImpl* g = nullptr;
  void* slot[max_slots] = {};
  std::int64_t step = 1;  // the how many-th it is
  double rate[max_rates] = {};
  std::int64_t first_chunk = 0;
};

// What one pass updates.
struct Updates : CachedVector<Update> {
  double grad_scale = 1;  // gradients are multiplied as they are read
};

inline DType state_dtype(DType t) { return t == DType::float64 ? DType::float64 : DType::float32; }

// Elements of one type, in which rule computes; slots are at the same places as p. The last block is as wide as the others,
// so that an element's bits do not depend on its place.
template <int Slots, class C, class Rule>
void update_elements(C* p, const C* g, C* const* slots, std::int64_t n, C grad_scale, const Rule& rule) {
  constexpr int N = simd_bytes / int(sizeof(C)), S = Slots > 0 ? Slots : 1;
  using V = lane::Lanes<C, N>;
  C* slot[S] = {};
  for (int k = 0; k < Slots; ++k) slot[k] = slots[k];
  const V scale(grad_scale);
  std::int64_t i = 0;
  for (; i + N <= n; i += N) {
    V x = V::load(p + i), s[S];
    for (int k = 0; k < Slots; ++k) s[k] = V::load(slot[k] + i);
    rule(x, V::load(g + i) * scale, s);
    for (int k = 0; k < Slots; ++k) s[k].store(slot[k] + i);
    x.store(p + i);
  }
  if (const std::size_t bytes = std::size_t(n - i) * sizeof(C); bytes > 0) {
    C in[S + 2][N] = {};
    std::memcpy(in[0], p + i, bytes);
    std::memcpy(in[1], g + i, bytes);
    for (int k = 0; k < Slots; ++k) std::memcpy(in[2 + k], slot[k] + i, bytes);
    V x = V::load(in[0]), s[S];
    for (int k = 0; k < Slots; ++k) s[k] = V::load(in[2 + k]);
    rule(x, V::load(in[1]) * scale, s);
    if constexpr (Slots > 0)
      for (int k = 0; k < Slots; ++k) std::memcpy(slot[k] + i, &s[k], bytes);
    std::memcpy(p + i, &x, bytes);
  }
}

// Elements [begin, end) of one parameter. Those of half and bfloat16 pass through float.
template <int Slots, class C, class Rule>
void update_range(const Update& u, std::int64_t begin, std::int64_t end, double grad_scale, const Rule& rule) {
  C* slot[max_slots] = {};
  for (int k = 0; k < Slots; ++k) slot[k] = static_cast<C*>(u.slot[k]) + begin;
  if (u.p->dtype == DType::float32 || u.p->dtype == DType::float64) {
    update_elements<Slots, C>(static_cast<C*>(u.p->data) + begin, static_cast<const C*>(u.g->data) + begin, slot, end - begin, C(grad_scale), rule);
    return;
  }
  constexpr std::int64_t stretch = 256;
  C p[stretch], g[stretch];
  for (; begin < end; begin += stretch) {
    const std::int64_t n = std::min(stretch, end - begin);
    char* at = static_cast<char*>(u.p->data) + 2 * begin;
    const char* from = static_cast<const char*>(u.g->data) + 2 * begin;
    for (std::int64_t i = 0; i < n; ++i) p[i] = C(widened(u.p->dtype, at + 2 * i)), g[i] = C(widened(u.p->dtype, from + 2 * i));
    update_elements<Slots, C>(p, g, slot, n, C(grad_scale), rule);
    for (std::int64_t i = 0; i < n; ++i) store_as(u.p->dtype, at + 2 * i, double(p[i]));
    for (int k = 0; k < Slots; ++k) slot[k] += n;
  }
}

// Updates all parameters by one rule. They are cut into chunks of one size for any number of threads.
template <RuleKind Kind>
void update_all(Updates& updates, const Numbers& numbers) {
  constexpr std::int64_t grain = 8192;
  constexpr int slots = RuleOf<Kind, double>::slots;
  std::int64_t total = 0, chunks = 0;
  const Update* before = nullptr;
  for (Update& u : updates) {
    const std::int64_t n = u.p->numel();
    total += n;
    u.first_chunk = chunks;
    chunks += (n + grain - 1) / grain;
    if (before && before->step == u.step) std::copy_n(before->rate, max_rates, u.rate);
    else RuleOf<Kind, double>::rates(numbers, double(u.step), u.rate);
    before = &u;
  }
  const double scale = updates.grad_scale;
  parallel_for(chunks, total >= parallel_threshold, [&](std::int64_t c) {
    // The last that begins at or before c. (Those without elements begin where the next one does.)
    const Update& u = *std::prev(std::upper_bound(updates.begin(), updates.end(), c, [](std::int64_t i, const Update& at) { return i < at.first_chunk; }));
    const std::int64_t begin = (c - u.first_chunk) * grain, end = std::min(u.p->numel(), begin + grain);
    if (u.p->dtype == DType::float64) update_range<slots, double>(u, begin, end, scale, RuleOf<Kind, double>(numbers, u.rate));
    else update_range<slots, float>(u, begin, end, scale, RuleOf<Kind, float>(numbers, u.rate));
  });
}

// A dense copy, or the tensor itself where it is dense.
inline Ref<TensorImpl> densely(const Ref<TensorImpl>& t) {
  return is_dense(*t) ? t : dense_clone(*t, t->dtype);
}

}  // namespace SINTER_ABI
}  // namespace optim
}  // namespace sinter
