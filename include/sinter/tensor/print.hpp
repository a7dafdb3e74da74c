// SPDX-License-Identifier: MIT
// std::cout << tensor, in the words and columns of PyTorch's print(tensor): one width for all elements, four digits,
// scientific where magnitudes differ much, dots where there are more than 1000 elements.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <string>

#include "sinter/tensor/view.hpp"

namespace sinter {

// Prints what a tensor's handle points to. Not a template, so that it is compiled once, and cold, so that this is quick.
class TensorPrinter {
 public:
  static constexpr int line_width = 80, edge = 3, threshold = 1000, indent = 7;

  // t: on the CPU; `original`: what it is a copy of, if it is one.
  [[gnu::cold]] explicit TensorPrinter(const TensorImpl& t) : TensorPrinter(t, t) {}
  [[gnu::cold]] TensorPrinter(const TensorImpl& t, const TensorImpl& original)
      : t_(t), original_(original), summarize_(t.numel() > threshold), floating_(t.dtype >= DType::float16) {
    if (t.numel() > 0) measure();
  }
  [[gnu::cold]] std::string text() const {
    std::string out = "tensor(";
    if (t_.numel() > 0) out += block(0, 0, indent);
    else out += "[]";
    if (original_.device().is_cuda()) suffix(out, "device='cuda:" + std::to_string(original_.device().index) + "'");
    if (t_.numel() == 0 && t_.rank != 1) suffix(out, "size=" + sizes());
    if (t_.dtype != DType::float32 && t_.dtype != DType::boolean && (t_.dtype != DType::int64 || t_.numel() == 0))
      suffix(out, std::string("dtype=") + name_of(t_.dtype));
    if (original_.node) suffix(out, std::string("grad_fn=<") + original_.node->name + ">");
    else if (original_.requires_grad) suffix(out, "requires_grad=True");
    return out + ")";
  }

 private:
  [[gnu::cold]] double at(std::int64_t offset) const {
    switch (t_.dtype) {
      case DType::float16: return float(static_cast<const half*>(t_.data)[offset]);
      case DType::bfloat16: return float(static_cast<const bfloat16*>(t_.data)[offset]);
      case DType::float32: return static_cast<const float*>(t_.data)[offset];
      default: return static_cast<const double*>(t_.data)[offset];
    }
  }
  [[gnu::cold]] std::string integer(std::int64_t offset) const {
    switch (t_.dtype) {
      case DType::boolean: return static_cast<const bool*>(t_.data)[offset] ? "True" : "False";
      case DType::uint8: return std::to_string(static_cast<const std::uint8_t*>(t_.data)[offset]);
      case DType::int32: return std::to_string(static_cast<const std::int32_t*>(t_.data)[offset]);
      default: return std::to_string(static_cast<const std::int64_t*>(t_.data)[offset]);
    }
  }
  [[gnu::cold]] static std::string printed(const char* format, double x) {
    if (std::isnan(x)) return "nan";
    if (std::isinf(x)) return x < 0 ? "-inf" : "inf";
    char buffer[400];
    return std::string(buffer, std::size_t(std::snprintf(buffer, sizeof buffer, format, x)));
  }
  const char* format() const { return scientific_ ? "%.4e" : whole_ ? "%.0f" : "%.4f"; }
  [[gnu::cold]] std::string element(std::int64_t offset) const {
    if (!floating_) return integer(offset);
    const double x = at(offset);
    std::string s = printed(format(), x);
    if (whole_ && !scientific_ && std::isfinite(x)) s += ".";
    return s;
  }
  [[gnu::cold]] std::string padded(std::int64_t offset) const {
    const std::string s = element(offset);
    return s.size() < width_ ? std::string(width_ - s.size(), ' ') + s : s;
  }

