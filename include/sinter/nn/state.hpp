// SPDX-License-Identifier: MIT
// Loading a state dict into tensors: all names and shapes are compared before the first value is copied.
#pragma once

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "sinter/core/copy.hpp"
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

template <class Own>  // names with tensors; compiled where something is loaded
LoadReport load_tensors(const Own& own, const StateDict& state, bool strict) {
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
  for (const auto& [to, from] : copies) {
    copy_elements(*to, *from);
    to->storage->version.fetch_add(1, std::memory_order_relaxed);
  }
  return report;
}

}  // namespace sinter
