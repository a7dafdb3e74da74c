// SPDX-License-Identifier: MIT
// Tensor<T, R>: a handle to elements of dtype T in R dimensions. Copies of a handle share the elements, as names do in
// PyTorch; clone() copies them. Constructing one from an expression is the statement that evaluates it.
#pragma once

#include <memory>

#include "sinter/device/index.hpp"
#include "sinter/graph/epilogue.hpp"
#include "sinter/tensor/layout.hpp"

namespace sinter {

template <class T, int R>
class Tensor;

inline std::int64_t next_hook_id() {
  static std::atomic<std::int64_t> next{1};
  return next.fetch_add(1);
}

// A registered hook; remove() unregisters it.
class HookHandle {
 public:
  HookHandle(Ref<TensorImpl> t, std::int64_t id) : tensor_(std::move(t)), id_(id) {}
  void remove() { (tensor_->node ? tensor_->node->outputs[tensor_->output].hooks : tensor_->hooks).remove(id_); }

 private:
  Ref<TensorImpl> tensor_;
  std::int64_t id_;
};

inline namespace SINTER_ABI {

template <class T, int R, class E>
void write_in_place(const char* op, const Leaf<T, R>& out, const E& e);
template <class T, int R>
Ref<TensorImpl> dense_copy(const Leaf<T, R>& t);
template <int R2, class T, int R, class F>
Tensor<T, R2> make_view(const char* op, const Leaf<T, R>& x, F layout);
void backward(const Ref<TensorImpl>& root, Ref<TensorImpl> gradient, bool retain_graph, bool create_graph);

// A copy on another device; its gradient is copied back.
struct MoveBackward {
  Edge edge;
  void run(Node& node) {
    const TensorImpl& g = *node.outputs[0].grad;
    give(edge, dense_clone(g, g.dtype, edge.device()));
  }
};
[[gnu::cold]] inline Ref<TensorImpl> moved(const Ref<TensorImpl>& t, Device d) {
  if (!d.is_cpu()) backend_of("to", d);
  Ref<TensorImpl> there = dense_clone(*t, t->dtype, d);
  if (d.is_cpu()) check_indices_on_device();  // nothing is known of those before
  if (is_grad_enabled() && records_grad(t)) set_history(there, make_node("to", MoveBackward{Edge(t)}), 0);
  return there;
}
// A tensor of rank 0.
template <class T>
Ref<TensorImpl> scalar_of(T value, Device d) {
  Ref<TensorImpl> t = TensorImpl::empty(dtype_of<T>(), Shape<0>{}, d);
  if (d.is_cpu()) *static_cast<T*>(t->data) = value;
  else fill_on_device(t->data, dtype_of<T>(), 1, pattern_of(value));
  return t;
}

}  // namespace SINTER_ABI

template <class T, int R>
class Tensor : public Leaf<T, R> {
 public:
  using Base = Leaf<T, R>;
  using Base::impl;

  // An undefined tensor; anything but assignment to it and defined() is an error.
  Tensor() = default;
  explicit Tensor(Ref<TensorImpl> p) : Base(std::move(p)) {}
  Tensor(const Base& leaf) : Base(leaf) {}
  Tensor(const Tensor&) = default;
  Tensor(Tensor&&) noexcept = default;

  // Evaluates an expression of the same dtype and rank.
  template <class E>
  Tensor(const Expr<E>& e) : Base(evaluated(e.self())) {}

  // To a name, assignment rebinds the handle. To a temporary, such as a slice, it writes the elements in place.
  Tensor& operator=(const Tensor& t) & = default;
  Tensor& operator=(Tensor&& t) & noexcept = default;
  Tensor& operator=(const Tensor& t) && { return copy_(t); }
  template <class E>
  Tensor& operator=(const Expr<E>& e) & {
    impl = evaluated(e.self()).impl;
    return *this;
  }
  template <class E>
  Tensor& operator=(const Expr<E>& e) && { return copy_(e.self()); }
  template <class S, std::enable_if_t<std::is_arithmetic_v<S>, int> = 0>
  Tensor& operator=(S value) && { return copy_(Constant<S>(value)); }

  bool defined() const { return bool(impl); }
  static constexpr int dim() { return R; }
  static constexpr DType dtype() { return dtype_of<T>(); }
  std::int64_t size(std::int64_t d) const { return defined_impl().sizes[wrap_dim("size", d, R)]; }
  std::int64_t numel() const { return this->shape().numel(); }
  Device device() const { return defined_impl().storage->device; }
  bool is_contiguous() const { return sinter::is_contiguous(this->shape(), this->strides()); }
  // The first element; the others follow as strides() says.
  T* data() const { return static_cast<T*>(impl->data); }
  // Counts the in-place changes of the memory.
  std::uint32_t version() const { return defined_impl().storage->version.load(std::memory_order_relaxed); }

