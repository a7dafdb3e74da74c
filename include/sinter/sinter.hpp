// SPDX-License-Identifier: MIT
// Sinter: tensors, fused expressions, gradients and models. Each section stands on those above it.
#pragma once

// Tensors and what is computed with them: creation, views, indexing, joining, printing; explain()
#include "sinter/graph/explain.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"
#include "sinter/tensor/index.hpp"
#include "sinter/tensor/join.hpp"
#include "sinter/tensor/print.hpp"

// CUDA: is_available(), streams, events, graphs
#include "sinter/device/cuda.hpp"

// Gradients: grad(), checkpoints, gradcheck, ops of one's own
#include "sinter/autograd/checkpoint.hpp"
#include "sinter/autograd/function.hpp"
#include "sinter/autograd/grad.hpp"
#include "sinter/autograd/gradcheck.hpp"

// Functions with kernels of their own: products, convolutions, softmax, losses, searches
#include "sinter/functional/argmax.hpp"
#include "sinter/functional/attention.hpp"
#include "sinter/functional/batch_norm.hpp"
#include "sinter/functional/conv.hpp"
#include "sinter/functional/dropout.hpp"
#include "sinter/functional/embedding.hpp"
#include "sinter/functional/gather.hpp"
#include "sinter/functional/group_norm.hpp"
#include "sinter/functional/layer_norm.hpp"
#include "sinter/functional/linear.hpp"
#include "sinter/functional/loss.hpp"
#include "sinter/functional/loss_classification.hpp"
#include "sinter/functional/loss_margin.hpp"
#include "sinter/functional/mask.hpp"
#include "sinter/functional/matmul.hpp"
#include "sinter/functional/matrix_shape.hpp"
#include "sinter/functional/pool.hpp"
#include "sinter/functional/rearrange.hpp"
#include "sinter/functional/reduce.hpp"
#include "sinter/functional/rnn.hpp"
#include "sinter/functional/scan.hpp"
#include "sinter/functional/softmax.hpp"
#include "sinter/functional/sort.hpp"

// Models: the visit protocol, layers, containers, initialisers
#include "sinter/nn/activation.hpp"
#include "sinter/nn/batch_norm.hpp"
#include "sinter/nn/container.hpp"
#include "sinter/nn/conv.hpp"
#include "sinter/nn/dropout.hpp"
#include "sinter/nn/embedding.hpp"
#include "sinter/nn/flatten.hpp"
#include "sinter/nn/group_norm.hpp"
#include "sinter/nn/init.hpp"
#include "sinter/nn/layer_norm.hpp"
#include "sinter/nn/linear.hpp"
#include "sinter/nn/loss.hpp"
#include "sinter/nn/multihead_attention.hpp"
#include "sinter/nn/pool.hpp"
#include "sinter/nn/rnn.hpp"
#include "sinter/nn/rnn_cell.hpp"
#include "sinter/nn/transformer.hpp"

// Optimizers, schedules of the learning rate, clipping
#include "sinter/optim/adagrad.hpp"
#include "sinter/optim/adam.hpp"
#include "sinter/optim/adamw.hpp"
#include "sinter/optim/clip.hpp"
#include "sinter/optim/lr_scheduler.hpp"
#include "sinter/optim/one_cycle.hpp"
#include "sinter/optim/plateau.hpp"
#include "sinter/optim/rmsprop.hpp"
#include "sinter/optim/sgd.hpp"

// Data: datasets and the loader
#include "sinter/data/loader.hpp"

// Apart, since not every program pays for them:
//   sinter/io/safetensors.hpp   save() and load(); takes the compiler a second
//   sinter/data/datasets.hpp    Fashion-MNIST and its like, from IDX and CSV files
//   sinter/double_backward.hpp  gradients of gradients: create_graph; included before all others
//   sinter/autograd/gradgradcheck.hpp
//   sinter/train/*.hpp          metrics, progress bars, learning curves
