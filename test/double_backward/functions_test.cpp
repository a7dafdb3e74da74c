// SPDX-License-Identifier: MIT
// Gradients of gradients through functions with kernels of their own, and what is made of them: gradient penalties, products
// with a Hessian. What cannot be differentiated twice says so.
#include "sinter/double_backward.hpp"

#include <catch2/catch.hpp>
#include <functional>

#include "sinter/autograd/gradgradcheck.hpp"
#include "sinter/functional/batch_norm.hpp"
#include "sinter/functional/conv.hpp"
#include "sinter/functional/dropout.hpp"
#include "sinter/functional/embedding.hpp"
#include "sinter/functional/gather.hpp"
#include "sinter/functional/linear.hpp"
#include "sinter/functional/loss_classification.hpp"
#include "sinter/functional/pool.hpp"
#include "sinter/functional/scan.hpp"
#include "sinter/functional/softmax.hpp"
#include "values.hpp"

using namespace sinter;
using Catch::Matchers::Contains;

namespace {

template <int R>
using D = Tensor<double, R>;

// gradgradcheck by way of function objects: compiled once for all functions of one signature.
template <int... R>
bool second(const std::common_type_t<std::function<D<1>(const D<R>&...)>>& f, const D<R>&... in) { return gradgradcheck(f, in...); }
template <class E>
D<1> flat(const Expr<E>& e) { return D<1>(reshape(e, Shape{-1})); }

}  // namespace

