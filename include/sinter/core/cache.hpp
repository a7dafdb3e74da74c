// SPDX-License-Identifier: MIT
// The caching allocator: freed blocks are kept by size class, so that a steady training step asks the system for nothing
// and a large result does not pay for fresh pages each time. Blocks are 64-byte aligned.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace sinter {

struct MemoryStats {
  std::int64_t allocated = 0;  // bytes asked for and not given back
  std::int64_t reserved = 0;   // bytes held from the system, handed out or cached
  std::int64_t peak = 0;       // the most that `reserved` has been
  std::int64_t system_allocations = 0;
};

// Under AddressSanitizer every block comes from the system, so that a use after free is seen.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool cache_enabled = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool cache_enabled = false;
#else
inline constexpr bool cache_enabled = true;
#endif
#else
inline constexpr bool cache_enabled = true;
#endif

class Cache {
 public:
  static constexpr int classes = 160;
  static constexpr std::size_t small_limit = 64 << 10;  // up to here blocks are cached per thread first

  [[gnu::noinline]] static void* allocate(std::size_t bytes) {
    const int c = size_class(bytes);
    if (Local* local = current(); local && local->head[c]) {
      Block* b = local->head[c];
      local->head[c] = b->next;
      --local->count[c];
      local->add(std::int64_t(bytes));
      return b;
    }
    return allocate_shared(c, bytes);
  }

  [[gnu::noinline]] static void free(void* p, std::size_t bytes) noexcept {
    const int c = size_class(bytes);
    if (Local* local = current(); cache_enabled && local && c <= small_class && local->count[c] < 256) {
      Block* b = static_cast<Block*>(p);
      b->next = local->head[c];
      local->head[c] = b;
      ++local->count[c];
      local->add(-std::int64_t(bytes));
      return;
    }
    free_shared(p, c, bytes);
  }

  // Gives what is cached (by this thread and by all) back to the system.
  [[gnu::cold]] static void release() noexcept {
    if (Local* local = current()) local->flush();
    Shared& shared = global();
    std::lock_guard<std::mutex> lock(shared.mutex);
    for (int c = 0; c < classes; ++c)
      while (Block* b = shared.head[c]) {
        shared.head[c] = b->next;
        system_free(b, class_bytes(c));
      }
  }

  static MemoryStats stats() {
    Shared& s = global();
    std::lock_guard<std::mutex> lock(s.mutex);
    std::int64_t allocated = s.allocated.load();
    for (const Local* l = s.first; l; l = l->next) allocated += l->allocated.load(std::memory_order_relaxed);
    return {allocated, s.reserved.load(), s.peak.load(), s.system_allocations.load()};
  }

 private:
  static constexpr int small_class = 39;  // of small_limit
  struct Block {
    Block* next;
  };
  struct Local;
  struct Shared {
    std::mutex mutex;
    Block* head[classes] = {};
    Local* first = nullptr;  // of all threads
    std::atomic<std::int64_t> allocated{0}, reserved{0}, peak{0}, system_allocations{0};
  };
  // A thread's own blocks and its share of the count of bytes, which it alone changes: no locked instruction.
  struct Local {
    Block* head[classes] = {};
    int count[classes] = {};
    std::atomic<std::int64_t> allocated{0};
    Local *next = nullptr, *previous = nullptr;

    void add(std::int64_t bytes) { allocated.store(allocated.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed); }
    [[gnu::cold]] void flush() noexcept {
      Shared& shared = global();
      std::lock_guard<std::mutex> lock(shared.mutex);
      for (int c = 0; c < classes; ++c) {
        while (Block* b = head[c]) {
          head[c] = b->next;
          b->next = shared.head[c];
          shared.head[c] = b;
        }
        count[c] = 0;
      }
    }
    [[gnu::cold]] Local() {
      Shared& shared = global();
      std::lock_guard<std::mutex> lock(shared.mutex);
      next = shared.first;
      if (next) next->previous = this;
      shared.first = this;
      current() = this;
    }
    [[gnu::cold]] ~Local() {
      current() = nullptr;
      ended() = true;
      flush();
      Shared& shared = global();
      std::lock_guard<std::mutex> lock(shared.mutex);
      shared.allocated.fetch_add(allocated.load(std::memory_order_relaxed));
      (previous ? previous->next : shared.first) = next;
      if (next) next->previous = previous;
    }
  };

  // This thread's blocks: null before its first allocation and while it ends. (Plain words, which are read without a guard.)
  static Local*& current() {
    thread_local Local* local = nullptr;
    return local;
  }
  static bool& ended() {
    thread_local bool gone = false;
    return gone;
  }
  [[gnu::noinline]] static void note(std::int64_t bytes) {
    if (!ended()) {
      thread_local Local local;
      local.add(bytes);
    } else {
      global().allocated.fetch_add(bytes, std::memory_order_relaxed);
    }
  }

