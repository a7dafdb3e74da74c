// SPDX-License-Identifier: MIT
// What fusion buys: one pass against the same ops one by one, and a chain against the memory's bandwidth (STREAM's triad,
// measured in the same run). Prints a Markdown table. Usage: bench_fused [THREADS...], by default 1 and 2.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sinter/sinter.hpp>
#include <vector>

using namespace sinter;

// The median of nine runs after one that warms up, in milliseconds.
template <class F>
double milliseconds(F&& f) {
  f();
  std::vector<double> times;
  for (int i = 0; i < 9; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// gelu_tanh(x * a + b) * c with four gradients, in one statement and in many.
void gradients(int threads) {
  Tensor<float, 2> x = randn({4096, 1024}), g = randn({4096, 1024});
  Tensor<float, 1> a = randn({1024}), b = randn({1024}), c = randn({1024});
  x.requires_grad_(), a.requires_grad_(), b.requires_grad_(), c.requires_grad_();
  const auto clear = [&] { x.set_grad({}), a.set_grad({}), b.set_grad({}), c.set_grad({}); };
  const double fused = milliseconds([&] {
    clear();
    Tensor y = gelu_tanh(x * a + b) * c;
    y.backward(g);
  });
  const double by_op = milliseconds([&] {
    clear();
    Tensor t = x * a;
    Tensor u = t + b;
    Tensor v = gelu_tanh(u);
    Tensor y = v * c;
    y.backward(g);
  });
  const double by_primitive = milliseconds([&] {
    clear();
    Tensor t = x * a;
    Tensor u = t + b;
    Tensor u2 = u * u;
    Tensor u3 = u2 * u;
    Tensor k = u3 * 0.044715f;
    Tensor l = u + k;
    Tensor m = l * 0.7978845608f;
    Tensor n = tanh(m);
    Tensor o = n + 1;
    Tensor p = o * u;
    Tensor v = p * 0.5f;
    Tensor y = v * c;
    y.backward(g);
  });
  std::printf("| gelu_tanh(x*a+b)*c, 4096x1024, forward and backward | %d | %.2f ms | its 4 ops one by one %.2f ms: %.2f times | gelu_tanh as sums, "
              "products and tanh %.2f ms: %.2f times |\n",
              threads, fused, by_op, by_op / fused, by_primitive, by_primitive / fused);
}

void bandwidth(int threads) {
  NoGradGuard no_grad;
  constexpr std::int64_t n = 1 << 24;
  Tensor<float, 1> p = randn({n}), q = randn({n}), r = empty({n});
  const double triad = milliseconds([&] {
    const float *from = p.data(), *other = q.data();
    float* to = r.data();
    parallel_for(threads, true, [=](std::int64_t t) {
      for (std::int64_t i = n * t / threads; i < n * (t + 1) / threads; ++i) to[i] = from[i] + 1.5f * other[i];
    });
  });
  const double peak = 12.0 * double(n) / triad / 1e6;
  const auto report = [&](const char* what, double bytes, double ms) {
    const double rate = bytes * double(n) / ms / 1e6;
    std::printf("| %s, 2^24 | %d | %.2f ms | %.1f GB/s | %.0f %% of triad (%.1f GB/s) |\n", what, threads, ms, rate, 100 * rate / peak, peak);
  };
  report("x*1.5+0.5", 8, milliseconds([&] { Tensor y = p * 1.5f + 0.5f; }));
  report("p+q*1.5", 12, milliseconds([&] { Tensor y = p + q * 1.5f; }));
  report("tanh(x*1.5+0.5)*x", 8, milliseconds([&] { Tensor y = tanh(p * 1.5f + 0.5f) * p; }));
}

int main(int argc, char** argv) {
  std::vector<int> threads;
  for (int i = 1; i < argc; ++i) threads.push_back(std::atoi(argv[i]));
  if (threads.empty()) threads = {1, 2};
  std::printf("| what | threads | time | | |\n| --- | --- | --- | --- | --- |\n");
  for (const int t : threads) {
    set_num_threads(t);
    gradients(get_num_threads());
    bandwidth(get_num_threads());
  }
}
