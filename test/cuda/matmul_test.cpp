// SPDX-License-Identifier: MIT
// Matrix products on the device against their definition in doubles: every dtype, all kinds of steps, epilogues, parts of sums.

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "schedules.hpp"
#include "sinter/core/tensor_impl.hpp"
#include "sinter/device/matmul.hpp"

using namespace sinter;

namespace {

constexpr Device gpu = Device::cuda();

template <class T>
struct Array {
  std::vector<T> here;
  Ref<Storage> there;
  explicit Array(std::vector<T> v) : here(std::move(v)), there(Storage::allocate(here.size() * sizeof(T), gpu)) { upload(); }
  void upload() {
    if (!here.empty()) cuda_backend->copy(there->data, 0, here.data(), -1, here.size() * sizeof(T));
  }
  std::vector<T> download() const {
    std::vector<T> v(here.size());
    if (!v.empty()) cuda_backend->copy(v.data(), -1, there->data, 0, v.size() * sizeof(T));
    return v;
  }
  T* data() const { return static_cast<T*>(there->data); }
};

// How a matrix of a batch lies in memory.
enum class Lie { rows, columns, padded_rows, padded_columns, both, repeated };
struct Steps {
  std::int64_t row, column, batch, size;
};
Steps steps(Lie lie, std::int64_t rows, std::int64_t columns, std::int64_t batch) {
  Steps s{};
  switch (lie) {
    case Lie::rows: s = {columns, 1, rows * columns, 0}; break;
    case Lie::columns: s = {1, rows, rows * columns, 0}; break;
    case Lie::padded_rows: s = {columns + 3, 1, rows * (columns + 3) + 5, 0}; break;
    case Lie::padded_columns: s = {1, rows + 8, columns * (rows + 8), 0}; break;
    case Lie::both: s = {3, 3 * rows + 1, (3 * rows + 1) * columns, 0}; break;
    case Lie::repeated: s = {0, 1, 0, 0}; break;
  }
  s.size = (rows - 1) * s.row + (columns - 1) * s.column + (batch - 1) * s.batch + 1;
  if (rows <= 0 || columns <= 0 || batch <= 0) s.size = 0;
  return s;
}

struct Problem {
  std::int64_t m, n, k, batch = 1;
  Lie a = Lie::rows, b = Lie::rows, c = Lie::rows;
  bool add = false, biased = false, with_aux = false, sums = false, shared_right = false;
  MatmulEpilogue epilogue = MatmulEpilogue::none;
  friend std::ostream& operator<<(std::ostream& os, const Problem& p) {
    return os << p.batch << " x (" << p.m << ", " << p.k << ") @ (" << p.k << ", " << p.n << ") lying " << int(p.a) << int(p.b) << int(p.c) << " add " << p.add
              << " bias " << p.biased << " aux " << p.with_aux << " sums " << p.sums << " shared " << p.shared_right << " epilogue " << int(p.epilogue);
  }
};

template <class T>
std::vector<T> random_values(std::int64_t n, std::mt19937& random) {
  std::vector<T> v(static_cast<std::size_t>(n));
  std::normal_distribution<float> normal;
  for (T& x : v) x = is_floating<T> ? T(normal(random)) : T(std::int64_t(random() % 21) - 10);
  return v;
}
double gelu_tanh(double x) { return 0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x))); }
double gelu_tanh_slope(double x) {
  const double h = 1e-5;
  return (gelu_tanh(x + h) - gelu_tanh(x - h)) / (2 * h);
}

