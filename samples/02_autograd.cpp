// SPDX-License-Identifier: MIT
// Gradients: of everything that an expression was made of, and the lowest point of a valley.
#include <iostream>
#include <sinter/sinter.hpp>

using namespace sinter;

int main() {
  // What requires a gradient gets one when backward() walks back from a scalar.
  Tensor<double, 1> x = tensor<double>({0.5, -1.0, 2.0});
  x.requires_grad_();
  Tensor<double, 0> loss = sum(x * x * x);
  loss.backward();
  std::cout << "d/dx sum(x^3) = 3 x^2 = " << x.grad() << "\n";

  // Gradients add up until they are cleared.
  Tensor<double, 0> again = sum(x);
  again.backward();
  std::cout << "plus the gradient of sum(x): " << x.grad() << "\n\n";

  // Rosenbrock's valley has its lowest point, 0, at (1, 1). Gradient descent, by hand.
  Tensor<double, 1> p = tensor<double>({-1.0, 1.0});
  p.requires_grad_();
  for (int step = 0; step <= 20000; ++step) {
    const auto u = p(0), v = p(1);
    Tensor<double, 0> f = square(1 - u) + 100 * square(v - u * u);
    p.set_grad({});
    f.backward();
    if (step % 5000 == 0) std::cout << "step " << step << ": f = " << f.item() << " at " << p.detach() << "\n";
    no_grad([&] { p -= 1e-3 * p.grad(); });  // changing p is not part of what is differentiated
  }

  // An op of your own: two lambdas, the value and the way back.
  auto cube = autograd::function(
      "cube", [](auto t) { return t * t * t; }, [](auto grad, auto, auto t) { return std::tuple(eval(grad * 3.0 * t * t)); });
  Tensor<double, 1> q = tensor<double>({1.0, 2.0});
  q.requires_grad_();
  Tensor<double, 0> s = sum(cube(q));
  s.backward();
  std::cout << "\ncube's gradient at (1, 2): " << q.grad() << "\n";
}
