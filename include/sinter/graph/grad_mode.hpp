// SPDX-License-Identifier: MIT
// Whether statements are recorded. https://pytorch.org/docs/stable/generated/torch.no_grad.html
#pragma once

#include <utility>

namespace sinter {

inline bool& grad_mode() {
  thread_local bool enabled = true;
  return enabled;
}
inline bool is_grad_enabled() { return grad_mode(); }

// While it lives, this thread records (or does not record) what it evaluates.
class SetGradEnabled {
 public:
  explicit SetGradEnabled(bool enabled) : before_(std::exchange(grad_mode(), enabled)) {}
  SetGradEnabled(const SetGradEnabled&) = delete;
  SetGradEnabled& operator=(const SetGradEnabled&) = delete;
  ~SetGradEnabled() { grad_mode() = before_; }

 private:
  bool before_;
};

struct NoGradGuard : SetGradEnabled {
  NoGradGuard() : SetGradEnabled(false) {}
};
struct EnableGradGuard : SetGradEnabled {
  EnableGradGuard() : SetGradEnabled(true) {}
};

// Runs f without recording and returns what it returns.
template <class F>
decltype(auto) no_grad(F&& f) {
  NoGradGuard guard;
  return std::forward<F>(f)();
}

}  // namespace sinter
