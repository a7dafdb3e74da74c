// SPDX-License-Identifier: MIT
// The workloads where the cost of a call counts, in PyTorch's C++ interface: what Python's share of it is.
// Usage: libtorch NAME THREADS; prints a line as sinter_bench --json does.
#include <torch/torch.h>

#include <cstdio>

#include "../clock.hpp"
#include "inputs.hpp"

namespace nn = torch::nn;
using torch::Tensor;

Tensor input(const char* name, std::vector<std::int64_t> sizes) {
  Tensor t = torch::empty(sizes);
  bench::fill(name, t.data_ptr<float>(), t.numel());
  return t;
}
Tensor labels(const char* name, std::int64_t n, std::int64_t classes) {
  Tensor t = torch::empty({n}, torch::kInt64);
  bench::fill_labels(name, t.data_ptr<std::int64_t>(), n, classes);
  return t;
}
void set_parameters(nn::Module& net) {
  torch::NoGradGuard no_grad;
  for (auto& p : net.named_parameters())
    bench::fill_parameter(p.key(), p.value().data_ptr<float>(), p.value().numel(), int(p.value().dim()), p.value().size(0));
}

// Two linear layers, Act between them.
template <Tensor (*Act)(const Tensor&)>
struct Mlp : nn::Module {
  nn::Linear fc1, fc2;
  Mlp(int in, int hidden, int out) : fc1(in, hidden), fc2(hidden, out) {
    register_module("fc1", fc1);
    register_module("fc2", fc2);
    set_parameters(*this);
  }
  Tensor forward(const Tensor& x) { return fc2(Act(fc1(x))); }
};

std::vector<double> checks;
void check(const bench::Digest& d) {
  checks.push_back(d.norm());
  checks.push_back(d.dot);
}
void check(const Tensor& t) {
  bench::Digest d;
  d.add(t.contiguous().data_ptr<float>(), t.numel());
  check(d);
}

double small_add() {
  const Tensor a = input("a", {16}), b = input("b", {16});
  const auto call = [&] { return a + b; };
  const double ms = bench::milliseconds(call, [] {});
  check(call());
  return ms;
}

double mlp_inference() {
  Mlp<torch::relu> net(784, 256, 10);
  const Tensor x = input("x", {1, 784});
  c10::InferenceMode guard;
  const auto call = [&] { return net.forward(x); };
  const double ms = bench::milliseconds(call, [] {});
  check(call());
  return ms;
}

template <class Net, class Loss>
double train(Net& net, torch::optim::Optimizer&& opt, Loss loss_of) {
  const auto step = [&] {
    opt.zero_grad();
    Tensor loss = loss_of();
    loss.backward();
    opt.step();
    return loss;
  };
  for (int i = 0; i < 3; ++i) checks.push_back(step().template item<float>());
  bench::Digest all;
  for (const Tensor& p : net.parameters()) all.add(p.data_ptr<float>(), p.numel());
  check(all);
  return bench::milliseconds(step, [&] { set_parameters(net); });
}

double tiny_step() {
  Mlp<torch::tanh> net(32, 32, 1);
  const Tensor x = input("x", {32, 32}), y = input("y", {32, 1});
  return train(net, torch::optim::SGD(net.parameters(), 0.01), [&] { return torch::mse_loss(net.forward(x), y); });
}

double mlp_step() {
  Mlp<torch::relu> net(784, 256, 10);
  const Tensor x = input("x", {64, 784}), y = labels("y", 64, 10);
  return train(net, torch::optim::Adam(net.parameters()), [&] { return torch::cross_entropy_loss(net.forward(x), y); });
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string name = argv[1];
  at::set_num_threads(std::atoi(argv[2]));
  at::set_num_interop_threads(1);
  const double idle = bench::peak_mb();
  double ms = 0;
  if (name == "small_add_16") ms = small_add();
  else if (name == "mlp_infer_b1") ms = mlp_inference();
  else if (name == "mlp_tiny_step") ms = tiny_step();
  else if (name == "mlp_step") ms = mlp_step();
  else return 2;
  std::printf("{\"workload\": \"%s\", \"peer\": \"libtorch %s\", \"threads\": %s, \"ms\": %.6g, \"peak_mb\": %.1f, \"idle_mb\": %.1f, \"check\": [",
              name.c_str(), TORCH_VERSION, argv[2], ms, bench::peak_mb(), idle);
  for (std::size_t i = 0; i < checks.size(); ++i) std::printf("%s%.9g", i ? ", " : "", checks[i]);
  std::printf("]}\n");
}
