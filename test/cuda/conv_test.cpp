// SPDX-License-Identifier: MIT
// Convolution's kernels against its definition, in doubles.

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "schedules.hpp"
#include "sinter/device/conv.hpp"

using namespace sinter;

namespace {

// Elements on the device, `offset` of them behind the start of an aligned block.
template <class T>
class Elements {
 public:
  explicit Elements(const std::vector<T>& host, std::size_t offset = 0)
      : size_(host.size()), offset_(offset), block_(static_cast<T*>(cuda_backend->allocate(0, (size_ + offset) * sizeof(T)))) {
    if (size_) cuda_backend->copy(data(), 0, host.data(), -1, size_ * sizeof(T));
  }
  Elements(const Elements&) = delete;
  Elements& operator=(const Elements&) = delete;
  ~Elements() { cuda_backend->deallocate(0, block_, (size_ + offset_) * sizeof(T)); }
  T* data() const { return block_ + offset_; }
  std::vector<T> read() const {
    std::vector<T> host(size_);
    if (size_) cuda_backend->copy(host.data(), -1, data(), 0, size_ * sizeof(T));
    cuda_backend->synchronize(0);
    return host;
  }

 private:
  std::size_t size_, offset_;
  T* block_;
};

struct Problem {
  std::int64_t count = 1, groups = 1, in = 1, out = 1, height = 1, width = 1, kernel_h = 1, kernel_w = 1;
  std::int64_t stride_h = 1, stride_w = 1, top = 0, left = 0, bottom = 0, right = 0, dilation_h = 1, dilation_w = 1;

