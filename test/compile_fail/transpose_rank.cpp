// expect: sinter: t() takes a tensor of at most two dimensions; use transpose(x, d0, d1)
#include "sinter/sinter.hpp"

using namespace sinter;

auto f(const Tensor<float, 3>& x) { return t(x); }
