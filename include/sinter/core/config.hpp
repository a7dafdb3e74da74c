// SPDX-License-Identifier: MIT
// What must be known before the first declaration: host/device marking, the ABI tag, the width of a SIMD register.
#pragma once

#define SINTER_VERSION "0.1.0"

// Marks of functions: for the host alone, for the host and devices, and for ops, whose one body serves the threads of a
// device and the vectors of the host. Those are for devices only while nvcc makes device code: in its pass over host code it
// would refuse a function that is for both and touches a vector.
#if defined(__CUDACC__)
// Words for vectors in functions that are for both, but not called there; constants, which are none of the device's business;
// pragmas and attributes of the host's compiler.
#pragma nv_diag_suppress 20011, 20013, 20014, 1675, 2189
#define SINTER_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define SINTER_HOST_DEVICE inline __attribute__((always_inline))
#endif
#if defined(__CUDA_ARCH__)
#define SINTER_HD SINTER_HOST_DEVICE
#else
#define SINTER_HD inline __attribute__((always_inline))
#endif
#define SINTER_HOST inline __attribute__((always_inline))

// Whether this file's expressions can become kernels of a device (nvcc, or the tests' stand-in for it), and whether the code of
// those kernels is what is being compiled.
#if defined(__CUDACC__) || defined(SINTER_CUDA_SHIM)
#define SINTER_DEVICE_KERNELS 1
#else
#define SINTER_DEVICE_KERNELS 0
#endif
#if defined(__CUDA_ARCH__) || defined(SINTER_CUDA_SHIM)
#define SINTER_DEVICE_CODE 1
#else
#define SINTER_DEVICE_CODE 0
#endif

// Code whose body depends on compiler flags lives in `inline namespace SINTER_ABI`, so that objects built by different
// compilers or for different instruction sets never share a body at link time. Tensor, storage and graph node do not
// depend on the flags and stay outside of it: those cross translation units.
#if defined(__CUDACC__)
#define SINTER_ABI_COMPILER cu
#elif defined(SINTER_CUDA_SHIM)
#define SINTER_ABI_COMPILER sh
#else
#define SINTER_ABI_COMPILER hx
#endif
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define SINTER_ABI_ISA avx512
#elif defined(__AVX2__) && defined(__FMA__)
#define SINTER_ABI_ISA avx2
#elif defined(__AVX__)
#define SINTER_ABI_ISA avx
#elif defined(__ARM_NEON)
#define SINTER_ABI_ISA neon
#else
#define SINTER_ABI_ISA sse2
#endif
#define SINTER_ABI_JOIN_(compiler, isa, grads) v1_##compiler##_##isa##grads
#define SINTER_ABI_JOIN(compiler, isa, grads) SINTER_ABI_JOIN_(compiler, isa, grads)
#if defined(SINTER_ABI_DOUBLE)  // by sinter/double_backward.hpp
#define SINTER_ABI SINTER_ABI_JOIN(SINTER_ABI_COMPILER, SINTER_ABI_ISA, _double)
#else
#define SINTER_ABI SINTER_ABI_JOIN(SINTER_ABI_COMPILER, SINTER_ABI_ISA, )
#endif

namespace sinter {

// The highest rank of a tensor, an expression or a broadcast.
inline constexpr int max_rank = 8;
inline constexpr int max_leaves = 16;  // tensors that one kernel reads

inline namespace SINTER_ABI {

// Whether gradients can be differentiated in turn: create_graph.
#if defined(SINTER_ABI_DOUBLE)
inline constexpr bool double_backward = true;
#else
inline constexpr bool double_backward = false;
#endif

// Bytes of one SIMD register; a lane block is a few of these.
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)
inline constexpr int simd_bytes = 64;
#elif defined(__AVX__)
inline constexpr int simd_bytes = 32;
#else
inline constexpr int simd_bytes = 16;
#endif

}  // namespace SINTER_ABI
}  // namespace sinter
