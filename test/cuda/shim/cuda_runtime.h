// SPDX-License-Identifier: MIT
// A stand-in for NVIDIA's <cuda_runtime.h>, so that g++ and clang++ compile and run what is written for CUDA, on two fake
// devices: fiber.h switches stacks, kernel.h runs kernels, words.h has the words of CUDA C++, memory.h is the devices' memory.
// Here is the part of the runtime's interface that Sinter calls. Work is done when it is submitted, or recorded while its
// stream is being captured. Each function does what NVIDIA documents, and is as strict: the legacy stream, pointers of another
// device and calls that a capture forbids are errors.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "words.h"

enum cudaError_t {
  cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2, cudaErrorInvalidConfiguration = 9, cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100, cudaErrorInvalidDevice = 101, cudaErrorInvalidResourceHandle = 400, cudaErrorNotReady = 600,
  cudaErrorStreamCaptureUnsupported = 900, cudaErrorStreamCaptureInvalidated = 901, cudaErrorStreamCaptureUnmatched = 903,
  cudaErrorStreamCaptureImplicit = 906, cudaErrorStreamCaptureWrongThread = 908
};
enum cudaMemcpyKind { cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice, cudaMemcpyDefault };
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed };
enum cudaStreamCaptureStatus { cudaStreamCaptureStatusNone, cudaStreamCaptureStatusActive, cudaStreamCaptureStatusInvalidated };
enum cudaDeviceAttr { cudaDevAttrMaxThreadsPerBlock = 1, cudaDevAttrMultiProcessorCount = 16, cudaDevAttrComputeCapabilityMajor = 75,
                      cudaDevAttrComputeCapabilityMinor = 76, cudaDevAttrMaxSharedMemoryPerBlockOptin = 97 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8, cudaFuncAttributePreferredSharedMemoryCarveout = 9 };
enum : unsigned { cudaStreamNonBlocking = 1, cudaEventDefault = 0, cudaEventDisableTiming = 2, cudaHostAllocPortable = 1, cudaHostAllocMapped = 2 };
struct cudaDeviceProp {
  char name[256];
};

namespace shim {
using Work = std::function<cudaError_t()>;
struct Graph {
  std::vector<Work> work;
  bool invalid = false;
};
struct Stream {
  int device = 0;
  std::shared_ptr<Graph> capture;
  bool origin = false;  // where the capture was begun
};
struct Event {
  std::chrono::steady_clock::time_point at;
  bool recorded = false;
  std::shared_ptr<Graph> capture;
};
struct Exec {
  std::shared_ptr<Graph> graph;
};
}  // namespace shim
using cudaStream_t = shim::Stream*;
using cudaEvent_t = shim::Event*;
using cudaGraph_t = shim::Exec*;
using cudaGraphExec_t = shim::Exec*;

namespace shim {
// ---- for tests ----
inline std::atomic<long> launches{0}, mallocs{0};  // so far; launches also counts those of graphs
inline int visible_devices = device_count;         // 0: as without a driver
inline std::set<const Event*> unfinished;          // events that cudaEventQuery is to call not ready
inline void set_memory(int device, std::size_t bytes) { memory_of(device).set_limit(bytes); }

struct Thread_state {
  int device = 0;
  cudaError_t last = cudaSuccess;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::shared_ptr<Graph> capture;  // begun by this thread
  const char* kernel = "a kernel";
};
inline Thread_state& me() {
  static thread_local Thread_state state;
  return state;
}
inline void naming(const char* kernel) { me().kernel = kernel; }
inline cudaError_t report(cudaError_t e) {
  if (e != cudaSuccess && e != cudaErrorNotReady) me().last = e;
  return e;
}
// What a thread may not do while it captures, unless it has relaxed.
inline cudaError_t unsafe() {
  if (!me().capture || me().mode == cudaStreamCaptureModeRelaxed) return cudaSuccess;
  me().capture->invalid = true;
  return cudaErrorStreamCaptureUnsupported;
}
inline cudaError_t submit(Stream* s, Work work) {
  if (!s) {
    std::fprintf(stderr, "cuda shim: work on the legacy stream\n");
    std::abort();
  }
  if (!s->capture) return report(work());
  if (s->capture->invalid) return report(cudaErrorStreamCaptureInvalidated);
  s->capture->work.push_back(std::move(work));
  return cudaSuccess;
}
inline bool on_device(const void* p) { return memory_of(0).holds(p) || memory_of(1).holds(p); }
inline cudaError_t move(void* to, const void* from, std::size_t bytes) {
  const Access zero(0), one(1);
  std::memmove(to, from, bytes);
  return cudaSuccess;
}
}  // namespace shim

