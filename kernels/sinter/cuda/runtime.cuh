// SPDX-License-Identifier: MIT
// CUDA for the rest of the library: the table of core/backend.hpp, and what kernels are launched with.
//
//   SINTER_LAUNCH("softmax", softmax_kernel<T>, grid, block, shared_bytes, x, y, n);   on the thread's current stream
//   SINTER_DYNAMIC_SHARED(float, tile);                                                in a kernel: its shared_bytes
//   const Workspace scratch(bytes);                                                    scratch.data(), until the kernels are done
#pragma once

#include <utility>

#include "sinter/cuda/allocator.cuh"
#include "sinter/cuda/graph.cuh"
#include "sinter/cuda/transfer.cuh"

namespace sinter {
namespace cuda {

[[noreturn]] [[gnu::noinline, gnu::cold]] inline void fail_launch(cudaError_t error, const char* name, dim3 grid, dim3 block,
                                                                std::size_t shared) {
  cudaGetLastError();
  fail<DeviceError>(name, ": its CUDA kernel did not start: ", cudaGetErrorString(error), " (grid ", grid.x, " x ", grid.y, " x ",
                    grid.z, ", block ", block.x, " x ", block.y, " x ", block.z, ", ", shared, " bytes of shared memory)");
}
template <class... P, class... A>
void launch(const char* name, void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared, A&&... args) {
  static_assert(sizeof...(P) == sizeof...(A), "sinter: a kernel is launched with as many arguments as it has parameters");
  if (std::size_t(grid.x) * grid.y * grid.z == 0 || std::size_t(block.x) * block.y * block.z == 0) return;
  cudaError_t error = cudaSuccess;
  if (shared > (48 << 10))  // more than every kernel may have
    error = cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared));
  if (error == cudaSuccess) {
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared;
    config.stream = current_stream();
    error = cudaLaunchKernelEx(&config, kernel, std::forward<A>(args)...);
  }
  if (error != cudaSuccess) fail_launch(error, name, grid, block, shared);
}
#if defined(SINTER_CUDA_SHIM)
#define SINTER_LAUNCH(name, ...) (::shim::naming(name), ::sinter::cuda::launch(name, __VA_ARGS__))
#define SINTER_DYNAMIC_SHARED(T, name) T* const name = static_cast<T*>(::shim::dynamic_shared())
#else
#define SINTER_LAUNCH(name, ...) ::sinter::cuda::launch(name, __VA_ARGS__)
#define SINTER_DYNAMIC_SHARED(T, name)                                        \
  extern __shared__ __align__(16) unsigned char sinter_dynamic_shared[];      \
  T* const name = reinterpret_cast<T*>(sinter_dynamic_shared)
#endif

inline void synchronize(int device) {
  const DeviceGuard guard(device);
  check(cudaDeviceSynchronize(), "cuda");
}
inline void synchronize_stream(void* stream) { check(cudaStreamSynchronize(static_cast<StreamState*>(stream)->handle), "cuda"); }
inline const char* name_of_device(int device) {
  static cudaDeviceProp* const properties = [] {
    auto* p = new cudaDeviceProp[std::size_t(visible_devices())]();
    for (int i = 0; i < visible_devices(); ++i) cudaGetDeviceProperties(&p[i], i);
    return p;
  }();
  return properties[device].name;
}

inline constexpr Backend runtime_backend = [] {
  Backend b{};
  b.device_count = visible_devices;
  b.allocate = allocate;
  b.deallocate = deallocate;
  b.copy = copy;
  b.fill = fill;
  b.synchronize = synchronize;
  b.exchange_device = exchange_device;
  b.allocate_pinned = allocate_pinned;
  b.free_pinned = free_pinned;
  b.memory = memory_of;
  b.release_cache = release_cache;
  b.name = name_of_device;
  b.create_stream = create_stream;
  b.destroy_stream = destroy_stream;
  b.exchange_stream = exchange_stream;
  b.synchronize_stream = synchronize_stream;
  b.create_event = create_event;
  b.destroy_event = destroy_event;
  b.record_event = record_event;
  b.wait_event = wait_event;
  b.synchronize_event = synchronize_event;
  b.elapsed_ms = elapsed_ms;
  b.begin_capture = begin_capture;
  b.end_capture = end_capture;
  b.launch_graph = launch_graph;
  b.destroy_graph = destroy_graph;
  return b;
}();
inline const bool runtime_registered = (cuda_backend = &runtime_backend, true);

}  // namespace cuda
}  // namespace sinter
