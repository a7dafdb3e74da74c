// SPDX-License-Identifier: MIT
// What is chosen by index on a device against the CPU's results, forwards and back.

#include <catch2/catch.hpp>
#include <random>

#include "schedules.hpp"
#include "sinter/functional/embedding.hpp"
#include "sinter/functional/gather.hpp"
#include "sinter/functional/mask.hpp"
#include "sinter/functional/rearrange.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

namespace {

constexpr Device card = Device::cuda();

// The elements of a dense tensor, on the host.
template <class T, int R>
std::vector<T> values(const Tensor<T, R>& t) {
  const Tensor<T, R> host = t.detach().cpu();
  return std::vector<T>(host.data(), host.data() + host.numel());
}
// f of tensors on both devices: the same results and, for a gradient that is given, the same gradients of all inputs.
template <class F, class... T, int... R>
void check_both(double tolerance, F f, const Tensor<T, R>&... in) {
  const auto run = [&](Device d) {
    auto inputs = std::tuple(in.detach().clone().to(d)...);
    std::apply([](auto&... x) { (x.requires_grad_(), ...); }, inputs);
    const auto y = std::apply(f, inputs);
    REQUIRE(y.device() == d);
    Generator g(7);
    const auto up = randn<std::decay_t<decltype(*y.data())>>(y.shape(), g).to(d);
    y.backward(up);
    return std::apply([&](auto&... x) { return std::tuple(y.detach().cpu(), x.grad().cpu()...); }, inputs);
  };
  const auto host = run(Device::cpu()), device = run(card);
  const auto compare = [&](const auto& a, const auto& b) { REQUIRE(allclose(b, a, tolerance, tolerance)); };
  std::apply([&](const auto&... a) { std::apply([&](const auto&... b) { (compare(a, b), ...); }, device); }, host);
}

template <class T>
void check_add_rows(std::int64_t outer, std::int64_t rows, std::int64_t inner, std::int64_t n, int skew, bool accumulate, std::int64_t skip) {
  std::mt19937 random(unsigned(n + inner + skew));
  std::vector<std::int64_t> index(static_cast<std::size_t>(n));
  for (auto& i : index) i = int(random() % 10) < skew ? rows / 2 : std::int64_t(random() % std::uint64_t(rows));
  const auto to = Tensor<T, 3>(TensorImpl::empty(dtype_of<T>(), Shape{outer, rows, inner}));
  const auto grad = Tensor<T, 3>(TensorImpl::empty(dtype_of<T>(), Shape{outer, n, inner}));
  for (std::int64_t i = 0; i < to.numel(); ++i) to.data()[i] = accumulate ? T(float(random() % 2)) : T(0);
  for (std::int64_t i = 0; i < grad.numel(); ++i) grad.data()[i] = T(float(random() % 9) / 4);
  const auto at = tensor(index, card);
  const auto grads = grad.to(card);
  const auto out = same_under_all_schedules([&] {
    const auto sum = to.to(card);
    add_rows_on_device({"test", dtype_of<T>(), sum.data(), grads.data(), at.data(), outer, rows, inner, n, accumulate, skip});
    const auto v = values(sum);
    return std::vector<double>(v.begin(), v.end());
  });
  std::vector<double> expected(std::size_t(to.numel()));
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = double(to.data()[i]);
  for (std::int64_t o = 0; o < outer; ++o)
    for (std::int64_t k = 0; k < n; ++k)
      for (std::int64_t j = 0; j < inner && index[std::size_t(k)] != skip; ++j)
        expected[std::size_t((o * rows + index[std::size_t(k)]) * inner + j)] += double(grad.data()[(o * n + k) * inner + j]);
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (is_floating<T>) REQUIRE(out[i] == Approx(expected[i]).epsilon(sizeof(T) == 2 ? 1e-2 : 1e-5));
    else REQUIRE(T(out[i]) == T(std::is_same_v<T, bool> ? expected[i] != 0 : std::int64_t(expected[i]) & (sizeof(T) == 1 ? 255 : -1)));
}

}  // namespace

