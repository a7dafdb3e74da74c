// SPDX-License-Identifier: MIT
// The fused kernels of CUDA: values, reductions, gradients.
#pragma once

#include "sinter/eval/cuda_adjoint.cuh"