// ---- errors ----
inline const char* cudaGetErrorName(cudaError_t e) {
  switch (e) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    default: return "cudaError";
  }
}
inline const char* cudaGetErrorString(cudaError_t e) {
  switch (e) {
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated: return "operation failed due to a previous error during capture";
    default: return cudaGetErrorName(e);
  }
}
inline cudaError_t cudaPeekAtLastError() { return shim::me().last; }
inline cudaError_t cudaGetLastError() { return std::exchange(shim::me().last, cudaSuccess); }

// ---- devices ----
inline cudaError_t cudaGetDeviceCount(int* n) {
  *n = shim::visible_devices;
  return shim::report(*n > 0 ? cudaSuccess : cudaErrorNoDevice);
}
inline cudaError_t cudaGetDevice(int* device) {
  *device = shim::me().device;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= shim::visible_devices) return shim::report(cudaErrorInvalidDevice);
  shim::me().device = device;
  return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr what, int) {
  switch (what) {
    case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
    case cudaDevAttrMultiProcessorCount: *value = 4; break;  // few, so that tests see loops over the grid
    case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 227 << 10; break;
  }
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  std::snprintf(p->name, sizeof p->name, "fake device %d", device);
  return cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() { return shim::report(shim::unsafe()); }

// ---- memory ----
inline cudaError_t cudaMalloc(void** p, std::size_t bytes) {
  if (const cudaError_t e = shim::unsafe(); e != cudaSuccess) return shim::report(e);
  ++shim::mallocs;
  *p = shim::memory_of(shim::me().device).allocate(bytes);
  return shim::report(*p || bytes == 0 ? cudaSuccess : cudaErrorMemoryAllocation);
}
inline cudaError_t cudaFree(void* p) {
  if (const cudaError_t e = shim::unsafe(); e != cudaSuccess) return shim::report(e);
  if (!p || shim::memory_of(0).free(p) || shim::memory_of(1).free(p)) return cudaSuccess;
  return shim::report(cudaErrorInvalidValue);
}
inline cudaError_t cudaHostAlloc(void** p, std::size_t bytes, unsigned) {
  if (const cudaError_t e = shim::unsafe(); e != cudaSuccess) return shim::report(e);
  *p = std::malloc(bytes);
  return *p ? cudaSuccess : shim::report(cudaErrorMemoryAllocation);
}
inline cudaError_t cudaFreeHost(void* p) {
  std::free(p);
  return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const shim::Memory& m = shim::memory_of(shim::me().device);
  *total = m.limit();
  *free = m.limit() > m.used() ? m.limit() - m.used() : 0;
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t s) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice, from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind != cudaMemcpyDefault && (to_device != shim::on_device(to) || from_device != shim::on_device(from))) return shim::report(cudaErrorInvalidValue);
  return shim::submit(s, [=] { return shim::move(to, from, bytes); });
}
inline cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, std::size_t bytes, cudaStream_t s) {
  if (!shim::memory_of(to_device).holds(to) || !shim::memory_of(from_device).holds(from)) return shim::report(cudaErrorInvalidValue);
  return shim::submit(s, [=] { return shim::move(to, from, bytes); });
}
inline cudaError_t cudaMemsetAsync(void* p, int byte, std::size_t bytes, cudaStream_t s) {
  if (!s || !shim::memory_of(s->device).holds(p)) return shim::report(cudaErrorInvalidValue);
  return shim::submit(s, [=] {
    const shim::Access access(s->device);
    std::memset(p, byte, bytes);
    return cudaSuccess;
  });
}