TEST_CASE("rows are summed by index, whatever the runs") {
  for (const std::int64_t n : {1, 2, 31, 32, 33, 64, 65, 200, 515})
    for (const int skew : {0, 5, 9, 10}) {
      check_add_rows<float>(1, 5, 3, n, skew, false, -1);
      check_add_rows<float>(2, 40, 7, n, skew, true, 3);
    }
  check_add_rows<double>(1, 1, 33, 100, 0, false, -1);
  check_add_rows<bfloat16>(3, 4, 5, 90, 3, true, -1);
  check_add_rows<sinter::half>(1, 4, 5, 90, 3, false, -1);
  check_add_rows<std::int64_t>(1, 9, 1, 300, 3, true, -1);
  check_add_rows<std::int32_t>(1, 9, 2, 300, 3, true, -1);
  check_add_rows<std::uint8_t>(1, 200, 1, 300, 1, true, -1);
  check_add_rows<bool>(1, 50, 1, 60, 3, true, -1);
}

TEST_CASE("embedding on a device") {
  manual_seed(1);
  for (const std::int64_t width : {1, 3, 4, 64, 130}) {
    const auto index = randint(0, 11, {5, 9});
    check_both(1e-5, [&](const auto& w) { return embedding(index.to(w.device()), w); }, randn({11, width}));
    check_both(1e-5, [&](const auto& w) { return embedding(index.to(w.device()), w, -2); }, randn({11, width}));
  }
  const auto few = randint<std::int32_t>(0, 3, {70});
  check_both(1e-5, [&](const auto& w) { return embedding(few.to(w.device()), w, 1); }, randn({3, 8}));
  REQUIRE_THROWS_AS(embedding(few, randn({3, 8}, card)), DeviceError);
  REQUIRE_THROWS_AS(embedding(few.cuda(), randn({3, 8}, card), 5), IndexError);
}

TEST_CASE("gather, scatter and index_select on a device") {
  manual_seed(2);
  for (const int dim : {0, 1, 2}) {
    Shape<3> sizes{{4, 6, 5}};
    sizes[dim] = 13;
    const std::int64_t extent = Shape<3>{{7, 6, 5}}[dim];
    const auto index = randint(0, extent, sizes), inside = randint(0, extent, {3, 4, 5});
    const auto line = randint(0, extent, {40});
    check_both(1e-5, [&](const auto& x) { return gather(x, dim, index.to(x.device())); }, randn({7, 6, 5}));
    check_both(1e-5, [&](const auto& x, const auto& s) { return scatter(x, dim, inside.to(x.device()), s); }, randn({7, 6, 5}), randn({3, 4, 6}));
    check_both(1e-5, [&](const auto& x) { return scatter(x, dim, inside.to(x.device()), 2); }, randn({7, 6, 5}));
    check_both(1e-5, [&](const auto& x, const auto& s) { return scatter_add(x, dim, inside.to(x.device()), s); }, randn({7, 6, 5}), randn({3, 4, 5}));
    check_both(1e-5, [&](const auto& x) { return index_select(x, dim, line.to(x.device())); }, randn({7, 6, 5}));
  }
  const auto column = randint(0, 6, {1, 3});
  check_both(1e-5, [&](const auto& x) { return take_along_dim(x, column.to(x.device()), 1); }, randn({7, 6}));
  check_both(1e-5, [&](const auto& x) { return gather(x, 0, tensor(0, x.device())); }, randn(Shape<0>{}));
  const auto words = randint(0, 100, {6, 4}), at = randint(0, 6, {9, 4});
  REQUIRE(equal(gather(words.cuda(), 0, at.cuda()), gather(words, 0, at)));
  REQUIRE(equal(scatter_add(words.cuda(), 0, at.cuda(), ones<std::int64_t>({9, 4}, card)), scatter_add(words, 0, at, ones<std::int64_t>({9, 4}))));
  REQUIRE(gather(words.cuda(), 0, zeros<std::int64_t>({0, 4}, card)).numel() == 0);

  // Of many writes to one place the last wins, in every order of threads.
  const auto source = randn({600}, card);
  const auto crowded = randint(0, 4, {600}, card);
  const auto last = same_under_all_schedules([&] { return values(scatter(zeros({4}, card), 0, crowded, source)); });
  REQUIRE(last == values(scatter(zeros({4}), 0, crowded.cpu(), source.cpu())));
  same_under_all_schedules([&] { return values(scatter_add(zeros({4}, card), 0, crowded, source)); });
}

