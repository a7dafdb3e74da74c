// SPDX-License-Identifier: MIT
// A step of an optimizer over all parameters at once, and the norm of their gradients. The arithmetic is device/optim.hpp's.
#pragma once

#include <cstring>

#include "sinter/cuda/runtime.cuh"
#include "sinter/device/optim.hpp"

namespace sinter {
namespace cuda {

using optim::DeviceNorm;
using optim::DeviceNormEnd;
using optim::DeviceParameter;
using optim::DeviceUpdate;
using optim::Numbers;
using optim::RuleKind;

constexpr int optim_threads = 256;

// V elements in memory, and as they are computed with.
template <class T, int V>
struct alignas(sizeof(T) * V) OptimPack {
  T at[V];
};
template <int V, class T, class C>
__device__ __forceinline__ void optim_load(const T* from, C (&to)[V]) {
  const OptimPack<T, V> pack = *reinterpret_cast<const OptimPack<T, V>*>(from);
#pragma unroll
  for (int v = 0; v < V; ++v) to[v] = C(pack.at[v]);
}
template <int V, class T, class C>
__device__ __forceinline__ void optim_store(T* to, const C (&from)[V]) {
  OptimPack<T, V> pack;
#pragma unroll
  for (int v = 0; v < V; ++v) pack.at[v] = T(from[v]);
  *reinterpret_cast<OptimPack<T, V>*>(to) = pack;
}

// The parameter to which a chunk belongs: the last that begins at or before it. All threads of a warp take part.
__device__ __forceinline__ int find_parameter(const DeviceParameter* parameters, int count, std::int64_t chunk) {
  int low = 0, high = count;
  while (high - low > 1) {
    const int step = (high - low + 31) / 32, i = low + int(threadIdx.x % 32) * step;
    const unsigned before = __ballot_sync(0xffffffffu, i < high && parameters[i].first_chunk <= chunk);
    low += (__popc(before) - 1) * step;
    high = low + step < high ? low + step : high;
  }
  return low;
}

// ---- The step

// Counts every parameter's step, and computes what of its rule depends on it.
template <class Rule>
__global__ void __launch_bounds__(optim_threads) optim_prepare_kernel(const DeviceParameter* parameters, int count, const Numbers* numbers,
                                                                      std::int64_t* steps, double* rates) {
  const int i = int(blockIdx.x) * optim_threads + int(threadIdx.x);
  if (i >= count) return;
  const DeviceParameter& p = parameters[i];
  double rate[optim::max_rates] = {};
  if (steps) Rule::rates(numbers[p.group], double(++steps[p.index]), rate);
  for (int k = 0; k < optim::max_rates; ++k) rates[i * optim::max_rates + k] = rate[k];
}

// n elements, or a whole pack.
template <int V, class T, class C>
__device__ __forceinline__ void optim_load(const T* from, C (&to)[V], bool whole, int n) {
  if (whole) return optim_load(from, to);
#pragma unroll
  for (int v = 0; v < V; ++v) to[v] = v < n ? C(from[v]) : C(0);
}
template <int V, class T, class C>
__device__ __forceinline__ void optim_store(T* to, const C (&from)[V], bool whole, int n) {
  if (whole) return optim_store(to, from);
#pragma unroll
  for (int v = 0; v < V; ++v)
    if (v < n) to[v] = T(from[v]);
}

// Elements [begin, end) of a parameter of T. Those of half and bfloat16 may have a master copy.
template <class T, class C, class Rule>
__device__ __forceinline__ void optim_chunk(const DeviceParameter& at, std::int64_t begin, std::int64_t end, C scale, const Rule& rule) {
#if SINTER_DEVICE_CODE
  constexpr int V = 16 / int(sizeof(C)), slots = Rule::slots;
  for (std::int64_t i = begin + std::int64_t(threadIdx.x) * V; i < end; i += optim_threads * V) {
    const int n = end - i < V ? int(end - i) : V;
    const bool whole = at.aligned && n == V, has_master = sizeof(T) < sizeof(C) && at.master;
    C p[V], g[V], master[V], s[slots > 0 ? slots : 1][V];
    optim_load(static_cast<const T*>(at.p) + i, p, whole, n);
    optim_load(static_cast<const T*>(at.g) + i, g, whole, n);
#pragma unroll
    for (int k = 0; k < slots; ++k) optim_load(static_cast<const C*>(at.slot[k]) + i, s[k], whole, n);
    if (has_master) optim_load(static_cast<const C*>(at.master) + i, master, whole, n);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      if constexpr (sizeof(T) < sizeof(C))
        if (has_master && T(master[v]).bits == T(p[v]).bits) p[v] = master[v];
      C of[slots > 0 ? slots : 1];
#pragma unroll
      for (int k = 0; k < slots; ++k) of[k] = s[k][v];
      rule(p[v], g[v] * scale, of);
#pragma unroll
      for (int k = 0; k < slots; ++k) s[k][v] = of[k];
    }
#pragma unroll
    for (int k = 0; k < slots; ++k) optim_store(static_cast<C*>(at.slot[k]) + i, s[k], whole, n);
    if (has_master) optim_store(static_cast<C*>(at.master) + i, p, whole, n);
    optim_store(static_cast<T*>(at.p) + i, p, whole, n);
  }
#endif
}

template <class Rule, class C>
__global__ void __launch_bounds__(optim_threads) optim_update_kernel(const DeviceParameter* parameters, int count, const Numbers* numbers,
                                                                     const double* rates, const double* factor) {
  const int which = find_parameter(parameters, count, blockIdx.x);
  const DeviceParameter at = parameters[which];
  const Rule rule(numbers[at.group], rates + which * optim::max_rates);
  const C scale = factor ? C(*factor) : C(1);
  const std::int64_t begin = (std::int64_t(blockIdx.x) - at.first_chunk) * DeviceParameter::chunk;
  const std::int64_t end = begin + DeviceParameter::chunk < at.n ? begin + DeviceParameter::chunk : at.n;
  if constexpr (sizeof(C) == 8) optim_chunk<double>(at, begin, end, scale, rule);
  else if (at.dtype == DType::float32) optim_chunk<float>(at, begin, end, scale, rule);
  else if (at.dtype == DType::bfloat16) optim_chunk<bfloat16>(at, begin, end, scale, rule);
  else optim_chunk<half>(at, begin, end, scale, rule);
}

template <RuleKind Kind, class C>
void launch_update(const DeviceUpdate& u) {
  using Rule = optim::RuleOf<Kind, C>;
  SINTER_LAUNCH("optimizer step", (optim_prepare_kernel<optim::RuleOf<Kind, double>>), (u.count + optim_threads - 1) / optim_threads, optim_threads, 0,
                u.parameters, u.count, u.numbers, u.steps, u.rates);
  if (u.chunks == 0) return;
  SINTER_LAUNCH("optimizer step", (optim_update_kernel<Rule, C>), unsigned(u.chunks), optim_threads, 0, u.parameters, u.count, u.numbers,
                static_cast<const double*>(u.rates), u.factor);
}
template <RuleKind Kind>
void launch_update(const DeviceUpdate& u) {
  if (u.wide) launch_update<Kind, double>(u);
  else launch_update<Kind, float>(u);
}
inline void update_parameters(const DeviceUpdate& u) {
  const DeviceGuard guard(u.device);
  using k = RuleKind;
  switch (u.kind) {
    case k::sgd: return launch_update<k::sgd>(u);
    case k::momentum: return launch_update<k::momentum>(u);
    case k::nesterov: return launch_update<k::nesterov>(u);
    case k::adam: return launch_update<k::adam>(u);
    case k::adam_amsgrad: return launch_update<k::adam_amsgrad>(u);
    case k::adamw: return launch_update<k::adamw>(u);
    case k::adamw_amsgrad: return launch_update<k::adamw_amsgrad>(u);
    case k::rmsprop: return launch_update<k::rmsprop>(u);
    case k::rmsprop_momentum: return launch_update<k::rmsprop_momentum>(u);
    case k::rmsprop_centered: return launch_update<k::rmsprop_centered>(u);
    case k::rmsprop_centered_momentum: return launch_update<k::rmsprop_centered_momentum>(u);
    case k::adagrad: return launch_update<k::adagrad>(u);
    case k::scale: return launch_update<k::scale>(u);
    case k::clamp: return launch_update<k::clamp>(u);
  }
}

// ---- The norm

enum class NormKind { sum_of_squares, sum, count, largest, power };

template <NormKind Kind>
__device__ __forceinline__ double norm_term(double x, double p) {
  if constexpr (Kind == NormKind::sum_of_squares) return x * x;
  else if constexpr (Kind == NormKind::count) return x != 0 ? 1 : 0;
  else if constexpr (Kind == NormKind::power) return ::pow(::fabs(x), p);
  else return ::fabs(x);
}
// A NaN stays.
template <NormKind Kind>
__device__ __forceinline__ double norm_add(double a, double b) {
  if constexpr (Kind == NormKind::largest) return b > a || b != b ? b : a;
  else return a + b;
}
// A block's terms together, in an order of their own; for thread 0.
template <NormKind Kind>
__device__ __forceinline__ double norm_block(double x) {
  __shared__ double of_warp[optim_threads / 32];
#pragma unroll
  for (int d = 16; d > 0; d /= 2) x = norm_add<Kind>(x, __shfl_down_sync(0xffffffffu, x, d));
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = x;
  __syncthreads();
  if (threadIdx.x == 0)
    for (int w = 1; w < optim_threads / 32; ++w) x = norm_add<Kind>(x, of_warp[w]);
  return x;
}

// Threads take the same elements whether these are loaded one by one or in packs.
template <NormKind Kind, class T>
__device__ __forceinline__ double norm_chunk(const DeviceParameter& at, std::int64_t begin, std::int64_t end, double p) {
  constexpr int V = 16 / int(sizeof(T));
  const T* x = static_cast<const T*>(at.g);
  double total = 0;
  for (std::int64_t i = begin + std::int64_t(threadIdx.x) * V; i < end; i += optim_threads * V) {
    double of[V];
    if (at.aligned && i + V <= end) {
      optim_load(x + i, of);
    } else {
#pragma unroll
      for (int v = 0; v < V; ++v) of[v] = i + v < end ? double(x[i + v]) : 0.0;
    }
#pragma unroll
    for (int v = 0; v < V; ++v) total = norm_add<Kind>(total, norm_term<Kind>(of[v], p));
  }
  return total;
}

template <NormKind Kind>
__global__ void __launch_bounds__(optim_threads) norm_terms_kernel(const DeviceParameter* parameters, int count, double p, double* terms) {
  const DeviceParameter at = parameters[find_parameter(parameters, count, blockIdx.x)];
  const std::int64_t begin = (std::int64_t(blockIdx.x) - at.first_chunk) * DeviceParameter::chunk;
  const std::int64_t end = begin + DeviceParameter::chunk < at.n ? begin + DeviceParameter::chunk : at.n;
  double total;
  switch (at.dtype) {
    case DType::float64: total = norm_chunk<Kind, double>(at, begin, end, p); break;
    case DType::float16: total = norm_chunk<Kind, half>(at, begin, end, p); break;
    case DType::bfloat16: total = norm_chunk<Kind, bfloat16>(at, begin, end, p); break;
    default: total = norm_chunk<Kind, float>(at, begin, end, p);
  }
  total = norm_block<Kind>(total);
  if (threadIdx.x == 0) terms[blockIdx.x] = total;
}

template <NormKind Kind>
__global__ void __launch_bounds__(optim_threads) norm_end_kernel(const double* terms, std::int64_t count, double p, double max_norm,
                                                                 double* result) {
  double total = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += optim_threads) total = norm_add<Kind>(total, terms[i]);
  total = norm_block<Kind>(total);
  if (threadIdx.x != 0) return;
  if (Kind == NormKind::sum_of_squares) total = ::sqrt(total);
  if (Kind == NormKind::power) total = ::pow(total, 1 / p);
  const double factor = max_norm / (total + 1e-6);
  result[0] = total;
  result[1] = factor >= 1 ? 1 : factor;
}

