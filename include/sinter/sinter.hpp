// SPDX-License-Identifier: MIT
// Sinter: tensors, fused expressions, gradients and models. Each section stands on those above it.
#pragma once

// Tensors: creation, views, indexing, joining, printing
#include "sinter/tensor/create.hpp"
#include "sinter/tensor/index.hpp"

// Gradients: user-defined ops
#include "sinter/autograd/checkpoint.hpp"
#include "sinter/autograd/function.hpp"
#include "sinter/autograd/grad.hpp"
#include "sinter/graph/explain.hpp"
