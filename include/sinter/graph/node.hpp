// SPDX-License-Identifier: MIT
// Recording: where a gradient goes to, what a node keeps, and how a result is tied to the node that made it.
#pragma once

#include "sinter/core/tensor_impl.hpp"
#include "sinter/graph/grad_mode.hpp"

namespace sinter {

// The receiver of a gradient: an output of an earlier node, or a leaf of the graph, or nobody.
struct Edge {
  Ref<Node> node;
  int output = 0;
  Ref<TensorImpl> leaf;

  Edge() = default;
  explicit Edge(const Ref<TensorImpl>& t) {
    if (!t) return;
    if (t->node) {
      node = t->node;
      output = t->output;
    } else if (t->requires_grad) {
      leaf = t;
    }
  }
  explicit operator bool() const { return node || leaf; }
  ShapeView shape() const {
    return leaf ? ShapeView{leaf->sizes, leaf->rank} : ShapeView{node->outputs[output].sizes, node->outputs[output].rank};
  }
  Device device() const { return leaf ? leaf->device() : node->outputs[output].device; }
  DType dtype() const { return leaf ? leaf->dtype : node->outputs[output].dtype; }
  friend bool operator==(const Edge& a, const Edge& b) {
    return a.node == b.node && a.leaf == b.leaf && a.output == b.output;
  }
};

inline bool requires_grad(const Ref<TensorImpl>& t) { return t && (t->requires_grad || t->node); }

// The same where t is about to be read by a recorded step. A view whose base a recorded step has since changed in place has
// a history that is not that of its elements: GradError, rather than a wrong gradient.
inline bool records_grad(const Ref<TensorImpl>& t) {
  if (t && t->is_view && !t->detached && t->rewrites != t->storage->rewrites.load(std::memory_order_relaxed))
    fail<GradError>("a view of shape ", t->shape(), " was made before its base was changed in place with gradients recorded; make it anew");
  return requires_grad(t);
}

// A tensor kept for backward, with the version it had. Throws GradError when it has been changed in place since.
struct SavedVersion {
  std::uint32_t version = 0;
  void keep(const Ref<TensorImpl>& t) { version = t->storage->version.load(std::memory_order_relaxed); }
  void check(const char* op, const Ref<TensorImpl>& t) const {
    const std::uint32_t now = t->storage->version.load(std::memory_order_relaxed);
    if (now != version)
      fail<GradError>(op, ": a tensor of shape ", t->shape(), " that backward needs was changed in place (version ", now,
                      ", saved at version ", version, ")");
  }
};

inline std::uint64_t next_sequence() {
  static std::atomic<std::uint64_t> next{2};
  return next.fetch_add(2, std::memory_order_relaxed);  // see EpilogueBackward for the odd ones
}

// Ties `t`, fresh from a computation, to output `index` of a node.
[[gnu::noinline]] inline void set_history(const Ref<TensorImpl>& t, const Ref<Node>& node, int index, std::uint64_t group = 0) {
  node->group = group;
  Node::Output& out = node->outputs[index];
  out.tensor = t.get();
  out.dtype = t->dtype;
  out.device = t->device();
  out.rank = t->rank;
  for (int i = 0; i < t->rank; ++i) out.sizes[i] = t->sizes[i];
  t->node = node;
  t->output = index;
  t->requires_grad = true;
}

// A saved tensor's values with the history that its edge leads to.
inline Ref<TensorImpl> connected(const Ref<TensorImpl>& values, const Edge& edge) {
  if (edge.leaf) return edge.leaf;
  if (!edge.node) return values;
  Ref<TensorImpl> t = TensorImpl::alias(*values);
  t->node = edge.node;
  t->output = edge.output;
  t->requires_grad = true;
  return t;
}

// Whether a state says that its run() may be recorded, for gradients of gradients: all that it computes is then part of the
// graph. Where it does not, differentiating its gradients throws GradError.
template <class State>
constexpr auto is_differentiable(int) -> decltype(State::differentiable) { return State::differentiable; }
template <class State>
constexpr bool is_differentiable(...) { return false; }

// A node with its state in one cached block. State has `void run(Node&)`, and `void release()` if it keeps anything:
// a node that does not can be passed again.
template <class State, int Outputs = 1>
struct StatefulNode : Node, Pooled {
  State state;
  Output out[Outputs];

  StatefulNode(const char* op, State&& s) : state(std::move(s)) {
    name = op;
    sequence = next_sequence();
    outputs = out;
    outputs_count = Outputs;
    differentiable = double_backward && is_differentiable<State>(0);
    run = [](Node& n) { static_cast<StatefulNode&>(n).state.run(n); };
    release = release_of<State>(0);
    dispose = [](Node* n) { delete static_cast<StatefulNode*>(n); };
  }

 private:
  template <class S>
  static auto release_of(int) -> decltype(std::declval<S&>().release(), static_cast<void (*)(Node&)>(nullptr)) {
    return [](Node& n) { static_cast<StatefulNode&>(n).state.release(); };
  }
  template <class S>
  static void (*release_of(...))(Node&) { return nullptr; }
};
template <int Outputs = 1, class State>
Ref<Node> make_node(const char* op, State&& state) {
  static_assert(!std::is_reference_v<State>, "sinter: a node takes its state over");
  return Ref<Node>::adopt(new StatefulNode<State, Outputs>(op, std::move(state)));
}

}  // namespace sinter
