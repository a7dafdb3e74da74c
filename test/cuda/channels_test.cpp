// SPDX-License-Identifier: MIT
// batch_norm on a device: moments, running statistics, the fused rest of the statement, gradients.
#include "reference.hpp"
#include "sinter/functional/batch_norm.hpp"
#include "sinter/tensor/compare.hpp"

using namespace sinter;
using reference::check;

namespace {

template <class T, int R>
void check_batch_norm(const Shape<R>& sizes) {
  CAPTURE(ShapeView(sizes), name_of(dtype_of<T>()));
  const std::int64_t c = sizes[1];
  const auto x = eval(randn<double>(sizes) * 2 + 3);
  const Tensor<double, 1> w = randn<double>({c}), b = randn<double>({c}), mean = randn<double>({c}), var = rand<double>({c}) + 0.5;
  const double n = double(sizes.numel()) / double(std::max<std::int64_t>(c, 1)), scale = 2 + std::sqrt(n);
  for (const bool training : {true, false}) {
    const auto norm = [&](const auto& t, const auto& gain, const auto& shift, Device d) {
      using E = typename std::decay_t<decltype(t)>::value_type;
      const Tensor<E, 1> m = to<E>(mean), v = to<E>(var);
      return batch_norm(t, m.to(d), v.to(d), gain, shift, BatchNormOptions().training(training));
    };
    check<T>(norm, 24, scale, x, w, b);
    check<T>([&](const auto& t, const auto& gain, const auto& shift, Device d) { return eval(relu(norm(t, gain, shift, d)) + t); }, 24, scale, x, w, b);
  }
  // The running moments.
  const Tensor<T, R> in = to<T>(x);
  Tensor<T, 1> m = to<T>(mean), v = to<T>(var), there_m = m.cuda(), there_v = v.cuda();
  const auto options = BatchNormOptions().training(true).momentum(0.3);
  eval(batch_norm(in, m, v, Tensor<T, 1>(), Tensor<T, 1>(), options));
  eval(batch_norm(in.cuda(), there_m, there_v, Tensor<T, 1>(), Tensor<T, 1>(), options));
  REQUIRE(there_m.version() == 1);
  REQUIRE(allclose(there_m.cpu(), m, 1e-5, 1e-6));
  REQUIRE(allclose(there_v.cpu(), v, 1e-5, 1e-6));
}

}  // namespace

TEST_CASE("batch_norm on a device") {
  manual_seed(1);
  check_batch_norm<float>(Shape{3, 5, 4, 3});
  check_batch_norm<float>(Shape{4, 3, 8, 8});
  check_batch_norm<float>(Shape{2, 7, 49});
  check_batch_norm<float>(Shape{5, 3, 6});
  check_batch_norm<float>(Shape{9, 70, 1, 1});
  check_batch_norm<float>(Shape{600, 33});
  check_batch_norm<double>(Shape{7, 4});
  check_batch_norm<float>(Shape{3, 2, 64, 96});
  check_batch_norm<float>(Shape{130, 2, 81});
  check_batch_norm<float>(Shape{2, 1, 1, 2});
}
