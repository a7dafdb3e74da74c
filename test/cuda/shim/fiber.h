// SPDX-License-Identifier: MIT
// Stacks to run the threads of a kernel on: one is left in the middle of a thread that waits at a barrier. AddressSanitizer
// and ThreadSanitizer are told of every switch; to the latter each stack is a thread, and a switch orders nothing.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SHIM_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define SHIM_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SHIM_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define SHIM_TSAN 1
#endif

extern "C" {
#if defined(SHIM_ASAN)
void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, std::size_t size);
void __sanitizer_finish_switch_fiber(void* fake_stack, const void** old_bottom, std::size_t* old_size);
void __asan_poison_memory_region(const volatile void* p, std::size_t size);
void __asan_unpoison_memory_region(const volatile void* p, std::size_t size);
#endif
#if defined(SHIM_TSAN)
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
#endif
void sinter_shim_switch(void** save, void* load);
}

// Saves the registers that a call keeps, and changes stacks.
#if defined(__x86_64__)
asm(R"(
  .text
  .weak sinter_shim_switch
  .type sinter_shim_switch, @function
sinter_shim_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
  .size sinter_shim_switch, . - sinter_shim_switch
)");
#elif defined(__aarch64__)
asm(R"(
  .text
  .weak sinter_shim_switch
  .type sinter_shim_switch, %function
sinter_shim_switch:
  sub sp, sp, #160
  stp x19, x20, [sp]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size sinter_shim_switch, . - sinter_shim_switch
)");
#else
#error "the CUDA shim knows how to switch stacks on x86-64 and AArch64 only"
#endif

namespace shim {

#if defined(SHIM_TSAN)
inline constexpr bool under_tsan = true;
inline void acquire(void* p) { __tsan_acquire(p); }
inline void release(void* p) { __tsan_release(p); }
// Keeps what the shim itself does out of ThreadSanitizer's sight.
struct Unseen {
  Unseen() { AnnotateIgnoreReadsBegin("", 0), AnnotateIgnoreWritesBegin("", 0); }
  ~Unseen() { AnnotateIgnoreWritesEnd("", 0), AnnotateIgnoreReadsEnd("", 0); }
};
#else
inline constexpr bool under_tsan = false;
inline void acquire(void*) {}
inline void release(void*) {}
struct Unseen {
  Unseen() {}
};
#endif

class Fiber {
 public:
  static constexpr std::size_t stack_bytes = 256 << 10, guard = 4096;

  explicit Fiber(void (*entry)()) {
    memory_ = static_cast<char*>(mmap(nullptr, guard + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory_ == MAP_FAILED || mprotect(memory_, guard, PROT_NONE) != 0) {
      std::perror("cuda shim: no memory for a stack");
      std::abort();
    }
    // At different places of a page and of the caches' sets: many are walked in turn.
    static unsigned made = 0;
    char* top = memory_ + guard + stack_bytes - made++ % 128 * 448;
#if defined(__x86_64__)
    void** p = reinterpret_cast<void**>(top) - 1;  // the stack as after a call
    *p = nullptr;
    *--p = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; ++i) *--p = nullptr;
    at_ = p;
#else
    at_ = top - 160;
    std::memset(at_, 0, 160);
    static_cast<void**>(at_)[11] = reinterpret_cast<void*>(entry);
#endif
#if defined(SHIM_TSAN)
    tsan_ = __tsan_create_fiber(0);
#endif
  }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Called by the scheduler: runs until leave().
  void enter() {
#if defined(SHIM_TSAN)
    outer_tsan_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(tsan_, 1);
#endif
#if defined(SHIM_ASAN)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, memory_ + guard, stack_bytes);
#endif
    sinter_shim_switch(&outer_, at_);
#if defined(SHIM_ASAN)
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
  }
  // Called on this fiber: goes back to enter(), and returns at the next.
  void leave() {
#if defined(SHIM_TSAN)
    __tsan_switch_to_fiber(outer_tsan_, 1);
#endif
#if defined(SHIM_ASAN)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, outer_bottom_, outer_size_);
#endif
    sinter_shim_switch(&at_, outer_);
#if defined(SHIM_ASAN)
    __sanitizer_finish_switch_fiber(fake, &outer_bottom_, &outer_size_);
#endif
  }
  // The first thing that happens on it.
  void begin() {
#if defined(SHIM_ASAN)
    __sanitizer_finish_switch_fiber(nullptr, &outer_bottom_, &outer_size_);
#endif
  }

 private:
  char* memory_ = nullptr;
  void *at_ = nullptr, *outer_ = nullptr;
#if defined(SHIM_TSAN)
  void *tsan_ = nullptr, *outer_tsan_ = nullptr;
#endif
#if defined(SHIM_ASAN)
  const void* outer_bottom_ = nullptr;
  std::size_t outer_size_ = 0;
#endif
};

}  // namespace shim
