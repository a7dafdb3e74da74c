// SPDX-License-Identifier: MIT
// A training step of a residual net of eight layers.
#include <optional>
#include <sinter/sinter.hpp>

#include "../bench.hpp"

namespace bench {

struct Block : nn::Module<Block> {
  nn::Conv2d conv1, conv2;
  nn::BatchNorm2d bn1, bn2;
  std::optional<nn::Conv2d> shortcut;  // where the shapes differ
  std::optional<nn::BatchNorm2d> shortcut_bn;

  Block(std::int64_t in, std::int64_t out, std::int64_t stride)
      : conv1(in, out, 3, Conv2dOptions().stride(stride).padding(1).bias(false)),
        conv2(out, out, 3, Conv2dOptions().padding(1).bias(false)),
        bn1(out),
        bn2(out) {
    if (in == out && stride == 1) return;
    shortcut.emplace(in, out, 1, Conv2dOptions().stride(stride).bias(false));
    shortcut_bn.emplace(out);
  }
  template <class V>
  void visit(V&& v) {
    v("conv1", conv1), v("bn1", bn1), v("conv2", conv2), v("bn2", bn2);
    if (shortcut) v("shortcut", *shortcut), v("shortcut_bn", *shortcut_bn);
  }
  Tensor<float, 4> forward(const Tensor<float, 4>& x) const {
    const auto y = bn2(conv2(relu(bn1(conv1(x)))));
    if (shortcut) return relu(y + (*shortcut_bn)((*shortcut)(x)));
    return relu(y + x);
  }
};

struct ResNet8 : nn::Module<ResNet8> {
  nn::Conv2d conv{3, 16, 3, Conv2dOptions().padding(1).bias(false)};
  nn::BatchNorm2d bn{16};
  nn::ModuleList<Block> blocks{Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)};
  nn::Linear fc{64, 10};
  template <class V>
  void visit(V&& v) {
    v("conv", conv), v("bn", bn), v("blocks", blocks), v("fc", fc);
  }
  auto forward(const Tensor<float, 4>& x) const {
    Tensor<float, 4> h = relu(bn(conv(x)));
    for (const Block& block : blocks) h = block(h);
    return fc(mean(h, {2, 3}));
  }
};

void resnet_step(Run& run) {
  ResNet8 net;
  optim::SGD opt(net, optim::SGDOptions(0.1).momentum(0.9));
  const Tensor<float, 4> x = input("x", {32, 3, 32, 32});
  const Tensor<std::int64_t, 1> y = labels("y", {32}, 10);
  run.train(net, [&] {
    opt.zero_grad();
    Tensor<float, 0> loss = cross_entropy(net(x), y);
    loss.backward();
    opt.step();
    return loss;
  });
}

void add_resnet(Workloads& to) { to.push_back({"resnet8_step", resnet_step, ""}); }

}  // namespace bench