  // The value of a tensor with one element.
  T item() const {
    if (numel() != 1) fail<ShapeError>("item: a tensor of shape ", this->shape(), " has ", numel(), " elements, not one");
    return impl->device().is_cpu() ? *data() : *to(Device::cpu()).data();
  }

  // ---- The same values elsewhere

  Tensor clone() const {
    if (records(static_cast<const Base&>(*this))) return Map<op::Cast<compute_t<T>>, T, Base>({}, *this, {}, {});
    return Tensor(dense_copy(*this));
  }
  Tensor contiguous() const { return is_contiguous() ? *this : clone(); }
  // The same memory outside of the graph.
  Tensor detach() const { return Tensor(TensorImpl::alias(defined_impl())); }
  // A copy in another dtype, or this tensor where it has it already.
  template <class To>
  Tensor<To, R> to() const {
    if constexpr (std::is_same_v<To, T>) return *this;
    else return sinter::to<To>(static_cast<const Base&>(*this));
  }
  // A copy on another device, or this tensor where it is there already; gradients travel back. Throws DeviceError where there
  // is none.
  Tensor to(Device d) const { return d == device() ? *this : Tensor(moved(impl, d)); }
  Tensor cpu() const { return to(Device::cpu()); }
  Tensor cuda(int index = 0) const { return to(Device::cuda(index)); }

  // ---- In place. Broadcasts the right side; throws ShapeError where it does not fit, GradError on leaves of the graph.

  template <class X>
  Tensor& copy_(const X& x) {
    write_in_place("copy_", *this, as_expr(x));
    return *this;
  }
  template <class S>
  Tensor& fill_(S value) { return copy_(Constant<compute_t<T>>(compute_t<T>(T(value)))); }
  Tensor& zero_() { return fill_(0); }
  template <class X>
  Tensor& operator+=(const X& x) { return update("add_", *this + x); }
  template <class X>
  Tensor& operator-=(const X& x) { return update("sub_", *this - x); }
  template <class X>
  Tensor& operator*=(const X& x) { return update("mul_", *this * x); }
  template <class X>
  Tensor& operator/=(const X& x) { return update("div_", *this / x); }
  template <class X>
  Tensor& add_(const X& x) { return *this += x; }
  template <class X>
  Tensor& sub_(const X& x) { return *this -= x; }
  template <class X>
  Tensor& mul_(const X& x) { return *this *= x; }
  template <class X>
  Tensor& div_(const X& x) { return *this /= x; }

  // ---- Views: see tensor/view.hpp, whose free functions these are

  template <class... I>
  auto view(I... sizes) const;
  template <int N>
  auto view(const Shape<N>& sizes) const;
  template <std::size_t N>
  auto view(const std::int64_t (&sizes)[N]) const { return view(shape_of(sizes)); }
  template <class... I>
  auto reshape(I... sizes) const;
  template <int N>
  auto reshape(const Shape<N>& sizes) const;
  template <std::size_t N>
  auto reshape(const std::int64_t (&sizes)[N]) const { return reshape(shape_of(sizes)); }
  template <class... I>
  auto expand(I... sizes) const;
  template <std::size_t N>
  auto expand(const std::int64_t (&sizes)[N]) const;
  template <class... I>
  auto permute(I... dims) const;
  auto permute(const std::int64_t (&dims)[R > 0 ? R : 1]) const;
  auto transpose(std::int64_t d0, std::int64_t d1) const;
  auto t() const;
  auto squeeze(std::int64_t d) const;
  auto unsqueeze(std::int64_t d) const;
  template <int Start = 0, int End = -1>
  auto flatten() const;
  auto narrow(std::int64_t d, std::int64_t start, std::int64_t length) const;
  auto slice(std::int64_t d, std::int64_t start, std::int64_t stop, std::int64_t step = 1) const;
  auto select(std::int64_t d, std::int64_t index) const;
  // x[i], and x(i, Slice(1, 3), all, newaxis): see tensor/index.hpp.
  auto operator[](std::int64_t index) const;
  template <class... I>
  auto operator()(const I&... index) const;

  // ---- Gradients