// Runs it under all schedules, compares with the definition.
template <class T>
void check(const Problem& p, unsigned seed = 1, bool schedules = true) {
  CAPTURE(p, name_of(dtype_of<T>()));
  std::mt19937 random(seed);
  const Steps sa = steps(p.a, p.m, p.k, p.batch), sc = steps(p.c, p.m, p.n, p.batch);
  Steps sb = steps(p.b, p.k, p.n, p.shared_right ? 1 : p.batch);
  if (p.shared_right) sb.batch = 0;
  const Array<T> a(random_values<T>(sa.size, random)), b(random_values<T>(sb.size, random)), bias(random_values<T>(p.n, random)),
      before(random_values<T>(sc.size, random)), z(random_values<T>(sc.size, random)), sums(std::vector<T>(std::size_t(p.m)));
  const bool backward = p.epilogue == MatmulEpilogue::gelu_tanh_backward;
  const auto run = [&] {
    Array<T> c(before.here), aux(z.here);
    MatmulArgs x;
    x.dtype = dtype_of<T>();
    x.m = p.m, x.n = p.n, x.k = p.k, x.batch = p.batch;
    x.a = a.data(), x.a_row = sa.row, x.a_column = sa.column, x.a_batch = sa.batch;
    x.b = b.data(), x.b_row = sb.row, x.b_column = sb.column, x.b_batch = sb.batch;
    x.c = c.data(), x.c_row = sc.row, x.c_column = sc.column, x.c_batch = sc.batch;
    x.add = p.add, x.epilogue = p.epilogue;
    if (p.biased) x.bias = bias.data();
    if (p.with_aux || backward) x.aux = aux.data();
    if (p.sums) x.sums = sums.data();
    multiply_on_device(x);
    std::vector<T> all = c.download();
    for (const auto& more : {aux.download(), sums.download()}) all.insert(all.end(), more.begin(), more.end());
    std::vector<char> bytes(all.size() * sizeof(T));
    if (!all.empty()) std::memcpy(bytes.data(), all.data(), bytes.size());
    return bytes;
  };
  const std::vector<char> bytes = schedules ? same_under_all_schedules(run) : run();
  std::vector<T> got(bytes.size() / sizeof(T));
  if (!got.empty()) std::memcpy(got.data(), bytes.data(), bytes.size());

  const double eps = std::is_same_v<compute_t<T>, double> ? 1e-15 : is_floating<T> ? 1.2e-7 : 0;
  const double round = std::is_same_v<T, bfloat16> ? 1.0 / 256 : std::is_same_v<T, sinter::half> ? 1.0 / 2048 : eps;
  std::vector<char> written(before.here.size());
  for (std::int64_t i = 0; i < p.batch; ++i)
    for (std::int64_t r = 0; r < p.m; ++r)
      for (std::int64_t s = 0; s < p.n; ++s) {
        const auto at = std::size_t(i * sc.batch + r * sc.row + s * sc.column);
        double sum = 0, size = 0;
        for (std::int64_t d = 0; d < p.k; ++d) {
          const double t = double(a.here[std::size_t(i * sa.batch + r * sa.row + d * sa.column)]) *
                           double(b.here[std::size_t(i * sb.batch + d * sb.row + s * sb.column)]);
          sum += t, size += std::abs(t);
        }
        if (p.add) sum += double(before.here[at]), size += std::abs(double(before.here[at]));
        if (p.biased) sum += double(bias.here[std::size_t(s)]), size += 1;
        const double x = sum;
        if (p.epilogue == MatmulEpilogue::relu) sum = std::max(sum, 0.0);
        if (p.epilogue == MatmulEpilogue::gelu_tanh) sum = gelu_tanh(sum);
        if (backward) sum *= gelu_tanh_slope(double(z.here[at]));
        const double bound = 4 * eps * (size + 1) + round * std::abs(sum) + (backward ? 1e-9 * size : 0);
        written[at] = 1;
        const double kept = p.with_aux && !backward ? double(got[before.here.size() + at]) : x;
        if (std::abs(double(got[at]) - sum) <= bound && std::abs(kept - x) <= 4 * eps * (size + 1) + round * std::abs(x)) continue;
        CAPTURE(i, r, s, sum, double(got[at]), x, kept);
        FAIL("far from the definition");
      }
  for (std::size_t at = 0; at < written.size(); ++at)
    if (!written[at] && std::memcmp(&got[at], &before.here[at], sizeof(T)) != 0) FAIL("written outside of the result, at " << at);
  if (p.sums)
    for (std::int64_t r = 0; r < p.m; ++r) {
      double sum = 0, size = 0;
      for (std::int64_t d = 0; d < p.k; ++d) {
        const double t = double(a.here[std::size_t(r * sa.row + d * sa.column)]);
        sum += t, size += std::abs(t);
      }
      const double found = double(got[2 * before.here.size() + std::size_t(r)]);
      REQUIRE(std::abs(found - sum) <= 4 * eps * (size + 1) + round * std::abs(sum));
    }
}

const std::vector<std::int64_t> extents = {0, 1, 2, 3, 5, 17, 31, 32, 33, 64, 67};

}  // namespace

TEST_CASE("matmul on the device: random shapes and layouts", "[cuda][matmul]") {
  std::mt19937 random(7);
  const auto pick = [&](const auto& from) { return from[random() % from.size()]; };
  const std::vector<Lie> operand = {Lie::rows, Lie::columns, Lie::padded_rows, Lie::padded_columns, Lie::both, Lie::repeated};
  const std::vector<Lie> result = {Lie::rows, Lie::rows, Lie::padded_rows, Lie::columns, Lie::both};
  for (unsigned i = 0; i < 60; ++i) {
    Problem p{pick(extents), pick(extents), pick(extents), 1 + std::int64_t(random() % 3), pick(operand), pick(operand), pick(result)};
    p.add = random() % 3 == 0;
    p.shared_right = random() % 3 == 0;
    switch (i % 6) {
      case 0: check<double>(p, i); break;
      case 1: check<bfloat16>(p, i); break;
      case 2: check<sinter::half>(p, i); break;
      case 3: check<std::int64_t>(p, i); break;
      case 4: check<std::int32_t>(p, i); break;
      default: check<float>(p, i); break;
    }
  }
}

