// SPDX-License-Identifier: MIT
// Runs a kernel's threads one after the other on the calling thread, blocks in sequence. A thread that comes to a barrier is
// left on its stack, and those after it run on others, so that kernels without barriers cost a loop. set_schedule() chooses
// the order of blocks and threads: a result that depends on it is a race. Under ThreadSanitizer each thread of a block is one
// of its own, ordered by barriers alone, and a race within a block is reported by its line.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "memory.h"
#include "vector_types.h"

#if defined(__clang__)  // GCC does not put the variables of templates into sections
extern "C" char __start_sinter_shim_shared[] __attribute__((weak)), __stop_sinter_shim_shared[] __attribute__((weak));
#endif

// Of the thread that is running.
inline uint3 threadIdx{}, blockIdx{};
inline dim3 blockDim, gridDim;

namespace shim {

enum class Schedule { forward, reverse, random };
enum class State : std::uint8_t { unstarted, runnable, at_block_barrier, at_warp_barrier, done };

struct Thread {
  uint3 index{};
  unsigned linear = 0;
  State state = State::unstarted;
  unsigned mask = 0;         // at a warp barrier: for whom it waits
  std::uint64_t posted = 0, delivered = 0;  // for shuffles: what is posted is delivered when the barrier opens
  int counted = 0;           // for barriers that count
  Fiber* fiber = nullptr;
};

class Runner {
 public:
  Thread* current = nullptr;
  Schedule schedule = Schedule::forward;
  long switches = 0;

  static Runner& get() {
    static Runner* const runner = new Runner;
    return *runner;
  }
  void* dynamic_shared() { return dynamic_.get(); }

  void run(const char* name, dim3 grid, dim3 block, std::size_t shared, const std::function<void()>& body) {
    const Unseen unseen;
    const std::lock_guard<std::mutex> lock(mutex_);
    name_ = name;
    body_ = &body;
    gridDim = grid;
    blockDim = block;
    const unsigned n = block.x * block.y * block.z;
    threads_.resize(n);
    order_.resize(n);
    for (unsigned i = 0; i < n; ++i) {
      threads_[i].index = {i % block.x, i / block.x % block.y, i / block.x / block.y};
      threads_[i].linear = i;
    }
    const std::size_t blocks = std::size_t(grid.x) * grid.y * grid.z;
    std::vector<std::uint32_t> order;
    if (schedule == Schedule::random) {
      order.resize(blocks);
      for (std::size_t i = 0; i < blocks; ++i) order[i] = std::uint32_t(i);
      std::shuffle(order.begin(), order.end(), random_);
    }
    for (std::size_t k = 0; k < blocks; ++k) {
      const std::size_t i = schedule == Schedule::random ? order[k] : schedule == Schedule::reverse ? blocks - 1 - k : k;
      blockIdx = {unsigned(i % grid.x), unsigned(i / grid.x % grid.y), unsigned(i / grid.x / grid.y)};
      if (shared > 0) {  // of the very size, so that AddressSanitizer knows its end
        dynamic_.reset(static_cast<char*>(std::aligned_alloc(128, (shared + 127) / 128 * 128)));
        std::memset(dynamic_.get(), 0xff, (shared + 127) / 128 * 128);
#if defined(SHIM_ASAN)
        __asan_poison_memory_region(dynamic_.get() + shared, (128 - shared % 128) % 128);
#endif
      }
      run_block(n);
#if defined(SHIM_ASAN)
      if (shared > 0) __asan_unpoison_memory_region(dynamic_.get(), (shared + 127) / 128 * 128);
#endif
    }
    dynamic_.reset();
  }