TEST_CASE("an index out of range is reported when the host looks") {
  const auto x = ones({3, 4}, card);
  const auto bad = tensor({1, 7, -1, 2}, card);
  check_indices_on_device();
  const auto y = index_select(x, 1, bad);
  cuda_backend->synchronize(0);
  REQUIRE_THROWS_WITH(check_indices_on_device(), Catch::Contains("index_select: index ") && Catch::Contains("extent 4"));
  check_indices_on_device();
  std::vector<float> row(12);
  cuda_backend->copy(row.data(), -1, y.data(), 0, 48);
  REQUIRE((row[0] == 1 && std::isnan(row[1]) && std::isnan(row[2]) && row[3] == 1));
  const auto sum = scatter_add(zeros({4}, card), 0, bad, ones({4}, card));
  REQUIRE_THROWS_AS(check_indices_on_device(), IndexError);
  cuda_backend->copy(row.data(), -1, sum.data(), 0, 16);
  REQUIRE((row[0] == 0 && row[1] == 1 && row[2] == 1 && row[3] == 0));
  scatter(zeros({4}, card), 0, bad, ones({4}, card));
  REQUIRE_THROWS_AS(check_indices_on_device(), IndexError);
  gather(arange(4, card), 0, bad);
  REQUIRE_THROWS_AS(check_indices_on_device(), IndexError);
  one_hot(bad, 3);
  REQUIRE_THROWS_AS(check_indices_on_device(), IndexError);
}

TEST_CASE("selection by a mask on a device") {
  manual_seed(3);
  for (const std::int64_t n : {1, 5, 63, 64, 65, 3000}) {
    const Tensor<bool, 2> mask = randn({n, 3}) > 0;
    check_both(1e-6, [&](const auto& x) { return masked_select(x, mask.to(x.device())); }, randn({n, 3}));
    REQUIRE(equal(nonzero(mask.cuda()), nonzero(mask)));
  }
  REQUIRE(masked_select(zeros({2, 2}, card), full({2, 2}, false, card)).numel() == 0);
  REQUIRE(nonzero(full({0, 2}, true, card)).size(0) == 0);
  const auto index = randint(0, 5, {4, 3});
  REQUIRE(equal(one_hot(index.cuda(), 6), one_hot(index, 6)));
}

TEST_CASE("rearrangements on a device") {
  manual_seed(4);
  const auto x = randn({3, 4, 5});
  check_both(1e-6, [](const auto& t) { return flip(t, {0, 2}); }, x);
  check_both(1e-6, [](const auto& t) { return roll(t, {-7, 3}, {1, 2}); }, x);
  check_both(1e-5, [](const auto& t) { return repeat(t, {2, 3, 1, 2}); }, x);
  check_both(1e-5, [](const auto& t) { return tile(t, {0, 2}); }, x);
  check_both(1e-5, [](const auto& t) { return repeat_interleave(t, 3, 1); }, x);
  check_both(1e-6, [](const auto& t) { return pad(t, {1, 2, 0, 3}, PadMode::constant, 1.5); }, x);
  check_both(1e-6, [](const auto& t) { return pad(t, {-1, -2, 2, -1}); }, x);
  for (const PadMode mode : {PadMode::reflect, PadMode::replicate})
    for (const std::int64_t low : {-2, 0, 1, 3})
      for (const std::int64_t high : {-1, 0, 2, 3}) check_both(1e-5, [=](const auto& t) { return pad(t, {low, high, high, low}, mode); }, x);
  REQUIRE(equal(pad(full({2, 2}, true, card), {1, 1}, PadMode::constant, 0), pad(full({2, 2}, true), {1, 1}, PadMode::constant, 0)));
  REQUIRE(equal(flip(arange<bfloat16>(9, card), 0), flip(arange<bfloat16>(9), 0)));
}
