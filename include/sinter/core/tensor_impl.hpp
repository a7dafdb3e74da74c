// SPDX-License-Identifier: MIT
// What every tensor handle points to, without its static type: memory, layout, and its place in the reverse-mode graph.
// What runs rarely or is called everywhere is kept out of line: compile time is a feature.
// Nothing here computes, so that objects of different compilers and instruction sets may share it.
#pragma once

#include <cstdint>

#include "sinter/core/backend.hpp"
#include "sinter/core/cache.hpp"
#include "sinter/core/config.hpp"
#include "sinter/core/device.hpp"
#include "sinter/core/dtype.hpp"
#include "sinter/core/ref.hpp"
#include "sinter/core/shape.hpp"

namespace sinter {

// Objects that come and go with every statement take their memory from the cache.
struct Pooled {
  static void* operator new(std::size_t bytes) { return Cache::allocate(bytes); }
  static void operator delete(void* p, std::size_t bytes) { Cache::free(p, bytes); }
};

// A block of memory, shared by the views into it. The version counts in-place changes, so that backward can tell when a
// saved tensor is no longer what it was.
struct alignas(64) Storage : Pooled {
  std::atomic<int> refs{1};
  std::atomic<std::uint32_t> version{0};
  std::atomic<std::uint32_t> rewrites{0};  // those in-place changes after which the memory has another history in the graph
  void* data = nullptr;
  std::size_t bytes = 0;
  Device device;
  void (*release)(Storage&) = nullptr;  // null: the memory is the cache's
  void* owner = nullptr;                // for `release` of foreign memory

  // Few bytes lie behind their Storage, in one block with it.
  static constexpr std::size_t joined_limit = 4096;

  [[gnu::noinline]] static Ref<Storage> allocate(std::size_t bytes) {
    const std::size_t joined = bytes <= joined_limit ? bytes : 0;
    Ref<Storage> s = Ref<Storage>::adopt(::new (Cache::allocate(sizeof(Storage) + joined)) Storage);
    try {
      s->data = bytes <= joined_limit ? s.get() + 1 : Cache::allocate(bytes);
    } catch (const std::bad_alloc&) {
      fail<DeviceError>("cpu: no memory for a tensor of ", bytes, " bytes");
    }
    s->bytes = bytes;
    return s;
  }
  static Ref<Storage> allocate(std::size_t bytes, Device device) { return device.is_cpu() ? allocate(bytes) : allocate_on(device, bytes); }
  [[gnu::noinline, gnu::cold]] static Ref<Storage> allocate_on(Device device, std::size_t bytes) {
    const Backend& backend = backend_of("empty", device);
    Ref<Storage> s = Ref<Storage>::adopt(new Storage);
    s->data = backend.allocate(device.index, bytes);
    s->bytes = bytes;
    s->device = device;
    s->release = [](Storage& t) { cuda_backend->deallocate(t.device.index, t.data, t.bytes); };
    return s;
  }
  [[gnu::noinline]] friend void destroy(Storage* s) {
    if (s->release) {
      s->release(*s);
    } else if (s->data == s + 1) {
      const std::size_t bytes = s->bytes;
      s->~Storage();
      return Cache::free(s, sizeof(Storage) + bytes);
    } else if (s->data) {
      Cache::free(s->data, s->bytes);
    }
    delete s;
  }
};

struct TensorImpl;

// A function that sees (and may replace) a gradient on its way.
struct Hook {
  Ref<TensorImpl> (*call)(void* state, const Ref<TensorImpl>& grad);
  void (*drop)(void* state);
  void* state;
  std::int64_t id;
  Hook* next;
};

struct HookList {
  Hook* first = nullptr;
  int running = 0;  // passes over the list under way: what is removed meanwhile is taken out behind them
  HookList() = default;
  HookList(const HookList&) = delete;
  HookList& operator=(const HookList&) = delete;
  ~HookList() {
    if (first) clear();
  }
  [[gnu::cold]] void clear() {
    while (Hook* h = first) {
      first = h->next;
      h->drop(h->state);
      delete h;
    }
  }
  void append(Hook* h) {
    Hook** at = &first;
    while (*at) at = &(*at)->next;
    h->next = nullptr;
    *at = h;
  }
  void remove(std::int64_t id) {
    for (Hook* h = first; h; h = h->next)
      if (h->id == id) h->call = nullptr;
    sweep();
  }
  [[gnu::cold]] void sweep() {
    for (Hook** at = &first; *at && running == 0;) {
      Hook* h = *at;
      if (h->call) {
        at = &h->next;
        continue;
      }
      *at = h->next;
      h->drop(h->state);
      delete h;
    }
  }
};

// One recorded step. `run` turns the gradients of its outputs into those of its inputs; `release` lets go of what was
// saved. Nodes are numbered as they are made and visited in falling order.
struct Node {
  struct Output {
    Ref<TensorImpl> grad;          // what has arrived so far in this backward pass
    TensorImpl* tensor = nullptr;  // while it is alive
    DType dtype = DType::float32;
    int rank = 0;
    Device device;
    std::int64_t sizes[max_rank] = {};
    bool retain = false;  // store the gradient in the tensor's grad, as leaves do
    HookList hooks;
  };
  std::atomic<int> refs{1};
  std::uint64_t sequence = 0;
  std::uint64_t group = 0;  // the statement that it is a part of, where that has several
  std::uint64_t visit = 0;  // the backward pass that has queued it
  const char* name = "";
  void (*run)(Node&) = nullptr;
  void (*release)(Node&) = nullptr;
  void (*dispose)(Node*) = nullptr;
  bool released = false;
  bool differentiable = false;  // run() is made of steps that are recorded in turn
  int outputs_count = 0;
  Output* outputs = nullptr;
};
inline void destroy(Node* node);

[[noreturn]] [[gnu::noinline, gnu::cold]] inline void fail_undefined() { fail<Error>("an operand is an undefined tensor"); }

[[noreturn]] [[gnu::noinline, gnu::cold]] inline void fail_too_large(ShapeView sizes) {
  fail<ShapeError>("a tensor of shape ", sizes, " has more bytes than 64 bits count");
}

struct TensorImpl : Pooled {
  std::atomic<int> refs{1};
  Ref<Storage> storage;
  void* data = nullptr;
  DType dtype = DType::float32;
  int rank = 0;
  bool requires_grad = false;
  bool is_view = false;
  bool detached = false;  // outside of the graph whatever happens to the memory
  std::uint32_t rewrites = 0;  // of the storage when this view was made
  int output = 0;  // which of node's outputs this is
  std::int64_t sizes[max_rank];
  std::int64_t strides[max_rank];
  Ref<Node> node;  // what made it; null for a leaf of the graph
  Ref<TensorImpl> grad;
  Ref<TensorImpl> arriving;  // a leaf's gradient while a backward pass is under way
  HookList hooks;            // of a leaf; other tensors' are with their node

