// SPDX-License-Identifier: MIT
// Loading a state dict into tensors: all names and shapes are compared before the first value is copied.
#pragma once

#include <cstring>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "sinter/core/state_dict.hpp"
#include "sinter/nn/parameter.hpp"

namespace sinter {

// What did not fit. mismatched entries read `fc1.weight: [10, 5] in the state, [10, 4] in the module`.
struct LoadReport {
  std::vector<std::string> missing, unexpected, mismatched;
  bool complete() const { return missing.empty() && unexpected.empty() && mismatched.empty(); }
  friend std::ostream& operator<<(std::ostream& os, const LoadReport& r) {
    const char* separator = "";
    const auto list = [&](const char* title, const std::vector<std::string>& names) {
      if (names.empty()) return;
      os << separator << title;
      for (std::size_t i = 0; i < names.size(); ++i) os << (i ? ", " : " ") << names[i];
      separator = "; ";
    };
    list("missing", r.missing);
    list("unexpected", r.unexpected);
    list("of another shape", r.mismatched);
    return os;
  }
};

inline bool same_shape(const TensorImpl& a, const TensorImpl& b) {
  if (a.rank != b.rank) return false;
  for (int i = 0; i < a.rank; ++i)
    if (a.sizes[i] != b.sizes[i]) return false;
  return true;
}

// The element at a byte address, widened; 64-bit integers keep all their bits in the second form.
inline double widened(DType t, const void* p) {
  switch (t) {
    case DType::boolean: return *static_cast<const bool*>(p);
    case DType::uint8: return *static_cast<const std::uint8_t*>(p);
    case DType::int32: return *static_cast<const std::int32_t*>(p);
    case DType::int64: return double(*static_cast<const std::int64_t*>(p));
    case DType::float16: return float(*static_cast<const half*>(p));
    case DType::bfloat16: return float(*static_cast<const bfloat16*>(p));
    case DType::float32: return *static_cast<const float*>(p);
    default: return *static_cast<const double*>(p);
  }
}
inline void store_as(DType t, void* p, double x) {
  switch (t) {
    case DType::boolean: *static_cast<bool*>(p) = x != 0; return;
    case DType::uint8: *static_cast<std::uint8_t*>(p) = std::uint8_t(x); return;
    case DType::int32: *static_cast<std::int32_t*>(p) = std::int32_t(x); return;
    case DType::int64: *static_cast<std::int64_t*>(p) = std::int64_t(x); return;
    case DType::float16: *static_cast<half*>(p) = half(float(x)); return;
    case DType::bfloat16: *static_cast<bfloat16*>(p) = bfloat16(float(x)); return;
    case DType::float32: *static_cast<float*>(p) = float(x); return;
    default: *static_cast<double*>(p) = x;
  }
}

// to[...] = from[...], of one shape, any layouts and dtypes.
inline void copy_elements(TensorImpl& to, const TensorImpl& from) {
  const std::int64_t n = to.numel(), wt = size_of(to.dtype), wf = size_of(from.dtype);
  std::int64_t index[max_rank] = {}, at_to = 0, at_from = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    char* p = static_cast<char*>(to.data) + at_to * wt;
    const char* q = static_cast<const char*>(from.data) + at_from * wf;
    if (to.dtype == from.dtype) std::memcpy(p, q, std::size_t(wt));
    else store_as(to.dtype, p, widened(from.dtype, q));
    for (int d = to.rank - 1; d >= 0; --d) {
      const bool carry = ++index[d] == to.sizes[d];
      at_to += carry ? (1 - to.sizes[d]) * to.strides[d] : to.strides[d];
      at_from += carry ? (1 - from.sizes[d]) * from.strides[d] : from.strides[d];
      if (!carry) break;
      index[d] = 0;
    }
  }
  to.storage->version.fetch_add(1, std::memory_order_relaxed);
}

inline LoadReport load_tensors(const std::vector<std::pair<std::string, Ref<TensorImpl>>>& own, const StateDict& state, bool strict) {
  LoadReport report;
  StateDict known;
  std::vector<std::pair<TensorImpl*, const TensorImpl*>> copies;
  for (const auto& [name, tensor] : own) {
    known.set(name, tensor);
    const Ref<TensorImpl>* found = state.find(name);
    if (!found) {
      report.missing.push_back(name);
    } else if (!same_shape(*tensor, **found)) {
      std::ostringstream text;
      text << name << ": " << (*found)->shape() << " in the state, " << tensor->shape() << " in the module";
      report.mismatched.push_back(text.str());
    } else {
      copies.emplace_back(tensor.get(), found->get());
    }
  }
  for (const auto& entry : state)
    if (!known.contains(entry.first)) report.unexpected.push_back(entry.first);
  if (strict && !report.complete()) fail<Error>("load_state_dict: ", report);
  for (const auto& [to, from] : copies) copy_elements(*to, *from);
  return report;
}

}  // namespace sinter
