// SPDX-License-Identifier: MIT
// Gradients of gradients: grad(y, x, GradOptions().create_graph()) and backward(retain_graph, create_graph). For every fused
// expression the compiler then makes one function more, so they are asked for: include this before any other header of
// Sinter, in every file of the program (-include sinter/double_backward.hpp, or the CMake option SINTER_DOUBLE_BACKWARD).
// Files with and without it have namespaces of their own, and share tensors, but not what evaluates them.
#pragma once

#if defined(SINTER_VERSION) && !defined(SINTER_ABI_DOUBLE)
#error "sinter: include sinter/double_backward.hpp before any other header of Sinter"
#endif
#define SINTER_ABI_DOUBLE

#include "sinter/graph/double_backward.hpp"
