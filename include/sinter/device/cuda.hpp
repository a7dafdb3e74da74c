// SPDX-License-Identifier: MIT
// What a program asks of CUDA itself; answered in every file, whoever compiled it. torch.cuda's names.
#pragma once

#include <utility>

#include "sinter/core/backend.hpp"
#include "sinter/device/random.hpp"

namespace sinter {
namespace cuda {

inline int device_count() { return cuda_backend ? cuda_backend->device_count() : 0; }
// Whether a file of this program was compiled for CUDA, and a device is here.
inline bool is_available() { return device_count() > 0; }
// Waits for all that the device was given to do.
inline void synchronize(Device d = Device::cuda()) { backend_of("synchronize", d).synchronize(d.index); }
inline const char* get_device_name(Device d = Device::cuda()) { return backend_of("get_device_name", d).name(d.index); }
inline DeviceMemory memory(Device d = Device::cuda()) { return backend_of("memory", d).memory(d.index); }
// Gives cached memory back to the driver.
inline void empty_cache(Device d = Device::cuda()) { backend_of("empty_cache", d).release_cache(d.index); }

// Work in order; that of different streams may overlap.
class Stream {
 public:
  explicit Stream(Device d = Device::cuda()) : device_(d), handle_(backend_of("Stream", d).create_stream(d.index)) {}
  Stream(Stream&& o) noexcept : device_(o.device_), handle_(std::exchange(o.handle_, nullptr)) {}
  Stream& operator=(Stream&& o) noexcept {
    std::swap(device_, o.device_), std::swap(handle_, o.handle_);
    return *this;
  }
  ~Stream() {
    if (handle_) cuda_backend->destroy_stream(handle_);
  }
  void synchronize() const { cuda_backend->synchronize_stream(handle_); }
  Device device() const { return device_; }
  void* handle() const { return handle_; }

 private:
  Device device_;
  void* handle_;
};
// While it lives, the calling thread's work goes to the stream.
class StreamGuard {
 public:
  explicit StreamGuard(const Stream& s) : device_(s.device().index), before_(cuda_backend->exchange_stream(device_, s.handle())) {}
  StreamGuard(const StreamGuard&) = delete;
  StreamGuard& operator=(const StreamGuard&) = delete;
  ~StreamGuard() { cuda_backend->exchange_stream(device_, before_); }

 private:
  int device_;
  void* before_;
};

// A moment in the current stream's work.
class Event {
 public:
  explicit Event(Device d = Device::cuda()) : handle_(backend_of("Event", d).create_event(d.index)) {}
  Event(Event&& o) noexcept : handle_(std::exchange(o.handle_, nullptr)) {}
  Event& operator=(Event&& o) noexcept {
    std::swap(handle_, o.handle_);
    return *this;
  }
  ~Event() {
    if (handle_) cuda_backend->destroy_event(handle_);
  }
  void record() { cuda_backend->record_event(handle_); }
  void wait() const { cuda_backend->wait_event(handle_); }  // the current stream does
  void synchronize() const { cuda_backend->synchronize_event(handle_); }
  // Milliseconds until `later`; both are done.
  double elapsed_time(const Event& later) const { return cuda_backend->elapsed_ms(handle_, later.handle_); }

 private:
  void* handle_;
};

class Graph;
template <class F>
Graph capture(F&& f, Device d = Device::cuda());

// Recorded work, which runs again without the host's code: torch.cuda.CUDAGraph. What it reads and writes are the tensors that it
// was recorded with, so that new input is copied into the old (x.copy_(batch)).
class Graph {
 public:
  Graph() = default;
  Graph(Graph&& o) noexcept : d_(o.d_), handle_(std::exchange(o.handle_, nullptr)), random_(std::exchange(o.random_, nullptr)), drawn_(o.drawn_) {}
  Graph& operator=(Graph&& o) noexcept {
    std::swap(d_, o.d_), std::swap(handle_, o.handle_), std::swap(random_, o.random_), std::swap(drawn_, o.drawn_);
    return *this;
  }
  ~Graph() {
    if (handle_) cuda_backend->destroy_graph(handle_);
    if (random_) cuda_backend->deallocate(d_.index, random_, sizeof(RandomState));
  }
  // On the current stream. Random numbers are those that the steps would have drawn without a graph.
  void replay() const {
    if (!handle_) fail<DeviceError>("cuda graph: nothing was recorded");
    if (drawn_ > 0) {
      Generator& g = default_generator();
      set_random_on_device(random_, g.seed(), g.reserve(4 * drawn_));
    }
    cuda_backend->launch_graph(handle_);
  }
  void operator()() const { replay(); }
  template <class F>
  friend Graph capture(F&& f, Device d);

 private:
  Device d_;
  void* handle_ = nullptr;
  RandomState* random_ = nullptr;  // where the random numbers of a replay begin
  std::uint64_t drawn_ = 0;        // counters of them
};

// Records what f does, without running it. f must not read values (item(), printing); run it once or twice before, so that
// optimizers have their state and libraries their plans. Rates that schedulers set, the numbers of steps, and the position of the
// random numbers lie in the device's memory, so that each replay goes on where the one before ended.
template <class F>
Graph capture(F&& f, Device d) {
  const Backend& backend = backend_of("cuda graph", d);
  Graph g;
  g.d_ = d;
  g.random_ = static_cast<RandomState*>(backend.allocate(d.index, sizeof(RandomState)));
  const std::uint64_t position = default_generator().position();
  backend.begin_capture(d.index);
  try {
    RandomRecording drawn(g.random_, default_generator());
    f();
    g.drawn_ = drawn.counters();
  } catch (...) {
    backend.end_capture(d.index, false);
    default_generator().set_position(position);
    throw;
  }
  g.handle_ = backend.end_capture(d.index, true);
  default_generator().set_position(position);
  return g;
}

}  // namespace cuda
}  // namespace sinter
