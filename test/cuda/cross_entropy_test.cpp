// SPDX-License-Identifier: MIT
// cross_entropy and nll_loss of labels on a device: every reduction, weights, smoothing, ignored labels, classes in rows and in
// columns, labels that are no class.
#include "reference.hpp"
#include "sinter/functional/loss.hpp"
#include "sinter/functional/loss_classification.hpp"

using namespace sinter;
using reference::check;

namespace {

// As a float tensor where the logits have 16 bits.
template <class T>
Tensor<compute_t<T>, 1> class_weight(std::int64_t classes, Device d) {
  Tensor<compute_t<T>, 1> w(TensorImpl::empty(dtype_of<compute_t<T>>(), Shape{classes}));
  for (std::int64_t c = 0; c < classes; ++c) w.data()[c] = compute_t<T>(0.25 + double(c % 7) / 4);
  return w.to(d);
}

template <class T, int R>
void check_losses(const Shape<R>& sizes) {
  CAPTURE(ShapeView(sizes), name_of(dtype_of<T>()));
  constexpr int dim = class_dim<R>;
  const std::int64_t classes = sizes[dim];
  const auto x = eval(randn<double>(sizes) * 2);
  auto labels = randint(0, classes, without(sizes, dim));
  const std::int64_t ignored = classes / 2;
  const auto entropy = [&](double smoothing, bool weighted, auto r) {
    check<T>([&](const auto& t, Device d) {
      using E = typename std::decay_t<decltype(t)>::value_type;
      const Tensor<compute_t<E>, 1> w = weighted ? class_weight<E>(classes, d) : Tensor<compute_t<E>, 1>();
      return cross_entropy(t, labels.to(d), CrossEntropyOptions<>().ignore_index(weighted ? ignored : -100).label_smoothing(smoothing).weight(w), r);
    }, 16, 2, x);
  };
  const auto each = [&](auto r) {
    entropy(0, false, r), entropy(0.3, false, r), entropy(0.1, true, r);
    if constexpr (!is_reduced_float<T>)
      check<T>([&](const auto& t, Device d) {
        using E = typename std::decay_t<decltype(t)>::value_type;
        return nll_loss(t, labels.to(d), NLLOptions<>().ignore_index(ignored).weight(class_weight<E>(classes, d)), r);
      }, 16, 2, x);
  };
  each(reduction::mean);
  if constexpr (std::is_same_v<T, float> && R > 1) each(reduction::sum), each(reduction::none);  // one template in all dtypes
}

}  // namespace

TEST_CASE("losses of labels on a device: classes in rows") {
  manual_seed(1);
  for (const std::int64_t c : {2, 3, 10, 33, 1000, 1029}) check_losses<float>(Shape{5, c});
  for (const std::int64_t c : {3, 16, 1001}) check_losses<double>(Shape{4, c}), check_losses<half>(Shape{4, c}), check_losses<bfloat16>(Shape{4, c});
  check_losses<float>(Shape{7});
  check_losses<float>(Shape{2, 9001});
  check_losses<bfloat16>(Shape{2, 20003});
  check_losses<float>(Shape{9001, 2});
}
TEST_CASE("losses of labels on a device: classes in columns") {
  manual_seed(2);
  check_losses<float>(Shape{2, 5, 3});
  check_losses<float>(Shape{3, 300, 7});
  check_losses<double>(Shape{2, 21, 5, 9});
  check_losses<bfloat16>(Shape{2, 9, 40});
}
TEST_CASE("a label that is no class makes its own loss and gradient NaN on a device, and is reported afterwards") {
  const Device gpu = reference::gpu;
  auto labels = zeros<std::int64_t>({4});
  labels.data()[1] = 7, labels.data()[2] = -100;
  auto x = ones({4, 5}, gpu).requires_grad_();
  const auto losses = cross_entropy(x, labels.to(gpu), reduction::none);
  losses.backward(ones({4}, gpu));
  REQUIRE_THROWS_AS((losses.cpu(), check_indices_on_device()), IndexError);
  const auto here = losses.detach().cpu();
  const auto g = x.grad().cpu();
  REQUIRE(here.data()[0] == Approx(std::log(5.0)));
  REQUIRE(std::isnan(here.data()[1]));
  REQUIRE(here.data()[2] == 0);
  for (int i = 0; i < 20; ++i) REQUIRE(std::isnan(g.data()[i]) == (i / 5 == 1));
  REQUIRE_THROWS_AS(cross_entropy(x, zeros<std::int64_t>({4})), DeviceError);
}
TEST_CASE("cross_entropy of probabilities on a device") {
  manual_seed(3);
  const auto p = softmax(randn<double>({5, 9}), 1);
  check<float>([&](const auto& t, Device d) {
    using E = typename std::decay_t<decltype(t)>::value_type;
    return cross_entropy(t, to<E>(p).eval().to(d), CrossEntropyOptions<>().label_smoothing(0.1));
  }, 16, 2, randn<double>({5, 9}));
}