TEST_CASE("matmul on the device: every size of tile", "[cuda][matmul]") {
  check<float>({131, 97, 19});
  check<float>({97, 131, 40, 8, Lie::columns, Lie::rows});
  check<double>({70, 65, 33, 8, Lie::rows, Lie::columns});
  check<bfloat16>({129, 66, 35, 6, Lie::columns, Lie::columns});
  check<float>({1290, 1410, 9, 1, Lie::columns, Lie::columns}, 1, false);  // 11 x 12 tiles of 128
  check<bfloat16>({129, 5, 3, 120, Lie::rows, Lie::columns}, 1, false);
}

TEST_CASE("matmul on the device: long sums in parts", "[cuda][matmul]") {
  for (const bool add : {false, true}) {
    check<float>({33, 20, 2051, 1, Lie::rows, Lie::columns, Lie::rows, add});
    check<double>({5, 7, 1024, 2, Lie::columns, Lie::rows, Lie::padded_rows, add});
    check<bfloat16>({70, 90, 1100, 1, Lie::columns, Lie::rows, Lie::rows, add});
    check<std::int32_t>({4, 4, 3000, 1, Lie::columns, Lie::rows, Lie::rows, add});
  }
}

TEST_CASE("matmul on the device: products with a vector", "[cuda][matmul]") {
  for (const std::int64_t k : {1, 7, 64, 300, 5000})
    for (const Lie lie : {Lie::rows, Lie::columns, Lie::padded_rows, Lie::both}) {
      check<float>({37, 1, k, 2, lie, Lie::rows});
      check<float>({1, 45, k, 1, Lie::rows, lie});
      check<bfloat16>({1, 33, k, 2, Lie::both, lie});
      check<sinter::half>({40, 1, k, 1, lie, Lie::both});
      check<double>({1, 1, k, 3, lie, lie});
    }
  check<float>({64, 1, 4096, 1, Lie::rows, Lie::rows, Lie::rows, true});
}

TEST_CASE("matmul on the device: epilogues", "[cuda][matmul]") {
  using E = MatmulEpilogue;
  const std::vector<std::array<std::int64_t, 3>> shapes = {{{17, 40, 9}}, {{1, 24, 33}}, {{24, 1, 8}}, {{40, 24, 0}}, {{8, 16, 1500}}};
  for (const auto& s : shapes)
    for (const E e : {E::none, E::relu, E::gelu_tanh, E::gelu_tanh_backward})
      for (const bool biased : {false, true}) {
        Problem p{s[0], s[1], s[2], 2, Lie::rows, Lie::columns};
        p.epilogue = e, p.biased = biased && e != E::gelu_tanh_backward;
        p.with_aux = e == E::gelu_tanh && biased;
        check<float>(p);
        check<bfloat16>(p);
        p.batch = 1, p.add = e == E::none || e == E::relu, p.c = Lie::padded_rows;
        check<double>(p);
        check<sinter::half>(p);
      }
}

TEST_CASE("matmul on the device: sums of the left's rows", "[cuda][matmul]") {
  for (const Lie lie : {Lie::rows, Lie::columns, Lie::both})
    for (const std::int64_t k : {0, 1, 50, 3000}) {
      Problem p{24, 9, k, 1, lie, Lie::rows};
      p.sums = true;
      check<float>(p);
      check<bfloat16>(p);
      check<double>(p);
    }
}

TEST_CASE("matmul on the device: more products than a grid is deep", "[cuda][matmul]") {
  check<float>({1, 2, 2, 66000}, 1, false);
}

TEST_CASE("matmul on the device: triangles", "[cuda][matmul]") {
  for (const bool upper : {false, true})
    for (const std::int64_t diagonal : {-3, 0, 2}) {
      const Array<char> mask(std::vector<char>(5 * 7));
      triangle_on_device({reinterpret_cast<bool*>(mask.data()), 5, 7, diagonal, upper});
      const auto got = mask.download();
      for (std::int64_t i = 0; i < 5; ++i)
        for (std::int64_t j = 0; j < 7; ++j) REQUIRE(bool(got[std::size_t(i * 7 + j)]) == (upper ? j - i >= diagonal : j - i <= diagonal));
    }
}