// ---- streams and events ----
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) {
  *s = new shim::Stream{shim::me().device, nullptr, false};
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t s) {
  delete s;
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t s) {
  if (s && s->capture) {
    s->capture->invalid = true;
    return shim::report(cudaErrorStreamCaptureUnsupported);
  }
  return shim::report(shim::unsafe());
}
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) {
  *e = new shim::Event;
  return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t e) {
  delete e;
  return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
  if (!s) return shim::report(cudaErrorInvalidResourceHandle);
  e->recorded = true;
  e->at = std::chrono::steady_clock::now();
  e->capture = s->capture;
  return cudaSuccess;
}
inline cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned = 0) {
  if (e->capture && !s->capture) s->capture = e->capture;  // joins it
  return cudaSuccess;
}
inline cudaError_t cudaEventQuery(cudaEvent_t e) {
  if (const cudaError_t error = shim::unsafe(); error != cudaSuccess) return shim::report(error);
  return shim::unfinished.count(e) ? cudaErrorNotReady : cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t e) {
  shim::unfinished.erase(e);
  return shim::report(shim::unsafe());
}
inline cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
  if (!from->recorded || !to->recorded) return shim::report(cudaErrorInvalidResourceHandle);
  *ms = std::chrono::duration<float, std::milli>(to->at - from->at).count();
  return cudaSuccess;
}

// ---- graphs ----
inline cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, shim::me().mode);
  return cudaSuccess;
}
inline cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) {
  if (!s) return shim::report(cudaErrorStreamCaptureImplicit);
  if (s->capture) return shim::report(cudaErrorStreamCaptureUnsupported);
  s->capture = shim::me().capture = std::make_shared<shim::Graph>();
  s->origin = true;
  return cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* graph) {
  *graph = nullptr;
  if (!s->capture || !s->origin) return shim::report(cudaErrorStreamCaptureUnmatched);
  const std::shared_ptr<shim::Graph> g = std::exchange(s->capture, nullptr);
  s->origin = false;
  shim::me().capture = nullptr;
  if (g->invalid) return shim::report(cudaErrorStreamCaptureInvalidated);
  *graph = new shim::Exec{g};
  return cudaSuccess;
}
inline cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus* status) {
  *status = !s->capture ? cudaStreamCaptureStatusNone : s->capture->invalid ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long = 0) {
  *exec = new shim::Exec{graph->graph};
  return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t s) {
  return shim::submit(s, [g = exec->graph] {
    for (const shim::Work& work : g->work)
      if (const cudaError_t e = work(); e != cudaSuccess) return e;
    return cudaSuccess;
  });
}

// ---- kernels ----
inline cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute what, int value) {
  return shim::report(what == cudaFuncAttributeMaxDynamicSharedMemorySize && value > (227 << 10) ? cudaErrorInvalidValue : cudaSuccess);
}
struct cudaLaunchAttribute;
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes;
  cudaStream_t stream;
  cudaLaunchAttribute* attrs;
  unsigned numAttrs;
};
template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* c, void (*kernel)(P...), A&&... args) {
  const dim3 grid = c->gridDim, block = c->blockDim;
  const std::size_t threads = std::size_t(block.x) * block.y * block.z, shared = c->dynamicSmemBytes;
  if (threads == 0 || threads > 1024 || block.z > 64 || grid.x == 0 || grid.x > 0x7fffffffu || grid.y == 0 || grid.y > 65535 || grid.z == 0 || grid.z > 65535)
    return shim::report(cudaErrorInvalidConfiguration);
  if (shared > (227 << 10)) return shim::report(cudaErrorInvalidValue);
  cudaStream_t s = c->stream;
  if (s && s->device != shim::me().device) return shim::report(cudaErrorInvalidResourceHandle);
  const char* name = std::exchange(shim::me().kernel, "a kernel");
  return shim::submit(s, [=, values = std::tuple<std::decay_t<P>...>(std::forward<A>(args)...)] {
    ++shim::launches;
    const std::function<void()> body = [&] { std::apply(kernel, values); };
    const shim::Access access(s->device);
    shim::runner.run(name, grid, block, shared, body);
    access.memory.check_all(name);
    return cudaSuccess;
  });
}