  [[gnu::noinline]] static void* allocate_shared(int c, std::size_t bytes) {
    void* p = nullptr;
    if (cache_enabled) {
      Shared& shared = global();
      std::lock_guard<std::mutex> lock(shared.mutex);
      if (Block* b = shared.head[c]) {
        shared.head[c] = b->next;
        p = b;
      }
    }
    if (!p) p = system_allocate(class_bytes(c));
    note(std::int64_t(bytes));
    return p;
  }
  [[gnu::noinline]] static void free_shared(void* p, int c, std::size_t bytes) noexcept {
    note(-std::int64_t(bytes));
    if (!cache_enabled) return system_free(p, class_bytes(c));
    Shared& shared = global();
    std::lock_guard<std::mutex> lock(shared.mutex);
    Block* b = static_cast<Block*>(p);
    b->next = shared.head[c];
    shared.head[c] = b;
  }

  // Never destroyed: tensors with static storage may outlive every other static.
  static Shared& global() {
    static Shared* shared = new Shared;
    return *shared;
  }

  // Classes: multiples of 64 up to 1 KiB, then four steps for each doubling.
  static int size_class(std::size_t bytes) {
    if (bytes <= 1024) return int((bytes - (bytes != 0)) / 64);
    const int log = 63 - __builtin_clzll(static_cast<unsigned long long>(bytes - 1));
    const int c = 16 + (log - 10) * 4 + int(((bytes - 1) >> (log - 2)) & 3);
    if (c >= classes) throw std::bad_alloc();
    return c;
  }
  static std::size_t class_bytes(int c) {
    if (c < 16) return std::size_t(c + 1) * 64;
    const int log = 10 + (c - 16) / 4, step = (c - 16) % 4;
    return (std::size_t(1) << log) + (std::size_t(step + 1) << (log - 2));
  }

  // Large blocks begin at different offsets within a page: arrays that are walked together would otherwise meet in the same
  // sets of the first cache, which has no more ways than a fused gradient has arrays.
  static constexpr std::size_t page = 4096, huge_page = 2 << 20, stagger = 5 * 64, stagger_count = 12, stagger_from = 256 << 10;

  [[gnu::cold]] static void* system_allocate(std::size_t bytes) {
    static std::atomic<unsigned> next{0};
    const bool huge = bytes >= 2 * huge_page, staggered = bytes >= stagger_from;
    const std::size_t align = huge ? huge_page : staggered ? page : 64;
    const std::size_t rounded = (bytes + align - 1) / align * align, total = rounded + (staggered ? align : 0);
    void* p = std::aligned_alloc(align, total);
    if (!p) {
      release();
      p = std::aligned_alloc(align, total);
    }
    if (!p) throw std::bad_alloc();
#if defined(__linux__)
    if (huge) madvise(p, rounded, MADV_HUGEPAGE);
#endif
    Shared& s = global();
    s.system_allocations.fetch_add(1, std::memory_order_relaxed);
    const std::int64_t now = s.reserved.fetch_add(std::int64_t(bytes)) + std::int64_t(bytes);
    std::int64_t peak = s.peak.load();
    while (now > peak && !s.peak.compare_exchange_weak(peak, now)) {
    }
    return staggered ? static_cast<char*>(p) + next.fetch_add(1, std::memory_order_relaxed) % stagger_count * stagger : p;
  }
  [[gnu::cold]] static void system_free(void* p, std::size_t bytes) noexcept {
    global().reserved.fetch_sub(std::int64_t(bytes));
    std::free(bytes >= stagger_from ? reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(p) & ~std::uintptr_t(page - 1)) : p);
  }
};

// For containers that come and go with every step: their memory is the cache's.
template <class T>
struct CacheAllocator {
  using value_type = T;
  CacheAllocator() = default;
  template <class U>
  CacheAllocator(const CacheAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(Cache::allocate(n * sizeof(T))); }
  void deallocate(T* p, std::size_t n) noexcept { Cache::free(p, n * sizeof(T)); }
  friend bool operator==(CacheAllocator, CacheAllocator) { return true; }
  friend bool operator!=(CacheAllocator, CacheAllocator) { return false; }
};
template <class T>
using CachedVector = std::vector<T, CacheAllocator<T>>;

// Bytes in use and held by the allocator.
inline MemoryStats memory_stats() { return Cache::stats(); }
// Returns cached blocks to the system.
inline void empty_cache() { Cache::release(); }

}  // namespace sinter
