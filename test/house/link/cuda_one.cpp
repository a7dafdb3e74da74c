// SPDX-License-Identifier: MIT
// A host compiler's file that shares tensors with nvcc's: that one evaluates and records, here gradients are taken and results
// compared, on the CPU and, where there is a device, on that.
#include <sinter/sinter.hpp>

#include <cstdio>

sinter::Tensor<float, 1> softened(const sinter::Tensor<float, 1>& x);
sinter::Tensor<float, 0> loss_of(const sinter::Tensor<float, 1>& x);
sinter::Tensor<float, 2> multiplied(const sinter::Tensor<float, 2>& x);

using namespace sinter;

static bool is_right(Device device) {
  const std::int64_t n = 1003;  // whole registers and a rest at every width
  const Tensor<float, 1> start = full({n}, 0.25);
  Tensor<float, 1> x = start.to(device);
  x.requires_grad_();
  const Tensor<float, 1> theirs = softened(x).detach().cpu(), ours = tanh(start * 2.0f) + 1.0f;
  if (!(sum(abs(theirs - ours)).item() < 1e-3f)) return std::puts("the two objects compute differently"), false;
  loss_of(x).backward();
  const Tensor<float, 1> gradient = x.grad().cpu();  // d(sum x^2)/dx = 2x
  if (!(std::abs(sum(gradient).item() - 0.5f * float(n)) < 1e-2f)) return std::puts("the gradient is wrong"), false;
  const Tensor<float, 2> square = ones({3, 3}).to(device), ours_too = matmul(square, square), theirs_too = multiplied(square);
  if (!(sum(abs(ours_too.cpu() - 3.0f)).item() + sum(abs(theirs_too.cpu() - 3.0f)).item() < 1e-5f)) return std::puts("the product is wrong"), false;
  return true;
}

int main() {
  if (!is_right(Device::cpu())) return 1;
  if (cuda::is_available()) return is_right(Device::cuda()) ? 0 : 1;
  try {
    zeros({2}, Device::cuda());
  } catch (const DeviceError&) {
    return 0;
  }
  return std::puts("a tensor on a device that is not there"), 1;
}
