// SPDX-License-Identifier: MIT
// Attention's kernels against the formula with the matrix of all scores, in doubles.

#include <catch2/catch.hpp>
#include <memory>
#include <random>
#include <vector>

#include "schedules.hpp"
#include "sinter/cuda/attention_fit.cuh"
#include "sinter/device/attention.hpp"

using namespace sinter;

namespace {

template <class T>
class DeviceArray {
 public:
  DeviceArray() = default;
  explicit DeviceArray(const std::vector<T>& x) : size_(x.size()), data_(allocate(x.size()), [n = x.size()](T* p) { cuda_backend->deallocate(0, p, n * sizeof(T)); }) {
    cuda_backend->copy(data_.get(), 0, x.data(), -1, size_ * sizeof(T));
  }
  T* data() const { return data_.get(); }
  std::vector<T> read() const {
    std::vector<T> x(size_);
    cuda_backend->copy(x.data(), -1, data_.get(), 0, size_ * sizeof(T));
    cuda_backend->synchronize(0);
    return x;
  }

 private:
  static T* allocate(std::size_t n) { return static_cast<T*>(cuda_backend->allocate(0, n * sizeof(T))); }
  std::size_t size_ = 0;
  std::shared_ptr<T> data_;
};

enum class Order { dense, length_first, width_first, packed };

// (batch, heads, length, width) in one of several orders of memory, on the device, and as it reads there.
template <class T>
struct Operand {
  std::int64_t B, H, N, W;
  std::vector<T> host;
  DeviceArray<T> device;
  DeviceHeads heads;
  std::int64_t start = 0;

  Operand(Order order, std::int64_t b, std::int64_t h, std::int64_t n, std::int64_t w, std::mt19937* random = nullptr, double spread = 1)
      : B(b), H(h), N(n), W(w) {
    std::int64_t size = b * h * n * w;
    std::int64_t* const s = heads.step;
    switch (order) {
      case Order::dense: s[0] = h * n * w, s[1] = n * w, s[2] = w, s[3] = 1; break;
      case Order::length_first: s[0] = h * n * w, s[1] = w, s[2] = h * w, s[3] = 1; break;
      case Order::width_first: s[0] = h * n * w, s[1] = n * w, s[2] = 1, s[3] = n; break;
      case Order::packed: s[0] = n * 3 * h * w, s[1] = w, s[2] = 3 * h * w, s[3] = 1, size *= 3, start = h * w; break;
    }
    host.assign(std::size_t(size), T(NAN));
    std::normal_distribution<float> normal(0, float(spread));
    if (random)
      for (T& x : host) x = T(normal(*random));
    device = DeviceArray<T>(host);
    heads.data = device.data() + start;
  }
  double operator()(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) const {
    const auto* s = heads.step;
    return double(host[std::size_t(start + b * s[0] + h * s[1] + i * s[2] + j * s[3])]);
  }
  std::vector<double> read() {
    host = device.read();
    std::vector<double> x;
    for (std::int64_t b = 0; b < B; ++b)
      for (std::int64_t h = 0; h < H; ++h)
        for (std::int64_t i = 0; i < N; ++i)
          for (std::int64_t j = 0; j < W; ++j) x.push_back((*this)(b, h, i, j));
    return x;
  }
};

struct Problem {
  std::int64_t B = 1, H = 1, G = 1, N = 1, S = 1, E = 8, F = 8;  // G: heads of k and v
  bool causal = false, allowed = false, bias = false;
  double dropout = 0;
  Order order = Order::dense;
};

// Everything that one way forward and back gives, in row-major order.
struct Results {
  std::vector<double> out, log_sum, dq, dk, dv;
};

template <class T>
struct Case {
  using C = compute_t<T>;
  Problem p;
  std::mt19937 random;
  Operand<T> q, k, v, up, bias;
  std::vector<std::uint8_t> seen;
  DeviceArray<std::uint8_t> allowed;
  double scale;

