// SPDX-License-Identifier: MIT
// All of CUDA's kernels. A program without CMake includes this in one of its .cu files, after or without sinter.hpp, and links
// cublasLt; with CMake the target sinter::cuda has each of these files compiled by itself.
#pragma once

#include "sinter/cuda/runtime.cuh"
// Elements moved and made
#include "sinter/cuda/dense.cuh"
#include "sinter/cuda/index.cuh"
#include "sinter/cuda/order.cuh"
#include "sinter/cuda/random.cuh"
#include "sinter/cuda/rearrange.cuh"
#include "sinter/cuda/scan.cuh"
// Products
#include "sinter/cuda/conv.cuh"
#include "sinter/cuda/cudnn.cuh"
#include "sinter/cuda/matmul.cuh"
#include "sinter/cuda/rnn.cuh"
// Passes over rows, channels and windows
#include "sinter/cuda/channels.cuh"
#include "sinter/cuda/cross_entropy.cuh"
#include "sinter/cuda/pool.cuh"
#include "sinter/cuda/row_norm.cuh"
#include "sinter/cuda/softmax.cuh"
// Attention
#include "sinter/cuda/attention.cuh"
#include "sinter/cuda/attention_backward.cuh"
#include "sinter/cuda/attention_flash.cuh"
#include "sinter/cuda/attention_flash_backward.cuh"
// Optimizers
#include "sinter/cuda/optim.cuh"
