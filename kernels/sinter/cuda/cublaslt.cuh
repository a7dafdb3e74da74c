// SPDX-License-Identifier: MIT
// Matrix products by cuBLASLt. It has columns where we have rows: it is asked for c^T = b^T @ a^T, for which nothing is moved.
// https://docs.nvidia.com/cuda/cublas/#using-the-cublaslt-api
#pragma once

#include <cublasLt.h>

#include <cstring>
#include <mutex>
#include <unordered_map>

#include "sinter/cuda/runtime.cuh"
#include "sinter/device/matmul.hpp"

namespace sinter::cuda {

inline void check_cublas(const char* call, cublasStatus_t status) {
  if (status != CUBLAS_STATUS_SUCCESS) fail<DeviceError>("matmul: ", call, ": ", cublasLtGetStatusString(status));
}
#define SINTER_CUBLAS(call, ...) check_cublas(#call, call(__VA_ARGS__))

// All that the choice of an algorithm depends on. Compared and hashed as bytes.
struct LtKey {
  std::int64_t m, n, k, batch, a_step, b_step, c_step, aux_step, a_batch, b_batch, c_batch;
  std::int32_t dtype, epilogue, a_turned, b_turned, add, tf32, device;
  std::int32_t a_aligned, b_aligned, c_aligned, bias_aligned, aux_aligned;

  bool operator==(const LtKey& o) const { return std::memcmp(this, &o, sizeof *this) == 0; }
  struct Hash {
    std::size_t operator()(const LtKey& key) const {
      std::uint64_t h = 0, word;
      for (std::size_t i = 0; i + 8 <= sizeof key; i += 8) {
        std::memcpy(&word, reinterpret_cast<const char*>(&key) + i, 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
      }
      return std::size_t(h);
    }
  };
};
static_assert(sizeof(LtKey) == 11 * 8 + 12 * 4, "no padding, which would not be equal");

struct LtPlan {
  bool supported = false;
  cublasLtMatmulDescOpaque_t product;
  cublasLtMatrixLayoutOpaque_t a, b, c;  // the left, the right, the result, each as cuBLASLt sees it
  cublasLtMatmulAlgo_t algorithm;
  std::size_t workspace = 0;
};

class Lt {
 public:
  // False for what it has no algorithm for. Throws DeviceError.
  static bool run(const MatmulArgs& args) {
    MatmulArgs a = args;
    if (a.m == 1) a.a_row = a.k, a.c_row = a.n;  // steps that are not taken, but looked at
    LtKey key;
    std::memset(&key, 0, sizeof key);
    if (!describe(a, key)) return false;
    const LtPlan& plan = plan_of(key, a);
    if (!plan.supported) return false;
    const double one = 1, zero = 0;
    const float one_f = 1, zero_f = 0;
    const bool wide = a.dtype == DType::float64;
    const void* alpha = wide ? static_cast<const void*>(&one) : &one_f;
    const void* beta = wide ? static_cast<const void*>(a.add ? &one : &zero) : a.add ? &one_f : &zero_f;
    auto product = plan.product;  // a copy, which has this call's pointers
    set_pointers(product, a);
    auto left = plan.a, right = plan.b, result = plan.c;
    const Workspace space(plan.workspace);
    SINTER_CUBLAS(cublasLtMatmul, handle(key.device), &product, alpha, a.b, &right, a.a, &left, beta, a.c, &result, a.c, &result, &plan.algorithm,
                  space.data(), plan.workspace, current_stream());
    return true;
  }

 private:
  static constexpr std::size_t most_workspace = std::size_t(32) << 20;  // what NVIDIA recommends for Hopper