  explicit Case(const Problem& given, unsigned seed = 1)
      : p(given), random(seed), q(p.order, p.B, p.H, p.N, p.E, &random), k(p.order, p.B, p.G, p.S, p.E, &random), v(p.order, p.B, p.G, p.S, p.F, &random),
        up(p.order, p.B, p.H, p.N, p.F, &random), bias(Order::dense, 1, p.H, p.N, p.S, &random), seen(std::size_t(p.B * p.N * p.S)),
        scale(1 / std::sqrt(double(p.E))) {
    for (std::size_t i = 0; i < seen.size(); ++i) seen[i] = random() % 3 != 0 && i / std::size_t(p.S) != 0;  // the first query sees no key
    allowed = DeviceArray<std::uint8_t>(seen);
  }
  AttentionArgs args() const {
    AttentionArgs a;
    a.dtype = dtype_of<T>();
    a.batch = p.B, a.heads = p.H, a.kv_heads = p.G, a.targets = p.N, a.sources = p.S, a.width = p.E, a.value_width = p.F;
    a.scale = scale, a.causal = p.causal;
    a.q = q.heads, a.k = k.heads, a.v = v.heads;
    if (p.allowed) a.allowed = {allowed.data(), {p.N * p.S, 0, p.S, 1}};
    if (p.bias) a.bias = bias.heads, a.bias.step[0] = 0;
    a.dropout = p.dropout, a.random = {5, 100, nullptr};
    return a;
  }
  Results run(bool tensor_cores = true) const {
    AttentionArgs a = args();
    Operand<T> out(p.order, p.B, p.H, p.N, p.F), dq(p.order, p.B, p.H, p.N, p.E), dk(p.order, p.B, p.G, p.S, p.E), dv(p.order, p.B, p.G, p.S, p.F);
    DeviceArray<C> log_sum(std::vector<C>(std::size_t(p.B * p.H * p.N), C(NAN)));
    a.out = out.heads, a.log_sum = log_sum.data();
    const auto flash = flash_attention_on_device;
    const auto flash_backward = flash_attention_backward_on_device;
    if (tensor_cores && is_reduced_float<T> && p.E % 8 == 0 && p.F % 8 == 0) REQUIRE((cuda::fits_tensor_cores(a) && cuda::fits_tensor_cores(up.heads, p.F)));
    if (!tensor_cores) flash_attention_on_device.set(nullptr), flash_attention_backward_on_device.set(nullptr);
    attention_on_device(a);
    attention_backward_on_device({a, up.heads, dq.heads, dk.heads, dv.heads});
    flash_attention_on_device = flash, flash_attention_backward_on_device = flash_backward;
    const std::vector<C> sums = log_sum.read();
    return {out.read(), std::vector<double>(sums.begin(), sums.end()), dq.read(), dk.read(), dv.read()};
  }
  double score(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j, double s) const {
    if (p.causal && j > i) return -INFINITY;
    if (p.allowed && !seen[std::size_t((b * p.N + i) * p.S + j)]) return -INFINITY;
    return p.bias ? s + bias(0, h, i, j) : s;
  }
  double weight(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) const {
    if (p.dropout == 0) return 1;
    const Philox random(5, 100 + std::uint64_t(((b * p.H + h) * p.N + i) * ((p.S + 3) / 4) + j / 4));
    return random.word[j % 4] < std::uint64_t(p.dropout * 0x1p32) ? 0 : 1 / (1 - p.dropout);
  }
  Results expected() const {
    const std::int64_t R = p.H / std::max<std::int64_t>(1, p.G);
    Results e;
    e.out.resize(std::size_t(p.B * p.H * p.N * p.F)), e.dq.resize(std::size_t(p.B * p.H * p.N * p.E));
    e.dk.resize(std::size_t(p.B * p.G * p.S * p.E)), e.dv.resize(std::size_t(p.B * p.G * p.S * p.F));
    for (std::int64_t b = 0; b < p.B; ++b)
      for (std::int64_t h = 0; h < p.H; ++h)
        for (std::int64_t i = 0; i < p.N; ++i) {
          const std::int64_t row = (b * p.H + h) * p.N + i, keys = (b * p.G + h / R) * p.S;
          std::vector<double> w(std::size_t(p.S)), slope(std::size_t(p.S));
          double greatest = -INFINITY, sum = 0, inner = 0;
          for (std::int64_t j = 0; j < p.S; ++j) {
            double s = 0;
            for (std::int64_t d = 0; d < p.E; ++d) s += q(b, h, i, d) * k(b, h / R, j, d);
            w[std::size_t(j)] = score(b, h, i, j, s * scale);
            greatest = std::max(greatest, w[std::size_t(j)]);
          }
          for (double& x : w) sum += x = greatest == -INFINITY ? 0 : std::exp(x - greatest);
          for (double& x : w) x = sum == 0 ? 0 : x / sum;
          e.log_sum.push_back(sum == 0 ? INFINITY : greatest + std::log(sum));
          for (std::int64_t j = 0; j < p.S; ++j) {
            const double factor = weight(b, h, i, j), x = w[std::size_t(j)];
            for (std::int64_t d = 0; d < p.F; ++d) {
              e.out[std::size_t(row * p.F + d)] += x * factor * v(b, h / R, j, d);
              e.dv[std::size_t((keys + j) * p.F + d)] += x * factor * up(b, h, i, d);
              slope[std::size_t(j)] += factor * up(b, h, i, d) * v(b, h / R, j, d);
            }
            inner += x * slope[std::size_t(j)];
          }
          for (std::int64_t j = 0; j < p.S; ++j) {
            const double ds = w[std::size_t(j)] * (slope[std::size_t(j)] - inner) * scale;
            for (std::int64_t d = 0; d < p.E; ++d) {
              e.dq[std::size_t(row * p.E + d)] += ds * k(b, h / R, j, d);
              e.dk[std::size_t((keys + j) * p.E + d)] += ds * q(b, h, i, d);
            }
          }
        }
    return e;
  }
};

void near(const char* what, const std::vector<double>& got, const std::vector<double>& expected, double tolerance) {
  INFO(what);
  REQUIRE(got.size() == expected.size());
  double worst = 0, scale = 1;
  for (double x : expected)
    if (std::isfinite(x)) scale = std::max(scale, std::abs(x));
  for (std::size_t i = 0; i < got.size(); ++i)
    if (got[i] != expected[i]) worst = std::max(worst, std::isfinite(got[i]) ? std::abs(got[i] - expected[i]) : INFINITY);
  CHECK(worst < tolerance * scale);
}
template <class T>
void check(const Problem& p, bool tensor_cores = true, unsigned seed = 1) {
  INFO("B " << p.B << " H " << p.H << " G " << p.G << " N " << p.N << " S " << p.S << " E " << p.E << " F " << p.F << " causal " << p.causal << " allowed "
            << p.allowed << " bias " << p.bias << " dropout " << p.dropout << " order " << int(p.order) << " of " << dtype_of<T>());
  const Case<T> c(p, seed);
  const Results got = c.run(tensor_cores), e = c.expected();
  const double tolerance = std::is_same_v<T, double> ? 1e-11 : std::is_same_v<T, float> ? 1e-5 : std::is_same_v<T, half> ? 4e-3 : 2.5e-2;
  near("out", got.out, e.out, tolerance);
  near("log_sum", got.log_sum, e.log_sum, std::is_same_v<T, double> ? 1e-12 : 1e-5);
  near("dq", got.dq, e.dq, tolerance);
  near("dk", got.dk, e.dk, tolerance);
  near("dv", got.dv, e.dv, tolerance);
}

bool operator==(const Results& x, const Results& y) {
  return x.out == y.out && x.log_sum == y.log_sum && x.dq == y.dq && x.dk == y.dk && x.dv == y.dv;
}
template <class T>
void check_schedules(const Problem& p) {
  const Case<T> c(p);
  same_under_all_schedules([&] { return c.run(); });
}

std::vector<Problem> masks(Problem p) {
  std::vector<Problem> all;
  for (int i = 0; i < 6; ++i) {
    Problem m = p;
    m.causal = i == 1 || i == 5, m.allowed = i == 2 || i == 5, m.bias = i == 3 || i == 5, m.dropout = i == 4 || i == 5 ? 0.3 : 0;
    all.push_back(m);
  }
  return all;
}

TEST_CASE("attention in float: odd lengths and widths, every order of memory") {
  for (const std::int64_t n : {1, 7, 33, 65})
    for (const std::int64_t s : {1, 7, 65}) check<float>({1, 2, 2, n, s, 8, 8, n == 33});
  check<float>({2, 2, 2, 13, 17, 3, 5});
  check<float>({1, 1, 1, 20, 70, 100, 128});
  check<float>({1, 1, 1, 9, 40, 130, 200, true});
  for (const Order o : {Order::dense, Order::length_first, Order::width_first, Order::packed}) {
    Problem p{2, 2, 2, 33, 33, 16, 16};
    p.order = o;
    check<float>(p);
    p.E = 7, p.F = 6;
    check<float>(p);
  }
}
TEST_CASE("attention in float and double: masks, dropout and groups of heads") {
  for (const Problem& p : masks({2, 4, 2, 33, 67, 16, 12})) check<float>(p), check<double>(p);
  check<double>({1, 6, 1, 7, 65, 70, 130, true});
  check<double>({1, 1, 1, 40, 33, 256, 200});
}
TEST_CASE("attention in 16 bits without tensor cores") {
  for (const Problem& p : masks({1, 2, 1, 33, 40, 16, 24})) check<bfloat16>(p, false), check<half>(p, false);
  check<bfloat16>({1, 1, 1, 9, 9, 7, 5});  // rows that are no whole words
}
TEST_CASE("attention by tensor cores: lengths and widths") {
  for (const std::int64_t n : {1, 7, 65}) check<bfloat16>({1, 1, 1, n, 33, 64, 64}), check<half>({1, 1, 1, 33, n, 64, 64, true});
  check<bfloat16>({1, 1, 1, 130, 150, 64, 64, true});
  check<bfloat16>({1, 1, 1, 150, 70, 128, 128, true});
  check<half>({1, 1, 1, 40, 100, 128, 96});
  check<bfloat16>({2, 2, 2, 20, 20, 24, 72});
  Problem p{2, 2, 2, 33, 33, 32, 32};
  for (const Order o : {Order::length_first, Order::packed}) p.order = o, check<bfloat16>(p);
}
TEST_CASE("attention by tensor cores: masks, dropout and groups of heads") {
  for (const Problem& p : masks({1, 4, 2, 33, 67, 64, 40})) check<bfloat16>(p);
  for (const Problem& p : masks({1, 2, 1, 35, 66, 128, 128})) check<half>(p);
}
TEST_CASE("attention of nothing") {
  check<float>({1, 2, 2, 5, 0, 8, 8});
  check<float>({1, 2, 2, 0, 5, 8, 8});
  check<bfloat16>({1, 2, 2, 5, 0, 8, 8});
  check<bfloat16>({1, 2, 2, 0, 5, 8, 8});
  check<float>({0, 2, 2, 5, 5, 8, 8});
  check<float>({1, 0, 0, 5, 5, 8, 8});
}
TEST_CASE("attention has the same bits in every schedule") {
  Problem p{1, 2, 1, 35, 70, 8, 8, true};
  check_schedules<float>(p);
  check_schedules<bfloat16>(p);
}

}  // namespace
