// SPDX-License-Identifier: MIT
// Ref<T>: an owning pointer to an object that counts its owners itself (T::refs) and knows how to go (destroy(T*)).
#pragma once

#include <atomic>
#include <new>
#include <utility>

namespace sinter {

template <class T>
class Ref {
 public:
  Ref() = default;
  // Takes over the one count that a fresh object starts with.
  static Ref adopt(T* fresh) {
    Ref r;
    r.p_ = fresh;
    return r;
  }
  static Ref share(T* p) {
    if (p) p->refs.fetch_add(1, std::memory_order_relaxed);
    return adopt(p);
  }
  Ref(const Ref& o) : p_(o.p_) {
    if (p_) p_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  Ref& operator=(Ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Ref() {
    // An only owner need not count down: nobody else is there to see it.
    if (p_ && (p_->refs.load(std::memory_order_acquire) == 1 || p_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1)) destroy(p_);
  }
  void reset() { *this = Ref(); }
  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_ != nullptr; }
  bool unique() const { return p_ && p_->refs.load(std::memory_order_acquire) == 1; }
  friend bool operator==(const Ref& a, const Ref& b) { return a.p_ == b.p_; }
  friend bool operator!=(const Ref& a, const Ref& b) { return a.p_ != b.p_; }

 private:
  T* p_ = nullptr;
};

// Up to N references, set up only as far as they are there: all N would take a small statement longer than it runs.
template <class T, int N>
class RefList {
 public:
  explicit RefList(int n = 0) {
    while (count_ < n) push_back({});
  }
  RefList(const RefList&) = delete;
  RefList& operator=(const RefList&) = delete;
  ~RefList() {
    while (count_ > 0) at_[--count_].~Ref();
  }
  int size() const { return count_; }
  Ref<T>* data() { return at_; }
  void push_back(Ref<T> r) { new (&at_[count_++]) Ref<T>(std::move(r)); }
  Ref<T>& operator[](int i) { return at_[i]; }
  const Ref<T>& operator[](int i) const { return at_[i]; }

 private:
  int count_ = 0;
  union {
    Ref<T> at_[N];
  };
};

}  // namespace sinter
