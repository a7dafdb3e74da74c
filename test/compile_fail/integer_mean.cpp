// expect: sinter: mean() takes floating point numbers; convert with to<float>(x)
#include "sinter/sinter.hpp"

using namespace sinter;

Tensor<float, 0> f(const Tensor<std::int64_t, 1>& x) { return mean(x); }
