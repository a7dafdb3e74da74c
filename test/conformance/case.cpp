// SPDX-License-Identifier: MIT
// Attributes, untyped views and the table of ops.
#include "conformance/case.hpp"

#include <map>

#include "conformance/attributes.hpp"

namespace conformance {
namespace {

using nlohmann::json;

double number_of(const json& j) {
  if (!j.is_string()) return j.get<double>();
  const std::string s = j;
  if (s == "nan") return NAN;
  if (s == "inf" || s == "-inf") return s[0] == '-' ? -INFINITY : INFINITY;
  fail<Error>("the attribute \"", s, "\" is not a number");
}

// Gradients of a view of dense memory: each element goes to where it was read from.
struct StridedBackward {
  Edge edge;
  Ints sizes, strides;
  std::int64_t offset;

  template <class T>
  void fold(const TensorImpl& grad, TensorImpl& to) const {
    const std::int64_t n = grad.numel();
    for (std::int64_t i = 0; i < n; ++i) {
      std::int64_t rest = i, at = offset;
      for (int d = int(sizes.size()) - 1; d >= 0; --d) {
        at += rest % sizes[std::size_t(d)] * strides[std::size_t(d)];
        rest /= sizes[std::size_t(d)];
      }
      static_cast<T*>(to.data)[at] += static_cast<const T*>(grad.data)[i];
    }
  }
  void run(Node& node) {
    const TensorImpl& grad = *node.outputs[0].grad;
    Value g = empty_dense(grad.dtype, edge.shape());
    std::memset(g->data, 0, std::size_t(g->numel()) * std::size_t(size_of(g->dtype)));
    if (g->dtype == DType::float32) fold<float>(grad, *g);
    else fold<double>(grad, *g);
    give(edge, std::move(g));
  }
  void release() {}
};

// The same elements in the same order, extents of one aside.
struct SameElements {
  Edge edge;
  void run(Node& node) {
    const Value& grad = node.outputs[0].grad;
    Value g = empty_dense(grad->dtype, edge.shape());
    g->storage = grad->storage;
    g->data = grad->data;
    give(edge, std::move(g));
  }
  void release() {}
};

template <class State>
Value with_history(Value v, const Value& from, State state) {
  v->is_view = true;
  if (is_grad_enabled() && requires_grad(from)) set_history(v, make_node("conformance", std::move(state)), 0);
  return v;
}

std::map<std::string, Function>& table() {
  static std::map<std::string, Function> t;
  return t;
}

}  // namespace

bool Case::has(const char* key) const { return attrs->json.contains(key) && !attrs->json[key].is_null(); }
double Case::number(const char* key) const { return number_of(attrs->json.at(key)); }
std::int64_t Case::integer(const char* key) const { return attrs->json.at(key).get<std::int64_t>(); }
std::vector<double> Case::numbers(const char* key) const {
  std::vector<double> v;
  for (const json& j : attrs->json.at(key)) v.push_back(number_of(j));
  return v;
}
Ints Case::ints(const char* key) const {
  const json& j = attrs->json.at(key);
  return j.is_array() ? j.get<Ints>() : Ints{j.get<std::int64_t>()};
}
Ints Case::ints_or(const char* key, std::int64_t null) const {
  Ints v;
  for (const json& j : attrs->json.at(key)) v.push_back(j.is_null() ? null : j.get<std::int64_t>());
  return v;
}
bool Case::is_list(const char* key) const { return attrs->json.contains(key) && attrs->json[key].is_array(); }
bool Case::is_text(const char* key) const { return attrs->json.contains(key) && attrs->json[key].is_string(); }
std::string Case::text(const char* key, const char* otherwise) const { return has(key) ? attrs->json[key].get<std::string>() : otherwise; }
bool Case::flag(const char* key, bool otherwise) const { return has(key) ? attrs->json[key].get<bool>() : otherwise; }

Value with_sizes(const Value& x, int rank, const std::int64_t* sizes, const std::int64_t* strides) {
  Value v = TensorImpl::alias(*x);
  v->rank = rank;
  for (int i = 0; i < rank; ++i) v->sizes[i] = sizes[i], v->strides[i] = strides[i];
  return with_history(std::move(v), x, SameElements{Edge(x)});
}
Value strided(const Value& dense, const Ints& sizes, const Ints& strides, std::int64_t offset) {
  Value v = TensorImpl::alias(*dense);
  v->rank = int(sizes.size());
  for (int i = 0; i < v->rank; ++i) v->sizes[i] = sizes[std::size_t(i)], v->strides[i] = strides[std::size_t(i)];
  v->data = static_cast<char*>(v->data) + offset * size_of(v->dtype);
  return with_history(std::move(v), dense, StridedBackward{Edge(dense), sizes, strides, offset});
}
Value with_rank(const Value& x, int rank) {
  if (x->rank == rank) return x;
  const int more = rank - x->rank;
  std::int64_t sizes[max_rank], strides[max_rank];
  for (int i = 0; i < -more; ++i)
    if (x->sizes[i] != 1) fail<Error>("the runner expected leading extents of one in ", x->shape(), ", for rank ", rank);
  for (int i = 0; i < rank; ++i) {
    sizes[i] = i < more ? 1 : x->sizes[i - more];
    strides[i] = i < more ? 1 : x->strides[i - more];
  }
  return with_sizes(x, rank, sizes, strides);
}

void add(const char* op, Function f) { table()[op] = std::move(f); }
const Function* find(const std::string& op) {
  const auto at = table().find(op);
  return at == table().end() ? nullptr : &at->second;
}

}  // namespace conformance
