// SPDX-License-Identifier: MIT
// softmax and log_softmax on a device, every kernel: rows in a few lanes, a warp, a block, rows too long for registers, rows
// that begin anywhere, and dimensions that others lie behind.
#include "reference.hpp"
#include "sinter/functional/softmax.hpp"
#include "sinter/tensor/index.hpp"

using namespace sinter;
using reference::check;

namespace {

template <class T, int R>
void check_softmax(const Shape<R>& sizes, int dim) {
  CAPTURE(ShapeView(sizes), dim, name_of(dtype_of<T>()));
  const auto x = eval(randn<double>(sizes) * 3);
  check<T>([dim](const auto& t, Device) { return softmax(t, dim); }, 16, 1, x);
  check<T>([dim](const auto& t, Device) { return log_softmax(t, dim); }, 16, 2, x);
}

}  // namespace

TEST_CASE("softmax of rows on a device") {
  manual_seed(1);
  for (const std::int64_t n : {1, 2, 3, 4, 7, 8, 31, 64, 127, 128, 133, 784, 1000}) check_softmax<float>(Shape{5, n}, 1);
  for (const std::int64_t n : {1, 5, 16, 257, 1000, 1024, 1032}) {
    check_softmax<double>(Shape{3, n}, 1);
    check_softmax<half>(Shape{3, n}, 1);
    check_softmax<bfloat16>(Shape{3, n}, 1);
  }
  for (const std::int64_t n : {1025, 4096, 5001, 16384, 16390}) check_softmax<float>(Shape{2, n}, 1);
  check_softmax<bfloat16>(Shape{2, 16500}, 1);
  check_softmax<half>(Shape{2, 9000}, -1);
  check_softmax<double>(Shape{2, 9001}, 1);
  check_softmax<float>(Shape{0, 3}, 1);
  check_softmax<float>(Shape{300, 3}, 1);
  check_softmax<float>(Shape{19, 4352}, 1);  // blocks take several rows
}

TEST_CASE("softmax along other dimensions on a device") {
  manual_seed(2);
  for (const std::int64_t inner : {2, 3, 5, 32, 45}) {
    check_softmax<float>(Shape{3, 7, inner}, 1);
    check_softmax<float>(Shape{2, 130, inner}, 1);
    check_softmax<bfloat16>(Shape{2, 9, inner}, 0);
  }
}

TEST_CASE("softmax of infinities and NaNs on a device, and of rows at any address") {
  const float inf = INFINITY;
  auto x = zeros<double>({4, 300});
  for (int i = 0; i < 300; ++i) x.data()[i] = -inf, x.data()[300 + i] = i % 2 ? -inf : 1, x.data()[600 + i] = i;
  x.data()[650] = NAN, x.data()[1000] = inf;
  check<float>([](const auto& t, Device) { return softmax(t, 1); }, 16, 1, x);
  check<float>([](const auto& t, Device) { return softmax(t.t(), 0); }, 16, 1, x);
  manual_seed(3);
  const auto flat = randn<double>({20001});
  for (const int skip : {1, 2, 3, 4}) {
    const auto rows = [skip](const auto& t, Device) { return softmax(reshape(t.slice(0, skip, skip + 19900), Shape{2, 9950}), 1); };
    check<float>(rows, 16, 0.1, flat);
    const auto few = [skip](const auto& t, Device) { return log_softmax(reshape(t.slice(0, skip, skip + 300), Shape{3, 100}), 1); };
    check<half>(few, 16, 2, flat);
  }
}
