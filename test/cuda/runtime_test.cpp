// SPDX-License-Identifier: MIT
// kernels/sinter/cuda/runtime.cuh on the fake devices: allocator, streams, copies, pinned memory, graphs.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <thread>

#include "sinter/cuda/runtime.cuh"

using namespace sinter;
using Catch::Contains;

namespace {

const Backend& cuda_device() { return *cuda_backend; }

// Blocks are cached as on a real device, from an empty cache to an empty cache.
struct Cached {
  Cached() { cuda::exact_blocks = false; }
  ~Cached() {
    for (int i = 0; i < 2; ++i) cuda_backend->release_cache(i);
    cuda::exact_blocks = true;
  }
};
// Another stream for this thread on device 0.
struct OnStream {
  OnStream() : mine(cuda_backend->create_stream(0)), before(cuda_backend->exchange_stream(0, mine)) {}
  ~OnStream() {
    cuda_backend->exchange_stream(0, before);
    cuda_backend->destroy_stream(mine);
  }
  void *mine, *before;
};
template <class F>
int signal_of(F&& f) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);
    std::signal(SIGABRT, SIG_DFL);
    std::freopen("/dev/null", "w", stderr);
    f();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) ? -WEXITSTATUS(status) : 0;
}
template <class F>
std::string message_of_error(F&& f) {
  try {
    f();
  } catch (const DeviceError& e) {
    return e.what();
  }
  return "nothing was thrown";
}

template <class T>
__global__ void scale_kernel(T* x, T by, int n) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) x[i] *= by;
}
void scale(float* x, float by, int n) { SINTER_LAUNCH("scale", scale_kernel<float>, unsigned((n + 31) / 32), 32, 0, x, by, n); }

}  // namespace

TEST_CASE("cuda runtime: devices") {
  CHECK(cuda_device().device_count() == 2);
  CHECK(std::string(cuda_device().name(1)) == "fake device 1");
  CHECK(cuda::multiprocessors() > 0);
  CHECK(cuda_device().exchange_device(1) == 0);
  CHECK(cuda::current_device() == 1);
  std::thread([] { CHECK(cuda::current_device() == 0); }).join();
  CHECK(cuda_device().exchange_device(0) == 1);
  {
    const cuda::DeviceGuard guard(1);
    CHECK(cuda::current_device() == 1);
  }
  CHECK(cuda::current_device() == 0);
  CHECK_THROWS_WITH(backend_of("empty", Device::cuda(2)), "empty: no cuda:2: there are 2 CUDA devices here");
  CHECK_THROWS_WITH(cuda_device().exchange_device(7), Contains("cudaErrorInvalidDevice"));
}

TEST_CASE("cuda runtime: size classes hold what they promise") {
  std::size_t last = 0;
  for (int c = 0; c < cuda::small_classes; ++c) {
    const std::size_t bytes = cuda::small_bytes(c);
    CHECK(bytes > last);
    CHECK(bytes % 256 == 0);
    CHECK(cuda::small_class(bytes) == c);
    CHECK(cuda::small_class(last + 1) == c);
    last = bytes;
  }
  CHECK(last == cuda::small_limit);
}

