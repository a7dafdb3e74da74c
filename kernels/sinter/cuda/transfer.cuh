// SPDX-License-Identifier: MIT
// Copies between devices and the host, and the host's pinned memory, from and to which they run beside the host's work.
#pragma once

#include "sinter/cuda/allocator.cuh"

namespace sinter {
namespace cuda {

// Pinned blocks by address; freed ones are kept, in powers of two, until what uses them is done.
struct Pinned {
  struct Buffer {
    std::size_t bytes = 0;
    std::vector<StreamState*> used_by;  // streams with copies from or to it
  };
  struct Waiting {
    void* data;
    std::vector<cudaEvent_t> passed;
  };
  std::mutex mutex;
  std::map<char*, Buffer> buffers;
  std::map<std::size_t, std::vector<void*>> free;
  std::vector<Waiting> waiting;

  static Pinned& all() {
    static Pinned* const pinned = new Pinned;
    return *pinned;
  }
  Buffer* holding(const void* p) {
    auto it = buffers.upper_bound(static_cast<char*>(const_cast<void*>(p)));
    if (it == buffers.begin()) return nullptr;
    --it;
    return static_cast<const char*>(p) < it->first + it->second.bytes ? &it->second : nullptr;
  }
  void collect() {
    std::size_t kept = 0;
    for (Waiting& w : waiting) {
      while (!w.passed.empty() && cudaEventQuery(w.passed.back()) != cudaErrorNotReady) {
        cudaEventDestroy(w.passed.back());
        w.passed.pop_back();
      }
      if (w.passed.empty()) free[buffers[static_cast<char*>(w.data)].bytes].push_back(w.data);
      else if (Waiting still = std::move(w); true) waiting[kept++] = std::move(still);
    }
    waiting.resize(kept);
  }
};

// Needs no device: without one it is the host's ordinary memory that a caller should use.
inline void* allocate_pinned(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  std::size_t size = 4096;
  while (size < bytes) size *= 2;
  Pinned& all = Pinned::all();
  const std::lock_guard<std::mutex> lock(all.mutex);
  if (!recording) all.collect();
  if (std::vector<void*>& list = all.free[size]; !list.empty()) {
    void* p = list.back();
    list.pop_back();
    return p;
  }
  const RelaxedCapture relaxed;
  void* p = nullptr;
  const cudaError_t error = cudaHostAlloc(&p, size, cudaHostAllocPortable | cudaHostAllocMapped);
  if (error != cudaSuccess) fail_call(error, "cuda: pinned memory");
  all.buffers[static_cast<char*>(p)].bytes = size;
  return p;
}
inline void free_pinned(void* p) noexcept {
  if (!p) return;
  if (recording) return recording->pinned.push_back(p);
  Pinned& all = Pinned::all();
  const std::lock_guard<std::mutex> lock(all.mutex);
  Pinned::Buffer& buffer = all.buffers[static_cast<char*>(p)];
  Pinned::Waiting w{p, {}};
  const RelaxedCapture relaxed;
  for (StreamState* s : buffer.used_by) {
    const DeviceGuard guard(s->device);
    cudaEvent_t event = nullptr;
    if (cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess && cudaEventRecord(event, s->handle) == cudaSuccess)
      w.passed.push_back(event);
    else
      cudaStreamSynchronize(s->handle);
  }
  buffer.used_by.clear();
  if (w.passed.empty()) all.free[buffer.bytes].push_back(p);
  else all.waiting.push_back(std::move(w));
}
// Whether p lies in pinned memory; a copy on that stream is under way.
inline bool use_pinned(const void* p, StreamState* stream) {
  Pinned& all = Pinned::all();
  const std::lock_guard<std::mutex> lock(all.mutex);
  Pinned::Buffer* buffer = all.holding(p);
  if (!buffer) return false;
  for (StreamState* s : buffer->used_by)
    if (s == stream) return true;
  buffer->used_by.push_back(stream);
  return true;
}

// `later` goes on when what `earlier` has to do so far is done.
[[gnu::cold]] inline void wait_for(StreamState* later, StreamState* earlier) {
  cudaEvent_t event = nullptr;
  {
    const DeviceGuard guard(earlier->device);
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "copy");
    check(cudaEventRecord(event, earlier->handle), "copy");
  }
  const cudaError_t error = cudaStreamWaitEvent(later->handle, event, 0);
  cudaEventDestroy(event);  // at once or when it has passed
  check(error, "copy");
}
inline void copy(void* to, int to_device, const void* from, int from_device, std::size_t bytes) {
  if (bytes == 0) return;
  if (to_device >= 0 && from_device >= 0) {
    StreamState* const stream = stream_on(from_device);
    if (to_device == from_device) return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream->handle), "copy");
    StreamState* const other = stream_on(to_device);
    wait_for(stream, other);
    check(cudaMemcpyPeerAsync(to, to_device, from, from_device, bytes, stream->handle), "copy");
    return wait_for(other, stream);
  }
  const bool to_host = to_device < 0;
  const int device = to_host ? from_device : to_device;
  StreamState* const stream = stream_on(device);
  const bool pinned = use_pinned(to_host ? to : from, stream);
  if (!pinned && is_recording(device))
    fail<DeviceError>("copy: while a graph is recorded, data goes ", to_host ? "to" : "from", " the host in pinned memory only");
  const DeviceGuard guard(device);
  check(cudaMemcpyAsync(to, from, bytes, to_host ? cudaMemcpyDeviceToHost : cudaMemcpyHostToDevice, stream->handle), "copy");
  if (to_host && !pinned) check(cudaStreamSynchronize(stream->handle), "copy");
}
inline void fill(int device, void* p, int byte, std::size_t bytes) {
  if (bytes > 0) check(cudaMemsetAsync(p, byte, bytes, stream_on(device)->handle), "fill");
}

}  // namespace cuda
}  // namespace sinter
