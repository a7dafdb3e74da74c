// SPDX-License-Identifier: MIT
#include "sinter/op/lane.hpp"

#include "op/check.hpp"

using namespace sinter::lane;
using sinter::bfloat16;
using sinter::half;
using check::Block;

template <class T>
Block<T> counting(int from) {
  T a[Block<T>::size];
  for (int i = 0; i < Block<T>::size; ++i) a[i] = T(from + i);
  return Block<T>::load(a);
}

template <class T>
void arithmetic() {
  const auto x = counting<T>(1), y = counting<T>(3);
  for (int i = 0; i < Block<T>::size; ++i) {
    CHECK((x + y)[i] == T(1 + i + 3 + i));
    CHECK((y - x)[i] == T(2));
    CHECK((x * y)[i] == T((1 + i) * (3 + i)));
    CHECK((y / x)[i] == T(T(3 + i) / T(1 + i)));
    CHECK(plain(x < Block<T>(T(3)))[i] == (i < 2));
    CHECK(where(x < Block<T>(T(3)), x, y)[i] == T(i < 2 ? 1 + i : 3 + i));
    CHECK(max(x, Block<T>(T(2)))[i] == T(i < 1 ? 2 : 1 + i));
    CHECK(min(x, Block<T>(T(2)))[i] == T(i < 1 ? 1 : 2));
  }
}
TEST_CASE("blocks compute lane by lane") {
  arithmetic<float>();
  arithmetic<double>();
  arithmetic<std::int64_t>();
  arithmetic<std::int32_t>();
  arithmetic<std::uint8_t>();
}

TEST_CASE("a block of one number is that number, its sign included") {
  CHECK(std::signbit(Block<float>(-0.0f)[0]));
  CHECK(std::signbit(Block<double>(-0.0)[1]));
  CHECK(Block<bool>(true)[3]);
}

TEST_CASE("a NaN wins the greater and the smaller") {
  const float nan = std::nanf("");
  using F = Block<float>;
  for (bool greater : {true, false}) {
    CHECK(std::isnan(greater ? max(nan, 1.0f) : min(nan, 1.0f)));
    CHECK(std::isnan(greater ? max(1.0f, nan) : min(1.0f, nan)));
    CHECK(std::isnan((greater ? max(F(nan), F(1)) : min(F(nan), F(1)))[0]));
    CHECK(std::isnan((greater ? max(F(1), F(nan)) : min(F(1), F(nan)))[0]));
  }
}

TEST_CASE("signs are bits") {
  for (float x : check::specials<float>())
    for (float y : {1.0f, -1.0f, -0.0f}) {
      CHECK(bits<std::int32_t>(abs(Block<float>(x))[0]) == bits<std::int32_t>(std::fabs(x)));
      CHECK(bits<std::int32_t>(copysign(Block<float>(x), Block<float>(y))[0]) == bits<std::int32_t>(std::copysign(x, y)));
    }
}

TEST_CASE("masks become bools and change their width") {
  constexpr int N = Block<double>::size;
  using D = Lanes<double, N>;
  using F = Lanes<float, N>;
  double a[N];
  for (int i = 0; i < N; ++i) a[i] = i % 2;
  const auto odd = D::load(a) == D(1.0);
  const Lanes<bool, N> as_bool = plain(odd);
  for (int i = 0; i < N; ++i) {
    CHECK(as_bool[i] == (i % 2 == 1));
    CHECK(where(odd, F(1), F(2))[i] == (i % 2 ? 1 : 2));
    CHECK(where(as_bool, D(1.0), D(2.0))[i] == (i % 2 ? 1 : 2));
    CHECK(plain(!odd)[i] == (i % 2 == 0));
    CHECK(plain(odd ^ odd)[i] == false);
    CHECK(convert<float>(odd)[i] == i % 2);
    CHECK(convert<std::int64_t>(as_bool)[i] == i % 2);
    CHECK(convert<bool>(D::load(a))[i] == (i % 2 == 1));
  }
}

TEST_CASE("lanes fold to one in a fixed tree") {
  const auto x = counting<float>(1);
  const int n = x.size;
  CHECK(sum(x) == float(n * (n + 1) / 2));
  CHECK(max(x) == float(n));
  CHECK(min(x) == 1);
  CHECK(prod(counting<double>(1)) == std::tgamma(Block<double>::size + 1.0));
}

template <class H>
void every_pattern() {
  constexpr int N = Block<float>::size;
  int wrong = 0;
  for (int base = 0; base < 65536; base += N) {
    H in[N], out[N];
    for (int i = 0; i < N; ++i) in[i].bits = std::uint16_t(base + i);
    const auto x = load_lanes<N>(in);
    store_lanes(out, x);
    for (int i = 0; i < N; ++i) {
      const float want = float(in[i]);
      wrong += std::isnan(want) ? !std::isnan(x[i]) || !std::isnan(float(out[i]))
                                : bits<std::uint32_t>(x[i]) != bits<std::uint32_t>(want) || out[i].bits != in[i].bits;
    }
  }
  CHECK(wrong == 0);
  for (std::uint64_t u = 0; u < (1ull << 32); u += 65521) {  // rounding of all magnitudes
    const float x = bits<float>(std::uint32_t(u));
    H out[N];
    store_lanes(out, Lanes<float, N>(x));
    wrong += std::isnan(x) ? !std::isnan(float(out[0])) : out[0].bits != H(x).bits;
  }
  CHECK(wrong == 0);
}
TEST_CASE("half and bfloat16 travel through lanes as through numbers") {
  every_pattern<half>();
  every_pattern<bfloat16>();
}
