// SPDX-License-Identifier: MIT
// Random numbers on a device: the same as the CPU's, number for number.
//
// A launch carries its seed and counter by value. While a CUDA graph is recorded that would make every replay draw the same
// numbers, so that there a launch carries the distance from where the recording began, and adds it to a RandomState which it
// reads from device memory. Around a recording:
//   set_random_on_device(state, g.seed(), g.position());            // state: 16 bytes of device memory that live with the graph
//   { RandomRecording drawn(state, g); record the work; n = drawn.counters(); }
// and then either end the recording with advance_random_on_device(state, n), so that each replay goes on where the last one
// ended, or begin every replay with set_random_on_device(state, g.seed(), g.position()); g.reserve(4 * n), so that replays draw
// what the same steps would have drawn without a graph. The latter also keeps apart what is drawn outside of the graph.
#pragma once

#include <cstdint>

#include "sinter/core/backend.hpp"
#include "sinter/core/dtype.hpp"
#include "sinter/core/random.hpp"

namespace sinter {

// In device memory.
struct RandomState {
  std::uint64_t seed, position;
};
inline DeviceKernel<void(RandomState* state, std::uint64_t seed, std::uint64_t position)> set_random_on_device{"random"};
inline DeviceKernel<void(RandomState* state, std::uint64_t counters)> advance_random_on_device{"random"};

// A stretch of a generator's stream, as a launch gets it.
struct RandomStream {
  std::uint64_t seed, first;
  const RandomState* state;  // of the device, or null; then `first` counts from its position
  SINTER_HOST_DEVICE Philox words(std::uint64_t counter) const {
    return state ? Philox(state->seed, state->position + first + counter) : Philox(seed, first + counter);
  }
};

// While it lives, this thread's draws from g on a device are relative to `state`.
class RandomRecording {
 public:
  RandomRecording(const RandomState* state, Generator& g) : state_(state), generator_(&g), base_(g.position()), outer_(current()) { current() = this; }
  ~RandomRecording() { current() = outer_; }
  RandomRecording(const RandomRecording&) = delete;
  RandomRecording& operator=(const RandomRecording&) = delete;
  // How many have been drawn, four numbers to a counter.
  std::uint64_t counters() const { return generator_->position() - base_; }

  // A stretch for n numbers on a device.
  static RandomStream reserve(Generator& g, std::uint64_t n) {
    const RandomStream s{g.seed(), g.reserve(n), nullptr};
    const RandomRecording* r = current();
    if (!r || r->generator_ != &g) return s;
    return {s.seed, s.first - r->base_, r->state_};
  }

 private:
  static RandomRecording*& current() {
    thread_local RandomRecording* r = nullptr;
    return r;
  }
  const RandomState* state_;
  Generator* generator_;
  std::uint64_t base_;
  RandomRecording* outer_;
};

// n elements at p: uniform in [a, b), normal with mean a and deviation b, or integers in [low, low + range).
struct RandomFillArgs {
  enum Kind { uniform, normal, integers };
  Kind kind;
  DType dtype;
  void* p;
  std::int64_t n;
  double a, b;
  std::int64_t low;
  std::uint64_t range;
  RandomStream stream;
};
inline DeviceKernel<void(const RandomFillArgs&)> random_fill_on_device{"rand"};

// out[i] = in[i] / (1 - p) where number i of the stream is at least p, else 0.
struct DropoutArgs {
  DType dtype;
  void* out;
  const void* in;
  std::int64_t n;
  double p;
  RandomStream stream;
};
inline DeviceKernel<void(const DropoutArgs&)> dropout_on_device{"dropout"};

}  // namespace sinter