  ConvArgs args(ConvPass pass, DType dtype, const void* a, const void* b, const void* bias, void* to) const {
    return {pass, dtype, count, groups, in, out, height, width, kernel_h, kernel_w, stride_h, stride_w, top, left, dilation_h, dilation_w,
            (height + top + bottom - dilation_h * (kernel_h - 1) - 1) / stride_h + 1,
            (width + left + right - dilation_w * (kernel_w - 1) - 1) / stride_w + 1, a, b, bias, to};
  }
  friend std::ostream& operator<<(std::ostream& os, const Problem& p) {
    return os << "x (" << p.count << ", " << p.groups << " * " << p.in << ", " << p.height << ", " << p.width << ") w (" << p.out << ", " << p.in << ", "
              << p.kernel_h << ", " << p.kernel_w << ") stride " << p.stride_h << ' ' << p.stride_w << " padding " << p.top << ' ' << p.left << ' '
              << p.bottom << ' ' << p.right << " dilation " << p.dilation_h << ' ' << p.dilation_w;
  }
};

// f(index into x, index into y, index into w) for every product of the definition.
template <class F>
void each_product(const ConvArgs& a, F f) {
  for (std::int64_t n = 0; n < a.count; ++n)
    for (std::int64_t o = 0; o < a.groups * a.out; ++o)
      for (std::int64_t v = 0; v < a.out_h; ++v)
        for (std::int64_t u = 0; u < a.out_w; ++u)
          for (std::int64_t c = 0; c < a.in; ++c)
            for (std::int64_t i = 0; i < a.kernel_h; ++i)
              for (std::int64_t j = 0; j < a.kernel_w; ++j) {
                const std::int64_t y = v * a.stride_h + i * a.dilation_h - a.pad_h, x = u * a.stride_w + j * a.dilation_w - a.pad_w;
                if (y < 0 || x < 0 || y >= a.height || x >= a.width) continue;
                f(((n * a.groups * a.in + o / a.out * a.in + c) * a.height + y) * a.width + x, ((n * a.groups * a.out + o) * a.out_h + v) * a.out_w + u,
                  ((o * a.in + c) * a.kernel_h + i) * a.kernel_w + j);
              }
}

template <class T>
std::vector<T> random_values(std::int64_t n, std::mt19937& random) {
  std::vector<T> v(static_cast<std::size_t>(n));
  std::normal_distribution<float> normal;
  for (T& x : v) x = T(normal(random));
  return v;
}

// The results of all three passes, one after the other.
template <class T>
std::vector<T> run(const Problem& p, bool biased, std::vector<double>* expected = nullptr, std::size_t offset = 0) {
  std::mt19937 random(1);
  const DType dtype = dtype_of<T>();
  const ConvArgs s = p.args(ConvPass::result, dtype, nullptr, nullptr, nullptr, nullptr);
  const auto x = random_values<T>(s.x_numel(), random), w = random_values<T>(s.w_numel(), random), dy = random_values<T>(s.y_numel(), random);
  const auto bias = random_values<T>(p.groups * p.out, random);
  const Elements<T> dx_in(x, offset), w_in(w, offset), dy_in(dy, offset), bias_in(bias, offset);
  const auto unset = [](const std::vector<T>& like) { return std::vector<T>(like.size(), T(NAN)); };
  const Elements<T> y(unset(dy), offset), dx(unset(x), offset), dw(unset(w), offset);
  conv_on_device(p.args(ConvPass::result, dtype, dx_in.data(), w_in.data(), biased ? bias_in.data() : nullptr, y.data()));
  conv_on_device(p.args(ConvPass::image, dtype, dy_in.data(), w_in.data(), nullptr, dx.data()));
  conv_on_device(p.args(ConvPass::weight, dtype, dx_in.data(), dy_in.data(), nullptr, dw.data()));
  std::vector<T> all;
  for (const auto& part : {y.read(), dx.read(), dw.read()}) all.insert(all.end(), part.begin(), part.end());
  if (expected) {
    expected->assign(all.size(), 0);
    double *const ey = expected->data(), *const ex = ey + dy.size(), *const ew = ex + x.size();
    const std::size_t plane = std::size_t(s.out_h * s.out_w), channels = bias.size();
    for (std::size_t i = 0; biased && i < dy.size(); ++i) ey[i] = double(bias[i / plane % channels]);
    each_product(s, [&](std::int64_t i, std::int64_t o, std::int64_t k) {
      ey[o] += double(x[std::size_t(i)]) * double(w[std::size_t(k)]);
      ex[i] += double(dy[std::size_t(o)]) * double(w[std::size_t(k)]);
      ew[k] += double(x[std::size_t(i)]) * double(dy[std::size_t(o)]);
    });
  }
  return all;
}

template <class T>
void check(const Problem& p, double tolerance, bool biased = true, std::size_t offset = 0) {
  std::vector<double> expected;
  const auto got = run<T>(p, biased, &expected, offset);
  double largest = 1, worst = 0;
  for (const double e : expected) largest = std::max(largest, std::abs(e));
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(double(got[i]) - expected[i]);
    worst = error <= worst ? worst : error;  // NaN as well
  }
  INFO(p << ' ' << name_of(dtype_of<T>()));
  CHECK(worst <= tolerance * largest);
}

