// SPDX-License-Identifier: MIT
// Dropout keeps a seed and a position in the random stream, not a mask: the way back draws the same numbers again.
#pragma once

#include "sinter/autograd/function.hpp"
#include "sinter/device/random.hpp"

namespace sinter {
inline namespace SINTER_ABI {

// out[i] = in[i] * scale where number i of the stream is at least p, else 0.
template <class T>
void drop_elements(const T* in, T* out, std::int64_t n, double p, std::uint64_t seed, std::uint64_t first) {
  const double scale = p < 1 ? 1 / (1 - p) : 0;
  const auto limit = std::uint64_t(p * 0x1p32);  // a word below it drops its element
  constexpr std::int64_t grain = 16384;
  parallel_for((n + grain - 1) / grain, n >= parallel_threshold, [=](std::int64_t c) {
    for (std::int64_t i = c * grain; i < std::min(n, (c + 1) * grain); i += 4) {
      const Philox random(seed, first + std::uint64_t(i / 4));
      for (std::int64_t k = 0; k < std::min<std::int64_t>(4, n - i); ++k)
        out[i + k] = random.word[k] < limit ? T(0) : T(compute_t<T>(in[i + k]) * compute_t<T>(scale));
    }
  });
}

// Zeroes elements with probability p and scales the others by 1 / (1 - p); outside of training, x as it is. Throws
// ValueError. https://pytorch.org/docs/stable/generated/torch.nn.functional.dropout.html
template <class A>
auto dropout(const Expr<A>& e, double p = 0.5, bool training = true, Generator& g = default_generator()) {
  using T = typename A::value_type;
  using X = Tensor<T, A::rank>;
  static_assert(is_floating<T>, "sinter: dropout() takes floating point numbers");
  if (!(p >= 0 && p <= 1)) fail<ValueError>("dropout: the probability must be in [0, 1], but is ", p);
  const X x = materialize(e.self());
  if (!training || p == 0) return x;
  const std::int64_t n = x.numel();
  const Device device = x.device();
  const RandomStream stream = device.is_cuda() ? RandomRecording::reserve(g, std::uint64_t(n)) : RandomStream{g.seed(), g.reserve(std::uint64_t(n)), nullptr};
  const auto apply = [=](const X& from) {
    X to(TensorImpl::empty(dtype_of<T>(), from.shape(), device));
    if (device.is_cuda()) dropout_on_device({dtype_of<T>(), to.data(), from.data(), n, p, stream});
    else drop_elements(from.data(), to.data(), n, p, stream.seed, stream.first);
    return to;
  };
  const X y = apply(x.detach().contiguous());
  if (!any_requires_grad(x)) return y;
  return record_linear("dropout", y, apply, apply, x);
}

}  // namespace SINTER_ABI
}  // namespace sinter