TEST_CASE("second derivatives of matrix products of all ranks") {
  manual_seed(21);
  const auto f = [](const auto& a, const auto& b) { return flat(matmul(a, b)); };
  CHECK(second<2, 2>(f, randn<double>({3, 2}), randn<double>({2, 4})));
  CHECK(second<3, 2>(f, randn<double>({2, 3, 2}), randn<double>({2, 2})));
  CHECK(second<2, 3>(f, randn<double>({3, 2}), randn<double>({2, 2, 3})));
  CHECK(second<3, 3>(f, randn<double>({1, 3, 2}), randn<double>({2, 2, 3})));  // a broadcast batch
  CHECK(second<1, 1>([](const D<1>& a, const D<1>& b) { return flat(matmul(a, b)); }, randn<double>({3}), randn<double>({3})));
  CHECK(second<2, 2>([](const D<2>& a, const D<2>& b) { return flat(square(tanh(matmul(a, b) + 1.0))); }, randn<double>({3, 2}), randn<double>({2, 3})));
}
TEST_CASE("second derivatives of linear with what runs in its epilogue") {
  manual_seed(22);
  const auto check = [](auto act) {
    return second<2, 2, 1>([act](const D<2>& x, const D<2>& w, const D<1>& b) { return flat(act(linear(x, w, b))); }, randn<double>({4, 3}),
                           randn<double>({2, 3}), randn<double>({2}));
  };
  CHECK(check([](const auto& z) { return z * 1; }));
  CHECK(check([](const auto& z) { return tanh(z); }));                // the result is kept
  CHECK(check([](const auto& z) { return sin(z) * z; }));             // the product is kept
  CHECK(second<3, 2>([](const D<3>& x, const D<2>& w) { return flat(exp(linear(x, w))); }, randn<double>({2, 2, 3}), randn<double>({2, 3})));
}
TEST_CASE("second derivatives of convolutions") {
  manual_seed(23);
  const auto check = [](const D<4>& x, const D<4>& w, const Conv2dOptions& o) {
    return second<4, 4, 1>([o](const D<4>& a, const D<4>& b, const D<1>& c) { return flat(conv2d(a, b, c, o)); }, x, w, randn<double>({w.size(0)}));
  };
  CHECK(check(randn<double>({2, 2, 4, 3}), randn<double>({2, 2, 2, 2}), Conv2dOptions().padding(1)));
  CHECK(check(randn<double>({1, 2, 5, 5}), randn<double>({4, 1, 3, 2}), Conv2dOptions().stride({2, 1}).groups(2).dilation({1, 2})));
}
TEST_CASE("second derivatives of softmax and of linear kernels") {
  manual_seed(24);
  const auto x = randn<double>({3, 4});
  const auto index = tensor<std::int64_t>({2, 0, 2, 1}).reshape(2, 2);
  CHECK(second<2>([](const D<2>& a) { return flat(softmax(a, 1)); }, x));
  CHECK(second<2>([](const D<2>& a) { return flat(log_softmax(a, 0)); }, x));
  CHECK(second<2>([](const D<2>& a) { return flat(logsumexp(a * a, 1)); }, x));
  CHECK(second<2>([](const D<2>& a) { return flat(exp(cumsum(square(a), 1))); }, x));
  CHECK(second<2>([&](const D<2>& a) { return flat(square(gather(exp(a), 1, index))); }, x));
  CHECK(second<2>([&](const D<2>& a) { return flat(square(index_select(exp(a), 1, index.select(0, 0)))); }, x));
  CHECK(second<2>([&](const D<2>& a) { return flat(square(embedding(index, exp(a)))); }, x));
  CHECK(second<2>([](const D<2>& a) {
    Generator g(5);
    return flat(square(dropout(exp(a), 0.5, true, g)));
  }, x));
  const auto image = randn<double>({1, 2, 4, 4});
  CHECK(second<4>([](const D<4>& a) { return flat(square(max_pool2d(exp(a), 2))); }, image));
  CHECK(second<4>([](const D<4>& a) { return flat(square(avg_pool2d(exp(a), 3))); }, image));
}
TEST_CASE("second derivatives of cross entropy from labels") {
  manual_seed(29);
  const auto labels = tensor<std::int64_t>({2, 0, -100, 1});
  const D<1> weight = rand<double>({3});
  const D<2> x = randn<double>({4, 3});
  CHECK(second<2>([&](const D<2>& a) { return flat(cross_entropy(a, labels)); }, x));
  CHECK(second<2>([&](const D<2>& a) { return flat(cross_entropy(a, labels, CrossEntropyOptions<>().label_smoothing(0.1), reduction::none)); }, x));
  CHECK(second<2>([&](const D<2>& a) { return flat(cross_entropy(a, labels, CrossEntropyOptions().weight(weight).label_smoothing(0.2), reduction::sum)); }, x));
}
TEST_CASE("a gradient penalty through a net, as for WGAN-GP, against differences") {
  manual_seed(25);
  D<2> x = randn<double>({4, 3}), w1 = randn<double>({5, 3}), w2 = randn<double>({1, 5});
  D<1> b = randn<double>({5});
  const auto penalty = [&] {
    x.requires_grad_();
    const D<2> y = linear(tanh(linear(x, w1, b)), w2);
    const D<2> gx = grad(D<0>(sum(y)), x, GradOptions().create_graph());
    return D<0>(mean(square(sqrt(sum(square(gx), 1)) - 1.0)) + mean(y) * 0.1);
  };
  w1.requires_grad_(), w2.requires_grad_(), b.requires_grad_();
  penalty().backward();
  const auto check = [&](auto& t) {
    const auto got = t.grad().clone();
    for (std::int64_t i = 0; i < t.numel(); ++i) {
      const double at = t.data()[i], h = 1e-6;
      t.data()[i] = at + h;
      const double above = penalty().item();
      t.data()[i] = at - h;
      const double below = penalty().item();
      t.data()[i] = at;
      CHECK(got.data()[i] == Approx((above - below) / (2 * h)).epsilon(1e-5).margin(1e-7));
    }
  };
  check(w1), check(w2), check(b), check(x);
}
TEST_CASE("a product with the Hessian of Rosenbrock's function") {
  auto x = tensor<double>({-1.2, 1.}).requires_grad_();
  const auto v = tensor<double>({0.3, -2.});
  const D<1> a = x.slice(0, 0, 1), b = x.slice(0, 1, 2);
  const D<1> g = grad(D<0>(sum(square(1 - a) + 100 * square(b - a * a))), x, GradOptions().create_graph());
  const D<1> hv = grad(D<0>(sum(g * v)), x);
  const double x0 = -1.2, x1 = 1, h00 = 2 - 400 * (x1 - 3 * x0 * x0), h01 = -400 * x0, h11 = 200;
  CHECK(hv.data()[0] == Approx(h00 * 0.3 - h01 * 2));
  CHECK(hv.data()[1] == Approx(h01 * 0.3 - h11 * 2));
}
TEST_CASE("backward with create_graph gives .grad() a history, adds to what is there, and keeps the graph") {
  auto x = tensor<double>({2., 3.}).requires_grad_();
  const D<0> y = sum(x * x * x);
  y.backward(false, true);
  REQUIRE(values(x.grad()) == V{12, 27});
  REQUIRE(x.grad().requires_grad());
  y.backward(false, true);  // the graph is kept
  REQUIRE(values(x.grad()) == V{24, 54});
  const D<1> g = x.grad();
  x.set_grad({});
  sum(g * g).eval().backward();  // 2 g dg/dx = 2 * 6x^2 * 12x
  REQUIRE(values(x.grad()) == V{2 * 24 * 24, 2 * 54 * 36});
  // Without it gradients have none.
  x.set_grad({});
  D<0>(sum(x * x)).backward();
  REQUIRE_FALSE(x.grad().requires_grad());
  // A gradient that is constant has none, either.
  REQUIRE_FALSE(grad(D<0>(sum(x * 2)), x, GradOptions().create_graph()).requires_grad());
}
TEST_CASE("several paths, hooks, in-place steps and dtypes between them") {
  auto x = tensor<double>({0.5, -1.}).requires_grad_();
  int hooked = 0;
  const auto f = [&](bool create) {
    D<1> h = x * x;
    h.register_hook([&](const D<1>& g) { hooked += g.requires_grad(); });
    h += sin(x);
    const Tensor<float, 1> narrow = to<float>(h);
    const D<0> y = sum(h * h) + sum(to<double>(narrow) * x);
    return grad(y, x, GradOptions().create_graph(create));
  };
  const D<1> g = f(true);
  REQUIRE(hooked == 1);
  const D<1> second = grad(D<0>(sum(g)), x);
  for (std::int64_t i = 0; i < 2; ++i) {
    const double at = x.data()[i], eps = 1e-3;
    x.data()[i] = at + eps;
    const double above = f(false).data()[i];
    x.data()[i] = at - eps;
    const double below = f(false).data()[i];
    x.data()[i] = at;
    CHECK(second.data()[i] == Approx((above - below) / (2 * eps)).epsilon(2e-3));
  }
}
TEST_CASE("half and bfloat16 have second derivatives in float") {
  Tensor<bfloat16, 1> x = to<bfloat16>(tensor({0.5f, -1.f, 2.f}));
  x.requires_grad_();
  const Tensor<bfloat16, 1> g = grad(Tensor<float, 0>(sum(to<float>(x * x * x))), x, GradOptions().create_graph());
  const Tensor<bfloat16, 1> h = grad(Tensor<float, 0>(sum(to<float>(g))), x);
  REQUIRE(values(to<float>(h)) == V{3, -6, 12});
}
TEST_CASE("what cannot be differentiated twice names itself, and only when it is") {
  manual_seed(26);
  auto x = randn<double>({4, 3}).requires_grad_();
  const auto w = ones<double>({3}).requires_grad_();
  const D<2> y = batch_norm(x, D<1>(), D<1>(), w, D<1>(), BatchNormOptions().training(true));
  const D<2> g = grad(D<0>(sum(y * y * y)), x, GradOptions().create_graph());
  REQUIRE_THROWS_WITH(D<0>(sum(g * g)).backward(), Contains("batch_norm") && Contains("gradients of its gradient"));
  // The third derivative of a fused expression, too.
  auto z = tensor<double>({1.}).requires_grad_();
  const D<1> first = grad(D<0>(sum(exp(z))), z, GradOptions().create_graph());
  const D<1> second = grad(D<0>(sum(first)), z, GradOptions().create_graph());
  REQUIRE(second.item() == Approx(std::exp(1.)));
  REQUIRE_THROWS_WITH(grad(D<0>(sum(second)), z), Contains("fused expression") && Contains("gradients of its gradient"));
}
TEST_CASE("users' ops are differentiated twice if their backward is written in tensors") {
  manual_seed(27);
  const auto cube = autograd::function("cube", [](auto x) { return eval(x * x * x); }, [](auto g, auto, auto x) { return std::tuple(eval(g * 3 * x * x)); });
  CHECK(second<1>([&](const D<1>& a) { return D<1>(cube(a)); }, randn<double>({3})));
  const auto exponential = autograd::function("exponential", [](auto x) { return exp(x); }, [](auto g, auto y, auto) { return std::tuple(eval(g * y)); });
  CHECK(second<1>([&](const D<1>& a) { return D<1>(exponential(a)); }, randn<double>({3})));
  const auto raw = autograd::function("raw", [](auto x) { return eval(x * x); }, [](auto g, auto, auto x) {
    auto dx = x.detach().clone();
    for (std::int64_t i = 0; i < dx.numel(); ++i) dx.data()[i] *= 2 * g.data()[i];
    return std::tuple(dx);
  });
  auto x = tensor<double>({1., 2.}).requires_grad_();
  const D<1> g = grad(D<0>(sum(raw(x))), x, GradOptions().create_graph());
  REQUIRE_THROWS_WITH(grad(D<0>(sum(g)), x), Contains("raw") && Contains("gradients of its gradient"));
}
TEST_CASE("a changed tensor that the second backward needs is refused") {
  auto x = tensor<double>({1., 2.}).requires_grad_();
  const D<1> h = x * 1;
  const D<1> g = grad(D<0>(sum(h * h * h)), x, GradOptions().create_graph());
  no_grad([&] { D<1>(h.detach()).add_(1); });
  REQUIRE_THROWS_WITH(grad(D<0>(sum(g)), x), Contains("changed in place"));
}
TEST_CASE("second derivatives do not depend on the number of threads") {
  manual_seed(28);
  auto x = randn({301, 257}).requires_grad_();
  auto row = randn({257}).requires_grad_();
  const auto run = [&] {
    const Tensor<float, 0> y = sum(tanh(x * row) * exp(row * 0.1f));
    const auto [gx, gr] = grad(y, std::tie(x, row), GradOptions().create_graph());
    return grad(Tensor<float, 0>(sum(gx * gx) + sum(gr * gr)), std::tie(x, row));
  };
  set_num_threads(1);
  const auto [ax, ar] = run();
  set_num_threads(2);
  const auto [bx, br] = run();
  REQUIRE(values(ax) == values(bx));
  REQUIRE(values(ar) == values(br));
}
