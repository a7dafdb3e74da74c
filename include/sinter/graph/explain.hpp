// SPDX-License-Identifier: MIT
// What a statement costs: explain(e) runs it and lists the kernels of its statement, forward and backward, what was
// fused into each and what was not, and the bytes they move. fused_kernels<decltype(e)> is the count as a constant.
#pragma once

#include <cstdio>
#include <ostream>
#include <string>
#include <vector>

#include "sinter/expr/print.hpp"
#include "sinter/graph/record.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// What is left of an expression once its heavy nodes have run and it has been cut to size, and how many kernels that took.
struct Residue {
  int leaves = 0, ops = 0, kernels = 0, cuts = 0;
};
template <class E>
constexpr Residue residue() {
  if constexpr (E::kind == Kind::leaf) {
    return {1, 0, 0, 0};
  } else if constexpr (E::kind == Kind::reduction) {
    constexpr Residue r = residue<decltype(E::e)>();
    return {1, 0, r.kernels + 1, r.cuts};
  } else if constexpr (E::kind == Kind::map) {
    Residue part[] = {residue<decltype(E::a)>(), residue<decltype(E::b)>(), residue<decltype(E::c)>()};
    int cuts = part[0].cuts + part[1].cuts + part[2].cuts;
    const auto leaves = [&] { return part[0].leaves + part[1].leaves + part[2].leaves; };
    const auto ops = [&] { return part[0].ops + part[1].ops + part[2].ops; };
    while (leaves() > max_leaves || ops() >= max_ops) {  // as resolve_map() does
      Residue& longest = part[0].ops >= part[1].ops && part[0].ops >= part[2].ops ? part[0] : part[1].ops >= part[2].ops ? part[1] : part[2];
      longest = {1, 0, longest.kernels + 1, 0};
      ++cuts;
    }
    return {leaves(), ops() + 1, part[0].kernels + part[1].kernels + part[2].kernels, cuts};
  } else {
    return {};
  }
}

// The kernels that the statement `y = e` runs. A reduction of which copies occur in e is counted for each, though it runs
// once.
template <class E>
inline constexpr int fused_kernels = residue<E>().kernels + (E::kind == Kind::map ? 1 : 0);
// Those of its backward: one for each forward, for the chain rule is as fused as the chain. Extrema and products look at
// their operand in two more.
template <class E>
inline constexpr int fused_backward_kernels = fused_kernels<E>;

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
  Target& result = space.target[space.targets++];
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
  // e runs next; the dimensions in `mask` are reduced. `again`: backward looks at the operand in two more passes.
  template <class E>
  void kernel(const char* what, const E& e, unsigned mask, bool again) {
    using P = decltype(plan::lower<0>(e));
    note(what, to_string(e), E::ops, Operands<E>(e).at, E::leaves, needed<P>(mask != 0 && again, std::make_integer_sequence<int, E::leaves>()).data(),
         Shape<E::rank>(e.shape()), dtype_of<typename E::value_type>(), cpu::block_of<P>, mask, again, P::differentiable);
  }

 private:
  template <class P, int... J>
  static std::vector<char> needed(bool value, std::integer_sequence<int, J...>) {
    return {char(P::template needed<J>(value))..., 0};
  }
  void note(const char* what, std::string text, int ops, const Operand* in, int leaves, const char* needed, ShapeView space, DType dtype,
            int lanes, unsigned mask, bool again, bool differentiable) {
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
      if (needed[i]) kept += bytes_of(t);
      if (is_floating_dtype(t.dtype) && requires_grad(*in[i])) gradients += bytes_of(t);
    }
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
  evaluate_flat(resolve(e, statement), statement);
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