TEST_CASE("cuda runtime: freed blocks are handed out again without the driver") {
  const Cached cached;
  const Backend& b = cuda_device();
  const DeviceMemory others = b.memory(0);  // what other tests left to the library
  for (std::size_t bytes : {1u, 512u, 5000u, 1u << 20, (1u << 20) + 1, 50u << 20}) {
    void* p = b.allocate(0, bytes);
    void* q = b.allocate(0, bytes);
    CHECK(p != q);
    CHECK(reinterpret_cast<std::uintptr_t>(p) % 256 == 0);
    b.deallocate(0, p, bytes);
    const long before = shim::mallocs;
    void* again = b.allocate(0, bytes);
    CHECK(again == p);
    CHECK(shim::mallocs == before);
    b.deallocate(0, again, bytes);
    b.deallocate(0, q, bytes);
  }
  CHECK(b.allocate(0, 0) == nullptr);
  b.deallocate(0, nullptr, 0);

  const DeviceMemory before = b.memory(0);
  CHECK(before.allocated == others.allocated);
  CHECK(before.reserved > 0);
  CHECK(before.peak >= 100 << 20);
  void* kept = b.allocate(0, 700);
  b.release_cache(0);
  CHECK(b.memory(0).reserved == others.reserved + (2 << 20));  // the slab of what is in use
  CHECK(b.memory(0).allocated == others.allocated + 700);
  b.deallocate(0, kept, 700);
  b.release_cache(0);
  CHECK(b.memory(0).reserved == others.reserved);
  CHECK(b.memory(0).free == b.memory(0).total - others.reserved);
}

TEST_CASE("cuda runtime: a hit takes well under a microsecond") {
  const Cached cached;
  const Backend& b = cuda_device();
  double best = 1e9;
  for (int round = 0; round < 20; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 1000; ++i) b.deallocate(0, b.allocate(0, 1000), 1000);
    best = std::min(best, std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() / 1000);
  }
  INFO(best << " ns for a pair");
#if !defined(SHIM_ASAN) && !defined(SHIM_TSAN)
  CHECK(best < 1000);
#endif
}

TEST_CASE("cuda runtime: out of memory") {
  const Cached cached;
  const Backend& b = cuda_device();
  const std::int64_t others = b.memory(0).allocated;
  shim::set_memory(0, 64 << 20);
  void* p = b.allocate(0, 20 << 20);
  b.deallocate(0, b.allocate(0, 30 << 20), 30 << 20);  // cached
  void* q = b.allocate(0, 40 << 20);                   // for which the cache has to give way
  CHECK(b.memory(0).reserved == others + (60 << 20));
  b.deallocate(0, q, 40 << 20);
  CHECK(message_of_error([&] { b.allocate(0, 100 << 20); }) ==
        "cuda:0: out of memory: asked for 104857600 bytes, " + std::to_string(20971520 + others) + " held by tensors, 0 cached, " +
            std::to_string(46137344 - others) + " free of 67108864");
  CHECK(cudaPeekAtLastError() == cudaSuccess);
  q = b.allocate(0, 40 << 20);  // all is well afterwards
  b.deallocate(0, q, 40 << 20);
  b.deallocate(0, p, 20 << 20);
  shim::set_memory(0, std::size_t(8) << 30);
  CHECK_THROWS_AS(b.allocate(0, std::size_t(-1)), DeviceError);
}

TEST_CASE("cuda runtime: memory is reused in the order of its own stream") {
  const Cached cached;
  const Backend& b = cuda_device();
  void* p = b.allocate(0, 4096);
  {
    const OnStream other;
    void* q = b.allocate(0, 4096);
    CHECK(q != p);
    b.deallocate(0, q, 4096);
    CHECK(b.allocate(0, 4096) == q);
    b.deallocate(0, q, 4096);

    b.deallocate(0, p, 4096);  // this stream may have work with it under way
  }
  cuda::DeviceState& d = cuda::state_of(0);
  REQUIRE(d.waiting.size() == 1);
  shim::unfinished.insert(d.waiting[0].passed);
  void* r = b.allocate(0, 4096);
  CHECK(r != p);
  shim::unfinished.clear();
  CHECK(b.allocate(0, 4096) == p);
  CHECK(d.waiting.empty());
  b.deallocate(0, p, 4096);
  b.deallocate(0, r, 4096);
  std::thread([&] { CHECK(b.allocate(0, 4096) == r); }).join();  // threads begin on the common stream
  b.deallocate(0, r, 4096);
}

