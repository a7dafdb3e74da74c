// SPDX-License-Identifier: MIT
// What a kind of device does for tensors that live there: memory, copies, streams and graphs of work. CUDA's is filled in by
// kernels/sinter/cuda/runtime.cuh, in whichever file of a program was compiled by nvcc; files compiled by others reach the
// device through it all the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sinter/core/device.hpp"
#include "sinter/core/error.hpp"

namespace sinter {

// What a device's memory is used for, in bytes.
struct DeviceMemory {
  std::int64_t allocated = 0;  // handed out
  std::int64_t reserved = 0;   // held from the driver, handed out or cached
  std::int64_t peak = 0;       // the most that `allocated` has been
  std::int64_t free = 0, total = 0;  // of the device, as the driver sees it
};

// Everything is ordered on the stream that the calling thread has chosen, and returns before it is done, but for copies to
// pageable memory of the host. Failures throw DeviceError.
struct Backend {
  int (*device_count)();
  void* (*allocate)(int device, std::size_t bytes);
  void (*deallocate)(int device, void* p, std::size_t bytes) noexcept;
  // Between two devices, a device and the host (device -1), or within a device.
  void (*copy)(void* to, int to_device, const void* from, int from_device, std::size_t bytes);
  void (*fill)(int device, void* p, int byte, std::size_t bytes);
  void (*synchronize)(int device);
  int (*exchange_device)(int device);  // kernels of the calling thread run there from now on; returns the one before, at first 0
  void* (*allocate_pinned)(std::size_t bytes);  // of the host, from which copies are asynchronous
  void (*free_pinned)(void* p) noexcept;
  DeviceMemory (*memory)(int device);
  void (*release_cache)(int device);
  const char* (*name)(int device);  // "NVIDIA H200"

  void* (*create_stream)(int device);
  void (*destroy_stream)(void* stream) noexcept;
  void* (*exchange_stream)(int device, void* stream);  // makes it the calling thread's; returns the one before
  void (*synchronize_stream)(void* stream);
  void* (*create_event)(int device);
  void (*destroy_event)(void* event) noexcept;
  void (*record_event)(void* event);      // on the current stream
  void (*wait_event)(void* event);        // the current stream waits
  void (*synchronize_event)(void* event);
  double (*elapsed_ms)(void* from, void* to);

  // Work between begin and end is recorded, not run; memory handed out meanwhile belongs to the graph while that lives.
  void (*begin_capture)(int device);
  void* (*end_capture)(int device, bool keep);  // without keep, as after an exception, throws the recording away and returns null
  void (*launch_graph)(void* graph);
  void (*destroy_graph)(void* graph) noexcept;
};

// Null in programs without CUDA.
inline const Backend* cuda_backend = nullptr;

[[noreturn]] [[gnu::noinline, gnu::cold]] inline void fail_no_backend(const char* op, Device d) {
  if (!d.is_cuda() || !cuda_backend)
    fail<DeviceError>(op, ": no backend for ", d, " in this program; build one of its files with nvcc, or link kernels/sinter/cuda");
  const int n = cuda_backend->device_count();
  if (n == 0) fail<DeviceError>(op, ": no ", d, ": there is no CUDA device here, or no driver for it");
  fail<DeviceError>(op, ": no ", d, ": there are ", n, " CUDA devices here");
}
// The backend of a device other than the CPU; throws DeviceError where it is not there.
inline const Backend& backend_of(const char* op, Device d) {
  if (!d.is_cuda() || !cuda_backend || d.index < 0 || d.index >= cuda_backend->device_count()) fail_no_backend(op, d);
  return *cuda_backend;
}

// A hand-written kernel of the device: declared beside the CPU's own, set by the file in kernels/sinter/cuda that has it.
//   inline DeviceKernel<void(DType, Rows, const void*, void*)> softmax_on_device{"softmax"};
template <class Signature>
class DeviceKernel;
template <class R, class... A>
class DeviceKernel<R(A...)> {
 public:
  using Function = R (*)(A...);
  constexpr explicit DeviceKernel(const char* name) : name_(name) {}
  bool set(Function f) {
    run_ = f;
    return true;
  }
  explicit operator bool() const { return run_ != nullptr; }
  R operator()(A... a) const {
    if (!run_) fail_missing();
    return run_(a...);
  }

 private:
  [[noreturn]] [[gnu::noinline, gnu::cold]] void fail_missing() const {
    fail<DeviceError>(name_, ": its CUDA kernel is not in this program; link the CMake target sinter::cuda or include <sinter/cuda/all.cuh> in one .cu file");
  }
  const char* name_;
  Function run_ = nullptr;
};

}  // namespace sinter
