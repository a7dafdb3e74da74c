// expect: sinter: a tensor's element type is one of float, double, bfloat16, half, int64_t, int32_t, uint8_t, bool
#include "sinter/core/dtype.hpp"

constexpr sinter::DType t = sinter::dtype_of<char>();
