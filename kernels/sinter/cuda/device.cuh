// SPDX-License-Identifier: MIT
// CUDA's devices and streams as the rest sees them: calls that fail throw; every thread has a current device and, on each
// device, a current stream, which is the device's common one until the thread chooses another. The legacy stream is never used.
#pragma once

#include <cuda_runtime.h>

#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "sinter/core/backend.hpp"
#include "sinter/core/device.hpp"
#include "sinter/core/error.hpp"

namespace sinter {
namespace cuda {

inline constexpr int max_devices = 32;

[[noreturn]] [[gnu::noinline, gnu::cold]] inline void fail_call(cudaError_t error, const char* what) {
  cudaGetLastError();  // or the next call would report it again
  fail<DeviceError>(what, ": ", cudaGetErrorString(error), " (", cudaGetErrorName(error), ")");
}
inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail_call(error, what);
}

inline int visible_devices() {
  static const int count = [] {
    int n = 0;
    if (cudaGetDeviceCount(&n) == cudaSuccess) return n < max_devices ? n : max_devices;
    cudaGetLastError();  // no driver, or one that is too old
    return 0;
  }();
  return count;
}
inline int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "cuda");
  return device;
}
// Makes a device the thread's current one and returns the one before.
inline int exchange_device(int device) {
  const int before = current_device();
  if (device != before) check(cudaSetDevice(device), "cuda");
  return before;
}
class DeviceGuard {
 public:
  explicit DeviceGuard(int device) : device_(device), before_(exchange_device(device)) {}
  ~DeviceGuard() {
    if (before_ != device_) cudaSetDevice(before_);
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int device_, before_;
};

// While it lives, the calling thread may allocate although it records a graph.
class RelaxedCapture {
 public:
  RelaxedCapture() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~RelaxedCapture() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

// ---- memory as the allocator knows it (allocator.cuh) ----
struct StreamState;
struct GraphMemory;
struct Slab {  // of the driver's, out of which small blocks are cut
  void* data = nullptr;
  std::size_t bytes = 0, used = 0;
  int live = 0;  // blocks of it that are not free
};
struct Block {
  void* data = nullptr;
  std::size_t bytes = 0;
  Slab* slab = nullptr;
  StreamState* home = nullptr;        // the stream in whose order the block is reused
  GraphMemory* graph = nullptr;  // the recording that it belongs to
  Block* next = nullptr;
};

// Small blocks go up in steps of 512 bytes to 4 KiB and by four for each doubling to 1 MiB; large ones are multiples of 2 MiB.
inline constexpr int small_classes = 40;
inline constexpr std::size_t small_limit = std::size_t(1) << 20, large_unit = std::size_t(2) << 20;
inline int small_class(std::size_t bytes) {
  if (bytes <= 4096) return int((bytes - 1) / 512);
  const int log = 63 - __builtin_clzll(static_cast<unsigned long long>(bytes - 1));
  return 8 + (log - 12) * 4 + int(((bytes - 1) >> (log - 2)) & 3);
}
inline std::size_t small_bytes(int c) {
  if (c < 8) return std::size_t(c + 1) * 512;
  const int log = 12 + (c - 8) / 4, step = (c - 8) % 4;
  return (std::size_t(1) << log) + (std::size_t(step + 1) << (log - 2));
}

struct FreeBlocks {
  Block* small[small_classes] = {};
  std::map<std::size_t, Block*> large;

  void put(Block* b) {
    Block*& head = b->bytes <= small_limit ? small[small_class(b->bytes)] : large[b->bytes];
    b->next = head;
    head = b;
  }
  Block* take(std::size_t bytes) {
    if (bytes <= small_limit) return pop(small[small_class(bytes)]);
    for (auto it = large.lower_bound(bytes); it != large.end() && it->first <= bytes + bytes / 4; ++it)
      if (it->second) return pop(it->second);
    return nullptr;
  }
  template <class F>
  void each_list(F&& f) {
    for (Block*& head : small) f(head);
    for (auto& list : large) f(list.second);
  }
  static Block* pop(Block*& head) {
    Block* b = head;
    if (b) head = b->next;
    return b;
  }
};

// Streams are never destroyed, so that blocks may name them for ever; those given back are handed out again.
struct StreamState {
  int device = 0;
  cudaStream_t handle = nullptr;
  FreeBlocks free;
};

struct DeviceState {
  std::mutex mutex;
  StreamState* common = nullptr;
  std::vector<StreamState*> streams, spare_streams;
  int multiprocessors = 0;
  std::unordered_map<void*, Block*> blocks;  // all there are, by address
  Slab* slab = nullptr;                      // the one being cut
  struct Waiting {
    Block* block;
    cudaEvent_t passed;
  };
  std::vector<Waiting> waiting;  // freed by another stream than their own, which may still use them
  std::vector<cudaEvent_t> spare_events;
  DeviceMemory memory;
};
// Never destroyed: tensors with static storage may outlive every other static.
inline DeviceState& state_of(int device) {
  static DeviceState* const states = new DeviceState[max_devices];
  return states[device];
}

inline StreamState* new_stream(int device) {
  const DeviceGuard guard(device);
  const RelaxedCapture relaxed;
  StreamState* s = new StreamState;
  s->device = device;
  const cudaError_t error = cudaStreamCreateWithFlags(&s->handle, cudaStreamNonBlocking);
  if (error != cudaSuccess) {
    delete s;
    fail_call(error, "cuda: creating a stream");
  }
  state_of(device).streams.push_back(s);
  return s;
}
inline thread_local StreamState* chosen_stream[max_devices] = {};
[[gnu::noinline]] inline StreamState* common_stream(int device) {
  DeviceState& d = state_of(device);
  const std::lock_guard<std::mutex> lock(d.mutex);
  if (!d.common) d.common = new_stream(device);
  return chosen_stream[device] = d.common;
}
inline StreamState* stream_on(int device) {
  StreamState* s = chosen_stream[device];
  return s ? s : common_stream(device);
}
// The calling thread's stream on its current device.
inline cudaStream_t current_stream() { return stream_on(current_device())->handle; }

[[gnu::noinline]] inline int multiprocessors() {
  const int device = current_device();
  DeviceState& d = state_of(device);
  const std::lock_guard<std::mutex> lock(d.mutex);
  if (!d.multiprocessors) check(cudaDeviceGetAttribute(&d.multiprocessors, cudaDevAttrMultiProcessorCount, device), "cuda");
  return d.multiprocessors;
}

}  // namespace cuda
}  // namespace sinter
