// SPDX-License-Identifier: MIT
// The fused kernels of a plan: for the CPU always, for a device where this file is compiled for one.
#pragma once

#include "sinter/eval/cpu.hpp"
#include "sinter/eval/stages.hpp"
#if SINTER_DEVICE_KERNELS
#include "sinter/eval/cuda.cuh"
#define SINTER_ON_DEVICE(...) __VA_ARGS__
#else
#define SINTER_ON_DEVICE(...) nullptr
#endif

namespace sinter {
inline namespace SINTER_ABI {

template <class P, class T>
inline constexpr FusedKernel map_kernel{cpu::map_kernel<P, T>, cpu::block_of<P>, SINTER_ON_DEVICE(fused::launch_map<P, T>)};
template <class Reducer, class P>
inline constexpr FusedKernel reduce_kernel{cpu::reduce_kernel<Reducer, P>, cpu::block_of<P>, SINTER_ON_DEVICE(fused::launch_reduce<Reducer, P>)};
template <class P, class Up>
inline constexpr FusedKernel adjoint_kernel{cpu::adjoint_kernel<P, Up>, cpu::block_of<P>, SINTER_ON_DEVICE(fused::launch_adjoint<P, Up>)};

}  // namespace SINTER_ABI
}  // namespace sinter
#undef SINTER_ON_DEVICE
