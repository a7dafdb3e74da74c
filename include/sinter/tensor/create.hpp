// SPDX-License-Identifier: MIT
// New tensors. Extents are given as zeros({3, 4}), zeros<double>({3, 4}) or as a Shape; the rank is deduced, the dtype is
// float unless named, the device the CPU: zeros({3, 4}, Device::cuda()). Negative extents throw ShapeError.
#pragma once

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <vector>

#include "sinter/device/dense.hpp"
#include "sinter/device/random.hpp"
#include "sinter/tensor/view.hpp"

namespace sinter {

template <class T = float, int R>
Tensor<T, R> empty(const Shape<R>& sizes, Device d = {}) {
  check_sizes("empty", sizes);
  return Tensor<T, R>(TensorImpl::empty(dtype_of<T>(), sizes, d));
}
template <class T = float, std::size_t R>
Tensor<T, int(R)> empty(const std::int64_t (&sizes)[R], Device d = {}) { return empty<T>(shape_of(sizes), d); }

// Every element of a dense tensor becomes `value`; not recorded.
template <class T, int R>
void fill_dense(const Tensor<T, R>& t, T value) {
  if (t.device().is_cuda()) fill_on_device(t.data(), dtype_of<T>(), t.numel(), pattern_of(value));
  else assign(t, Constant<compute_t<T>>(compute_t<T>(value)));
}

// torch.full. The dtype is that of the value: an int gives int64, a floating point literal float.
template <class S>
using dtype_of_literal = std::conditional_t<std::is_same_v<S, double>, float, std::conditional_t<std::is_same_v<S, int>, std::int64_t, S>>;

template <class T, int R>
Tensor<T, R> full_of(const char* name, const Shape<R>& sizes, T value, Device d) {
  check_sizes(name, sizes);
  Tensor<T, R> t = empty<T>(sizes, d);
  fill_dense(t, value);
  return t;
}
template <class T = void, int R, class S>
auto full(const Shape<R>& sizes, S value, Device d = {}) {
  using D = std::conditional_t<std::is_void_v<T>, dtype_of_literal<S>, T>;
  return full_of<D>("full", sizes, D(value), d);
}
template <class T = void, std::size_t R, class S>
auto full(const std::int64_t (&sizes)[R], S value, Device d = {}) { return full<T>(shape_of(sizes), value, d); }
template <class T = float, int R>
Tensor<T, R> zeros(const Shape<R>& sizes, Device d = {}) { return full_of<T>("zeros", sizes, T(0), d); }
template <class T = float, std::size_t R>
Tensor<T, int(R)> zeros(const std::int64_t (&sizes)[R], Device d = {}) { return zeros<T>(shape_of(sizes), d); }
template <class T = float, int R>
Tensor<T, R> ones(const Shape<R>& sizes, Device d = {}) { return full_of<T>("ones", sizes, T(1), d); }
template <class T = float, std::size_t R>
Tensor<T, int(R)> ones(const std::int64_t (&sizes)[R], Device d = {}) { return ones<T>(shape_of(sizes), d); }
// On the device of what they are like.
template <class E>
auto zeros_like(const Expr<E>& e) { return zeros<typename E::value_type>(Shape<E::rank>(e.self().shape()), device_of("zeros_like", e.self())); }
template <class E>
auto ones_like(const Expr<E>& e) { return ones<typename E::value_type>(Shape<E::rank>(e.self().shape()), device_of("ones_like", e.self())); }
template <class E, class S>
auto full_like(const Expr<E>& e, S value) {
  return full<typename E::value_type>(Shape<E::rank>(e.self().shape()), value, device_of("full_like", e.self()));
}

// ---- From values

// A scalar: tensor(1.5), tensor<double>(1.5).
template <class T = void, class S, std::enable_if_t<std::is_arithmetic_v<S>, int> = 0>
auto tensor(S value, Device d = {}) { return full<T>(Shape<0>{}, value, d); }
// Nested lists of equal lengths: tensor({{1., 2.}, {3., 4.}}).
template <class T = void, class S, std::size_t N>
auto tensor(const S (&v)[N], Device d = {}) {
  using D = std::conditional_t<std::is_void_v<T>, dtype_of_literal<S>, T>;
  Tensor<D, 1> t = empty<D>(Shape{std::int64_t(N)});
  std::copy_n(v, N, t.data());
  return t.to(d);
}
template <class T = void, class S, std::size_t N, std::size_t M>
auto tensor(const S (&v)[N][M], Device d = {}) {
  using D = std::conditional_t<std::is_void_v<T>, dtype_of_literal<S>, T>;
  Tensor<D, 2> t = empty<D>(Shape{std::int64_t(N), std::int64_t(M)});
  std::copy_n(&v[0][0], N * M, t.data());
  return t.to(d);
}
template <class T = void, class S, std::size_t N, std::size_t M, std::size_t K>
auto tensor(const S (&v)[N][M][K], Device d = {}) {
  using D = std::conditional_t<std::is_void_v<T>, dtype_of_literal<S>, T>;
  Tensor<D, 3> t = empty<D>(Shape{std::int64_t(N), std::int64_t(M), std::int64_t(K)});
  std::copy_n(&v[0][0][0], N * M * K, t.data());
  return t.to(d);
}
// A copy of a vector's elements.
template <class T>
Tensor<T, 1> tensor(const std::vector<T>& v, Device d = {}) {
  Tensor<T, 1> t = empty<T>(Shape{std::int64_t(v.size())});
  std::copy(v.begin(), v.end(), t.data());
  return t.to(d);
}
// Memory of the caller's, row-major, not copied: it must outlive every tensor that sees it.
template <class T, int R>
Tensor<T, R> from_blob(T* data, const Shape<R>& sizes) {
  check_sizes("from_blob", sizes);
  Ref<Storage> s = Ref<Storage>::adopt(new Storage);
  s->data = data;
  s->bytes = std::size_t(sizes.numel()) * sizeof(T);
  s->release = [](Storage&) {};
  return Tensor<T, R>(TensorImpl::make(dtype_of<T>(), Layout<R>::contiguous(sizes), std::move(s), data));
}
template <class T, std::size_t R>
Tensor<T, int(R)> from_blob(T* data, const std::int64_t (&sizes)[R]) { return from_blob(data, shape_of(sizes)); }

// ---- Sequences

// start, start + step, ... below end (above it where step is negative). Integers give int64.
template <class T = void, class A, class B = A, class C = A>
auto arange(A start, B end, C step, Device d = {}) {
  using D = std::conditional_t<std::is_void_v<T>, dtype_of_literal<std::common_type_t<A, B, C>>, T>;
  const double span = double(end) - double(start), by = double(step);
  if (by == 0 || !std::isfinite(span) || !std::isfinite(by)) fail<ValueError>("arange: the step from ", start, " to ", end, " must be finite and not zero, not ", step);
  if (span / by < 0) fail<ValueError>("arange: step ", step, " leads away from ", end, ", starting at ", start);
  const auto n = std::int64_t(std::ceil(span / by));
  Tensor<D, 1> t = empty<D>(Shape{n}, d);
  using C2 = std::conditional_t<is_floating<D>, double, std::int64_t>;
  if (d.is_cuda())
    sequence_on_device({t.data(), dtype_of<D>(), n, !is_floating<D>, false, std::int64_t(start), std::int64_t(step), double(start), double(step), 0});
  else for (std::int64_t i = 0; i < n; ++i) t.data()[i] = D(C2(start) + C2(i) * C2(step));
  return t;
}
template <class T = void, class A, class B>
auto arange(A start, B end, Device d = {}) { return arange<T>(start, end, B(1), d); }
template <class T = void, class A>
auto arange(A end, Device d = {}) { return arange<T>(A(0), end, A(1), d); }

template <class T = float>
Tensor<T, 1> linspace(double start, double end, std::int64_t steps, Device d = {}) {
  if (steps < 0) fail<ValueError>("linspace: a negative number of steps, ", steps);
  Tensor<T, 1> t = empty<T>(Shape{steps}, d);
  const double by = steps > 1 ? (end - start) / double(steps - 1) : 0;
  if (d.is_cuda()) sequence_on_device({t.data(), dtype_of<T>(), steps, false, true, 0, 0, start, by, end});
  else for (std::int64_t i = 0; i < steps; ++i)  // from both ends, so that the last is exact
    t.data()[i] = T(i < steps / 2 || steps == 1 ? start + by * double(i) : end - by * double(steps - 1 - i));
  return t;
}
template <class T = float>
Tensor<T, 2> eye(std::int64_t n, std::int64_t m, Device d = {}) {
  Tensor<T, 2> t = zeros<T>({n, m});
  for (std::int64_t i = 0; i < std::min(n, m); ++i) t.data()[i * m + i] = T(1);
  return t.to(d);
}
template <class T = float>
Tensor<T, 2> eye(std::int64_t n, Device d = {}) { return eye<T>(n, n, d); }

// ---- Random numbers; the stream does not depend on the number of threads, nor on the device

inline void fill_on_device_from(Generator& g, RandomFillArgs a) {
  a.stream = RandomRecording::reserve(g, std::uint64_t(a.n));
  random_fill_on_device(a);
}

inline namespace SINTER_ABI {

// f(words, out): turns four words into up to four elements.
template <class T, class F>
void fill_random(TensorImpl& t, Generator& g, F f) {
  const std::int64_t n = t.numel(), groups = (n + 3) / 4;
  const std::uint64_t seed = g.seed(), first = g.reserve(std::uint64_t(n));
  T* data = static_cast<T*>(t.data);
  constexpr std::int64_t grain = 4096;
  parallel_for((groups + grain - 1) / grain, n >= parallel_threshold, [=](std::int64_t c) {
    for (std::int64_t i = c * grain; i < std::min(groups, (c + 1) * grain); ++i) {
      T four[4];
      f(Philox(seed, first + std::uint64_t(i)), four);
      for (std::int64_t k = 0; k < std::min<std::int64_t>(4, n - 4 * i); ++k) data[4 * i + k] = four[k];
    }
  });
}

// Uniform in [low, high), normal with the given mean and deviation; they overwrite a contiguous tensor.
template <class T>
[[gnu::noinline]] void fill_uniform(TensorImpl& t, double low, double high, Generator& g) {
  using C = compute_t<T>;
  if (t.device().is_cuda()) return fill_on_device_from(g, {RandomFillArgs::uniform, t.dtype, t.data, t.numel(), low, high, 0, 0, {}});
  fill_random<T>(t, g, [low = C(low), span = C(high - low)](const Philox& p, T* out) {
    for (int k = 0; k < 4; ++k) out[k] = T(C(uniform_of(p.word[k])) * span + low);
  });
}
template <class T>
[[gnu::noinline]] void fill_normal(TensorImpl& t, double mean, double deviation, Generator& g) {
  using C = compute_t<T>;
  if (t.device().is_cuda()) return fill_on_device_from(g, {RandomFillArgs::normal, t.dtype, t.data, t.numel(), mean, deviation, 0, 0, {}});
  fill_random<T>(t, g, [mean = C(mean), deviation = C(deviation)](const Philox& p, T* out) {
    C x[4];
    normal_pair(p.word[0], p.word[1], x[0], x[1]);
    normal_pair(p.word[2], p.word[3], x[2], x[3]);
    for (int k = 0; k < 4; ++k) out[k] = T(x[k] * deviation + mean);
  });
}

}  // namespace SINTER_ABI

// Uniform in [0, 1).
template <class T = float, int R>
Tensor<T, R> rand(const Shape<R>& sizes, Generator& g = default_generator(), Device d = {}) {
  static_assert(is_floating<T>, "sinter: rand() makes floating point numbers; use randint()");
  check_sizes("rand", sizes);
  Tensor<T, R> t = empty<T>(sizes, d);
  fill_uniform<T>(*t.impl, 0, 1, g);
  return t;
}
template <class T = float, std::size_t R>
Tensor<T, int(R)> rand(const std::int64_t (&sizes)[R], Generator& g = default_generator(), Device d = {}) { return rand<T>(shape_of(sizes), g, d); }
template <class T = float, int R>
Tensor<T, R> rand(const Shape<R>& sizes, Device d) { return rand<T>(sizes, default_generator(), d); }
template <class T = float, std::size_t R>
Tensor<T, int(R)> rand(const std::int64_t (&sizes)[R], Device d) { return rand<T>(shape_of(sizes), d); }
// Normal with mean 0 and variance 1.
template <class T = float, int R>
Tensor<T, R> randn(const Shape<R>& sizes, Generator& g = default_generator(), Device d = {}) {
  static_assert(is_floating<T>, "sinter: randn() makes floating point numbers");
  check_sizes("randn", sizes);
  Tensor<T, R> t = empty<T>(sizes, d);
  fill_normal<T>(*t.impl, 0, 1, g);
  return t;
}
template <class T = float, std::size_t R>
Tensor<T, int(R)> randn(const std::int64_t (&sizes)[R], Generator& g = default_generator(), Device d = {}) { return randn<T>(shape_of(sizes), g, d); }
template <class T = float, int R>
Tensor<T, R> randn(const Shape<R>& sizes, Device d) { return randn<T>(sizes, default_generator(), d); }
template <class T = float, std::size_t R>
Tensor<T, int(R)> randn(const std::int64_t (&sizes)[R], Device d) { return randn<T>(shape_of(sizes), d); }
// Integers in [low, high).
template <class T = std::int64_t, int R>
Tensor<T, R> randint(std::int64_t low, std::int64_t high, const Shape<R>& sizes, Generator& g = default_generator(), Device d = {}) {
  if (low >= high) fail<ValueError>("randint: low must be less than high, not ", low, " and ", high);
  check_sizes("randint", sizes);
  Tensor<T, R> t = empty<T>(sizes, d);
  const auto range = std::uint64_t(high) - std::uint64_t(low);
  if (d.is_cuda()) {
    fill_on_device_from(g, {RandomFillArgs::integers, dtype_of<T>(), t.data(), t.numel(), 0, 0, low, range, {}});
    return t;
  }
  fill_random<T>(*t.impl, g, [=](const Philox& p, T* out) {
    for (int k = 0; k < 4; ++k) {  // 64 bits for each, so that the bias of the remainder is negligible
      const std::uint64_t x = std::uint64_t(p.word[k]) << 32 | p.word[(k + 1) % 4];
      out[k] = T(low + std::int64_t(x % range));
    }
  });
  return t;
}
template <class T = std::int64_t, std::size_t R>
Tensor<T, int(R)> randint(std::int64_t low, std::int64_t high, const std::int64_t (&sizes)[R], Generator& g = default_generator(), Device d = {}) {
  return randint<T>(low, high, shape_of(sizes), g, d);
}
template <class T = std::int64_t, int R>
Tensor<T, R> randint(std::int64_t low, std::int64_t high, const Shape<R>& sizes, Device d) { return randint<T>(low, high, sizes, default_generator(), d); }
template <class T = std::int64_t, std::size_t R>
Tensor<T, int(R)> randint(std::int64_t low, std::int64_t high, const std::int64_t (&sizes)[R], Device d) {
  return randint<T>(low, high, shape_of(sizes), d);
}
// The integers below n in random order (Fisher and Yates); drawn by the host.
inline Tensor<std::int64_t, 1> randperm(std::int64_t n, Generator& g = default_generator(), Device d = {}) {
  if (n < 0) fail<ValueError>("randperm: a negative number of elements, ", n);
  Tensor<std::int64_t, 1> t = empty<std::int64_t>(Shape{n});
  for (std::int64_t i = 0; i < n; ++i) t.data()[i] = i;
  for (std::int64_t i = n - 1; i > 0; --i) std::swap(t.data()[i], t.data()[g.below(std::uint64_t(i + 1))]);
  return t.to(d);
}
inline Tensor<std::int64_t, 1> randperm(std::int64_t n, Device d) { return randperm(n, default_generator(), d); }

}  // namespace sinter
