// SPDX-License-Identifier: MIT
// cross_entropy and nll_loss against PyTorch 1.13's values, and their gradients against finite differences.
#include <catch2/catch.hpp>

#include "sinter/autograd/gradcheck.hpp"
#include "sinter/functional/loss_classification.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;
using Catch::Contains;

static const auto x = tensor<double>({{0.3, -1.2, 2.0}, {0.7, 0.1, -0.4}});
static const auto w = tensor<double>({0.5, 2.0, 1.5});
static const auto y = tensor({2, 0});

TEST_CASE("cross_entropy: labels") {
  const auto o = CrossEntropyOptions<>().label_smoothing(0.1).weight(w);
  CHECK(cross_entropy(x, y).item() == Approx(0.416918842591593).epsilon(1e-12));
  CHECK(cross_entropy(x, y, o, reduction::sum).item() == Approx(1.00457610348104).epsilon(1e-12));
  CHECK(cross_entropy(x, y, o).item() == Approx(0.502288051740518).epsilon(1e-12));
  CHECK(cross_entropy(x[0], y[0]).item() == Approx(0.201671244952791).epsilon(1e-12));
  CHECK(cross_entropy(x, tensor<std::int32_t>({2, 0})).item() == Approx(0.416918842591593).epsilon(1e-12));
  CHECK(gradcheck([](auto a) { return cross_entropy(a, y); }, x));
  CHECK(gradcheck([=](auto a) { return cross_entropy(a, y, o); }, x));
  CHECK(gradcheck([=](auto a) { return cross_entropy(a * 2, y, o, reduction::none); }, x));
}

TEST_CASE("cross_entropy: further dimensions, ignored labels") {
  const auto logits = eval(sin(arange<double>(12).reshape(2, 3, 2)) * 2);
  const auto labels = tensor({{2, 1}, {-1, 0}});
  const auto o = CrossEntropyOptions<>().ignore_index(-1).weight(w);
  auto smoothed = o;
  smoothed.label_smoothing(0.25);
  CHECK(allclose(cross_entropy(logits, labels, smoothed, reduction::none), tensor<double>({{4.50443869738467, 3.2281706676916}, {0.0, 0.850222078901556}})));
  CHECK(cross_entropy(logits, labels, o).item() == Approx(2.20116749386692).epsilon(1e-12));
  CHECK(gradcheck([=](auto a) { return cross_entropy(a, labels, smoothed); }, logits));
  CHECK(gradcheck([=](auto a) { return cross_entropy(a, labels, smoothed, reduction::none); }, logits));
  const auto wide = randn<double>({2, 3, 7, 3});  // more than a block of neighbouring rows, and a part of one
  CHECK(gradcheck([=](auto a) { return cross_entropy(a, randint(0, 1, {2, 7, 3}) + 2, smoothed); }, wide));
  const auto nll = NLLOptions<>().ignore_index(-1).weight(w);
  CHECK(allclose(nll_loss(logits, labels, nll, reduction::none), tensor<double>({{2.27040748592378, -0.564480032239469}, {0.0, -0.656986598718789}})));
  CHECK(nll_loss(logits, labels, nll).item() == Approx(0.262235213741382).epsilon(1e-12));
  CHECK(gradcheck([=](auto a) { return nll_loss(a, labels, nll); }, logits));
}

TEST_CASE("cross_entropy: rows of every length agree with log_softmax") {
  for (std::int64_t classes : {1, 2, 7, 8, 9, 16, 31, 33, 100}) {
    const auto a = eval(randn({5, classes}) * 5);
    const auto labels = randint(0, classes, {5});
    const auto log_p = log_softmax(a, 1);
    double expected = 0;
    for (int i = 0; i < 5; ++i) expected -= log_p[i][labels[i].item()].item();
    CHECK(cross_entropy(a, labels, reduction::sum).item() == Approx(expected).epsilon(1e-5));
    CHECK(nll_loss(log_p, labels, reduction::sum).item() == Approx(expected).epsilon(1e-5));
  }
}

TEST_CASE("cross_entropy: probabilities") {
  const auto q = softmax(tensor<double>({{0.1, 0.9, 0.5}, {1.0, 0.0, 0.25}}), 1);
  const auto o = CrossEntropyOptions<>().label_smoothing(0.1).weight(w);
  CHECK(cross_entropy(x, q, o).item() == Approx(2.40112044672734).epsilon(1e-12));
  CHECK(gradcheck([=](auto a, auto b) { return cross_entropy(a, b, o, reduction::none); }, x, q));
}

TEST_CASE("cross_entropy: large logits") {
  auto a = tensor({{1e4, 0., -1e4}, {500., 501., 499.}});
  a.requires_grad_();
  const auto l = cross_entropy(a, y);
  CHECK(l.item() == Approx(10000.7041015625).epsilon(1e-6));
  CHECK(cross_entropy(a, tensor({0, 1}), reduction::none)[1].item() == Approx(0.40760597).epsilon(1e-6));
  l.backward();
  CHECK(all_of(isfinite(a.grad())).eval().item());
}

TEST_CASE("cross_entropy: the same at any number of threads") {
  const auto a = randn({700, 100});
  const auto labels = randint(0, 100, {700});
  const auto run = [&](int threads) {
    set_num_threads(threads);
    auto leaf = a.clone();
    leaf.requires_grad_();
    cross_entropy(leaf, labels).backward();
    return leaf.grad();
  };
  const int before = get_num_threads();
  CHECK(equal(run(1), run(2)));
  set_num_threads(before);
}

TEST_CASE("cross_entropy: errors come first and name label, place and classes") {
  CHECK_THROWS_WITH(cross_entropy(zeros({2, 4}), tensor({0, 13})), Contains("label 13 at [1]") && Contains("4"));
  CHECK_THROWS_AS(cross_entropy(zeros({2, 4}), tensor({0, -3})), IndexError);
  CHECK_THROWS_WITH(nll_loss(zeros({2, 4}), tensor({14, 0})), Contains("nll_loss: label 14 at [0]"));
  CHECK_THROWS_WITH(cross_entropy(zeros({12, 4}), zeros<std::int64_t>({16})), Contains("12 against 16"));
  CHECK_THROWS_WITH(cross_entropy(zeros({2, 12}), tensor({0, 1}), CrossEntropyOptions<>().weight(zeros({16}))), Contains("12") && Contains("16"));
  CHECK_THROWS_AS(cross_entropy(zeros({2, 4}), tensor({0, 1}), CrossEntropyOptions<>().label_smoothing(1.5)), ValueError);
  CHECK(std::isnan(cross_entropy(zeros({0, 4}), zeros<std::int64_t>({0})).item()));
  CHECK(cross_entropy(zeros({0, 4}), zeros<std::int64_t>({0}), reduction::sum).item() == 0);
}