  // ---- called by the kernel's threads ----
  void block_barrier() {
    release(&block_edge_);
    wait(State::at_block_barrier);
    acquire(&block_edge_);
  }
  // The sum over the block of `count`.
  int block_barrier_count(int count) {
    {
      const Unseen unseen;
      current->counted = count;
    }
    block_barrier();
    int sum = 0;
    {
      const Unseen unseen;
      for (const Thread& t : threads_) sum += t.counted;
    }
    block_barrier();
    return sum;
  }
  void warp_barrier(unsigned mask) {
    const unsigned warp = warp_of_current();
    release(&warp_edge_[warp]);
    {
      const Unseen unseen;
      current->mask = mask;
    }
    wait(State::at_warp_barrier);
    acquire(&warp_edge_[warp]);
  }
  // The value that the lane `from` of the warp posts at the same call; a lane's own where there is no such lane.
  std::uint64_t exchange(unsigned mask, std::uint64_t value, int from) {
    {
      const Unseen unseen;
      current->posted = value;
      if (!(mask >> (current->linear % 32) & 1)) die("a shuffle or vote is called by a lane outside of its mask");
    }
    warp_barrier(mask);
    {
      const Unseen unseen;
      const unsigned first = current->linear / 32 * 32;
      if (from >= 0 && from < 32 && first + unsigned(from) < threads_.size()) {
        if (!(mask >> from & 1)) die("a shuffle reads a lane outside of its mask");
        value = threads_[first + unsigned(from)].delivered;
      }
    }
    return value;
  }
  unsigned ballot(unsigned mask, bool vote) {
    {
      const Unseen unseen;
      current->posted = vote;
    }
    warp_barrier(mask);
    unsigned bits = 0;
    {
      const Unseen unseen;
      const unsigned first = current->linear / 32 * 32;
      for (unsigned i = 0; i < 32 && first + i < threads_.size(); ++i)
        if (mask >> i & 1 && threads_[first + i].delivered) bits |= 1u << i;
    }
    return bits;
  }
  [[noreturn]] void die(const char* why) {
    int count[5] = {};
    for (const Thread& t : threads_) ++count[int(t.state)];
    std::fprintf(stderr, "cuda shim: %s: %s, in block (%u, %u, %u): %d threads at __syncthreads, %d at a barrier of their warp, %d finished, %d others\n",
                 name_, why, blockIdx.x, blockIdx.y, blockIdx.z, count[int(State::at_block_barrier)], count[int(State::at_warp_barrier)],
                 count[int(State::done)], count[int(State::unstarted)] + count[int(State::runnable)]);
    std::abort();
  }

 private:
  unsigned warp_of_current() {
    const Unseen unseen;
    return current->linear / 32;
  }
  void wait(State state) {
    const Unseen unseen;
    current->state = state;
    ++switches;
    current->fiber->leave();
  }
  // What a fiber does: one thread after the other, until one is left waiting.
  static void fiber_main() {
    Runner& r = get();
    Fiber* const mine = r.entered();
    mine->begin();
    for (;;) {
      while (Thread* t = r.next_thread()) {
        r.enter(t, mine);
        acquire(&r.begin_edge_);
        r.body()();
        release(&r.end_edge_);
        r.finish(t);
        if (under_tsan) break;  // a stack for each: it is by the stack that it tells threads
      }
      r.park(mine);
    }
  }
  Fiber* entered() {
    const Unseen unseen;
    return entered_;
  }
  const std::function<void()>& body() {
    const Unseen unseen;
    return *body_;
  }
  Thread* next_thread() {
    const Unseen unseen;
    while (next_ < order_.size()) {
      Thread& t = threads_[order_[next_]];
      if (t.state == State::unstarted) return &t;
      ++next_;
    }
    return nullptr;
  }
  void enter(Thread* t, Fiber* on) {
    const Unseen unseen;
    t->fiber = on;
    ++next_;
    t->state = State::runnable;
    become(t);
  }
  void become(Thread* t) {
    current = t;
    threadIdx = t->index;
  }
  void finish(Thread* t) {
    const Unseen unseen;
    t->state = State::done;
  }
  void park(Fiber* f) {
    const Unseen unseen;
    (under_tsan ? resting_ : idle_).push_back(f);
    f->leave();
  }

