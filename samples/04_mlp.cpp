// SPDX-License-Identifier: MIT
// A model with layers: two interleaved spirals, told apart by a small net. Weights are saved and loaded.
#include <cmath>
#include <cstdio>
#include <sinter/io/safetensors.hpp>
#include <sinter/sinter.hpp>
#include <sinter/train/metrics.hpp>

using namespace sinter;

struct Net : nn::Module<Net> {
  nn::Linear fc1{2, 32}, fc2{32, 32}, fc3{32, 2};
  template <class V>
  void visit(V&& v) {
    v("fc1", fc1), v("fc2", fc2), v("fc3", fc3);
  }
  template <class X>
  auto forward(const X& x) const {
    return fc3(tanh(fc2(tanh(fc1(x)))));
  }
};

int main() {
  manual_seed(0);
  constexpr int n = 400;
  Tensor<float, 2> x = empty({n, 2});
  Tensor<std::int64_t, 1> y = empty<std::int64_t>({n});
  for (int i = 0; i < n; ++i) {
    const double t = 0.5 + 3.0 * (i / 2) / (n / 2), turn = i % 2 ? 3.14159265 : 0;
    x.data()[2 * i] = float(t * std::cos(2 * t + turn) / 3);
    x.data()[2 * i + 1] = float(t * std::sin(2 * t + turn) / 3);
    y.data()[i] = i % 2;
  }

  const Device device = cuda::is_available() ? Device::cuda() : Device::cpu();
  Net net;
  net.to(device);
  x = x.to(device), y = y.to(device);
  optim::AdamW opt(net, optim::AdamWOptions().lr(1e-2));
  for (int step = 0; step <= 300; ++step) {
    opt.zero_grad();
    Tensor<float, 2> scores = net(x);
    Tensor<float, 0> loss = cross_entropy(scores, y);
    loss.backward();
    opt.step();
    if (step % 50 == 0) {
      Accuracy accuracy;
      accuracy.add(scores, y);
      std::printf("step %3d  loss %.4f  accuracy %.3f\n", step, loss.item(), accuracy.value());
    }
  }

  save(net.state_dict(), "spirals.safetensors");  // opens in PyTorch with safetensors.torch.load_file
  Net copy;
  copy.to(device);
  copy.load_state_dict(load("spirals.safetensors"));
  std::printf("the copy agrees: %s\n", allclose(copy(x), net(x)) ? "yes" : "no");
  std::remove("spirals.safetensors");
}
