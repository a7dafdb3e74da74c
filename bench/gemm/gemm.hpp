// SPDX-License-Identifier: MIT
// Matrix products as a share of what the processor can do: a loop of fused multiply-adds on registers alone, and the product,
// in turn. Each library's program defines product() and calls main_of(). Usage: gemm_NAME THREADS
#pragma once

#include <cstdio>
#include <cstdlib>

#include "../clock.hpp"
#include "../peers/inputs.hpp"

namespace bench {

#if defined(__AVX512F__)
constexpr int simd_width = 64;
#elif defined(__AVX__)
constexpr int simd_width = 32;
#else
constexpr int simd_width = 16;
#endif

// Operations of one thread in `rounds` rounds. Sixteen sums hide the latency of any multiply-add there is.
inline double multiply_add(long rounds) {
  typedef float V __attribute__((vector_size(simd_width)));
  constexpr int sums = 16, unrolled = 8;
  V acc[sums] = {};
  V x = V{} + 1e-3f, y = V{} + 0.999f;
  asm volatile("" : "+x"(x), "+x"(y));  // what the compiler does not know it cannot compute, nor once for several
  for (V& a : acc) asm volatile("" : "+x"(a));
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 8
    for (int u = 0; u < unrolled; ++u)
#pragma GCC unroll 16
      for (int i = 0; i < sums; ++i) acc[i] = acc[i] * y + x;
  }
  for (int i = 0; i < sums; ++i) asm volatile("" ::"x"(acc[i]));
  return 2.0 * sums * unrolled * (simd_width / sizeof(float)) * double(rounds);
}

// GFLOP/s of all threads together.
inline double peak_rate(int threads) {
  double flops = 0;
  const double start = now();
#pragma omp parallel for num_threads(threads) reduction(+ : flops)
  for (int t = 0; t < threads; ++t) flops += multiply_add(200000);
  return flops / (now() - start) / 1e9;
}

struct Sizes {
  int m, n, k;
};
constexpr Sizes sizes[] = {{64, 64, 64},       {128, 128, 128}, {256, 256, 256}, {512, 512, 512},  {1024, 1024, 1024}, {2048, 2048, 2048},
                           {63, 65, 67},       {100, 100, 100}, {257, 257, 257}, {1000, 999, 997}, {1, 1024, 1024},    {1024, 1, 1024},
                           {1024, 1024, 8},    {4096, 64, 64},  {64, 784, 256},  {16, 4096, 4096}};

// product(m, n, k, a, b, c): c = a b, all row-major.
template <class F>
int main_of(const char* library, int argc, char** argv, F product) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  for (const Sizes& s : sizes) {
    std::vector<float> a(std::size_t(s.m) * s.k), b(std::size_t(s.k) * s.n), c(std::size_t(s.m) * s.n);
    fill("a", a.data(), std::int64_t(a.size()));
    fill("b", b.data(), std::int64_t(b.size()));
    const double flops = 2.0 * s.m * s.n * s.k;
    const auto call = [&] { product(s.m, s.n, s.k, a.data(), b.data(), c.data()); };
    const double warm = now();
    do call();
    while (now() - warm < 0.05);
    const double once = now();
    call();
    const long calls = std::max(1L, long(0.02 / std::max(now() - once, 1e-7)));
    std::vector<double> peaks, rates;
    for (int round = 0; round < batches; ++round) {
      peaks.push_back(peak_rate(threads));
      call();  // the threads and the cache are the product's again
      const double start = now();
      for (long i = 0; i < calls; ++i) call();
      rates.push_back(flops * double(calls) / (now() - start) / 1e9);
    }
    Digest d;
    d.add(c.data(), std::int64_t(c.size()));
    std::printf("{\"library\": \"%s\", \"threads\": %d, \"m\": %d, \"n\": %d, \"k\": %d, \"gflops\": %.4g, \"peak_gflops\": %.4g, \"check\": [%.9g, %.9g]}\n",
                library, threads, s.m, s.n, s.k, median(rates), median(peaks), d.norm(), d.dot);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace bench