  void run_block(unsigned n) {
    for (unsigned i = 0; i < n; ++i) {
      threads_[i].state = State::unstarted;
      order_[i] = schedule == Schedule::reverse ? n - 1 - i : i;
    }
    if (schedule == Schedule::random) std::shuffle(order_.begin(), order_.end(), random_);
#if defined(__clang__)
    if (__start_sinter_shim_shared) std::memset(__start_sinter_shim_shared, 0xff, std::size_t(__stop_sinter_shim_shared - __start_sinter_shim_shared));
#endif
    release(&begin_edge_);
    next_ = 0;
    while (next_thread()) {
      if (idle_.empty()) {
        fibers_.push_back(std::make_unique<Fiber>(fiber_main));
        idle_.push_back(fibers_.back().get());
      }
      entered_ = idle_.back();
      idle_.pop_back();
      entered_->enter();
    }
    while (open_barriers(n)) {
      if (schedule == Schedule::random) std::shuffle(order_.begin(), order_.end(), random_);
      for (unsigned i : order_)
        if (Thread& t = threads_[i]; t.state == State::runnable) {
          become(&t);
          entered_ = t.fiber;
          t.fiber->enter();
        }
    }
    acquire(&end_edge_);
    idle_.insert(idle_.end(), resting_.begin(), resting_.end());
    resting_.clear();
  }
  // False when all threads have finished.
  bool open_barriers(unsigned n) {
    unsigned done = 0, at_block = 0;
    bool opened = false;
    for (unsigned first = 0; first < n; first += 32) {
      const unsigned lanes = std::min(32u, n - first);
      unsigned arrived = 0, gone = 0;
      for (unsigned i = 0; i < lanes; ++i) {
        const State s = threads_[first + i].state;
        arrived |= unsigned(s == State::at_warp_barrier) << i;
        gone |= unsigned(s == State::done) << i;
        at_block += s == State::at_block_barrier;
      }
      done += unsigned(__builtin_popcount(gone));
      // A lane goes on when those of its mask have arrived at a barrier with the same mask; lanes that have returned or that
      // there are not do not count.
      const unsigned absent = gone | (lanes < 32 ? ~0u << lanes : 0u);
      for (unsigned i = 0; i < lanes; ++i) {
        if (!(arrived >> i & 1)) continue;
        const unsigned mask = threads_[first + i].mask;
        bool complete = (mask & ~absent & ~arrived) == 0;
        for (unsigned j = 0; j < lanes && complete; ++j)
          if ((mask & arrived) >> j & 1) complete = threads_[first + j].mask == mask;
        if (!complete) continue;
        for (unsigned j = 0; j < lanes; ++j)
          if (Thread& t = threads_[first + j]; (mask & arrived) >> j & 1) t.state = State::runnable, t.delivered = t.posted;
          else if ((mask & gone) >> j & 1) t.delivered = 0;  // a lane that returns only after this vote has taken part in it
        arrived &= ~mask;
        opened = true;
      }
    }
    if (opened) return true;
    if (done == n) return false;
    if (at_block == 0 || at_block + done < n) die("threads wait for each other at different barriers");
    if (done > 0) die("__syncthreads is not reached by all threads");
    for (Thread& t : threads_) t.state = State::runnable;
    return true;
  }

  struct Free {
    void operator()(char* p) const { std::free(p); }
  };
  std::mutex mutex_;
  const char* name_ = "";
  const std::function<void()>* body_ = nullptr;
  std::vector<Thread> threads_;
  std::vector<unsigned> order_;
  std::size_t next_ = 0;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_, resting_;  // resting: until the block ends
  Fiber* entered_ = nullptr;
  std::unique_ptr<char, Free> dynamic_;
  std::mt19937 random_{1};
  char block_edge_ = 0, begin_edge_ = 0, end_edge_ = 0, warp_edge_[32] = {};
};
inline Runner& runner = Runner::get();

inline void set_schedule(Schedule s) { runner.schedule = s; }
inline void* dynamic_shared() {
  const Unseen unseen;
  return runner.dynamic_shared();
}

}  // namespace shim
