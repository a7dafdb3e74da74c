// SPDX-License-Identifier: MIT
// Recorded work. Between begin and end the thread works on a stream of its own, so that others keep theirs, and what it
// launches is recorded. Memory: see GraphMemory.
#pragma once

#include <memory>

#include "sinter/cuda/allocator.cuh"
#include "sinter/cuda/transfer.cuh"

namespace sinter {
namespace cuda {

struct GraphState {
  GraphMemory memory;
  cudaGraphExec_t exec = nullptr;
  cudaEvent_t done = nullptr;  // of the latest run; those before ended before it
  bool ran = false;
  StreamState *stream = nullptr, *before = nullptr;  // while recording
};
inline thread_local GraphState* open_graph = nullptr;

[[gnu::cold]] inline void destroy_graph(void* graph) noexcept {
  const std::unique_ptr<GraphState> g(static_cast<GraphState*>(graph));
  if (!g) return;
  const RelaxedCapture relaxed;
  if (g->ran) cudaEventSynchronize(g->done);
  if (g->done) cudaEventDestroy(g->done);
  if (g->exec) cudaGraphExecDestroy(g->exec);
  surrender(g->memory);
  for (void* p : g->memory.pinned) free_pinned(p);
}

inline void* create_stream(int device) {
  DeviceState& d = state_of(device);
  const std::lock_guard<std::mutex> lock(d.mutex);
  if (d.spare_streams.empty()) return new_stream(device);
  StreamState* s = d.spare_streams.back();
  d.spare_streams.pop_back();
  return s;
}
inline void destroy_stream(void* stream) noexcept {
  StreamState* s = static_cast<StreamState*>(stream);
  DeviceState& d = state_of(s->device);
  const std::lock_guard<std::mutex> lock(d.mutex);
  d.spare_streams.push_back(s);
}
// Null stands for the common one.
inline void* exchange_stream(int device, void* stream) {
  StreamState* before = stream_on(device);
  chosen_stream[device] = static_cast<StreamState*>(stream);
  return before;
}

[[gnu::cold]] inline void begin_capture(int device) {
  if (open_graph) fail<DeviceError>("cuda graph: a recording of cuda:", open_graph->memory.device, " has already begun");
  const DeviceGuard guard(device);
  std::unique_ptr<GraphState> g(new GraphState);
  g->memory.device = device;
  g->stream = static_cast<StreamState*>(create_stream(device));
  const cudaError_t error = cudaStreamBeginCapture(g->stream->handle, cudaStreamCaptureModeThreadLocal);
  if (error != cudaSuccess) {
    destroy_stream(g->stream);
    fail_call(error, "cuda graph: beginning to record");
  }
  g->before = static_cast<StreamState*>(exchange_stream(device, g->stream));
  open_graph = g.release();
  recording = &open_graph->memory;
}
// Blocks that outlive the graph are reused in the order of the stream that was current around the recording.
[[gnu::cold]] inline void* end_capture(int device, bool keep) {
  if (!is_recording(device)) fail<DeviceError>("cuda graph: nothing is being recorded on cuda:", device);
  const DeviceGuard guard(device);
  GraphState* g = open_graph;
  open_graph = nullptr;
  recording = nullptr;
  cudaGraph_t graph = nullptr;
  cudaError_t error = cudaStreamEndCapture(g->stream->handle, &graph);
  exchange_stream(device, g->before);
  destroy_stream(g->stream);
  for (Block* b : g->memory.blocks) b->home = g->before;
  if (keep && error == cudaSuccess) error = cudaGraphInstantiate(&g->exec, graph, 0);
  if (keep && error == cudaSuccess) error = cudaEventCreateWithFlags(&g->done, cudaEventDisableTiming);
  if (graph) cudaGraphDestroy(graph);
  if (!keep || error != cudaSuccess) {
    destroy_graph(g);
    if (keep) fail_call(error, "cuda graph: ending the recording");
    cudaGetLastError();
    return nullptr;
  }
  return g;
}
inline void launch_graph(void* graph) {
  GraphState& g = *static_cast<GraphState*>(graph);
  if (open_graph) fail<DeviceError>("cuda graph: a graph cannot run inside of a recording");
  const DeviceGuard guard(g.memory.device);
  const cudaStream_t stream = current_stream();
  check(cudaGraphLaunch(g.exec, stream), "cuda graph");
  g.ran = true;
  check(cudaEventRecord(g.done, stream), "cuda graph");
}

// ---- events ----
struct EventState {
  int device;
  cudaEvent_t handle = nullptr;
};
inline void* create_event(int device) {
  const DeviceGuard guard(device);
  std::unique_ptr<EventState> e(new EventState{device});
  check(cudaEventCreateWithFlags(&e->handle, cudaEventDefault), "cuda: creating an event");
  return e.release();
}
inline void destroy_event(void* event) noexcept {
  cudaEventDestroy(static_cast<EventState*>(event)->handle);
  delete static_cast<EventState*>(event);
}
inline void record_event(void* event) {
  const EventState& e = *static_cast<EventState*>(event);
  check(cudaEventRecord(e.handle, stream_on(e.device)->handle), "cuda: recording an event");
}
inline void wait_event(void* event) { check(cudaStreamWaitEvent(current_stream(), static_cast<EventState*>(event)->handle, 0), "cuda: waiting for an event"); }
inline void synchronize_event(void* event) { check(cudaEventSynchronize(static_cast<EventState*>(event)->handle), "cuda: waiting for an event"); }
inline double elapsed_ms(void* from, void* to) {
  float ms = 0;
  check(cudaEventElapsedTime(&ms, static_cast<EventState*>(from)->handle, static_cast<EventState*>(to)->handle), "cuda: time between events");
  return double(ms);
}

}  // namespace cuda
}  // namespace sinter
