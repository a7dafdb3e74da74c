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
  // The same with the history that `edge` leads to, where backward itself is recorded.
  Tensor<T, R> get(const char* op, const Edge& edge) const {
    if constexpr (double_backward)
      if (is_grad_enabled() && tensor_.defined()) return Tensor<T, R>(connected(get(op).impl, edge));
    return get(op);
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

// Marks a backward function that is made of steps which are recorded in turn, so that gradients of gradients pass through it.
// It takes what it has saved from `needs`: needs.input(0, x.get(op)).
template <class F>
struct Differentiable : F {
  static constexpr bool differentiable = true;
  explicit Differentiable(F f) : F(std::move(f)) {}
};

inline namespace SINTER_ABI {

template <class Back, class Out, class... In>
struct FunctionBackward {
  static constexpr bool differentiable = is_differentiable<Back>(0);
  static constexpr int count = int(sizeof...(In));
  std::optional<Back> back;
  Edge edge[count];

  // Which inputs want a gradient; the others' may be left undefined.
  struct Needs {
    const Edge* edge;
    Node& node;
    bool operator[](int i) const { return bool(edge[i]); }
    // What has been kept of input i, or of the result, with its history where backward itself is recorded.
    template <class T, int R>
    Tensor<T, R> input(int i, const Tensor<T, R>& kept) const {
      if constexpr (double_backward)
        if (is_grad_enabled() && kept.defined()) return Tensor<T, R>(connected(kept.impl, edge[i]));
      return kept;
    }
    template <class T, int R>
    Tensor<T, R> output(const Tensor<T, R>& kept) const {
      if constexpr (double_backward)
        if (is_grad_enabled()) {
          Edge self;
          self.node = Ref<Node>::share(&node);
          return Tensor<T, R>(connected(kept.impl, self));
        }
      return kept;
    }
  };
  void run(Node& node) {
    const std::tuple<In...> grads = (*back)(Out(node.outputs[0].grad), Needs{edge, node});
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
// The same of a linear function of one tensor, `out` being forward(in): transposed(grad) is its gradient. Both take a dense
// tensor and give one, outside of the graph. Gradients of every order.
template <class T, int R, class F, class B, class In>
Tensor<T, R> record_linear(const char* name, Tensor<T, R> out, F forward, B transposed, const In& in) {
  if constexpr (!double_backward) {
    return record(name, std::move(out), [transposed = std::move(transposed)](const Tensor<T, R>& grad, const auto&) { return std::tuple<In>(transposed(grad)); }, in);
  } else {
    return record(name, std::move(out), Differentiable([=](const Tensor<T, R>& grad, const auto&) {
      In g = transposed(grad);
      if (is_grad_enabled() && requires_grad(grad.impl)) g = record_linear(name, std::move(g), transposed, forward, grad);
      return std::tuple<In>(g);
    }), in);
  }
}
template <class... In>
bool any_requires_grad(const In&... in) { return is_grad_enabled() && (records_grad(in.impl) || ...); }

}  // namespace SINTER_ABI

// A user's op in two lambdas: forward(inputs...) -> Tensor, without recording; backward(grad, out, inputs...) -> a tuple of
// one gradient for each input.
//   auto cube = autograd::function("cube", [](auto x) { return eval(x * x * x); },
//                                  [](auto g, auto, auto x) { return std::tuple(eval(g * 3 * x * x)); });
// Where backward is written in Sinter's functions, as here, its gradients can be differentiated in turn (create_graph).
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
    auto back = [name = name_, b = backward_, result = Saved(out), saved = std::tuple(Saved(in)...)](const auto& grad, const auto& needs) {
      const auto kept = inputs_of(name, saved, needs, std::index_sequence_for<In...>());
      const auto call = [&](const auto& up) {
        return std::apply([&](const auto&... x) { return std::tuple<In...>(b(up, needs.output(result.get(name)), x...)); }, kept);
      };
      if constexpr (double_backward)
        if (is_grad_enabled()) return checked(name, call(requires_grad(grad.impl) ? grad : grad.detach().requires_grad_()));
      return call(grad);
    };
    return record(name_, out, Differentiable(std::move(back)), in...);
  }
  template <class Kept, class Needs, std::size_t... I>
  static auto inputs_of(const char* name, const Kept& kept, const Needs& needs, std::index_sequence<I...>) {
    return std::tuple(needs.input(int(I), std::get<I>(kept).get(name))...);
  }
  // A gradient that does not depend on what flowed in, as far as the graph knows, was computed outside of it.
  template <class... In>
  static std::tuple<In...> checked(const char* name, std::tuple<In...> grads) {
    const auto check = [name](auto& g) {
      if (g.defined() && !g.requires_grad()) g = std::decay_t<decltype(g)>(not_differentiable(name, g.impl));
    };
    std::apply([&](auto&... g) { (check(g), ...); }, grads);
    return grads;
  }
  const char* name_;
  Forward forward_;
  Backward backward_;
};
template <class Forward, class Backward>
auto function(const char* name, Forward f, Backward b) { return Function<Forward, Backward>(name, std::move(f), std::move(b)); }

}  // namespace autograd
}  // namespace sinter
