// SPDX-License-Identifier: MIT
// Convolution and its gradients against their definition in double, over random shapes.
#include "sinter/cpu/conv.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "sinter/cpu/conv_weight.hpp"

using namespace sinter;
using namespace sinter::cpu;

namespace {

template <class T>
struct Problem {
  ConvolutionShape s;
  std::vector<T> x, w, dz;

  Problem(const ConvolutionShape& shape, std::mt19937& random) : s(shape) {
    const Patches& p = s.patches;
    const auto fill = [&](std::vector<T>& v, std::int64_t n) {
      v.resize(std::size_t(n));
      for (T& e : v) e = T(double(random() % 2001) / 1000 - 1);
    };
    fill(x, s.count * s.groups * p.image());
    fill(w, s.groups * s.out * p.rows());
    fill(dz, s.count * s.groups * s.out * p.columns());
  }

  // f(index into x, w and z) for every product of the definition.
  template <class F>
  void each(F f) const {
    const Patches& p = s.patches;
    for (std::int64_t n = 0; n < s.count; ++n)
      for (std::int64_t o = 0; o < s.groups * s.out; ++o)
        for (std::int64_t y = 0; y < p.out_h; ++y)
          for (std::int64_t u = 0; u < p.out_w; ++u)
            for (std::int64_t c = 0; c < p.channels; ++c)
              for (std::int64_t i = 0; i < p.kernel_h; ++i)
                for (std::int64_t j = 0; j < p.kernel_w; ++j) {
                  const std::int64_t row = y * p.stride_h - p.pad_h + i * p.dilation_h, column = u * p.stride_w - p.pad_w + j * p.dilation_w;
                  if (row < 0 || row >= p.height || column < 0 || column >= p.width) continue;
                  const std::int64_t channel = (n * s.groups + o / s.out) * p.channels + c;
                  f(std::size_t((channel * p.height + row) * p.width + column), std::size_t(((o * p.channels + c) * p.kernel_h + i) * p.kernel_w + j),
                    std::size_t(((n * s.groups * s.out + o) * p.out_h + y) * p.out_w + u));
                }
  }
};

template <class T>
bool near(const std::vector<T>& a, const std::vector<double>& b, const std::vector<double>& scale) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(std::abs(double(a[i]) - b[i]) <= 8 * double(std::numeric_limits<T>::epsilon()) * (1 + scale[i]))) return false;
  return true;
}

// Whether everything equals the definition, the epilogue sees every final element once, and threads change nothing.
template <class T>
bool right(const ConvolutionShape& s, std::mt19937& random) {
  const Problem<T> q(s, random);
  std::vector<double> z(q.dz.size()), dx(q.x.size()), dw(q.w.size()), db(std::size_t(s.groups * s.out));
  auto z_scale = z, dx_scale = dx, dw_scale = dw, db_scale = db;
  q.each([&](std::size_t x, std::size_t w, std::size_t o) {
    const double a = double(q.x[x]), b = double(q.w[w]), c = double(q.dz[o]);
    z[o] += a * b, dx[x] += b * c, dw[w] += a * c;
    z_scale[o] += std::abs(a * b), dx_scale[x] += std::abs(b * c), dw_scale[w] += std::abs(a * c);
  });
  const std::int64_t area = s.patches.columns();
  for (std::size_t i = 0; i < q.dz.size(); ++i) {
    const std::size_t o = i / std::size_t(area) % db.size();
    db[o] += double(q.dz[i]), db_scale[o] += std::abs(double(q.dz[i]));
  }
  const int before = get_num_threads();
  std::vector<T> first[4];
  bool good = true;
  for (int threads = 1; threads <= 2; ++threads) {
    set_num_threads(threads);
    const T junk = T(1e30);
    std::vector<T> got[4] = {std::vector<T>(z.size(), junk), std::vector<T>(dx.size(), junk), std::vector<T>(dw.size(), junk), std::vector<T>(db.size(), junk)};
    std::vector<T> finished(z.size(), T(0));
    const auto see = [&](std::int64_t product, std::int64_t row0, std::int64_t row1, std::int64_t column0, std::int64_t column1) {
      for (std::int64_t r = row0; r < row1; ++r)
        for (std::int64_t c = column0; c < column1; ++c) {
          const auto i = std::size_t((product * s.out + r) * area + c);
          finished[i] += got[0][i];
        }
    };
    using See = decltype(see);
    const Finish finish{[](const void* self, std::int64_t p, std::int64_t r0, std::int64_t r1, std::int64_t c0, std::int64_t c1) {
                          (*static_cast<const See*>(self))(p, r0, r1, c0, c1);
                        },
                        &see};
    convolution(s, q.x.data(), q.w.data(), got[0].data(), finish);
    convolution_image_gradient(s, q.dz.data(), q.w.data(), got[1].data());
    convolution_weight_gradient(s, q.x.data(), q.dz.data(), got[2].data(), got[3].data());
    good = good && near(got[0], z, z_scale) && near(got[1], dx, dx_scale) && near(got[2], dw, dw_scale) && near(got[3], db, db_scale);
    good = good && finished == got[0];
    for (int i = 0; i < 4; ++i)
      if (threads == 1) first[i] = got[i];
      else good = good && first[i] == got[i];
  }
  set_num_threads(before);
  return good;
}