  static cudaDataType_t type_of(DType t) {
    return t == DType::float32 ? CUDA_R_32F : t == DType::float64 ? CUDA_R_64F : t == DType::bfloat16 ? CUDA_R_16BF : CUDA_R_16F;
  }
  static int alignment(const void* p) {
    const auto address = reinterpret_cast<std::uintptr_t>(p) | 256;
    return int(address & (~address + 1));
  }
  // Rows behind one another (step between them), or columns (turned).
  static bool lies(std::int64_t rows, std::int64_t columns, std::int64_t row_step, std::int64_t column_step, std::int64_t& step, std::int32_t& turned) {
    if ((column_step == 1 || columns == 1) && (row_step >= columns || rows == 1)) {
      step = rows == 1 ? columns : row_step, turned = 0;
    } else if ((row_step == 1 || rows == 1) && (column_step >= rows || columns == 1)) {
      step = columns == 1 ? rows : column_step, turned = 1;
    } else {
      return false;
    }
    return true;
  }
  static bool describe(const MatmulArgs& a, LtKey& key) {
    if (a.dtype < DType::float16 || a.batch > 0x7fffffff || (a.c_column != 1 && a.n != 1) || (a.m != 1 && a.c_row < a.n)) return false;
    if (!lies(a.m, a.k, a.a_row, a.a_column, key.a_step, key.a_turned)) return false;
    if (!lies(a.k, a.n, a.b_row, a.b_column, key.b_step, key.b_turned)) return false;
    key.epilogue = epilogue_of(a);
    if (key.epilogue == 0) return false;
    key.m = a.m, key.n = a.n, key.k = a.k, key.batch = a.batch, key.c_step = a.c_row;
    if (a.batch > 1) key.a_batch = a.a_batch, key.b_batch = a.b_batch, key.c_batch = a.c_batch;
    if (a.aux) key.aux_step = a.c_row;
    key.dtype = int(a.dtype), key.add = a.add, key.tf32 = a.dtype == DType::float32 && allows_tf32(), key.device = current_device();
    key.a_aligned = alignment(a.a), key.b_aligned = alignment(a.b), key.c_aligned = alignment(a.c);
    key.bias_aligned = alignment(a.sums ? a.sums : a.bias), key.aux_aligned = alignment(a.aux);
    return true;
  }
  // 0 for what it does not have.
  static int epilogue_of(const MatmulArgs& a) {
    const int bias = a.bias ? CUBLASLT_EPILOGUE_BIAS : 0;
    if (a.sums) return a.epilogue == MatmulEpilogue::none && !a.bias && a.batch == 1 ? CUBLASLT_EPILOGUE_BGRADB : 0;
    switch (a.epilogue) {
      case MatmulEpilogue::none: return bias ? bias : CUBLASLT_EPILOGUE_DEFAULT;
      case MatmulEpilogue::relu: return CUBLASLT_EPILOGUE_RELU | bias;
      case MatmulEpilogue::gelu_tanh:
        if (a.aux && a.c_row % 8 != 0) return 0;
        return (a.aux ? CUBLASLT_EPILOGUE_GELU_AUX : CUBLASLT_EPILOGUE_GELU) | bias;
      case MatmulEpilogue::gelu_tanh_backward: return bias || a.add || a.c_row % 8 != 0 ? 0 : int(CUBLASLT_EPILOGUE_DGELU);
    }
    return 0;
  }

  template <class V>
  static void set(cublasLtMatmulDescOpaque_t& product, cublasLtMatmulDescAttributes_t what, V value) {
    SINTER_CUBLAS(cublasLtMatmulDescSetAttribute, &product, what, &value, sizeof value);
  }
  static void set_pointers(cublasLtMatmulDescOpaque_t& product, const MatmulArgs& a) {
    if (const void* vector = a.sums ? a.sums : a.bias) set(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector);
    if (a.aux) set(product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, a.aux);
  }
  // An operand of `columns` columns where it is as we have it, a step apart.
  static void lay(cublasLtMatrixLayoutOpaque_t& layout, cudaDataType_t type, std::int64_t rows, std::int64_t columns, std::int64_t step, bool turned,
                  const LtKey& key, std::int64_t batch_step) {
    if (turned) std::swap(rows, columns);
    SINTER_CUBLAS(cublasLtMatrixLayoutInit, &layout, type, std::uint64_t(columns), std::uint64_t(rows), step);
    if (key.batch == 1) return;
    const auto count = std::int32_t(key.batch);
    SINTER_CUBLAS(cublasLtMatrixLayoutSetAttribute, &layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count);
    SINTER_CUBLAS(cublasLtMatrixLayoutSetAttribute, &layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &batch_step, sizeof batch_step);
  }

