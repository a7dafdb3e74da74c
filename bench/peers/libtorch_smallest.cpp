// SPDX-License-Identifier: MIT
// About the smallest program with libtorch: what its headers cost to compile.
#include <torch/torch.h>

#include <iostream>

int main() { std::cout << torch::ones({2, 2}) << '\n'; }