ConvolutionShape shape(std::int64_t n, std::int64_t groups, std::int64_t in, std::int64_t out, Patches p) {
  p.channels = in;
  p.out_h = (p.height + 2 * p.pad_h - p.dilation_h * (p.kernel_h - 1) - 1) / p.stride_h + 1;
  p.out_w = (p.width + 2 * p.pad_w - p.dilation_w * (p.kernel_w - 1) - 1) / p.stride_w + 1;
  return {p, n, groups, out};
}

std::string text(const ConvolutionShape& s) {
  const Patches& p = s.patches;
  std::string t;
  for (std::int64_t v : {s.count, s.groups, s.out, p.channels, p.height, p.width, p.kernel_h, p.kernel_w, p.stride_h, p.stride_w, p.pad_h, p.pad_w,
                         p.dilation_h, p.dilation_w, p.out_h, p.out_w})
    t += std::to_string(v) + ' ';
  return t;
}

}  // namespace

TEST_CASE("convolutions of random shapes are their definition") {
  std::mt19937 random(7);
  const auto pick = [&](std::int64_t low, std::int64_t high) { return low + std::int64_t(random()) % (high - low + 1); };
  for (int i = 0; i < 300; ++i) {
    Patches p{};
    p.kernel_h = pick(1, 4), p.kernel_w = pick(1, 4), p.stride_h = pick(1, 3), p.stride_w = pick(1, 3);
    p.dilation_h = pick(1, 3), p.dilation_w = pick(1, 3), p.pad_h = pick(0, 4), p.pad_w = pick(0, 4);
    const auto least = [](std::int64_t kernel, std::int64_t dilation, std::int64_t pad) {
      return std::max<std::int64_t>(1, dilation * (kernel - 1) + 1 - 2 * pad);
    };
    p.height = least(p.kernel_h, p.dilation_h, p.pad_h) + pick(0, 9), p.width = least(p.kernel_w, p.dilation_w, p.pad_w) + pick(0, 9);
    const std::int64_t channels[] = {1, 1, 2, 3, 5, 17}, outs[] = {1, 1, 2, 7, 16, 31, 67};
    const auto s = shape(pick(0, 5), pick(1, 3), channels[pick(0, 5)], outs[pick(0, 6)], p);
    CAPTURE(text(s));
    REQUIRE((i % 2 ? right<float>(s, random) : right<double>(s, random)));
  }
}

TEST_CASE("convolutions of the sizes that nets have") {
  std::mt19937 random(8);
  //                                           h   w  kh kw sh sw ph pw dh dw
  for (const auto& s : {shape(3, 1, 1, 32, {0, 28, 28, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0}), shape(9, 1, 40, 64, {0, 7, 7, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0}),
                        shape(2, 1, 16, 33, {0, 32, 32, 3, 3, 2, 2, 1, 1, 1, 1, 0, 0}), shape(2, 1, 16, 32, {0, 32, 32, 1, 1, 2, 2, 0, 0, 1, 1, 0, 0}),
                        shape(2, 24, 1, 1, {0, 29, 29, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0}), shape(2, 24, 1, 1, {0, 29, 30, 5, 5, 2, 2, 2, 2, 1, 1, 0, 0}),
                        shape(1, 5, 1, 2, {0, 40, 33, 3, 5, 1, 1, 1, 2, 2, 1, 0, 0}), shape(1, 8, 4, 4, {0, 14, 14, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0}),
                        shape(1, 1, 3, 64, {0, 61, 61, 7, 7, 2, 2, 3, 3, 1, 1, 0, 0}), shape(2, 1, 70, 96, {0, 13, 13, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0}),
                        shape(1, 1, 3, 2, {0, 9, 400, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0}), shape(200, 1, 20, 10, {0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0})}) {
    CAPTURE(text(s));
    REQUIRE(right<float>(s, random));
    REQUIRE(right<double>(s, random));
  }
}