  bool requires_grad() const { return sinter::requires_grad(impl); }
  bool is_leaf() const { return !defined_impl().node; }
  Tensor& requires_grad_(bool wanted = true) {
    static_assert(is_floating<T>, "sinter: only tensors of floating point dtype can require gradients");
    if (defined_impl().node && !wanted)
      fail<GradError>("requires_grad_: only leaves of the graph can stop requiring gradients; use detach()");
    impl->requires_grad = wanted;
    return *this;
  }
  // What backward has accumulated; undefined before.
  Tensor grad() const { return Tensor(defined_impl().grad); }
  void set_grad(const Tensor& g) {
    if (g.defined() && g.shape() != this->shape())
      fail<ShapeError>("set_grad: a gradient of shape ", g.shape(), " for a tensor of shape ", this->shape());
    defined_impl().grad = g.impl;
  }
  // Asks for .grad() although this is not a leaf.
  void retain_grad() {
    if (defined_impl().node) impl->node->outputs[impl->output].retain = true;
  }
  // From a scalar; throws GradError where nothing requires a gradient. With create_graph the .grad() are part of the graph and
  // can be differentiated; they then keep it alive until they are reset, which grad() (autograd/grad.hpp) does not.
  void backward(bool retain_graph = false, bool create_graph = false) const {
    static_assert(R == 0, "sinter: backward() without a gradient takes a tensor of rank 0; reduce it or pass a gradient");
    if constexpr (R == 0) {
      sinter::backward(impl, scalar_of(T(1), device()), retain_graph, create_graph);
    }
  }
  void backward(const Tensor& gradient, bool retain_graph = false, bool create_graph = false) const {
    if (gradient.shape() != this->shape())
      fail<ShapeError>("backward: a gradient of shape ", gradient.shape(), " for a tensor of shape ", this->shape());
    sinter::backward(impl, gradient.contiguous().impl, retain_graph, create_graph);
  }
  // f sees the gradient of this tensor when backward reaches it, and may return another in its place.
  template <class F>
  HookHandle register_hook(F f) const {
    struct Call {
      static Ref<TensorImpl> call(void* state, const Ref<TensorImpl>& grad) {
        F& g = *static_cast<F*>(state);
        if constexpr (std::is_void_v<decltype(g(Tensor(grad)))>) {
          g(Tensor(grad));
          return {};
        } else {
          const Tensor replaced = g(Tensor(grad));
          if (replaced.shape() != Tensor(grad).shape())
            fail<ShapeError>("register_hook: the hook returned shape ", replaced.shape(), " for a gradient of shape ",
                             Tensor(grad).shape());
          return replaced.contiguous().impl;
        }
      }
      static void drop(void* state) { delete static_cast<F*>(state); }
    };
    defined_impl();
    const std::int64_t id = next_hook_id();
    auto state = std::make_unique<F>(std::move(f));
    Hook* hook = new Hook{Call::call, Call::drop, state.get(), id, nullptr};
    state.release();
    (impl->node ? impl->node->outputs[impl->output].hooks : impl->hooks).append(hook);
    return HookHandle(impl, id);
  }

