// SPDX-License-Identifier: MIT
// The walk back: nodes in falling order of their numbers, gradients summed where paths meet.
#pragma once

#include <algorithm>

#include "sinter/core/copy.hpp"
#include "sinter/device/dense.hpp"
#include "sinter/eval/cpu.hpp"
#include "sinter/eval/stages.hpp"
#include "sinter/graph/node.hpp"

namespace sinter {

// A backward pass under way on this thread.
struct BackwardPass {
  std::uint64_t id = 0;
  bool retain_graph = false;
  bool create_graph = false;            // gradients are recorded
  const char* running = "";             // the node whose gradients are arriving
  CachedVector<Ref<Node>> queue;         // a heap, the latest node on top
  CachedVector<Ref<TensorImpl>> leaves;  // whose gradient is arriving
  Stages stages;                         // kernels of the statement `group` that have not run yet
  std::uint64_t group = 0;

  void enqueue(const Ref<Node>& node) {
    queue.push_back(node);
    std::push_heap(queue.begin(), queue.end(), earlier);
  }
  [[gnu::noinline]] Ref<Node> take_latest() {
    std::pop_heap(queue.begin(), queue.end(), earlier);
    Ref<Node> node = std::move(queue.back());
    queue.pop_back();
    return node;
  }

 private:
  static bool earlier(const Ref<Node>& a, const Ref<Node>& b) { return a->sequence < b->sequence; }
};
inline BackwardPass*& current_pass() {
  thread_local BackwardPass* pass = nullptr;
  return pass;
}

inline bool creates_graph() {
  if constexpr (double_backward) return current_pass() && current_pass()->create_graph;
  else return false;
}

// While it lives, backward on this thread throws GradError where a gradient first becomes NaN, naming the operation.
// https://pytorch.org/docs/stable/autograd.html#anomaly-detection
class DetectAnomaly {
 public:
  DetectAnomaly() : before_(std::exchange(enabled(), true)) {}
  DetectAnomaly(const DetectAnomaly&) = delete;
  DetectAnomaly& operator=(const DetectAnomaly&) = delete;
  ~DetectAnomaly() { enabled() = before_; }
  static bool& enabled() {
    thread_local bool on = false;
    return on;
  }