  static LtPlan choose(const LtKey& key, const MatmulArgs& a) {
    LtPlan plan;
    const cudaDataType_t type = type_of(a.dtype), scale = a.dtype == DType::float64 ? CUDA_R_64F : CUDA_R_32F;
    const cublasComputeType_t compute = a.dtype == DType::float64 ? CUBLAS_COMPUTE_64F : key.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    SINTER_CUBLAS(cublasLtMatmulDescInit, &plan.product, compute, scale);
    // Its first operand is our right one.
    set(plan.product, CUBLASLT_MATMUL_DESC_TRANSA, std::int32_t(key.b_turned ? CUBLAS_OP_T : CUBLAS_OP_N));
    set(plan.product, CUBLASLT_MATMUL_DESC_TRANSB, std::int32_t(key.a_turned ? CUBLAS_OP_T : CUBLAS_OP_N));
    set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE, std::uint32_t(key.epilogue));
    if (a.aux) {
      set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, key.aux_step);
      if (a.batch > 1) set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE, key.c_batch);
    }
    set_pointers(plan.product, a);
    lay(plan.a, type, a.m, a.k, key.a_step, key.a_turned, key, key.a_batch);
    lay(plan.b, type, a.k, a.n, key.b_step, key.b_turned, key, key.b_batch);
    lay(plan.c, type, a.m, a.n, key.c_step, false, key, key.c_batch);

    cublasLtMatmulPreferenceOpaque_t preference;
    SINTER_CUBLAS(cublasLtMatmulPreferenceInit, &preference);
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, auto value) {
      SINTER_CUBLAS(cublasLtMatmulPreferenceSetAttribute, &preference, what, &value, sizeof value);
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, most_workspace);
    // Parts of a sum are added in order and in the type of sums: the same bits every time.
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, std::uint32_t(key.b_aligned));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, std::uint32_t(key.a_aligned));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, std::uint32_t(key.c_aligned));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, std::uint32_t(key.c_aligned));
    cublasLtMatmulHeuristicResult_t found[4];
    int count = 0;
    if (cublasLtMatmulAlgoGetHeuristic(handle(key.device), &plan.product, &plan.b, &plan.a, &plan.c, &plan.c, &preference, 4, found, &count) !=
        CUBLAS_STATUS_SUCCESS)
      return plan;
    for (int i = 0; i < count && !plan.supported; ++i)
      if (found[i].state == CUBLAS_STATUS_SUCCESS) plan.supported = true, plan.algorithm = found[i].algo, plan.workspace = found[i].workspaceSize;
    return plan;
  }

  // What is found stays where it is for the rest of the program.
  static const LtPlan& plan_of(const LtKey& key, const MatmulArgs& a) {
    static auto& plans = *new std::unordered_map<LtKey, LtPlan, LtKey::Hash>;
    std::lock_guard<std::mutex> lock(mutex());
    const auto found = plans.find(key);
    return found != plans.end() ? found->second : plans.emplace(key, choose(key, a)).first->second;
  }
  static cublasLtHandle_t handle(int device) {
    constexpr int most = 64;
    static cublasLtHandle_t handles[most];
    if (device >= most) fail<DeviceError>("matmul: device ", device, " is beyond the first ", most);
    if (!handles[device]) SINTER_CUBLAS(cublasLtCreate, &handles[device]);  // while its first plan is made, under the mutex
    return handles[device];
  }
  static std::mutex& mutex() {
    static std::mutex& m = *new std::mutex;
    return m;
  }
};

// What it does not do at the end of a product, this project's kernels do in a pass of their own.
inline bool launch_cublaslt(const MatmulArgs& a) {
  if (Lt::run(a)) return true;
  if (a.epilogue == MatmulEpilogue::none && !a.bias && !a.sums) return false;
  MatmulArgs plain = a;
  plain.epilogue = MatmulEpilogue::none, plain.bias = nullptr, plain.aux = nullptr, plain.sums = nullptr;
  if (!Lt::run(plain)) return false;
  if (a.epilogue != MatmulEpilogue::none || a.bias) {
    MatmulArgs rest = a;
    rest.k = 0, rest.add = true, rest.sums = nullptr;
    matmul_on_device(rest);
  }
  if (a.sums) matmul_on_device(a.row_sums());
  return true;
}
#undef SINTER_CUBLAS
inline const bool cublaslt_registered = cublaslt_matmul_on_device.set(launch_cublaslt);

}  // namespace sinter::cuda
