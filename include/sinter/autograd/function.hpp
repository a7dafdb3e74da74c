// SPDX-License-Identifier: MIT
// Ops with a kernel of their own in the graph: a result, the tensors it was made of, and a function for the way back. The
// library's own (matmul, conv2d, ...) and users' ops are recorded the same way.
#pragma once

#include <optional>
#include <tuple>

#include "sinter/tensor/view.hpp"

namespace sinter {

// A tensor kept for backward; reading it throws GradError where it has been changed in place since.
template <class T, int R>
class Saved {
 public:
  Saved() = default;
  explicit Saved(const Tensor<T, R>& t) : tensor_(t.defined() ? t.detach() : t) {
    if (t.defined()) version_.keep(t.impl);
  }
  Tensor<T, R> get(const char* op = "backward") const {
    if (tensor_.defined()) version_.check(op, tensor_.impl);
    return tensor_;
  }

 private:
  Tensor<T, R> tensor_;
  SavedVersion version_;
};
template <class T, int R>
Saved(const Tensor<T, R>&) -> Saved<T, R>;
// t where the gradient of `other` reads it, else nothing: what no gradient needs is neither kept nor watched.
template <class T, int R, class Other>
Saved<T, R> saved_for(const Other& other, const Tensor<T, R>& t) { return requires_grad(other.impl) ? Saved<T, R>(t) : Saved<T, R>(); }

inline namespace SINTER_ABI {

template <class Back, class Out, class... In>
struct FunctionBackward {
  static constexpr int count = int(sizeof...(In));
  std::optional<Back> back;
  Edge edge[count];

  // Which inputs want a gradient; the others' may be left undefined.
  struct Needs {
    bool wanted[count];
    bool operator[](int i) const { return wanted[i]; }
  };
  void run(Node& node) {
    Needs needs{};
    for (int i = 0; i < count; ++i) needs.wanted[i] = bool(edge[i]);
    const std::tuple<In...> grads = (*back)(Out(node.outputs[0].grad), needs);
    deliver(node.name, grads, std::make_integer_sequence<int, count>());
  }
  void release() { back.reset(); }

 private:
  template <int... I>
  void deliver(const char* op, const std::tuple<In...>& grads, std::integer_sequence<int, I...>) {
    (deliver_one(op, edge[I], std::get<I>(grads)), ...);
  }
  template <class T, int R>
  void deliver_one(const char* op, const Edge& e, const Tensor<T, R>& grad) {
    if (!e || !grad.defined()) return;
    for (int i = 0; i < R; ++i)
      if (grad.impl->sizes[i] != e.shape().d[i])
        fail<ShapeError>(op, ": backward gave a gradient of shape ", grad.shape(), " for an input of shape ", e.shape());
    give(e, grad.contiguous().impl);
  }
};

// Ties `out`, computed outside of the graph, to the inputs. back(grad, needs) returns a tuple with one gradient for each
// input, dense or undefined; what it captures should be Saved. `out` is returned.
template <class T, int R, class Back, class... In>
Tensor<T, R> record(const char* name, Tensor<T, R> out, Back back, const In&... in) {
  using State = FunctionBackward<Back, Tensor<T, R>, In...>;
  State state{std::move(back), {Edge(in.impl)...}};
  set_history(out.impl, make_node(name, std::move(state)), 0);
  return out;
}
template <class... In>
bool any_requires_grad(const In&... in) { return is_grad_enabled() && (records_grad(in.impl) || ...); }

}  // namespace SINTER_ABI

// A user's op in two lambdas: forward(inputs...) -> Tensor, without recording; backward(grad, out, inputs...) -> a tuple of
// one gradient for each input.
//   auto cube = autograd::function("cube", [](auto x) { return eval(x * x * x); },
//                                  [](auto g, auto, auto x) { return std::tuple(eval(g * 3 * x * x)); });
namespace autograd {

template <class Forward, class Backward>
class Function {
 public:
  Function(const char* name, Forward f, Backward b) : name_(name), forward_(std::move(f)), backward_(std::move(b)) {}

  template <class... A>
  auto operator()(const Expr<A>&... args) const { return call(materialize(args.self())...); }

 private:
  template <class... In>
  auto call(const In&... in) const {
    auto out = [&] {
      NoGradGuard guard;
      return materialize(forward_(in.detach()...));
    }();
    if (!any_requires_grad(in...)) return out;
    auto back = [name = name_, b = backward_, result = Saved(out), saved = std::tuple(Saved(in)...)](const auto& grad, const auto&) {
      return std::apply([&](const auto&... s) { return std::tuple<In...>(b(grad, result.get(name), s.get(name)...)); }, saved);
    };
    return record(name_, out, std::move(back), in...);
  }
  const char* name_;
  Forward forward_;
  Backward backward_;
};
template <class Forward, class Backward>
auto function(const char* name, Forward f, Backward b) { return Function<Forward, Backward>(name, std::move(f), std::move(b)); }

}  // namespace autograd
}  // namespace sinter