 private:
  bool before_;
};

[[gnu::cold]] inline void check_anomaly(const TensorImpl& grad) {
  if (!grad.device().is_cpu()) return check_anomaly(*dense_clone(grad, grad.dtype, Device::cpu()));
  for (std::int64_t i = 0, n = grad.numel(); i < n; ++i)
    if (const double x = widened(grad.dtype, static_cast<char*>(grad.data) + i * size_of(grad.dtype)); x != x)
      fail<GradError>("backward of ", current_pass()->running, " gave NaN (element ", i, " of a gradient of shape ", grad.shape(), ")");
}

inline namespace SINTER_ABI {

template <class T>
void add_elements(T* z, const T* x, const T* y, std::int64_t n) {
  constexpr std::int64_t grain = 16384;
  constexpr int N = simd_bytes / int(sizeof(T));
  parallel_for((n + grain - 1) / grain, n >= parallel_threshold, [=](std::int64_t c) {
    const std::int64_t end = std::min(n, (c + 1) * grain);
    std::int64_t i = c * grain;
    for (; i + N <= end; i += N) (op::Lanes<T, N>::load(x + i) + op::Lanes<T, N>::load(y + i)).store(z + i);
    for (; i < end; ++i) z[i] = x[i] + y[i];
  });
}

// The same for types that have no lanes, element by element.
[[gnu::cold]] inline void add_widened(TensorImpl& to, const TensorImpl& a, const TensorImpl& b) {
  const int w = size_of(to.dtype);
  const auto at = [w](const TensorImpl& t, std::int64_t i) { return static_cast<char*>(t.data) + i * w; };
  for (std::int64_t i = 0, n = to.numel(); i < n; ++i) store_as(to.dtype, at(to, i), widened(a.dtype, at(a, i)) + widened(b.dtype, at(b, i)));
}

// to = a + b for dense gradients of one shape.
inline void add_dense(TensorImpl& to, const TensorImpl& a, const TensorImpl& b) {
  const std::int64_t n = to.numel();
  if (!to.device().is_cpu()) return add_on_device(to.data, a.data, b.data, to.dtype, n);
  if (to.dtype == DType::float32) {
    add_elements(static_cast<float*>(to.data), static_cast<const float*>(a.data), static_cast<const float*>(b.data), n);
  } else if (to.dtype == DType::float64) {
    add_elements(static_cast<double*>(to.data), static_cast<const double*>(a.data), static_cast<const double*>(b.data), n);
  } else {
    add_widened(to, a, b);
  }
}

// Whether nobody else sees a tensor or its memory.
inline bool is_exclusive(const Ref<TensorImpl>& t) { return t.unique() && t->storage.unique(); }
// Whether more may be added to a sum in place, by a loop that takes it as dense.
inline bool takes_more(const Ref<TensorImpl>& sum) { return sum && !creates_graph() && is_exclusive(sum) && is_dense(*sum); }

// What has arrived at an edge in this pass.
inline Ref<TensorImpl>& arrived(const Edge& e) { return e.leaf ? e.leaf->arriving : e.node->outputs[e.output].grad; }
inline void give(const Edge& e, Ref<TensorImpl> g);

// The backward of a sum of gradients, and of a copy.
struct SumBackward {
  static constexpr bool differentiable = true;
  Edge a, b;
  void run(Node& node) {
    give(a, node.outputs[0].grad);
    give(b, node.outputs[0].grad);
  }
  void release() {}
};
// a + b, or a copy of a alone, as a step of the graph; b is dense.
[[gnu::cold]] inline Ref<TensorImpl> sum_step(const Ref<TensorImpl>& a, const Ref<TensorImpl>& b) {
  Ref<TensorImpl> sum = dense_clone(*a, a->dtype);
  if (b) add_dense(*sum, *sum, *b);
  if (requires_grad(a) || requires_grad(b)) set_history(sum, make_node("add", SumBackward{Edge(a), Edge(b)}), 0);
  return sum;
}

// The end of what can be differentiated.
struct NotDifferentiable {
  void run(Node& node) { fail<GradError>(node.name, ": gradients of its gradient are not implemented"); }
  void release() {}
};
[[gnu::cold]] inline Ref<TensorImpl> not_differentiable(const char* op, const Ref<TensorImpl>& g) {
  Ref<TensorImpl> t = TensorImpl::alias(*g);
  set_history(t, make_node(op, NotDifferentiable{}), 0);
  return t;
}

// sum += g; g is dense and may be taken over. A sum that somebody else also holds is replaced, never changed.
[[gnu::noinline]] inline void accumulate(Ref<TensorImpl>& sum, Ref<TensorImpl> g) {
  if (!sum) {
    sum = std::move(g);
    return;
  }
  if constexpr (double_backward)
    if (creates_graph()) return void(sum = sum_step(sum, g));
  if (!is_dense(*sum)) sum = dense_clone(*sum, sum->dtype);  // a .grad() that a user has set
  if (takes_more(sum)) {
    add_dense(*sum, *sum, *g);
  } else {
    Ref<TensorImpl> fresh = empty_dense(sum->dtype, sum->shape(), sum->device());
    add_dense(*fresh, *sum, *g);
    sum = std::move(fresh);
  }
}
// The same into a .grad(), which may be changed in place by whoever reads it: its memory is its own.
[[gnu::noinline]] inline void accumulate_grad(Ref<TensorImpl>& grad, Ref<TensorImpl> g) {
  if constexpr (double_backward)
    if (creates_graph() && !grad && !is_exclusive(g)) g = sum_step(g, {});
  if (!grad && !is_exclusive(g)) g = dense_clone(*g, g->dtype);
  accumulate(grad, std::move(g));
}

// Sends a dense gradient along an edge; queues the node or notes the leaf that gets its first.
inline void give(const Edge& e, Ref<TensorImpl> g) {
  if (!e) return;
  if (arrived(e)) current_pass()->stages.run();
  if (DetectAnomaly::enabled()) check_anomaly(*g);
  BackwardPass& pass = *current_pass();
  if constexpr (double_backward)
    if (pass.create_graph && !is_grad_enabled() && !requires_grad(g)) g = not_differentiable(pass.running, g);
  if (e.leaf) {
    if (!e.leaf->arriving) pass.leaves.push_back(e.leaf);
    return accumulate(e.leaf->arriving, std::move(g));
  }
  Node& n = *e.node;
  if (n.visit != pass.id) {
    n.visit = pass.id;
    pass.enqueue(e.node);
  }
  accumulate(n.outputs[e.output].grad, std::move(g));
}

// A hook may remove itself and others.
[[gnu::noinline]] inline void run_hooks(HookList& hooks, Ref<TensorImpl>& grad) {
  struct Running {
    HookList& list;
    explicit Running(HookList& l) : list(l) { ++list.running; }
    ~Running() {
      --list.running;
      list.sweep();
    }
  } running(hooks);
  for (Hook* h = hooks.first; h; h = h->next)
    if (h->call)
      if (Ref<TensorImpl> replaced = h->call(h->state, grad)) grad = std::move(replaced);
}

// What grad(outputs, inputs) asks for instead of accumulation into .grad().
struct Wanted {
  Edge edge;
  Ref<TensorImpl> grad;
};

[[gnu::noinline]] inline void drop_gradients(Node& n) {
  for (int i = 0; i < n.outputs_count; ++i) n.outputs[i].grad.reset();
}

// Walks back from n `roots`, whose gradients are `grads` and may be taken over. With `wanted`, leaves keep their .grad() as
// it is. create_graph records the way, so that gradients can be differentiated, and keeps the graph as retain_graph does.
inline void run_backward(const Edge* roots, Ref<TensorImpl>* grads, std::size_t n, bool retain_graph, std::vector<Wanted>* wanted,
                         bool create_graph = false) {
  if (create_graph && !double_backward)
    fail<GradError>("backward: create_graph takes a program that includes sinter/double_backward.hpp before any other header of Sinter");
  static std::atomic<std::uint64_t> next_id{1};
  BackwardPass pass;
  pass.id = next_id.fetch_add(1, std::memory_order_relaxed);
  pass.retain_graph = retain_graph || create_graph;
  pass.create_graph = create_graph;
  struct Restore {
    BackwardPass* before;
    BackwardPass& pass;
    ~Restore() {
      for (auto& n : pass.queue) drop_gradients(*n);
      for (auto& leaf : pass.leaves) leaf->arriving.reset();
      current_pass() = before;
    }
  } restore{std::exchange(current_pass(), &pass), pass};
  SetGradEnabled recorded(create_graph);

  pass.queue.reserve(32);
  pass.leaves.reserve(32);
  for (std::size_t i = 0; i < n; ++i) give(roots[i], std::move(grads[i]));
  while (!pass.queue.empty()) {
    Ref<Node> node = pass.take_latest();
    if (node->group == 0 || node->group != pass.group) pass.stages.run();
    pass.group = node->group;
    struct Clear {
      Node& n;
      ~Clear() { drop_gradients(n); }
    } clear{*node};
    if (node->released)
      fail<GradError>(node->name, ": backward through the graph a second time, after what it kept was freed; pass "
                                  "retain_graph = true the first time");
    for (int i = 0; i < node->outputs_count; ++i) {
      Node::Output& out = node->outputs[i];
      if (!out.grad) continue;
      run_hooks(out.hooks, out.grad);
      if (out.retain && out.tensor && !wanted) accumulate_grad(out.tensor->grad, out.grad);
      if (wanted)
        for (Wanted& w : *wanted)
          if (w.edge.node == node && w.edge.output == i) w.grad = out.grad;
    }
    pass.running = node->name;
    if constexpr (double_backward) {
      SetGradEnabled again(create_graph && node->differentiable);
      node->run(*node);
    } else {
      node->run(*node);
    }
    if (!pass.retain_graph && node->release) {
      node->release(*node);
      node->released = true;
    }
  }
  pass.stages.run();
  for (Ref<TensorImpl>& leaf : pass.leaves) {
    run_hooks(leaf->hooks, leaf->arriving);
    if (!wanted) {
      accumulate_grad(leaf->grad, std::move(leaf->arriving));
    } else {
      for (Wanted& w : *wanted)
        if (w.edge.leaf == leaf) w.grad = leaf->arriving;
    }
    leaf->arriving.reset();
  }
}

}  // namespace SINTER_ABI
}  // namespace sinter
