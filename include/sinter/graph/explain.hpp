// SPDX-License-Identifier: MIT
// What a statement costs: explain(e) runs it and lists the kernels of its statement, forward and backward, what was
// fused into each and what was not, and the bytes they move. fused_kernels<decltype(e)> is the count as a constant.
#pragma once

#include <cstdio>
#include <ostream>
#include <string>
#include <vector>

#include "sinter/expr/print.hpp"
#include "sinter/graph/epilogue.hpp"

namespace sinter {
inline namespace SINTER_ABI {

struct KernelInfo {
  std::string what;  // map, sum, ...
  std::string text;  // the expression
  std::string shape;
  int ops = 0, tensors = 0;
  std::int64_t bytes_read = 0, bytes_written = 0;
  std::string access;
};

struct Explanation {
  std::vector<KernelInfo> forward, backward;
  std::vector<std::string> notes;

  std::int64_t bytes() const {
    std::int64_t n = 0;
    for (const auto* list : {&forward, &backward})
      for (const KernelInfo& k : *list) n += k.bytes_read + k.bytes_written;
    return n;
  }
  friend std::ostream& operator<<(std::ostream& os, const Explanation& e) {
    e.print(os, "forward", e.forward);
    if (!e.backward.empty()) e.print(os, "backward", e.backward);
    for (const std::string& note : e.notes) os << "  note: " << note << '\n';
    return os;
  }

 private:
  static std::string size(std::int64_t bytes) {
    char text[32];
    if (bytes >= 1 << 20) std::snprintf(text, sizeof text, "%.1f MiB", double(bytes) / (1 << 20));
    else if (bytes >= 1 << 10) std::snprintf(text, sizeof text, "%.1f KiB", double(bytes) / (1 << 10));
    else std::snprintf(text, sizeof text, "%d B", int(bytes));
    return text;
  }
  static void print(std::ostream& os, const char* title, const std::vector<KernelInfo>& kernels) {
    os << title << ": " << kernels.size() << (kernels.size() == 1 ? " kernel\n" : " kernels\n");
    int i = 0;
    for (const KernelInfo& k : kernels)
      os << "  " << ++i << ". " << k.what << ' ' << k.text << " -> " << k.shape << "  (" << k.ops << (k.ops == 1 ? " op, " : " ops, ")
         << k.tensors << (k.tensors == 1 ? " tensor; reads " : " tensors; reads ") << size(k.bytes_read) << ", writes " << size(k.bytes_written)
         << "; " << k.access << ")\n";
  }
};

// Bytes of the elements that a tensor really has: a broadcast operand counts once.
inline std::int64_t bytes_of(const TensorImpl& t) {
  std::int64_t n = size_of(t.dtype);
  for (int i = 0; i < t.rank; ++i) n *= t.strides[i] == 0 && t.sizes[i] > 0 ? 1 : t.sizes[i];
  return n;
}

// The loop over these operands, in words.
inline std::string describe_loop(ShapeView sizes, const Operand* in, int n, int lanes, unsigned mask) {
  Space space;
  start(space, sizes.rank, sizes.d);
  add_sources(space, in, n);
  Target& result = space.add_target();
  std::int64_t dense = 1;
  for (int i = sizes.rank - 1; i >= 0; --i) {
    const bool gone = (mask >> i) & 1u;
    result.stride[i] = gone ? 0 : dense;
    if (!gone) dense *= sizes.d[i];
  }
  space.collapse();
  const int last = space.rank - 1;
  int broadcast = 0, strided = 0;
  for (int k = 0; k < n; ++k) {
    const std::int64_t step = space.source[k].stride[last];
    if (step == 0) ++broadcast;
    else if (step != 1) ++strided;
  }
  std::ostringstream s;
  s << "inner loop of " << space.size[last] << " in blocks of " << lanes << " lanes";
  if (broadcast) s << ", " << broadcast << " held in a register";
  if (strided) s << ", " << strided << " gathered, since their inner stride is not 1";
  return s.str();
}

// Notes down every kernel of a statement, with the bytes that it moves.
struct Observer {
  Explanation out;
  int cuts = 0;

  void twice() { out.notes.push_back("a reduction that occurs twice runs once"); }
  void cut() { ++cuts; }
  void together(int stages) {
    if (stages > 0) out.notes.push_back("row pass: " + std::to_string(stages) + " stages in one pass over memory, a few rows at a time; so is the way back");
  }
  // e runs next; the dimensions in `mask` are reduced. `again`: backward looks at the operand in two more passes.
  template <class E>
  void kernel(const char* what, const E& e, unsigned mask, bool again) {
    using P = decltype(plan::lower<0>(e));
    const bool result = mask == 0 && plan::is_known<decltype(plan::backward_plan(e))>;  // kept instead of operands
    note(what, to_string(e), E::ops, Operands<E>(e).at, E::leaves, needed<P>(mask != 0 && again, std::make_integer_sequence<int, E::leaves>()).data(), result,
         Shape<E::rank>(e.shape()), dtype_of<typename E::value_type>(), cpu::block_of<P>, mask, again, P::differentiable);
  }

  // A contraction by itself, and one with its epilogue: e, in which the leaves in `inner` are the product.
  template <class P>
  void product(const P& p) {
    const auto in = p.operands();
    contraction(p.name, "x0 @ x1", in.data(), int(in.size()), 0, 0, 0, dtype_of<typename P::value_type>(), ShapeView(p.shape), false);
  }
  template <class P, class E>
  void epilogue(const P& p, const E& e, unsigned inner, bool kept) {
    const auto factors = p.operands();
    std::int64_t others = 0;
    const Operands<E> in(e);
    for (int k = 0; k < E::leaves; ++k)
      if (!((inner >> k) & 1u)) others += bytes_of(**in.at[k]);
    contraction(p.name, to_string(e), factors.data(), int(factors.size()), E::ops, E::leaves - 1, others, dtype_of<typename E::value_type>(),
                ShapeView(p.shape), kept);
  }

 private:
  template <class Text>  // compiled where something is explained
  void contraction(const char* name, Text text, const Operand* in, int n, int ops, int leaves, std::int64_t bytes, DType dtype,
                   ShapeView shape, bool kept) {
    KernelInfo k;
    k.what = name;
    k.text = std::move(text);
    k.ops = ops;
    k.tensors = n + leaves;
    k.bytes_read = bytes;
    std::int64_t gradients = 0, result = size_of(dtype);
    for (int i = 0; i < shape.rank; ++i) result *= shape.d[i];
    for (int i = 0; i < n; ++i) {
      k.bytes_read += bytes_of(**in[i]);
      if (requires_grad(*in[i])) gradients += bytes_of(**in[i]);
    }
    k.bytes_written = result * (kept ? 2 : 1);
    k.access = ops == 0 ? "a product" : kept ? "on each tile of the product, which is kept for backward" : "on each tile of the product";
    std::ostringstream s;
    s << shape << ' ' << dtype;
    k.shape = s.str();
    out.forward.push_back(k);
    if (gradients == 0 || !is_grad_enabled()) return;
    k.text = "of " + k.text;
    k.shape = "gradients";
    k.bytes_read += result * (kept ? 2 : 1);
    k.bytes_written = gradients + (ops == 0 ? 0 : result);
    k.access = "what flows into the product, then the products for its operands";
    out.backward.insert(out.backward.begin(), k);
  }
  template <class P, int... J>
  static std::vector<char> needed(bool value, std::integer_sequence<int, J...>) {
    return {char(P::template needed<J>(value))..., 0};
  }
  template <class Text>
  void note(const char* what, Text text, int ops, const Operand* in, int leaves, const char* needed, bool keeps_result,
            ShapeView space, DType dtype, int lanes, unsigned mask, bool again, bool differentiable) {
    KernelInfo k;
    k.what = what;
    k.text = std::move(text);
    k.ops = ops;
    std::int64_t kept = 0, gradients = 0, result = size_of(dtype);
    std::ostringstream shape;
    shape << '[';
    bool first = true;
    for (int i = 0; i < space.rank; ++i) {
      if ((mask >> i) & 1u) continue;
      shape << (first ? "" : ", ") << space.d[i];
      first = false;
      result *= space.d[i];
    }
    shape << "] " << dtype;
    k.shape = shape.str();
    for (int i = 0; i < leaves; ++i) {
      bool known = false;
      for (int j = 0; j < i; ++j) known = known || *in[j] == *in[i];
      if (known) continue;
      const TensorImpl& t = **in[i];
      ++k.tensors;
      k.bytes_read += bytes_of(t);
      if (needed[i] && !keeps_result) kept += bytes_of(t);
      if (is_floating_dtype(t.dtype) && requires_grad(*in[i])) gradients += bytes_of(t);
    }
    if (keeps_result) kept = result;
    k.bytes_written = result;
    k.access = describe_loop(space, in, leaves, lanes, mask);
    out.forward.push_back(k);
    if (gradients == 0 || !differentiable || !is_grad_enabled()) return;
    if (again) out.notes.push_back(std::string("backward of ") + what + " looks at its operand in two passes more");
    k.text = "of " + k.text;
    k.shape = "gradients";
    k.bytes_read = kept + result;
    k.bytes_written = gradients;
    out.backward.insert(out.backward.begin(), k);
  }
};

// The kernels of the statement `y = e`. It runs them, for later kernels read the results of earlier ones.
template <class A>
Explanation explain(const Expr<A>& expr) {
  const A& e = expr.self();
  Statement<Observer> statement;
  run_statement(e, statement);
  Explanation& out = statement.observer.out;
  if (statement.observer.cuts > 0) {
    std::ostringstream s;
    s << "too long for one kernel, which reads at most " << max_leaves << " tensors and has at most " << max_ops << " ops: cut "
      << statement.observer.cuts << (statement.observer.cuts == 1 ? " time" : " times");
    out.notes.push_back(s.str());
  }
  if (A::kind == Kind::leaf) out.notes.push_back("a tensor: nothing to run");
  return out;
}

}  // namespace SINTER_ABI
}  // namespace sinter