TEST_CASE("cuda runtime: the host cannot touch a device's memory, and blocks end where they end") {
  const Backend& b = cuda_device();
  float* x = static_cast<float*>(b.allocate(0, 40));
  b.fill(0, x, 0, 40);
  CHECK(signal_of([&] { volatile float y = x[0]; (void)y; }) != 0);
  CHECK(signal_of([&] { x[1] = 1; }) != 0);
  CHECK(signal_of([&] { scale(x, 2, 10); }) == 0);
  CHECK(signal_of([&] { scale(x, 2, 11); }) != 0);  // one too many
  float* elsewhere = static_cast<float*>(b.allocate(1, 40));
  CHECK(signal_of([&] { scale(elsewhere, 2, 10); }) != 0);  // of the other device
  b.deallocate(1, elsewhere, 40);
  b.deallocate(0, x, 40);
  CHECK(signal_of([&] { scale(x, 2, 10); }) != 0);  // after its end
}

TEST_CASE("cuda runtime: copies") {
  const Backend& b = cuda_device();
  std::vector<float> h(1001), back(1001, -1.f);
  std::iota(h.begin(), h.end(), 0.f);
  const std::size_t bytes = h.size() * 4;
  void *p = b.allocate(0, bytes), *q = b.allocate(0, bytes), *r = b.allocate(1, bytes);
  b.copy(p, 0, h.data(), -1, bytes);
  b.copy(q, 0, p, 0, bytes);
  b.copy(r, 1, q, 0, bytes);
  b.copy(back.data(), -1, r, 1, bytes);
  CHECK(back == h);
  b.fill(1, r, 0, 400);
  b.copy(back.data(), -1, r, 1, bytes);
  CHECK(back[99] == 0);
  CHECK(back[100] == 100);
  b.copy(nullptr, 0, nullptr, -1, 0);
  CHECK_THROWS_WITH(b.copy(h.data(), 0, p, 0, bytes), Contains("copy: invalid argument"));

  float* pinned = static_cast<float*>(b.allocate_pinned(bytes));
  std::copy(h.begin(), h.end(), pinned);
  b.copy(q, 0, pinned, -1, bytes);
  b.free_pinned(pinned);  // the copy may be under way
  shim::unfinished.insert(cuda::Pinned::all().waiting.at(0).passed.at(0));
  void* other = b.allocate_pinned(bytes);
  CHECK(other != pinned);
  shim::unfinished.clear();
  CHECK(b.allocate_pinned(bytes) == pinned);
  b.free_pinned(pinned);
  b.free_pinned(other);
  b.copy(back.data(), -1, q, 0, bytes);
  CHECK(back == h);
  b.deallocate(0, p, bytes), b.deallocate(0, q, bytes), b.deallocate(1, r, bytes);
}

TEST_CASE("cuda runtime: kernels that cannot start name themselves") {
  const Backend& b = cuda_device();
  float* x = static_cast<float*>(b.allocate(0, 4));
  const long before = shim::launches;
  scale(x, 2, 0);  // an empty grid is no work
  CHECK(shim::launches == before);
  CHECK(message_of_error([&] { SINTER_LAUNCH("scale", scale_kernel<float>, 1, 2000, 0, x, 1.f, 1); }) ==
        "scale: its CUDA kernel did not start: invalid configuration argument (grid 1 x 1 x 1, block 2000 x 1 x 1, 0 bytes of shared memory)");
  CHECK_THROWS_WITH((SINTER_LAUNCH("scale", scale_kernel<float>, 1, 32, 300 << 10, x, 1.f, 1)), Contains("307200 bytes of shared memory"));
  SINTER_LAUNCH("scale", scale_kernel<float>, 1, 32, 100 << 10, x, 1.f, 1);
  CHECK(shim::launches == before + 1);
  b.deallocate(0, x, 4);
}

