// SPDX-License-Identifier: MIT
// The stand-in for CUDA itself: kernels come out right under every schedule, and planted bugs are caught.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdio>

#include "sinter/cuda/runtime.cuh"

using namespace sinter;
using shim::Schedule;

namespace {

constexpr Schedule schedules[] = {Schedule::forward, Schedule::reverse, Schedule::random};
struct WithSchedule {
  explicit WithSchedule(Schedule s) { shim::set_schedule(s); }
  ~WithSchedule() { shim::set_schedule(Schedule::forward); }
};
// Device memory with the host's view of it.
template <class T>
struct Array {
  std::size_t n;
  T* data;
  explicit Array(const std::vector<T>& h) : n(h.size()), data(static_cast<T*>(cuda_backend->allocate(0, n * sizeof(T)))) {
    cuda_backend->copy(data, 0, h.data(), -1, n * sizeof(T));
  }
  ~Array() { cuda_backend->deallocate(0, data, n * sizeof(T)); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  std::vector<T> host() const {
    std::vector<T> h(n);
    cuda_backend->copy(h.data(), -1, data, 0, n * sizeof(T));
    return h;
  }
};

// What a child process says on stderr while it does f and perhaps dies of it.
template <class F>
std::string last_words(F&& f) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    std::signal(SIGSEGV, SIG_DFL);
    dup2(ends[1], 2);
    f();
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char part[256];
  for (ssize_t n; (n = read(ends[0], part, sizeof part)) > 0;) text.append(part, std::size_t(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return status != 0 && text.empty() ? "died in silence" : text;
}

// The sum of n values by one block. Bug 1: a barrier is missing; 2: not all threads come to one; 3: it writes one too far;
// 4: shared memory is read that no one has written.
template <int Bug>
__global__ void sum_kernel(float* out, const float* x, int n) {
  SINTER_DYNAMIC_SHARED(float, part);
  const int t = int(threadIdx.x), lane = t % 32, warp = t / 32;
  float sum = 0;
  for (int i = t; i < n; i += int(blockDim.x)) sum += x[i];
  for (int by = 16; by > 0; by /= 2) sum += __shfl_xor_sync(~0u, sum, by);
  if (lane == 0 && !(Bug == 4 && warp == 1)) part[warp] = sum;
  if constexpr (Bug == 2) {
    if (t < 40) __syncthreads();
  } else if constexpr (Bug != 1) {
    __syncthreads();
  }
  if (t != 0) return;
  float total = 0;
  for (int w = 0; w < int(blockDim.x) / 32; ++w) total += part[w];
  out[Bug == 3 ? 1 : 0] = total;
}
template <int Bug>
float sum_of(const Array<float>& x) {
  const Array<float> out({0.f});
  SINTER_LAUNCH("sum", sum_kernel<Bug>, 1, 128, 16, out.data, x.data, int(x.n));
  return out.host()[0];
}

template <class T>
__global__ void words_kernel(T* out) {
  const int lane = int(threadIdx.x) % 32;
  const unsigned odd = __ballot_sync(~0u, lane & 1);
  T ok = odd == 0xaaaaaaaau;
  ok += __any_sync(~0u, lane == 7) && !__any_sync(~0u, lane == 99);
  ok += __all_sync(~0u, lane < 32) && !__all_sync(~0u, lane < 31);
  ok += __shfl_sync(~0u, lane, 5) == 5;
  ok += __shfl_down_sync(~0u, lane, 4) == (lane < 28 ? lane + 4 : lane);
  ok += __shfl_up_sync(~0u, lane, 4) == (lane >= 4 ? lane - 4 : lane);
  ok += __shfl_xor_sync(~0u, double(lane), 3) == double(lane ^ 3);
  ok += __shfl_down_sync(~0u, lane, 1, 8) == (lane % 8 < 7 ? lane + 1 : lane);
  const unsigned half = lane < 16 ? 0xffffu : 0xffff0000u;
  __syncwarp(half);
  ok += __shfl_xor_sync(half, lane, 1) == (lane ^ 1);
  ok += __syncthreads_count(lane == 0) == int(blockDim.x) / 32;
  ok += __popc(0xf0u) == 4 && __clz(1) == 31 && __umulhi(0x80000000u, 6u) == 3 && __ffs(8) == 4;
  out[blockIdx.x * blockDim.x + threadIdx.x] = ok;
}
template <class T>
__global__ void histogram_kernel(T* bins, int* last) {
  __shared__ T here[4];
  if (threadIdx.x < 4) here[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(&here[threadIdx.x % 3], T(1));
  __syncthreads();
  if (threadIdx.x < 4) atomicAdd(&bins[threadIdx.x], here[threadIdx.x]);
  atomicMax(last, int(blockIdx.x * blockDim.x + threadIdx.x));
}
// Keeps its neighbour's value without any barrier.
template <class T>
__global__ void racy_kernel(T* x) {
  const int t = int(threadIdx.x);
  x[t] += x[(t + 1) % int(blockDim.x)];
}
template <class T>
__global__ void shift_kernel(T* out, const T* x) {
  *reinterpret_cast<float4*>(out + 4 * threadIdx.x) = *reinterpret_cast<const float4*>(x + 4 * threadIdx.x);
}

}  // namespace

TEST_CASE("cuda shim: results do not depend on the schedule") {
  std::vector<float> h(1003);
  for (std::size_t i = 0; i < h.size(); ++i) h[i] = float(i % 17);
  float expected = 0;
  for (float v : h) expected += v;
  const Array<float> x(h);
  for (Schedule s : schedules) {
    const WithSchedule with(s);
    CHECK(sum_of<0>(x) == expected);

    const Array<int> ok(std::vector<int>(3 * 96, 0));
    SINTER_LAUNCH("words", words_kernel<int>, 3, 96, 0, ok.data);
    CHECK(ok.host() == std::vector<int>(3 * 96, 11));

    const Array<unsigned> bins({0u, 0u, 0u, 0u});
    const Array<int> last({-1});
    SINTER_LAUNCH("histogram", histogram_kernel<unsigned>, 5, 30, 0, bins.data, last.data);
    CHECK(bins.host() == std::vector<unsigned>{50, 50, 50, 0});
    CHECK(last.host()[0] == 149);

    const Array<float> moved(std::vector<float>(64, 0.f));
    SINTER_LAUNCH("shift", shift_kernel<float>, 1, 16, 0, moved.data, x.data);
    CHECK(moved.host() == std::vector<float>(h.begin(), h.begin() + 64));
  }
}

TEST_CASE("cuda shim: threads that never wait share a stack") {
  if (shim::under_tsan) return;
  const Array<float> x(std::vector<float>(64, 1.f)), out(std::vector<float>(64, 1.f));
  const long before = shim::runner.switches;
  SINTER_LAUNCH("shift", shift_kernel<float>, 1, 16, 0, out.data, x.data);
  CHECK(shim::runner.switches == before);
}

TEST_CASE("cuda shim: a race shows as a result that depends on the schedule") {
  if (shim::under_tsan) return;  // see below
  std::vector<float> h(1003, 1.f);
  const Array<float> x(h);
  bool differs = false;
  for (Schedule s : schedules) {
    const WithSchedule with(s);
    const float sum = sum_of<1>(x);
    differs = differs || !(sum == 1003);
  }
  CHECK(differs);
  std::vector<float> first;
  differs = false;
  for (Schedule s : schedules) {
    const WithSchedule with(s);
    const Array<float> y(std::vector<float>(h.begin(), h.begin() + 64));
    SINTER_LAUNCH("racy", racy_kernel<float>, 1, 64, 0, y.data);
    if (first.empty()) first = y.host();
    differs = differs || first != y.host();
  }
  CHECK(differs);
}

TEST_CASE("cuda shim: what ThreadSanitizer sees of a race") {
  if (!shim::under_tsan) return;
  const Array<float> x(std::vector<float>(1003, 1.f));
  CHECK(last_words([&] { sum_of<0>(x); }) == "");
  CHECK_THAT(last_words([&] { sum_of<1>(x); }), Catch::Contains("data race") && Catch::Contains("sum_kernel"));
  const Array<float> y(std::vector<float>(64, 1.f));
  CHECK_THAT(last_words([&] { SINTER_LAUNCH("racy", racy_kernel<float>, 1, 64, 0, y.data); }), Catch::Contains("data race"));
}

TEST_CASE("cuda shim: barriers, overruns and unwritten shared memory") {
  const Array<float> x(std::vector<float>(1003, 1.f));
  CHECK_THAT(last_words([&] { sum_of<2>(x); }), Catch::Contains("cuda shim: sum: __syncthreads is not reached by all threads"));
  const std::string overrun = last_words([&] { sum_of<3>(x); });
#if defined(SHIM_ASAN)
  CHECK_THAT(overrun, Catch::Contains("AddressSanitizer"));
#else
  CHECK_THAT(overrun, Catch::Contains("cuda shim: sum wrote at byte 4 of a block of 4 bytes"));
#endif
  const float unwritten = sum_of<4>(x);
  CHECK(unwritten != unwritten);
}

TEST_CASE("cuda shim: fresh memory is no one's") {
  const Array<float> out({0.f});
  float* x = static_cast<float*>(cuda_backend->allocate(0, 64 * 4));
  SINTER_LAUNCH("sum", sum_kernel<0>, 1, 128, 16, out.data, x, 64);
  const float sum = out.host()[0];
  CHECK(sum != sum);
  cuda_backend->deallocate(0, x, 64 * 4);
}
