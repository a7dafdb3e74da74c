// SPDX-License-Identifier: MIT
// The clock of every C++ program here; bench/peers/common.py has the same in Python.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

namespace bench {

// Seconds. With SINTER_BENCH_CLOCK=cpu those that this process computed: for one thread on a machine that has other work, too.
inline double now() {
  static const char* kind = std::getenv("SINTER_BENCH_CLOCK");
  static const bool cpu = kind && std::string(kind) == "cpu";
  if (cpu) {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

inline int batches = 9;  // main.cpp takes fewer for --growth, whose steps take seconds
constexpr double warm_up_s = 0.3, batch_s = 0.06;
inline void (*finish)() = nullptr;  // waits for what calls have left to a device; ends a batch

// The median over batches of the time of one call. A batch has as many calls as make it long enough for the clock;
// restart() comes before each batch of 20 or more, outside of what is timed.
template <class F, class G>
double milliseconds(F&& call, G&& restart) {
  const auto batch = [&](long n) {
    const double start = now();
    for (long i = 0; i < n; ++i) call();
    if (finish) finish();
    return now() - start;
  };
  const double begin = now();
  do batch(1);
  while (now() - begin < warm_up_s);
  long calls = 1;
  double took = 0;
  while ((took = batch(calls)) < batch_s / 2) calls *= 2;
  calls = std::max(1L, long(double(calls) * batch_s / took + 0.999));
  std::vector<double> times;
  for (int b = 0; b < batches; ++b) {
    if (calls >= 20) restart();
    times.push_back(batch(calls) / double(calls) * 1e3);
  }
  return median(times);
}

// The most memory that this process ever had resident. Not getrusage(): its figure begins with that of the process that
// started this one.
inline double peak_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "VmHWM:") {
      double kb = 0;
      status >> kb;
      return kb / 1024;
    }
  return 0;
}

}  // namespace bench