// For each of the kernels, problems that fill more than one of its tiles and end within one.
const Problem shapes[] = {
    {1, 1, 1, 1, 1, 1, 1, 1},
    {2, 1, 5, 7, 6, 5, 3, 3, 1, 1, 1, 1, 1, 1},                // 32 rows
    {1, 1, 3, 33, 9, 11, 3, 3, 2, 2, 1, 1, 1, 1},              // 64 rows, phases
    {1, 1, 70, 67, 5, 7, 3, 3, 1, 1, 1, 1, 1, 1},              // 128 rows, split depth
    {2, 1, 131, 130, 3, 3, 1, 1},                              // more than one tile of rows, no quads
    {3, 1, 9, 40, 4, 6, 1, 1},                                 // quads
    {2, 2, 66, 65, 2, 2, 1, 1},                                // quads in groups
    {2, 3, 5, 9, 7, 5, 2, 3, 1, 2, 0, 1, 1, 0, 2, 1},          // groups, asymmetric padding, dilation
    {2, 1, 6, 5, 8, 9, 1, 1, 2, 3},                            // pixels that meet no tap
    {1, 1, 5, 6, 13, 11, 3, 2, 4, 3, 2, 1, 0, 3, 2, 5},        // strides and dilations with and without common factors
    {2, 7, 1, 1, 9, 13, 3, 3, 1, 1, 1, 1, 1, 1},               // depthwise
    {1, 5, 1, 1, 17, 6, 5, 4, 2, 3, 2, 1, 2, 2},               // depthwise, strided
    {2, 3, 2, 3, 6, 7, 3, 3, 1, 1, 2, 2, 2, 2, 2, 2},          // few channels of a group
    {2, 2, 7, 8, 5, 5, 3, 3, 1, 1, 1, 1, 1, 1},                // eight
    {1, 1, 3, 2, 1, 150, 1, 7, 1, 1, 0, 3, 0, 3},              // one dimension
    {37, 1, 1, 6, 13, 11, 5, 5},                               // few weights, many pixels
    {11, 1, 6, 16, 12, 12, 5, 5},
};

}  // namespace

TEST_CASE("convolution and its gradients are their definition, on a device") {
  for (const Problem& p : shapes) {
    check<float>(p, 3e-6);
    check<double>(p, 1e-14);
  }
  check<float>(shapes[1], 3e-6, false);
  check<float>(shapes[3], 3e-6, false);
  check<float>(shapes[5], 3e-6, true, 1);
  check<double>(shapes[5], 1e-14, true, 1);
}
TEST_CASE("sums of a convolution are in one order, on a device") {
  for (const Problem& p : {shapes[2], shapes[3], shapes[6], shapes[9], shapes[10], shapes[15]})
    same_under_all_schedules([&] {
      const auto all = run<float>(p, true);
      std::vector<std::uint32_t> bits(all.size());
      std::memcpy(bits.data(), all.data(), all.size() * sizeof(float));
      return bits;
    });
}
TEST_CASE("narrow floats are summed in float, on a device") {
  for (const Problem& p : {shapes[1], shapes[3], shapes[5], shapes[10], shapes[12], shapes[15]}) {
    check<bfloat16>(p, 1.0 / 256);
    check<half>(p, 1.0 / 2048);
  }
}
TEST_CASE("convolution of random shapes, on a device") {
  std::mt19937 random(7);
  const auto pick = [&](std::initializer_list<std::int64_t> of) { return of.begin()[random() % of.size()]; };
  for (int i = 0; i < 60; ++i) {
    Problem p;
    p.groups = pick({1, 1, 1, 2, 3, 5});
    p.count = pick({1, 2, 3, 5}), p.in = pick({1, 2, 3, 7, 17}), p.out = pick({1, 2, 4, 5, 13, 37});
    p.kernel_h = pick({1, 2, 3, 5}), p.kernel_w = pick({1, 2, 3, 4}), p.stride_h = pick({1, 1, 2, 3}), p.stride_w = pick({1, 1, 2, 5});
    p.dilation_h = pick({1, 1, 2, 3}), p.dilation_w = pick({1, 1, 2}), p.top = pick({0, 1, 2}), p.bottom = pick({0, 1, 3}), p.left = pick({0, 1, 2});
    p.right = pick({0, 1, 4});
    p.height = p.dilation_h * (p.kernel_h - 1) + pick({1, 2, 4, 7}), p.width = p.dilation_w * (p.kernel_w - 1) + pick({1, 3, 4, 11});
    check<float>(p, 3e-6, i % 2 == 0);
  }
}
TEST_CASE("convolution of nothing, on a device") {
  check<float>({0, 1, 2, 3, 4, 4, 3, 3}, 0);
  check<float>({2, 1, 0, 3, 4, 4, 3, 3}, 0);
  check<float>({0, 1, 40, 40, 4, 4, 3, 3}, 0);
}