  // f(index, whether a gap lies before it) for the indices of a dimension that are shown.
  template <class F>
  [[gnu::cold]] void each_shown(int dim, F&& f) const {
    const std::int64_t n = t_.sizes[dim];
    const bool gap = summarize_ && n > 2 * edge;
    for (std::int64_t i = 0; i < n; ++i) {
      const bool behind = gap && i == edge;
      if (behind) i = n - edge;
      f(i, behind);
    }
  }
  template <class F>
  [[gnu::cold]] void each_element(int dim, std::int64_t offset, F&& f) const {
    if (dim == t_.rank) f(offset);
    else each_shown(dim, [&](std::int64_t i, bool) { each_element(dim + 1, offset + i * t_.strides[dim], f); });
  }
  [[gnu::cold]] void measure() {
    if (floating_) {
      double least = HUGE_VAL, most = 0;
      bool any = false;
      each_element(0, 0, [&](std::int64_t o) {
        const double x = at(o);
        if (!std::isfinite(x) || x == 0) return;
        any = true;
        least = std::min(least, std::fabs(x));
        most = std::max(most, std::fabs(x));
        whole_ = whole_ && x == std::ceil(x);
      });
      if (!any) return;
      scientific_ = most / least > 1000 || most > 1e8 || (!whole_ && least < 1e-4);
      each_element(0, 0, [&](std::int64_t o) {
        const double x = at(o);
        if (std::isfinite(x) && x != 0) width_ = std::max(width_, printed(format(), x).size() + (whole_ && !scientific_));
      });
    } else {
      each_element(0, 0, [&](std::int64_t o) { width_ = std::max(width_, integer(o).size()); });
    }
  }

  [[gnu::cold]] std::string block(int dim, std::int64_t offset, int column) const {
    if (dim == t_.rank) return element(offset);
    std::string out = "[";
    bool first = true;
    if (dim == t_.rank - 1) {
      const int per_line = std::max(1, int((line_width - column) / int(width_ + 2)));
      int on_line = 0;
      const auto add = [&](const std::string& s) {
        if (on_line == per_line) {
          out += ",\n" + std::string(std::size_t(column + 1), ' ');
          on_line = 0;
        } else if (!first) {
          out += ", ";
        }
        out += s;
        ++on_line;
        first = false;
      };
      each_shown(dim, [&](std::int64_t i, bool gap) {
        if (gap) add(" ...");
        add(padded(offset + i * t_.strides[dim]));
      });
    } else {
      const std::string between = "," + std::string(std::size_t(t_.rank - dim - 1), '\n') + std::string(std::size_t(column + 1), ' ');
      each_shown(dim, [&](std::int64_t i, bool gap) {
        if (gap) out += between + "...";
        if (!first) out += between;
        out += block(dim + 1, offset + i * t_.strides[dim], column + 1);
        first = false;
      });
    }
    return out + "]";
  }
  [[gnu::cold]] std::string sizes() const {
    std::string s = "(";
    for (int i = 0; i < t_.rank; ++i) s += (i ? ", " : "") + std::to_string(t_.sizes[i]);
    return s + (t_.rank == 1 ? ",)" : ")");
  }
  [[gnu::cold]] static void suffix(std::string& out, const std::string& s) {
    const std::size_t newline = out.rfind('\n');
    const std::size_t line = out.size() - (newline == std::string::npos ? 0 : newline + 1);
    if (line + s.size() + 4 > line_width) out += ",\n" + std::string(indent, ' ') + s;
    else out += ", " + s;
  }

  const TensorImpl& t_;
  const TensorImpl& original_;
  bool summarize_, floating_;
  bool whole_ = true, scientific_ = false;
  std::size_t width_ = 1;
};

inline namespace SINTER_ABI {

template <class E>
std::ostream& operator<<(std::ostream& os, const Expr<E>& e) {
  const auto t = materialize(e.self());
  if (!t.defined()) return os << "tensor(undefined)";
  if (t.device().is_cpu()) return os << TensorPrinter(*t.impl).text();
  return os << TensorPrinter(*t.detach().cpu().impl, *t.impl).text();
}

}  // namespace SINTER_ABI
}  // namespace sinter