// f(integral constant of the kind)
template <class F>
void for_norm(double p, F f) {
  if (p == 2) f(std::integral_constant<NormKind, NormKind::sum_of_squares>());
  else if (p == 1) f(std::integral_constant<NormKind, NormKind::sum>());
  else if (p == 0) f(std::integral_constant<NormKind, NormKind::count>());
  else if (std::isinf(p)) f(std::integral_constant<NormKind, NormKind::largest>());
  else f(std::integral_constant<NormKind, NormKind::power>());
}
inline void norm_terms(const DeviceNorm& n) {
  if (n.chunks == 0) return;
  const DeviceGuard guard(n.device);
  for_norm(n.p, [&](auto kind) {
    SINTER_LAUNCH("gradient norm", (norm_terms_kernel<decltype(kind)::value>), unsigned(n.chunks), optim_threads, 0, n.parameters, n.count, n.p, n.terms);
  });
}
inline void norm_end(const DeviceNormEnd& n) {
  const DeviceGuard guard(n.device);
  for_norm(n.p, [&](auto kind) {
    SINTER_LAUNCH("gradient norm", (norm_end_kernel<decltype(kind)::value>), 1, optim_threads, 0, n.terms, n.count, n.p, n.max_norm, n.result);
  });
}

// ---- Few bytes from the host

