// expect: sinter: a tensor has at most 8 dimensions
#include "sinter/core/tensor_impl.hpp"

auto t = sinter::TensorImpl::empty(sinter::DType::float32, sinter::Shape<9>{});
