// SPDX-License-Identifier: MIT
#include "sinter/nn/module.hpp"

#include <catch2/catch.hpp>

#include "sinter/nn/activation.hpp"
#include "sinter/nn/batch_norm.hpp"
#include "sinter/nn/container.hpp"
#include "sinter/nn/dropout.hpp"
#include "sinter/nn/linear.hpp"

using namespace sinter;

namespace {

struct Block : nn::Module<Block> {
  nn::Linear fc{3, 3};
  nn::BatchNorm1d bn{3};
  template <class V>
  void visit(V&& v) {
    v("fc", fc);
    v("bn", bn);
  }
  template <class X>
  auto forward(const X& x) const { return relu(bn(fc(x))); }
};
struct Net : nn::Module<Net> {
  Block block;
  nn::Dropout drop{0.5};
  nn::Linear head{3, 2, false};
  template <class V>
  void visit(V&& v) {
    v("block", block);
    v("drop", drop);
    v("head", head);
  }
  template <class X>
  auto forward(const X& x) const { return head(drop(block(x))); }
};

struct Deep : nn::Module<Deep> {
  nn::ModuleList<nn::Linear> layers;
  explicit Deep(int n) {
    for (int i = 0; i < n; ++i) layers.append(2, 2);
  }
  template <class V>
  void visit(V&& v) { v("layers", layers); }
  Tensor<float, 2> forward(Tensor<float, 2> x) const {
    for (const auto& layer : layers) x = tanh(layer(x));
    return x;
  }
};
struct TwoNames : nn::Module<TwoNames> {
  nn::Linear a{2, 2, false}, b{2, 2, false};
  TwoNames() { b.weight.impl = a.weight.impl; }
  template <class V>
  void visit(V&& v) {
    v("a", a);
    v("b", b);
  }
};

std::string names(const StateDict& state) {
  std::string all;
  for (const auto& entry : state) all += entry.first + ' ';
  return all;
}
bool equal(const Tensor<float, 2>& a, const Tensor<float, 2>& b) {
  return std::memcmp(a.data(), b.data(), std::size_t(a.numel()) * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("a module lists its tensors under PyTorch's names") {
  const Net net;
  CHECK(names(net.state_dict()) == "block.fc.weight block.fc.bias block.bn.weight block.bn.bias block.bn.running_mean "
                                   "block.bn.running_var block.bn.num_batches_tracked head.weight ");
  CHECK(net.parameters().size() == 5);
  CHECK(net.named_parameters()[4].name == "head.weight");
  CHECK(net.named_buffers().size() == 3);
  CHECK(net.num_parameters() == 9 + 3 + 3 + 3 + 6);
  std::ostringstream summary;
  net.summary(summary);
  CHECK_THAT(summary.str(), Catch::Contains("block.bn.running_mean [3] float32 buffer") && Catch::Contains("24 parameters"));
}

TEST_CASE("modes, freezing and gradients reach every submodule") {
  Net net;
  CHECK(net.is_training());
  net.eval();
  CHECK_FALSE(net.block.bn.is_training());
  CHECK_FALSE(net.drop.is_training());
  CHECK(equal(net(ones({2, 3})), net(ones({2, 3}))));
  net.train();
  CHECK(net.drop.is_training());
  sinter::eval(sum(net(randn({4, 3})))).backward();
  CHECK(net.block.fc.weight.grad().defined());
  net.zero_grad();
  CHECK_FALSE(net.block.fc.weight.grad().defined());
  net.block.requires_grad_(false);
  CHECK_FALSE(net.block.fc.weight.requires_grad());
  CHECK(net.head.weight.requires_grad());
  int modules = 0;
  net.apply([&](auto&) { ++modules; });
  CHECK(modules == 6);
  const float* at = net.head.weight.data();
  net.to(Device::cpu());
  CHECK(net.head.weight.data() == at);
  CHECK_THROWS_AS(net.to(Device::cuda()), DeviceError);
  CHECK(net.head.weight.data() == at);
  CHECK(net.head.weight.device() == Device::cpu());
}

TEST_CASE("copying a module copies its values, moving moves them") {
  Net a;
  Net b = a;
  CHECK(equal(a.head.weight, b.head.weight));
  CHECK(a.head.weight.data() != b.head.weight.data());
  CHECK(b.head.weight.requires_grad());
  CHECK_FALSE(b.head.bias.defined());
  const float* place = b.head.weight.data();
  const Net c = std::move(b);
  CHECK(c.head.weight.data() == place);
  Net d;
  const auto held = d.head.weight.impl;  // as an optimizer does
  d = a;
  CHECK(d.head.weight.impl == held);
  CHECK(equal(a.head.weight, d.head.weight));
  CHECK(d.head.weight.requires_grad());
  d = Net(a);
  CHECK(d.head.weight.impl != held);
  a.head.weight.data()[0] += 1;
  CHECK_FALSE(equal(a.head.weight, d.head.weight));
}

TEST_CASE("state dicts are loaded in place and converted") {
  Net a, b;
  const float* place = b.head.weight.data();
  CHECK(b.load_state_dict(a.state_dict()).complete());
  CHECK(b.head.weight.data() == place);
  CHECK(equal(a.head.weight, b.head.weight));
  nn::LinearOf<double> wide(3, 2);
  nn::Linear narrow(3, 2);
  narrow.load_state_dict(wide.state_dict());
  CHECK(narrow.weight.data()[4] == float(wide.weight.data()[4]));
  StateDict turned;
  turned.insert("weight", sinter::eval(transpose(tensor({{1., 2.}, {3., 4.}, {5., 6.}}), 0, 1)).impl);
  turned.insert("bias", zeros({2}).impl);
  narrow.load_state_dict(turned);
  CHECK(narrow.weight.data()[1] == 3);
}

TEST_CASE("what does not fit a module is listed, and nothing is changed") {
  Net net;
  StateDict state = Net(net).state_dict();
  const auto before = net.head.weight.detach().clone();
  StateDict odd;
  for (const auto& [name, t] : state)
    if (name != "block.fc.bias" && name != "head.weight") odd.insert(name, t);
  odd.insert("head.weight", zeros({2, 4}).impl);
  odd.insert("scale", zeros({2}).impl);
  CHECK_THROWS_WITH(net.load_state_dict(odd), "load_state_dict: missing block.fc.bias; unexpected scale; of another shape head.weight: "
                                              "[2, 4] in the state, [2, 3] in the module");
  CHECK(equal(before, net.head.weight));
  odd.set("block.fc.weight", ones({3, 3}).impl);
  const auto report = net.load_state_dict(odd, false);
  CHECK(report.missing == std::vector<std::string>{"block.fc.bias"});
  CHECK(report.mismatched.size() == 1);
  CHECK(net.block.fc.weight.data()[8] == 1);
}

TEST_CASE("containers name their layers by position or by key") {
  nn::Sequential net(nn::Linear(4, 3), nn::ReLU(), nn::Linear(3, 2));
  CHECK(names(net.state_dict()) == "0.weight 0.bias 2.weight 2.bias ");
  CHECK(net(ones({5, 4})).shape() == Shape{5, 2});
  CHECK(net.get<2>().weight.shape() == Shape{2, 3});
  const Deep deep(3);
  CHECK(deep.parameters().size() == 6);
  CHECK(names(deep.state_dict()) == "layers.0.weight layers.0.bias layers.1.weight layers.1.bias layers.2.weight layers.2.bias ");
  CHECK(deep(ones({1, 2})).shape() == Shape{1, 2});
  nn::ModuleDict<nn::Linear> dict;
  dict.insert("a", nn::Linear(1, 2));
  CHECK(names(dict.state_dict()) == "a.weight a.bias ");
  CHECK_THROWS_AS(dict["b"], IndexError);
  CHECK_THROWS_AS(dict.insert("a", nn::Linear(1, 2)), ValueError);
}

TEST_CASE("tied weights are one parameter") {
  const TwoNames tied;
  CHECK(tied.parameters().size() == 1);
  CHECK(tied.state_dict().size() == 2);
}
