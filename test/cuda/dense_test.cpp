// SPDX-License-Identifier: MIT
// Copies between layouts and dtypes, fills, sums and sequences against the CPU's; joins and creation on a device.

#include <catch2/catch.hpp>
#include <random>

#include "schedules.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"
#include "sinter/tensor/join.hpp"
#include "sinter/tensor/print.hpp"

using namespace sinter;

namespace {

constexpr Device card = Device::cuda();
constexpr DType dtypes[] = {DType::boolean, DType::uint8, DType::int32, DType::int64, DType::float16, DType::bfloat16, DType::float32, DType::float64};

// The same memory and layout on the device.
Ref<TensorImpl> twin(const TensorImpl& t) {
  Ref<TensorImpl> d = TensorImpl::alias(t);
  d->storage = Storage::allocate(t.storage->bytes, card);
  cuda_backend->copy(d->storage->data, 0, t.storage->data, -1, t.storage->bytes);
  d->data = static_cast<char*>(d->storage->data) + (static_cast<char*>(t.data) - static_cast<char*>(t.storage->data));
  return d;
}
std::vector<char> bytes_of(const Storage& s) {
  std::vector<char> b(s.bytes);
  if (s.device.is_cuda()) cuda_backend->copy(b.data(), -1, s.data, 0, s.bytes);
  else std::memcpy(b.data(), s.data, s.bytes);
  return b;
}

// A view of a random layout: dimensions in another order, rows that are parts of longer ones, perhaps at an offset.
Ref<TensorImpl> view_of(DType dtype, const std::vector<std::int64_t>& sizes, std::mt19937& random, bool expanded) {
  const int rank = int(sizes.size());
  std::vector<int> order(static_cast<std::size_t>(rank));
  for (int i = 0; i < rank; ++i) order[std::size_t(i)] = i;
  if (random() % 2) std::shuffle(order.begin(), order.end(), random);
  const std::int64_t gap = random() % 3 == 0 ? std::int64_t(random() % 5) : 0, offset = std::int64_t(random() % 3 == 0 ? random() % 9 : 0);
  Ref<TensorImpl> t = Ref<TensorImpl>::adopt(new TensorImpl);
  t->dtype = dtype;
  t->rank = rank;
  std::int64_t step = random() % 6 == 0 ? 2 : 1;
  for (int k = rank - 1; k >= 0; --k) {
    const int d = order[std::size_t(k)];
    t->sizes[d] = sizes[std::size_t(d)];
    const bool stretched = expanded && random() % 5 == 0;
    t->strides[d] = stretched ? 0 : step;
    if (!stretched) step = step * sizes[std::size_t(d)] + gap;
  }
  t->storage = Storage::allocate(std::size_t((step + offset + 1) * size_of(dtype)));
  t->data = static_cast<char*>(t->storage->data) + offset * size_of(dtype);
  for (std::int64_t i = 0; i < step + offset + 1; ++i)
    store_as(dtype, static_cast<char*>(t->storage->data) + i * size_of(dtype), double(random() % 800) / 4);
  return t;
}

}  // namespace

TEST_CASE("a copy on the device is the CPU's, in all layouts and dtypes") {
  std::mt19937 random(1);
  const std::int64_t extents[] = {1, 1, 2, 3, 4, 7, 8, 13, 32, 33, 70};
  for (int round = 0; round < 400; ++round) {
    std::vector<std::int64_t> sizes(random() % 5);
    std::int64_t n = 1;
    for (auto& s : sizes) {
      s = extents[random() % 11];
      if (n * s > 20000) s = 2;
      n *= s;
    }
    const DType from_type = dtypes[random() % 8], to_type = random() % 2 ? from_type : dtypes[random() % 8];
    const auto from = view_of(from_type, sizes, random, true), to = view_of(to_type, sizes, random, false);
    const auto there = twin(*to), here = twin(*from);
    copy_strided(*to, *from);
    copy_on_device(*there, *here);
    INFO("round " << round << ", " << from_type << " to " << to_type << ", " << to->shape());
    REQUIRE(bytes_of(*there->storage) == bytes_of(*to->storage));
  }
}

TEST_CASE("transpositions and long dense copies") {
  std::mt19937 random(2);
  for (const std::int64_t rows : {8, 31, 64, 129})
    for (const std::int64_t columns : {8, 33, 65})
      for (const DType t : {DType::uint8, DType::bfloat16, DType::float32, DType::float64}) {
        const auto from = empty_dense(t, Shape{std::int64_t(2), rows, columns});
        for (std::int64_t i = 0; i < from->numel(); ++i) store_as(t, static_cast<char*>(from->data) + i * size_of(t), double(random() % 200));
        const auto to = empty_dense(t, Shape{std::int64_t(2), columns, rows});
        std::memset(to->data, 0, to->storage->bytes);
        std::swap(to->sizes[1], to->sizes[2]), std::swap(to->strides[1], to->strides[2]);
        const auto there = twin(*to), here = twin(*from);
        copy_strided(*to, *from);
        REQUIRE(same_under_all_schedules([&] {
                  copy_on_device(*there, *here);
                  return bytes_of(*there->storage);
                }) == bytes_of(*to->storage));
      }
  for (const std::int64_t n : {1, 7, 8, 4096, 5003})
    for (const DType t : {DType::float16, DType::bfloat16}) {
      const auto wide = empty_dense(DType::float32, Shape{n});
      for (std::int64_t i = 0; i < n; ++i) static_cast<float*>(wide->data)[i] = float(random()) / 1e6f;
      const auto narrow = dense_clone(*wide, t);
      REQUIRE(bytes_of(*dense_clone(*twin(*wide), t)->storage) == bytes_of(*narrow->storage));
      REQUIRE(bytes_of(*dense_clone(*twin(*narrow), DType::float32)->storage) == bytes_of(*dense_clone(*narrow, DType::float32)->storage));
    }
}

