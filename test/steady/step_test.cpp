// SPDX-License-Identifier: MIT
// A training step that has been seen before asks for no memory: not the heap, which is counted here (an executable of its
// own, since it replaces operator new), and not the system behind the cache, which counts itself.
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>
#include <vector>

#include "sinter/sinter.hpp"

namespace {
std::atomic<long> heap{0};
void* counted(std::size_t bytes) {
  heap.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(bytes ? bytes : 1)) return p;
  throw std::bad_alloc();
}
void* counted(std::size_t bytes, std::size_t align) {
  heap.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::aligned_alloc(align, (bytes + align - 1) / align * align)) return p;
  throw std::bad_alloc();
}
}  // namespace
void* operator new(std::size_t n) { return counted(n); }
void* operator new[](std::size_t n) { return counted(n); }
void* operator new(std::size_t n, std::align_val_t a) { return counted(n, std::size_t(a)); }
void* operator new[](std::size_t n, std::align_val_t a) { return counted(n, std::size_t(a)); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return counted(n); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return counted(n); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

using namespace sinter;

namespace {

struct Mlp : nn::Module<Mlp> {
  nn::Linear fc1{40, 32}, fc2{32, 10};
  template <class V>
  void visit(V&& v) { v("fc1", fc1), v("fc2", fc2); }
  template <class X>
  auto forward(const X& x) const { return fc2(relu(fc1(x))); }
};

struct Cnn : nn::Module<Cnn> {
  nn::Conv2d conv1{1, 4, 3, Conv2dOptions().padding(1)}, conv2{4, 8, 3, Conv2dOptions().padding(1)};
  nn::BatchNorm2d norm{8};
  nn::Linear fc{8 * 4 * 4, 10};
  template <class V>
  void visit(V&& v) { v("conv1", conv1), v("conv2", conv2), v("norm", norm), v("fc", fc); }
  template <class X>
  auto forward(const X& x) {
    auto y = max_pool2d(relu(conv1(x)), 2);
    auto z = max_pool2d(relu(norm(conv2(y))), 2);
    return fc(flatten<1>(z));
  }
};

// What 20 repetitions of f allocate once it has run a few times.
template <class F>
void allocates_nothing(const char* what, F f) {
  INFO(what);
  for (int i = 0; i < 4; ++i) f();
  const long before = heap.load();
  const auto system = memory_stats();
  for (int i = 0; i < 20; ++i) f();
  const long allocations = heap.load() - before;
  CHECK(allocations == 0);
  if (cache_enabled) CHECK(memory_stats().system_allocations == system.system_allocations);
  CHECK(memory_stats().allocated == system.allocated);
}

struct Threads {
  int before = get_num_threads();
  explicit Threads(int n) { set_num_threads(n); }
  ~Threads() { set_num_threads(before); }
};

}  // namespace

TEST_CASE("the heap is counted") {
  const long before = heap.load();
  std::vector<int> list(std::size_t(before) + 1);
  CHECK(list.size() > 0);
  CHECK(heap.load() > before);
}

TEST_CASE("statements, their graph and backward take no memory from the heap") {
  for (const int threads : {1, 2}) {
    Threads set(threads);
    Tensor<float, 2> x = randn({300, 200}), a = randn({16, 16});
    Tensor<float, 1> w = randn({200});
    w.requires_grad_(), a.requires_grad_();
    allocates_nothing("a fused chain with a broadcast gradient", [&] {
      w.set_grad({});
      Tensor<float, 0> loss = mean(gelu(x * w + 1) * w);
      loss.backward();
      (void)loss.item();
    });
    allocates_nothing("paths that meet, views, a softmax, a product", [&] {
      a.set_grad({});
      Tensor<float, 2> b = softmax(matmul(a, a.t()), 1);
      Tensor<float, 2> c = b + a * b;
      sum(c * c + a.reshape(16, 16)).backward();
    });
  }
}

TEST_CASE("training steps take no memory from the heap") {
  for (const int threads : {1, 2}) {
    Threads set(threads);
    Generator g(1);
    const Tensor<std::int64_t, 1> labels = randint(0, 10, {16});
    const auto trains = [&](const char* what, auto& net, auto& opt, const auto& x) {
      allocates_nothing(what, [&] {
        opt.zero_grad();
        Tensor<float, 0> loss = cross_entropy(net(x), labels);
        loss.backward();
        opt.step();
        (void)loss.item();
      });
    };
    Mlp mlp;
    const Tensor<float, 2> rows = randn<float>({16, 40}, g);
    optim::Adam adam(mlp);
    trains("mlp, Adam", mlp, adam, rows);
    optim::SGD sgd(mlp, optim::SGDOptions(0.01).momentum(0.9));
    trains("mlp, SGD", mlp, sgd, rows);
    const Tensor<float, 2> wanted = randn<float>({16, 10}, g);
    optim::AdamW adamw(mlp);
    allocates_nothing("mlp, MSE, clipped in the step", [&] {
      adamw.zero_grad();
      mse_loss(mlp(rows), wanted).backward();
      adamw.step(optim::ClipGradNorm(0.1));
    });
    allocates_nothing("mlp, zero_grad of the module, clip_grad_norm_", [&] {
      mlp.zero_grad();
      mse_loss(mlp(rows), wanted).backward();
      clip_grad_norm_(mlp, 0.1);
      adamw.step();
    });
    Cnn cnn;
    const Tensor<float, 4> images = randn<float>({16, 1, 16, 16}, g);
    optim::Adam opt(cnn);
    trains("cnn, Adam", cnn, opt, images);
    cnn.eval();
    NoGradGuard no_grad;
    allocates_nothing("mlp, inference", [&] { Tensor<float, 2> y = mlp(rows); });
    allocates_nothing("cnn, inference", [&] { Tensor<float, 2> y = cnn(images); });
    allocates_nothing("train() and eval()", [&] { cnn.train(), cnn.eval(); });
  }
}
