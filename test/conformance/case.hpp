// SPDX-License-Identifier: MIT
// One conformance case as the ops see it: tensors without static types, attributes by name, and a table of ops. dtypes
// and ranks are static in the library; what is here keeps the number of instances small.
#pragma once

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sinter/core/state_dict.hpp"
#include "sinter/tensor/view.hpp"

namespace conformance {

using namespace sinter;
using Value = Ref<TensorImpl>;
using Values = std::vector<Value>;
using Ints = std::vector<std::int64_t>;
struct Attributes;  // of JSON, which only case.cpp and main.cpp read

// Rank at which elementwise ops and reductions run: smaller tensors get leading extents of one.
inline constexpr int wide = 5;

struct Case {
  std::string name, op;
  bool is_double = false, is_integer = false;  // the dtype; F32 otherwise
  std::shared_ptr<const Attributes> attrs;
  Values inputs;                              // null: not given
  StateDict state;                            // modules: to be loaded
  StateDict parameters, buffers;              // modules: by name, after the forward pass
  std::vector<Values> gradients;              // optimizers: for each step
  std::vector<Values> steps;                  // optimizers: parameters after each step

  // Attributes; the second form gives the default where there is none or null.
  bool has(const char* key) const;
  double number(const char* key) const;
  std::int64_t integer(const char* key) const;
  Ints ints(const char* key) const;  // of a list or of one number
  Ints ints_or(const char* key, std::int64_t null) const;  // of a list some of whose entries are null
  std::vector<double> numbers(const char* key) const;
  bool is_list(const char* key) const;
  bool is_text(const char* key) const;
  std::string text(const char* key, const char* otherwise) const;
  double number(const char* key, double otherwise) const { return has(key) ? number(key) : otherwise; }
  std::int64_t integer(const char* key, std::int64_t otherwise) const { return has(key) ? integer(key) : otherwise; }
  bool flag(const char* key, bool otherwise) const;

  int rank(int i) const { return inputs[std::size_t(i)]->rank; }
  DType dtype(int i) const { return inputs[std::size_t(i)]->dtype; }
  bool given(int i) const { return i < int(inputs.size()) && inputs[std::size_t(i)]; }
  // Input i as it is; throws where its dtype or rank is another. Undefined where it is not given.
  template <class T, int R>
  Tensor<T, R> in(int i) const;
  // Input i with leading extents of one up to rank R.
  template <class T, int R = wide>
  Tensor<T, R> padded(int i) const;
};

// Views without static types, recorded as the library's are.
Value strided(const Value& dense, const Ints& sizes, const Ints& strides, std::int64_t offset);
Value with_sizes(const Value& x, int rank, const std::int64_t* sizes, const std::int64_t* strides);
// Leading extents of one are added or dropped.
Value with_rank(const Value& x, int rank);

template <class T, int R>
Tensor<T, R> typed(const Value& v) {
  if (!v) return {};
  if (v->dtype != dtype_of<T>() || v->rank != R)
    fail<Error>("the runner expected ", dtype_of<T>(), " of rank ", R, ", not ", v->dtype, " of rank ", v->rank);
  return Tensor<T, R>(v);
}
template <class T, int R>
Tensor<T, R> Case::in(int i) const { return given(i) ? typed<T, R>(inputs[std::size_t(i)]) : Tensor<T, R>(); }
template <class T, int R>
Tensor<T, R> Case::padded(int i) const { return typed<T, R>(with_rank(inputs[std::size_t(i)], R)); }

// The value of a wide expression, at the rank that the case speaks of.
template <class E>
Value narrowed(const Expr<E>& e, int rank) { return with_rank(materialize(e.self()).impl, rank); }

// f(T()) for the dtype of the case, or of input i.
template <class F>
auto by_float(const Case& c, F f) { return c.is_double ? f(double()) : f(float()); }
template <class F>
auto by_number(const Case& c, int i, F f) {
  switch (c.dtype(i)) {
    case DType::float32: return f(float());
    case DType::float64: return f(double());
    case DType::int64: return f(std::int64_t());
    default: fail<Error>("the runner has no instance for dtype ", c.dtype(i));
  }
}
template <int R>
struct Rank {
  static constexpr int value = R;
};
// f(Rank<R>()) for a rank of Low to High.
template <int Low, int High, class F>
auto by_rank(int rank, F f) {
  if constexpr (Low == High) {
    if (rank != Low) fail<Error>("the runner has no instance for rank ", rank);
    return f(Rank<Low>());
  } else {
    return rank == Low ? f(Rank<Low>()) : by_rank<Low + 1, High>(rank, f);
  }
}
template <int R>
Shape<R> shape_from(const Ints& v) {
  Shape<R> s;
  if (int(v.size()) != R) fail<Error>("the runner expected ", R, " numbers, not ", v.size());
  for (int i = 0; i < R; ++i) s[i] = v[std::size_t(i)];
  return s;
}

using Function = std::function<Values(Case&)>;
void add(const char* op, Function f);
const Function* find(const std::string& op);

}  // namespace conformance
