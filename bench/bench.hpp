// SPDX-License-Identifier: MIT
// What the workloads share: inputs that every peer can make for itself, the clock, and the numbers by which results are
// compared. bench/peers/common.py and bench/peers/inputs.hpp say the same; see bench/README.md for the rules.
#pragma once

#include <functional>
#include <sinter/device/cuda.hpp>
#include <sinter/nn/module.hpp>
#include <sinter/tensor/create.hpp>
#include <string>
#include <vector>

#include "clock.hpp"
#include "peers/inputs.hpp"

namespace bench {

using namespace sinter;

inline Device device;  // where all is computed; --device

template <std::size_t R>
Tensor<float, int(R)> input(const char* name, const std::int64_t (&sizes)[R]) {
  Tensor<float, int(R)> t = empty(sizes);
  fill(name, t.data(), t.numel());
  return t.to(device);
}
template <std::size_t R>
Tensor<std::int64_t, int(R)> labels(const char* name, const std::int64_t (&sizes)[R], std::int64_t classes) {
  Tensor<std::int64_t, int(R)> t = empty<std::int64_t>(sizes);
  fill_labels(name, t.data(), t.numel(), classes);
  return t.to(device);
}
// The weights that a model starts from, by their names.
template <class Net>
void set_parameters(const Net& net) {
  for (const nn::NamedTensor& p : net.named_parameters()) {
    const Ref<TensorImpl> host = device.is_cpu() ? p.tensor : empty_dense(p.tensor->dtype, p.tensor->shape(), Device::cpu());
    fill_parameter(p.name, static_cast<float*>(host->data), host->numel(), host->rank, host->sizes[0]);
    if (!device.is_cpu()) copy_elements(*p.tensor, *host);
  }
}
// The same for a net that was made on the CPU, as all are; it moves.
template <class Net>
void prepare(Net& net) {
  net.to(device);
  set_parameters(net);
}

// One workload being run: it times, and notes what it computed.
class Run {
 public:
  double ms = 0;
  double graph_ms = 0;  // of a step that is replayed as a CUDA graph; 0 where there is none
  std::string no_graph;  // why
  std::vector<double> checks;

  template <class F>
  void time(F&& call) { ms = milliseconds(call, [] {}); }

  template <class... T>
  void check(const T&... tensors) { (note(tensors), ...); }

  // step() makes one step and returns the loss. The first three are compared; the clock then runs on from there, and begins
  // each batch of many steps with the first weights, lest the net learn its one batch by heart and the numbers go denormal.
  template <class Net, class Step>
  void train(Net& net, Step&& step) {
    prepare(net);
    for (int i = 0; i < 3; ++i) checks.push_back(double(step().item()));
    Digest all;
    for (const auto& p : net.parameters()) {
      const Ref<TensorImpl> host = p->device().is_cpu() ? p : dense_clone(*p, p->dtype, Device::cpu());
      all.add(static_cast<const float*>(host->data), host->numel());
    }
    note(all);
    const auto restart = [&] { set_parameters(net); };
    ms = milliseconds([&] { step(); }, restart);
    if (device.is_cpu()) return;
    try {
      const cuda::Graph graph = cuda::capture([&] { step(); });
      graph_ms = milliseconds([&] { graph.replay(); }, restart);
    } catch (const std::exception& e) {
      no_graph = e.what();
    }
  }

 private:
  void note(const Digest& d) {
    checks.push_back(d.norm());
    checks.push_back(d.dot);
  }
  template <int R>
  void note(const Tensor<float, R>& t) {
    Digest d;
    const Tensor<float, R> dense = t.detach().to(Device::cpu()).contiguous();
    d.add(dense.data(), dense.numel());
    note(d);
  }
};

// The workloads by name, in the order of the table. One without a function is not available, and `why` says why.
struct Workload {
  std::string name;
  std::function<void(Run&)> run;
  std::string why;
  double gflop = 0;  // of one call, where it is known; for --growth
};
using Workloads = std::vector<Workload>;

// One function for each file in workloads/.
void add_chains(Workloads& to);
void add_rows(Workloads& to);
void add_products(Workloads& to);
void add_small(Workloads& to);
void add_nets(Workloads& to);
void add_resnet(Workloads& to);
void add_lstm(Workloads& to);
void add_transformers(Workloads& to);
void add_gpt(Workloads& to);

// gpt_char_step, and at twice and four times the batch and the width: sinter_bench --growth.
void add_growth(Workloads& to);

}  // namespace bench