TEST_CASE("fills reach all elements and no others") {
  for (const DType t : dtypes)
    for (const std::int64_t n : {0, 1, 2, 3, 15, 16, 17, 31, 1000, 5001})
      for (const std::int64_t offset : {0, 1, 3, 8}) {
        const auto host = empty_dense(t, Shape{n + offset + 3});
        std::memset(host->data, 1, host->storage->bytes);
        const auto device = twin(*host);
        double value = t == DType::boolean ? 0 : 3;
        std::uint64_t pattern = 0;
        store_as(t, &pattern, value);
        fill_on_device(static_cast<char*>(device->data) + offset * size_of(t), t, n, pattern);
        for (std::int64_t i = 0; i < n; ++i) store_as(t, static_cast<char*>(host->data) + (offset + i) * size_of(t), value);
        REQUIRE(bytes_of(*device->storage) == bytes_of(*host->storage));
      }
}

TEST_CASE("sums of two tensors") {
  std::mt19937 random(3);
  for (const DType t : dtypes)
    for (const std::int64_t n : {0, 1, 5, 16, 37, 4096, 9001})
      for (const std::int64_t offset : {0, 1}) {
        const auto a = empty_dense(t, Shape{n + offset}), b = empty_dense(t, Shape{n + offset}), sum = empty_dense(t, Shape{n + offset});
        for (std::int64_t i = 0; i < n + offset; ++i) {
          const std::int64_t at = i * size_of(t);
          char *x = static_cast<char*>(a->data) + at, *y = static_cast<char*>(b->data) + at;
          store_as(t, x, double(random() % 100) / 8);
          store_as(t, y, double(random() % 100) / 8);
          store_as(t, static_cast<char*>(sum->data) + at, i < offset ? widened(t, x) : widened(t, x) + widened(t, y));
        }
        const auto x = twin(*a), y = twin(*b);
        const std::int64_t skip = offset * size_of(t);
        add_on_device(static_cast<char*>(x->data) + skip, static_cast<char*>(x->data) + skip, static_cast<char*>(y->data) + skip, t, n);
        REQUIRE(bytes_of(*x->storage) == bytes_of(*sum->storage));
      }
}

TEST_CASE("tensors are created on a device") {
  REQUIRE(equal(zeros({3, 5}, card), zeros({3, 5})));
  REQUIRE(equal(ones<bfloat16>({70}, card), ones<bfloat16>({70})));
  REQUIRE(equal(full({2, 2}, true, card), full({2, 2}, true)));
  REQUIRE(equal(full({9}, 7, card), full({9}, 7)));
  REQUIRE(equal(zeros({0}, card), zeros({0})));
  REQUIRE(equal(arange(1000, card), arange(1000)));
  REQUIRE(equal(arange(5, -7, -3, card), arange(5, -7, -3)));
  REQUIRE(equal(arange(0.5, 9.25, 0.25, card), arange(0.5, 9.25, 0.25)));
  REQUIRE(equal(arange<half>(33, card), arange<half>(33)));
  for (const std::int64_t n : {0, 1, 2, 7, 100}) REQUIRE(equal(linspace(-1, 3, n, card), linspace(-1, 3, n)));
  REQUIRE(equal(eye(4, 6, card), eye(4, 6)));
  REQUIRE(equal(tensor({1.5, 2.5}, card), tensor({1.5, 2.5})));
  REQUIRE(tensor(2.5, card).item() == 2.5f);
  REQUIRE(equal(randperm(50, Device::cuda()), [] { manual_seed(5); return randperm(50); }()) == false);
  const Tensor<float, 2> x = ones({2, 3}, card);
  REQUIRE(zeros_like(x).device() == card);
  REQUIRE(equal(full_like(x, 4), full({2, 3}, 4.f)));
  REQUIRE_THROWS_AS(zeros({2}, Device::cuda(7)), DeviceError);
}

TEST_CASE("joins and cuts on a device") {
  const Tensor<float, 2> a = rand({3, 4}), b = rand({2, 4}), c = rand({3, 5});
  REQUIRE(equal(cat({a.cuda(), b.cuda()}), cat({a, b})));
  REQUIRE(equal(cat({a.cuda(), c.cuda()}, 1), cat({a, c}, 1)));
  REQUIRE(equal(stack({a.cuda(), a.cuda()}, 2), stack({a, a}, 2)));
  REQUIRE(equal(split(c.cuda(), 2, 1)[2], split(c, 2, 1)[2]));
  REQUIRE_THROWS_AS(cat({a, b.cuda()}), DeviceError);
}

TEST_CASE("a device's tensor prints with its device") {
  std::ostringstream text;
  text << arange(3, card);
  REQUIRE(text.str() == "tensor([0, 1, 2], device='cuda:0')");
}