template <int Count>
struct Words {
  std::uint64_t at[Count];
};
template <int Count>
__global__ void __launch_bounds__(optim_threads) write_words_kernel(std::uint64_t* to, int count, Words<Count> words) {
  for (int i = int(threadIdx.x); i < count; i += optim_threads) to[i] = words.at[i];
}
inline void write_words(int device, void* to, const void* from, std::size_t bytes) {
  constexpr int most = 448;  // a kernel takes 4 KiB of arguments everywhere
  auto* at = static_cast<std::uint64_t*>(to);
  const DeviceGuard guard(device);
  for (std::size_t done = 0; done < bytes;) {
    Words<most> words;
    const std::size_t part = bytes - done < sizeof(words) ? bytes - done : sizeof(words);
    std::memcpy(&words, static_cast<const char*>(from) + done, part);
    SINTER_LAUNCH("optimizer", (write_words_kernel<most>), 1, optim_threads, 0, at + done / 8, int(part / 8), words);
    done += part;
  }
}

inline const bool optim_registered = optim::update_on_device.set(update_parameters) && optim::norm_terms_on_device.set(norm_terms) &&
                                     optim::norm_end_on_device.set(norm_end) && optim::write_on_device.set(write_words) && optim::captured_on_device.set(is_recording);

}  // namespace cuda
}  // namespace sinter