TEST_CASE("cuda runtime: events") {
  const Backend& b = cuda_device();
  void *from = b.create_event(0), *to = b.create_event(0);
  b.record_event(from);
  b.record_event(to);
  b.wait_event(to);
  b.synchronize_event(to);
  CHECK(b.elapsed_ms(from, to) >= 0);
  b.destroy_event(from), b.destroy_event(to);
  const OnStream other;
  b.synchronize_stream(other.mine);
  b.synchronize(0);
}

TEST_CASE("cuda graph: work is recorded and replayed") {
  for (const bool exact : {true, false}) {
    std::unique_ptr<Cached> cached(exact ? nullptr : new Cached);
    const Backend& b = cuda_device();
    const DeviceMemory others = b.memory(0);
    float* x = static_cast<float*>(b.allocate(0, 40));
    std::vector<float> h(10, 1.f);
    b.copy(x, 0, h.data(), -1, 40);
    float* old = static_cast<float*>(b.allocate(0, 40));
    b.copy(old, 0, h.data(), -1, 40);

    b.begin_capture(0);
    float* y = static_cast<float*>(b.allocate(0, 40));  // cudaMalloc while recording
    b.copy(y, 0, x, 0, 40);
    scale(y, 3, 10);
    {
      const cuda::Workspace scratch(40);
      b.copy(scratch.data(), 0, y, 0, 40);
      b.copy(x, 0, scratch.data(), 0, 40);
    }
    b.copy(y, 0, old, 0, 40);
    b.deallocate(0, old, 40);  // the graph reads it whenever it runs
    float* z = static_cast<float*>(b.allocate(0, 40));
    CHECK(z != old);
    b.deallocate(0, z, 40);
    CHECK_THROWS_WITH(b.copy(h.data(), -1, x, 0, 40), Contains("pinned"));
    void* pinned = b.allocate_pinned(40);
    b.copy(pinned, -1, x, 0, 40);
    b.free_pinned(pinned);
    CHECK(b.allocate_pinned(40) != pinned);  // the graph writes it whenever it runs
    CHECK_THROWS_WITH(b.begin_capture(0), Contains("already begun"));
    void* graph = b.end_capture(0, true);
    REQUIRE(graph);

    b.copy(h.data(), -1, x, 0, 40);
    CHECK(h[9] == 1);  // nothing has run so far
    const long mallocs = shim::mallocs;
    b.launch_graph(graph);
    b.launch_graph(graph);
    CHECK(shim::mallocs == mallocs);
    b.copy(h.data(), -1, x, 0, 40);
    CHECK(h[9] == 9);
    b.copy(h.data(), -1, y, 0, 40);
    CHECK(h[9] == 1);

    void* apart = b.allocate(0, 40);  // not of the graph's memory, though some of that is free
    CHECK(apart != z);
    CHECK(apart != old);
    b.deallocate(0, apart, 40);
    b.destroy_graph(graph);
    b.copy(h.data(), -1, y, 0, 40);  // outlives it
    CHECK(h[9] == 1);
    b.deallocate(0, y, 40);
    b.deallocate(0, x, 40);
    CHECK(b.memory(0).allocated == others.allocated);
    b.release_cache(0);
    CHECK(b.memory(0).reserved == others.reserved);
  }
}

TEST_CASE("cuda graph: a recording may be thrown away, and may fail") {
  const Backend& b = cuda_device();
  const std::int64_t others = b.memory(0).reserved;
  b.begin_capture(0);
  b.deallocate(0, b.allocate(0, 40), 40);
  CHECK(b.end_capture(0, false) == nullptr);
  CHECK_THROWS_WITH(b.end_capture(0, true), Contains("nothing is being recorded"));
  b.begin_capture(0);
  CHECK_THROWS_AS(b.synchronize(0), DeviceError);
  CHECK_THROWS_WITH(b.end_capture(0, true), Contains("cudaErrorStreamCaptureInvalidated"));
  b.deallocate(0, b.allocate(0, 40), 40);  // all is well afterwards
  CHECK(b.memory(0).reserved == others);
}
