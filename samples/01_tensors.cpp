// SPDX-License-Identifier: MIT
// Tensors: making them, looking at parts of them, computing with them.
#include <iostream>
#include <sinter/sinter.hpp>

using namespace sinter;

int main() {
  // The element type and the number of dimensions are part of the type; extents are known when the program runs.
  Tensor<float, 2> x = tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}});
  std::cout << "x has shape " << x.shape() << ":\n" << x << "\n\n";

  // Views share memory. x(1, all) is row 1; x(all, Slice(1)) everything from column 1 on.
  std::cout << "row 1: " << x(1, all) << "\n";
  std::cout << "from column 1 on:\n" << x(all, Slice(1)) << "\n\n";

  // Operators build an expression. The assignment evaluates it, in one pass over memory, however long it is.
  Tensor<float, 1> row = tensor({10.0, 20.0, 30.0});
  Tensor<float, 2> y = tanh(x / 4) * row + 1;  // `row` stretches over both rows
  std::cout << "tanh(x / 4) * row + 1:\n" << y << "\n\n";

  // Reductions, of everything or of some dimensions, take their operand as it is computed.
  Tensor<float, 0> total = sum(x * x);
  Tensor<float, 1> columns = mean(x, 0);
  std::cout << "sum of squares: " << total.item() << ", column means: " << columns << "\n\n";

  // explain() tells what a statement runs: the kernels, what they read and write, and why.
  std::cout << explain(tanh(x / 4) * row + 1) << "\n";

  // Random numbers come from a seed, whatever the number of threads.
  manual_seed(1);
  std::cout << "random: " << randn({4}) << "\n";

  // Mistakes are told in one sentence.
  try {
    Tensor<float, 2> wrong = x + ones({2, 4});
  } catch (const ShapeError& e) {
    std::cout << "as expected: " << e.what() << "\n";
  }
}
