// SPDX-License-Identifier: MIT
// The memory of two fake devices. The host cannot touch it: outside of kernels and copies every access is a SIGSEGV (by
// protection keys where the processor has them, else by mprotect, which takes longer). A block ends where its last page
// ends, to 256 bytes, with an inaccessible page behind and before it; what is left of its pages holds a pattern that is
// looked at after kernels, or is poisoned under AddressSanitizer. Fresh memory is full of NaN. Addresses that were freed
// stay inaccessible until all others have been used.
#pragma once

#include <sys/mman.h>

#include <map>
#include <mutex>

#include "fiber.h"

namespace shim {

inline constexpr int device_count = 2;

class Memory {
 public:
  static constexpr std::size_t page = 4096, alignment = 256, margin = 256, reserve = std::size_t(64) << 30;
  static constexpr unsigned char pattern = 0xa5;
  struct Block {
    char* pages;
    std::size_t page_bytes;
    std::size_t bytes;
    char *canary, *data;  // what precedes data, from canary on, has the pattern
  };

  // Null where the limit would be passed.
  void* allocate(std::size_t bytes) {
    const Unseen unseen;
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    if (bytes == 0 || used_ + bytes > limit_) return nullptr;
    if (!base_) open_reserve();
    const std::size_t body = (bytes + alignment - 1) / alignment * alignment, pages = (body + page - 1) / page * page;
    char* at = place(pages + 2 * page);
    if (!at) return nullptr;
    Block b{at + page, pages, bytes, nullptr, at + page + pages - body};
    b.canary = b.data - b.pages > std::ptrdiff_t(margin) ? b.data - margin : b.pages;
    if (key_ >= 0 ? pkey_mprotect(b.pages, pages, PROT_READ | PROT_WRITE, key_) : mprotect(b.pages, pages, PROT_READ | PROT_WRITE)) {
      std::perror("cuda shim: mprotect");
      std::abort();
    }
    blocks_.emplace(b.data, b);
    used_ += bytes;
    open(true);
#if defined(SHIM_ASAN)
    __asan_poison_memory_region(b.pages, pages);
    __asan_unpoison_memory_region(b.data, bytes);
#else
    std::memset(b.canary, pattern, std::size_t(b.data - b.canary));
    std::memset(b.data + bytes, pattern, body - bytes);
#endif
    std::memset(b.data, 0xff, bytes);
    open(false);
    return b.data;
  }
  bool free(void* p) {
    const Unseen unseen;
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    const auto it = blocks_.find(static_cast<char*>(p));
    if (it == blocks_.end()) return false;
    check_block(it->second, "a kernel or copy");
    const Block b = it->second;
#if defined(SHIM_ASAN)
    __asan_unpoison_memory_region(b.pages, b.page_bytes);
#endif
    // New pages in place of the old ones, which go back to the system.
    mmap(b.pages, b.page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    used_ -= b.bytes;
    blocks_.erase(it);
    give_back(b.pages - page, b.page_bytes + 2 * page);
    return true;
  }
  // For the calling thread; nests.
  void open(bool on) {
    const Unseen unseen;
    if (on ? depth()++ > 0 : --depth() > 0) return;
    if (key_ >= 0) {
      pkey_set(key_, on ? 0 : PKEY_DISABLE_ACCESS);
      return;
    }
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    for (const auto& b : blocks_) mprotect(b.second.pages, b.second.page_bytes, on ? PROT_READ | PROT_WRITE : PROT_NONE);
  }
  void check_all(const char* by) {
    const Unseen unseen;
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    if (blocks_.size() > 512) return;  // then when they are freed
    for (const auto& b : blocks_) check_block(b.second, by);
  }
  std::size_t limit() const { return limit_; }
  std::size_t used() const { return used_; }
  void set_limit(std::size_t bytes) { limit_ = bytes; }
  bool holds(const void* p) const { return base_ && p >= base_ && p < base_ + reserve; }

 private:
  int& depth() {
    static thread_local int depth[device_count];
    return depth[this - of_device(0)];
  }
  static Memory* of_device(int device);
  friend Memory& memory_of(int device);

  void open_reserve() {
    base_ = static_cast<char*>(mmap(nullptr, reserve, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (base_ == MAP_FAILED) {
      std::perror("cuda shim: no address space");
      std::abort();
    }
    key_ = std::getenv("SINTER_SHIM_MPROTECT") ? -1 : pkey_alloc(0, PKEY_DISABLE_ACCESS);
    ranges_[base_] = reserve;
    cursor_ = base_;
  }
  char* place(std::size_t bytes) {
    for (int lap = 0; lap < 2; ++lap, cursor_ = base_)
      for (auto it = ranges_.lower_bound(cursor_); it != ranges_.end(); ++it)
        if (it->second >= bytes) {
          char* at = it->first;
          const std::size_t rest = it->second - bytes;
          ranges_.erase(it);
          cursor_ = at + bytes;
          if (rest) ranges_[cursor_] = rest;
          return at;
        }
    return nullptr;
  }
  void give_back(char* at, std::size_t bytes) {
    auto next = ranges_.lower_bound(at);
    if (next != ranges_.end() && at + bytes == next->first && next->first != cursor_) {
      bytes += next->second;
      next = ranges_.erase(next);
    }
    if (next != ranges_.begin())
      if (auto before = std::prev(next); before->first + before->second == at) {
        before->second += bytes;
        return;
      }
    ranges_[at] = bytes;
  }
  void check_block(const Block& b, const char* by) {
#if defined(SHIM_ASAN)
    (void)b, (void)by;
#else
    open(true);
    std::ptrdiff_t at = 0;
    for (char* p = b.canary; p < b.data && at == 0; ++p)
      if (static_cast<unsigned char>(*p) != pattern) at = p - b.data;
    for (char* p = b.data + b.bytes; p < b.pages + b.page_bytes && at == 0; ++p)
      if (static_cast<unsigned char>(*p) != pattern) at = p - b.data;
    open(false);
    if (at == 0) return;
    std::fprintf(stderr, "cuda shim: %s wrote at byte %td of a block of %zu bytes\n", by, at, b.bytes);
    std::abort();
#endif
  }

  std::recursive_mutex mutex_;
  char *base_ = nullptr, *cursor_ = nullptr;
  int key_ = -1;
  std::size_t used_ = 0, limit_ = std::size_t(8) << 30;
  std::map<char*, Block> blocks_;
  std::map<char*, std::size_t> ranges_;  // that are free
};
inline Memory* Memory::of_device(int device) {
  static Memory* const memories = new Memory[device_count];
  return memories + device;
}
inline Memory& memory_of(int device) { return *Memory::of_device(device); }

// While it lives, the calling thread may touch the memory of one device.
struct Access {
  explicit Access(int device) : memory(memory_of(device)) { memory.open(true); }
  ~Access() { memory.open(false); }
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;
  Memory& memory;
};

}  // namespace shim
