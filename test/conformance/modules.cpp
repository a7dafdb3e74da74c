// SPDX-License-Identifier: MIT
// Layers, and a small net of them.
#include "conformance/modules.hpp"

#include "sinter/functional/loss_classification.hpp"
#include "sinter/functional/pool.hpp"
#include "sinter/nn/batch_norm.hpp"
#include "sinter/nn/conv.hpp"
#include "sinter/nn/embedding.hpp"
#include "sinter/nn/linear.hpp"

#include "conformance/window.hpp"

namespace conformance {
namespace {

template <class T>
struct SmallCNN : nn::Module<SmallCNN<T>> {
  nn::Conv2dOf<T> conv1, conv2;
  nn::BatchNorm2dOf<T> bn1;
  nn::LinearOf<T> fc;
  std::int64_t pool;

  SmallCNN(std::int64_t in, std::int64_t channels, std::int64_t classes, std::int64_t p)
      : conv1(in, channels, 3, Conv2dOptions().padding(1)), conv2(channels, 2 * channels, 3, Conv2dOptions().padding(1).bias(false)),
        bn1(channels), fc(2 * channels * p * p, classes), pool(p) {}
  template <class V>
  void visit(V&& v) {
    v("conv1", conv1);
    v("bn1", bn1);
    v("conv2", conv2);
    v("fc", fc);
  }
  Tensor<T, 2> forward(const Tensor<T, 4>& x) const {
    const auto h = max_pool2d(relu(bn1(conv1(x))), 2);
    return fc(flatten<1>(adaptive_avg_pool2d(gelu(conv2(h)), pool)));
  }
};

const bool registered = [] {
  add("Linear", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      nn::LinearOf<T> layer(c.integer("in_features"), c.integer("out_features"), c.flag("bias", true));
      return run_module(c, layer, [&](const auto& m) {
        return by_rank<1, 5>(c.rank(0), [&](auto r) { return Values{eval(m(c.in<T, r.value>(0))).impl}; });
      });
    });
  });
  add("Conv2d", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      const auto o = Conv2dOptions().stride(pair_of(c, "stride", 1)).padding(pair_of(c, "padding", 0)).groups(c.integer("groups", 1)).bias(c.flag("bias", true));
      nn::Conv2dOf<T> layer(c.integer("in_channels"), c.integer("out_channels"), pair_of(c, "kernel_size", 1), o);
      return run_module(c, layer, [&](const auto& m) { return Values{eval(m(c.in<T, 4>(0))).impl}; });
    });
  });
  add("Embedding", [](Case& c) {
    return by_float(c, [&](auto t) {
      std::optional<std::int64_t> padding;
      if (c.has("padding_idx")) padding = c.integer("padding_idx");
      nn::EmbeddingOf<decltype(t)> layer(c.integer("num_embeddings"), c.integer("embedding_dim"), padding);
      return run_module(c, layer, [&](const auto& m) {
        return by_rank<0, 4>(c.rank(0), [&](auto r) { return Values{m(c.in<std::int64_t, r.value>(0)).impl}; });
      });
    });
  });
  add("BatchNorm2d", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      const auto o = BatchNormOptions().eps(c.number("eps", 1e-5)).momentum(c.number("momentum", 0.1)).affine(c.flag("affine", true))
                         .track_running_stats(c.flag("track_running_stats", true));
      nn::BatchNorm2dOf<T> layer(c.integer("num_features"), o);
      return run_module(c, layer, [&](const auto& m) { return Values{eval(m(c.in<T, 4>(0))).impl}; });
    });
  });
  add("SmallCNN", [](Case& c) {
    return by_float(c, [&](auto t) {
      using T = decltype(t);
      SmallCNN<T> net(c.integer("in_channels"), c.integer("channels"), c.integer("num_classes"), c.integer("pool"));
      return run_module(c, net, [&](const auto& m) {
        const Tensor<T, 2> logits = m(c.in<T, 4>(0));
        const Tensor<T, 0> loss = cross_entropy(logits, c.in<std::int64_t, 1>(1));
        return Values{logits.impl, loss.impl};
      });
    });
  });
  return true;
}();

}  // namespace
}  // namespace conformance
