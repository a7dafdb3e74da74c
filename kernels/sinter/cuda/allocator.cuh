// SPDX-License-Identifier: MIT
// Device memory, cached by size class. A freed block goes back to the stream that it was allocated on and is handed out again
// on that stream, without asking the driver and without waiting: what the new owner does comes after what the old one did.
// While a thread records a graph, its memory is the graph's own (graph.cuh).
#pragma once

#include "sinter/cuda/device.cuh"

namespace sinter {
namespace cuda {

// For tests: every block is the driver's own, of the very size asked for, and goes back at once, so that the fake device sees
// accesses beyond it and after its end.
#if defined(SINTER_CUDA_SHIM)
inline bool exact_blocks = true;
#else
inline constexpr bool exact_blocks = false;
#endif

// The memory of a recording. What it allocates and frees is reused within it alone, for as long as the graph lives.
struct GraphMemory {
  int device = 0;
  FreeBlocks free;
  Slab* slab = nullptr;
  std::vector<Block*> blocks;  // of its own, free or handed out
  std::vector<Block*> held;    // of others, freed while it was recorded: the graph may read them whenever it runs
  std::vector<void*> pinned;   // the same of the host
};
inline thread_local GraphMemory* recording = nullptr;
inline bool is_recording(int device) { return recording && recording->device == device; }

// Those below expect that the device's mutex is held.
[[gnu::cold]] inline void collect(DeviceState& d, bool wait) {
  std::size_t kept = 0;
  for (const DeviceState::Waiting& w : d.waiting) {
    if ((wait ? cudaEventSynchronize(w.passed) : cudaEventQuery(w.passed)) == cudaErrorNotReady) {
      d.waiting[kept++] = w;
      continue;
    }
    d.spare_events.push_back(w.passed);
    if (w.block->slab) --w.block->slab->live;
    w.block->home->free.put(w.block);
  }
  d.waiting.resize(kept);
}
[[gnu::cold]] inline void erase_block(DeviceState& d, Block* b) {
  d.blocks.erase(b->data);
  if (!b->slab) {
    cudaFree(b->data);  // which waits for what uses it
    d.memory.reserved -= std::int64_t(b->bytes);
  }
  delete b;
}
// Gives the driver all that is cached; slabs, when none of their blocks is in use.
[[gnu::cold]] inline void release(DeviceState& d) {
  const RelaxedCapture relaxed;
  collect(d, true);
  std::vector<Slab*> empty;
  for (StreamState* s : d.streams)
    s->free.each_list([&](Block*& head) {
      Block* kept = nullptr;
      while (Block* b = FreeBlocks::pop(head)) {
        if (b->slab && b->slab->live > 0) {
          b->next = kept;
          kept = b;
          continue;
        }
        if (b->slab && b->slab->bytes > 0) {
          b->slab->used = b->slab->bytes;
          b->slab->bytes = 0;  // on the list
          empty.push_back(b->slab);
        }
        erase_block(d, b);
      }
      head = kept;
    });
  for (Slab* s : empty) {
    if (s == d.slab) d.slab = nullptr;
    d.memory.reserved -= std::int64_t(s->used);
    cudaFree(s->data);
    delete s;
  }
}
[[noreturn]] [[gnu::noinline, gnu::cold]] inline void fail_memory(DeviceState& d, int device, std::size_t bytes) {
  cudaGetLastError();
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  fail<DeviceError>("cuda:", device, ": out of memory: asked for ", bytes, " bytes, ", d.memory.allocated, " held by tensors, ",
                    d.memory.reserved - d.memory.allocated, " cached, ", free, " free of ", total);
}
[[gnu::cold]] inline void* driver_allocate(DeviceState& d, int device, std::size_t bytes) {
  const DeviceGuard guard(device);
  const RelaxedCapture relaxed;
  void* p = nullptr;
  cudaError_t error = cudaMalloc(&p, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    release(d);
    error = cudaMalloc(&p, bytes);
  }
  if (error == cudaErrorMemoryAllocation) fail_memory(d, device, bytes);
  check(error, "cuda: allocating");
  d.memory.reserved += std::int64_t(bytes);
  return p;
}
[[gnu::noinline]] inline Block* new_block(DeviceState& d, int device, std::size_t bytes, Slab** slab) {
  Block* b = new Block;
  try {
    b->bytes = bytes;
    if (bytes > small_limit || exact_blocks) {
      b->data = driver_allocate(d, device, bytes);
    } else {
      if (!*slab || (*slab)->bytes - (*slab)->used < bytes) {
        void* p = driver_allocate(d, device, large_unit);
        *slab = new Slab{p, large_unit};
      }
      b->slab = *slab;
      b->data = static_cast<char*>(b->slab->data) + b->slab->used;
      b->slab->used += bytes;
    }
    d.blocks.emplace(b->data, b);
  } catch (...) {
    delete b;
    throw;
  }
  return b;
}

inline std::size_t rounded(std::size_t bytes) {
  if (exact_blocks) return bytes;
  return bytes <= small_limit ? small_bytes(small_class(bytes)) : (bytes + large_unit - 1) / large_unit * large_unit;
}

[[gnu::noinline]] inline void* allocate(int device, std::size_t bytes) {
  if (bytes == 0) return nullptr;
  if (bytes > (std::size_t(1) << 60)) fail<DeviceError>("cuda:", device, ": out of memory: asked for ", bytes, " bytes");
  StreamState* const home = stream_on(device);
  GraphMemory* const graph = is_recording(device) ? recording : nullptr;
  const std::size_t size = rounded(bytes);
  DeviceState& d = state_of(device);
  const std::lock_guard<std::mutex> lock(d.mutex);
  if (!d.waiting.empty() && !recording) collect(d, false);
  Block* b = exact_blocks ? nullptr : graph ? graph->free.take(size) : home->free.take(size);
  if (!b) {
    b = new_block(d, device, size, graph ? &graph->slab : &d.slab);
    b->home = home;
    if (graph) {
      b->graph = graph;
      graph->blocks.push_back(b);
    }
  }
  if (b->slab) ++b->slab->live;
  DeviceMemory& m = d.memory;
  m.allocated += std::int64_t(bytes);
  if (m.allocated > m.peak) m.peak = m.allocated;
  return b->data;
}

// Reusable once the work so far of `stream` is done.
[[gnu::cold]] inline void free_after(DeviceState& d, Block* b, StreamState* stream) {
  const RelaxedCapture relaxed;
  const DeviceGuard guard(stream->device);
  cudaEvent_t event = nullptr;
  if (!d.spare_events.empty()) {
    event = d.spare_events.back();
    d.spare_events.pop_back();
  } else if (cudaEventCreateWithFlags(&event, cudaEventDisableTiming) != cudaSuccess) {
    event = nullptr;
  }
  if (event && cudaEventRecord(event, stream->handle) == cudaSuccess) return d.waiting.push_back({b, event});
  if (event) cudaEventDestroy(event);
  cudaStreamSynchronize(stream->handle);
  if (b->slab) --b->slab->live;
  b->home->free.put(b);
}

[[gnu::noinline]] inline void deallocate(int device, void* p, std::size_t bytes) noexcept {
  if (!p) return;
  StreamState* const now = chosen_stream[device];
  DeviceState& d = state_of(device);
  const std::lock_guard<std::mutex> lock(d.mutex);
  const auto it = d.blocks.find(p);
  if (it == d.blocks.end()) return;
  Block* b = it->second;
  d.memory.allocated -= std::int64_t(bytes);
  if (b->graph) {
    if (b->slab) --b->slab->live;
    b->graph->free.put(b);
  } else if (is_recording(device)) {
    recording->held.push_back(b);
  } else if (exact_blocks) {
    const RelaxedCapture relaxed;
    erase_block(d, b);
  } else if (now && now != b->home) {
    free_after(d, b, now);
  } else {
    if (b->slab) --b->slab->live;
    b->home->free.put(b);
  }
}

// The end of a graph that no longer runs: what it alone used is cached for all, what tensors still hold will be.
[[gnu::cold]] inline void surrender(GraphMemory& g) {
  DeviceState& d = state_of(g.device);
  const RelaxedCapture relaxed;
  const std::lock_guard<std::mutex> lock(d.mutex);
  g.free.each_list([&](Block*& head) {
    while (Block* b = FreeBlocks::pop(head)) {
      b->next = nullptr;
      b->graph = nullptr;
      g.held.push_back(b);
      if (b->slab) ++b->slab->live;
    }
  });
  for (Block* b : g.blocks) b->graph = nullptr;
  for (Block* b : g.held) {
    if (exact_blocks) {
      erase_block(d, b);
      continue;
    }
    if (b->slab) --b->slab->live;
    b->home->free.put(b);
  }
}

inline DeviceMemory memory_of(int device) {
  const DeviceGuard guard(device);
  DeviceState& d = state_of(device);
  const std::lock_guard<std::mutex> lock(d.mutex);
  DeviceMemory m = d.memory;
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cuda");
  m.free = std::int64_t(free);
  m.total = std::int64_t(total);
  return m;
}
inline void release_cache(int device) {
  const DeviceGuard guard(device);
  DeviceState& d = state_of(device);
  const std::lock_guard<std::mutex> lock(d.mutex);
  release(d);
}

// Memory of the current device for the kernels that are launched while it lives.
class Workspace {
 public:
  explicit Workspace(std::size_t bytes) : device_(current_device()), bytes_(bytes), data_(allocate(device_, bytes)) {}
  ~Workspace() { deallocate(device_, data_, bytes_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  void* data() const { return data_; }

 private:
  int device_;
  std::size_t bytes_;
  void* data_;
};

}  // namespace cuda
}  // namespace sinter
