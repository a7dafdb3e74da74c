// SPDX-License-Identifier: MIT
// Loops over threads: OpenMP with static partitions. How work is cut never depends on the number of threads, so that
// results do not either.
#pragma once

#include <cstdint>
#if defined(_OPENMP)
#include <omp.h>
#endif

namespace sinter {

inline int& thread_limit() {
#if defined(_OPENMP)
  static int limit = omp_get_max_threads();
#else
  static int limit = 1;
#endif
  return limit;
}
// The number of threads that kernels may use.
inline int get_num_threads() { return thread_limit(); }
inline void set_num_threads(int n) { thread_limit() = n < 1 ? 1 : n; }

// Below this many elements of elementwise work a second thread costs more than it saves.
inline constexpr std::int64_t parallel_threshold = 32768;

// f(i) for i in [0, n), on several threads when `wide` says that it pays. f must not throw.
template <class F>
void parallel_for(std::int64_t n, bool wide, F&& f) {
#if defined(_OPENMP)
  const int threads = get_num_threads();
  if (wide && threads > 1 && n > 1 && !omp_in_parallel()) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (std::int64_t i = 0; i < n; ++i) f(i);
    return;
  }
#endif
  (void)wide;
  for (std::int64_t i = 0; i < n; ++i) f(i);
}

}  // namespace sinter