 private:
  TensorImpl& defined_impl() const {
    if (!impl) fail_undefined();
    return *impl;
  }
  template <class E>
  static Base evaluated(const E& e) {
    constexpr bool dtypes = std::is_same_v<typename E::value_type, T>, ranks = E::rank == R;
    static_assert(dtypes, "sinter: the expression has another dtype than the tensor; convert it with to<T>(expression)");
    static_assert(ranks, "sinter: the expression has another rank than the tensor");
    if constexpr (dtypes && ranks) return evaluate(e);
    else return {};
  }
  template <class E>
  Tensor& update(const char* op, const E& e) {
    using V = typename E::value_type;
    constexpr bool keeps = (is_floating<T> || !is_floating<V>) && (!std::is_same_v<T, bool> || std::is_same_v<V, bool>);
    static_assert(keeps, "sinter: the result of an in-place operation does not fit the tensor's dtype; convert it and use copy_()");
    if constexpr (keeps) write_in_place(op, *this, e);
    return *this;
  }
};
template <class E>
Tensor(const Expr<E>&) -> Tensor<typename E::value_type, E::rank>;

inline namespace SINTER_ABI {

// The value of an expression as a tensor; of a tensor, itself.
template <class E>
auto materialize(const E& e) {
  return Tensor<typename E::value_type, E::rank>(evaluate(e));
}
template <class E>
auto eval(const Expr<E>& e) { return materialize(e.self()); }

// A dense copy outside of the graph.
template <class T, int R>
Ref<TensorImpl> dense_copy(const Leaf<T, R>& t) {
  return compute(Map<op::Cast<compute_t<T>>, T, Leaf<T, R>>({}, t, {}, {})).impl;
}

inline void backward(const Ref<TensorImpl>& root, Ref<TensorImpl> gradient, bool retain_graph, bool create_graph) {
  if (!root) fail_undefined();
  if (!requires_grad(root))
    fail<GradError>("backward: the tensor of shape ", root->shape(), " does not require a gradient and nothing it was made of does");
  const Edge edge(root);
  run_backward(&edge, &gradient, 1, retain_graph, nullptr, create_graph);
}

// Whether writing to `out` could change an operand before it is read: one that shares its memory in another layout.
inline bool overlaps(const TensorImpl& out, const Operand* in, int n) {
  for (int k = 0; k < n; ++k) {
    const TensorImpl& t = **in[k];
    if (t.storage != out.storage) continue;
    bool same = t.data == out.data && t.rank == out.rank && t.dtype == out.dtype;
    for (int i = 0; same && i < t.rank; ++i) same = t.sizes[i] == out.sizes[i] && t.strides[i] == out.strides[i];
    if (!same) return true;
  }
  return false;
}

// After `y` has been written over with what requires no gradient, it still does, as in PyTorch; to what it was, it gives zeros.
struct Overwritten {
  Edge edge;
  void run(Node&) {
    give(edge, zeros_dense(edge.dtype(), edge.shape(), edge.device()));
  }
};

// out[...] = e. Recorded where e or what `out` was requires a gradient.
template <class T, int R, class E>
void write_in_place(const char* op, const Leaf<T, R>& out, const E& source) {
  static_assert(E::rank <= R, "sinter: an in-place operation takes a right side of at most the tensor's rank");
  if constexpr (E::rank <= R) {
    if (!out.impl) fail<Error>(op, ": the tensor is undefined");
    if (broadcast_shapes(op, out.shape(), source.shape()) != out.shape())
      fail<ShapeError>(op, ": shape ", source.shape(), " does not broadcast to ", out.shape());
    for (int i = 0; i < R; ++i)
      if (out.impl->sizes[i] > 1 && out.impl->strides[i] == 0)
        fail<ValueError>(op, ": elements of the tensor of shape ", out.shape(), " share their memory (axis ", i, " is expanded); clone() it first");
    Statement<> statement;
    const auto flat = resolve(source, statement);
    const Map<op::Cast<compute_t<T>>, T, std::decay_t<decltype(flat)>> e({}, flat, {}, {});
    const bool recorded = records(e);
    const bool was_recorded = is_grad_enabled() && requires_grad(out.impl);
    if (recorded || was_recorded) {
      if (!out.impl->node && out.impl->requires_grad)
        fail<GradError>(op, ": a leaf that requires a gradient cannot be changed in place; use no_grad() or detach()");
      if (out.impl->is_view)
        fail<GradError>(op, ": a view cannot be changed in place while gradients are recorded; use where(), scatter() or cat()");
    }
    const bool overlapping = overlaps(*out.impl, Operands<std::decay_t<decltype(e)>>(e).at, e.leaves);
    bool narrower = E::rank != R;
    if constexpr (E::rank == R) narrower = e.shape() != out.shape();
    if (recorded && (overlapping || narrower))
      return write_in_place(op, out, Leaf<T, R>(make_view<R>("expand", evaluate_flat(e, statement), ExpandTo<R>{out.shape()}).impl));
    if constexpr (e.leaves > 0)
      if (const Device d = common_device(op, Operands<std::decay_t<decltype(e)>>(e).at, e.leaves); d != out.impl->device())
        fail<DeviceError>(op, ": a right side on ", d, " for a tensor on ", out.impl->device());
    Ref<Node> node;
    if constexpr (decltype(plan::lower<0>(e))::differentiable)
      if (recorded) {
        SavedMap<std::decay_t<decltype(e)>> saved(e, out.impl);
        saved.keep_apart(out.impl->storage);
        node = make_node(op, MapBackward<std::decay_t<decltype(e)>>{std::move(saved)});
      }
    if (overlapping) assign(out, compute(e));
    else assign(out, e);
    out.impl->storage->version.fetch_add(1, std::memory_order_relaxed);
    if (recorded || was_recorded) out.impl->storage->rewrites.fetch_add(1, std::memory_order_relaxed);
    if (out.impl->node) out.impl->node->outputs[out.impl->output].tensor = nullptr;
    if (node) {
      set_history(out.impl, node, 0);
    } else if (was_recorded) {
      set_history(out.impl, make_node(op, Overwritten{Edge(out.impl)}), 0);
    }
  }
}

}  // namespace SINTER_ABI
}  // namespace sinter
