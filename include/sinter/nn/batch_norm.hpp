// SPDX-License-Identifier: MIT
// Batch normalisation. https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
#pragma once

#include "sinter/functional/batch_norm.hpp"
#include "sinter/nn/init.hpp"
#include "sinter/nn/module.hpp"

namespace sinter {
namespace nn {

using sinter::BatchNormOptions;  // its training() is the module's own business

inline namespace SINTER_ABI {

// Takes inputs of the ranks Low to High: (N, C), (N, C, L) and (N, C, H, W).
template <class T, int Low, int High>
struct BatchNormOf : Module<BatchNormOf<T, Low, High>> {
  Parameter<T, 1> weight, bias;
  Buffer<T, 1> running_mean, running_var;
  Buffer<std::int64_t, 0> num_batches_tracked;
  BatchNormOptions options;

  explicit BatchNormOf(std::int64_t num_features, BatchNormOptions o = {}) : options(o) {
    const Shape<1> channels{{num_features}};
    if (o.affine_) {
      weight = ones<T>(channels);
      bias = zeros<T>(channels);
    }
    if (o.track_running_stats_) {
      running_mean = zeros<T>(channels);
      running_var = ones<T>(channels);
      num_batches_tracked = zeros<std::int64_t>(Shape<0>{});
    }
  }
  template <class V>
  void visit(V&& v) {
    v("weight", weight);
    v("bias", bias);
    v("running_mean", running_mean);
    v("running_var", running_var);
    v("num_batches_tracked", num_batches_tracked);
  }
  template <class X>
  auto forward(const X& x) const {
    static_assert(X::rank >= Low && X::rank <= High, "sinter: BatchNorm1d takes (N, C) or (N, C, L), BatchNorm2d takes (N, C, H, W)");
    const bool batch = this->is_training() || !running_mean.defined();
    auto y = sinter::batch_norm(x, running_mean, running_var, weight, bias, BatchNormOptions(options).training(batch));
    if (this->is_training() && num_batches_tracked.defined()) count();
    return y;
  }

 private:
  void count() const {
    std::int64_t* n = num_batches_tracked.data();
    if (const Device d = num_batches_tracked.device(); d.is_cpu()) ++*n;
    else add_on_device(n, n, scalar_of<std::int64_t>(1, d)->data, DType::int64, 1);
  }
};
template <class T>
using BatchNorm1dOf = BatchNormOf<T, 2, 3>;
template <class T>
using BatchNorm2dOf = BatchNormOf<T, 4, 4>;
using BatchNorm1d = BatchNorm1dOf<float>;
using BatchNorm2d = BatchNorm2dOf<float>;

}  // namespace SINTER_ABI
}  // namespace nn
}  // namespace sinter
