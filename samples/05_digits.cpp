// SPDX-License-Identifier: MIT
// Real data in batches: 1,797 handwritten digits, a loader with workers, random shifts as augmentation, a schedule.
#include <cstdio>
#include <sinter/data/datasets.hpp>
#include <sinter/sinter.hpp>
#include <sinter/train/metrics.hpp>

using namespace sinter;

struct Net : nn::Module<Net> {
  nn::Linear fc1{64, 128}, fc2{128, 10};
  nn::Dropout dropout{0.2};
  template <class V>
  void visit(V&& v) {
    v("fc1", fc1), v("fc2", fc2), v("dropout", dropout);
  }
  template <class X>
  auto forward(const X& images) const {  // (batch, 8, 8)
    return fc2(dropout(relu(fc1(flatten<1>(images)))));
  }
};

int main(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : "samples/data/digits.csv";
  manual_seed(0);

  // map() passes each sample through a function. Its generator depends on seed, epoch and sample alone, so that the
  // batches are the same for any number of workers.
  const auto train = map(datasets::Digits(path, true), [](Generator& g, auto image, auto label) {
    const Tensor<float, 2> x = to<float>(image) / 255;
    const auto right = std::int64_t(g.below(3)) - 1;  // a column to the right or left
    const auto from = std::max<std::int64_t>(-right, 0), to = std::max<std::int64_t>(right, 0);
    Tensor<float, 2> shifted = zeros({8, 8});
    shifted(all, Slice(to, 8 - from)) = x(all, Slice(from, 8 - to));
    return std::tuple(shifted, label);
  });
  const datasets::Digits test(path, false);

  DataLoader loader(train, DataLoaderOptions().batch_size(32).shuffle(true).workers(2));
  Net net;
  optim::AdamW opt(net, optim::AdamWOptions().lr(3e-3));
  optim::CosineAnnealingLR schedule(opt, 15);
  for (int epoch = 1; epoch <= 15; ++epoch) {
    Average loss;
    net.train();
    for (auto [x, y] : loader) {
      opt.zero_grad();
      Tensor<float, 0> l = cross_entropy(net(x), y);
      l.backward();
      clip_grad_norm_(net, 5.0);
      opt.step();
      loss.add(l.item(), double(y.numel()));
    }
    schedule.step();

    net.eval();
    const auto& [images, labels] = test.tensors();
    ConfusionMatrix confusion(10);
    no_grad([&] { confusion.add(net(eval(to<float>(images) / 255)), labels); });
    if (epoch % 3 == 0) std::printf("epoch %2d  loss %.4f  test accuracy %.4f\n", epoch, loss.value(), confusion.accuracy());
  }
}