  std::int64_t numel() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= sizes[i];
    return n;
  }
  ShapeView shape() const { return {sizes, rank}; }
  Device device() const { return storage->device; }

  template <int R>
  static Ref<TensorImpl> make(DType dtype, const Layout<R>& layout, Ref<Storage> storage, void* base) {
    static_assert(R <= max_rank, "sinter: a tensor has at most 8 dimensions");
    Ref<TensorImpl> t = Ref<TensorImpl>::adopt(new TensorImpl);
    t->dtype = dtype;
    t->rank = R;
    for (int i = 0; i < R; ++i) {
      t->sizes[i] = layout.sizes[i];
      t->strides[i] = layout.strides[i];
    }
    t->storage = std::move(storage);
    t->data = static_cast<char*>(base) + layout.offset * size_of(dtype);
    return t;
  }
  template <int R>
  static Ref<TensorImpl> empty(DType dtype, const Shape<R>& sizes, Device device = {}) {
    std::int64_t bytes = size_of(dtype);
    for (int i = 0; i < R; ++i)
      if (__builtin_mul_overflow(bytes, sizes[i], &bytes)) fail_too_large(ShapeView(sizes));
    Ref<Storage> storage = Storage::allocate(std::size_t(bytes), device);
    void* data = storage->data;
    return make(dtype, Layout<R>::contiguous(sizes), std::move(storage), data);
  }
  // The same memory as `t`, outside of the graph.
  [[gnu::noinline]] static Ref<TensorImpl> alias(const TensorImpl& t) {
    Ref<TensorImpl> a = Ref<TensorImpl>::adopt(new TensorImpl);
    a->dtype = t.dtype;
    a->rank = t.rank;
    for (int i = 0; i < t.rank; ++i) {
      a->sizes[i] = t.sizes[i];
      a->strides[i] = t.strides[i];
    }
    a->storage = t.storage;
    a->data = t.data;
    a->is_view = t.is_view;
    a->detached = true;
    return a;
  }
  [[gnu::noinline]] friend void destroy(TensorImpl* t) {
    if (t->node) t->node->outputs[t->output].tensor = nullptr;
    delete t;
  }
};

// Long graphs are taken down by a loop: a node that goes while another is going waits for its turn.
inline void destroy(Node* node) {
  thread_local Node* pending = nullptr;
  thread_local bool active = false;
  node->visit = reinterpret_cast<std::uint64_t>(pending);  // the list is threaded through a field no one needs any more
  pending = node;
  if (active) return;
  active = true;
  while (Node* n = pending) {
    pending = reinterpret_cast<Node*>(n->visit);
    n->dispose(n);
  }
  active = false;
}

}  // namespace sinter
