// SPDX-License-Identifier: MIT
// What fashion_mnist.cpp and classify.cpp share: the net, and the pictures in the form it takes.
#pragma once

#include <sinter/data/datasets.hpp>
#include <sinter/io/safetensors.hpp>
#include <sinter/sinter.hpp>
#include <string>

using namespace sinter;

// Two convolutions, each followed by halving the picture, and two linear layers.
struct FashionNet : nn::Module<FashionNet> {
  nn::Conv2d conv1, conv2;
  nn::Linear fc1, fc2;
  explicit FashionNet(std::int64_t side)  // pictures are side x side
      : conv1(1, 16, 3, Conv2dOptions().padding(1)),
        conv2(16, 32, 3, Conv2dOptions().padding(1)),
        fc1(32 * (side / 4) * (side / 4), 64),
        fc2(64, 10) {}
  template <class V>
  void visit(V&& v) {
    v("conv1", conv1), v("conv2", conv2), v("fc1", fc1), v("fc2", fc2);
  }
  auto forward(const Tensor<float, 4>& images) const {
    const auto a = max_pool2d(relu(conv1(images)), 2);
    const auto b = max_pool2d(relu(conv2(a)), 2);
    return fc2(relu(fc1(flatten<1>(b))));
  }
};

// Bytes (batch, height, width) to numbers around zero (batch, 1, height, width), in one pass.
inline Tensor<float, 4> prepared(const Tensor<std::uint8_t, 3>& images) {
  return (to<float>(unsqueeze(images, 1)) / 255 - 0.2860) / 0.3530;  // Fashion-MNIST's mean and deviation
}

struct Pictures {
  std::string name;  // "fashion-mnist" or "digits"
  std::array<const char*, 10> classes;
  datasets::ImagesAndLabels data;
  std::int64_t side() const { return std::get<0>(data.tensors()).size(1); }
};

// From a folder with Fashion-MNIST's files, or from the file with the digits.
inline Pictures read_pictures(const std::string& path, bool train) {
  const bool digits = path.size() > 4 && path.compare(path.size() - 4, 4, ".csv") == 0;
  if (digits) return {"digits", datasets::Digits::classes, datasets::Digits(path, train)};
  return {"fashion-mnist", datasets::FashionMNIST::classes, datasets::FashionMNIST(path, train)};
}
