// SPDX-License-Identifier: MIT
// Random numbers on a device are the CPU's; recordings draw from a state in the device's memory.

#include <catch2/catch.hpp>

#include "schedules.hpp"
#include "sinter/functional/dropout.hpp"
#include "sinter/nn/init.hpp"
#include "sinter/tensor/compare.hpp"
#include "sinter/tensor/create.hpp"

using namespace sinter;

namespace {

constexpr Device card = Device::cuda();

template <class F>
void check_draw(F draw) {
  Generator a(3), b(3);
  const auto host = draw(a, Device::cpu()), device = draw(b, card);
  REQUIRE(allclose(device, host, 1e-6, 1e-6));
  REQUIRE(a.position() == b.position());
  REQUIRE(equal(draw(b, card), draw(a, Device::cpu())));
}
template <class T>
void check_dropout(std::int64_t n, double p) {
  Generator a(5), b(5), numbers(1);
  a.set_position(9), b.set_position(9);
  const auto x = randn<T>({n}, numbers), up = randn<T>({n}, numbers);
  auto host = x.clone().requires_grad_(), device = x.cuda().requires_grad_();
  const auto y = dropout(host, p, true, a), z = dropout(device, p, true, b);
  REQUIRE(equal(z.detach(), y.detach()));
  REQUIRE(a.position() == b.position());
  y.backward(up);
  z.backward(up.cuda());
  REQUIRE(equal(device.grad(), host.grad()));
}

}  // namespace

TEST_CASE("fills draw what the CPU draws") {
  for (const std::int64_t n : {1, 2, 3, 4, 5, 63, 1000, 4099}) {
    check_draw([=](Generator& g, Device d) { return rand({n}, g, d); });
    check_draw([=](Generator& g, Device d) { return rand<double>({n}, g, d); });
    check_draw([=](Generator& g, Device d) { return rand<bfloat16>({n}, g, d); });
    check_draw([=](Generator& g, Device d) { return randn({n}, g, d); });
    check_draw([=](Generator& g, Device d) { return randn<half>({n}, g, d); });
    check_draw([=](Generator& g, Device d) { return randint(-5, 70, {n}, g, d); });
    check_draw([=](Generator& g, Device d) { return randint<std::uint8_t>(0, 200, {n}, g, d); });
    check_draw([=](Generator& g, Device d) { return randperm(n, g, d); });
  }
  Generator a(4), b(4);
  const auto host = empty({40, 30}), device = empty({40, 30}, card);
  nn::init::xavier_normal_(host, 1, a);
  nn::init::xavier_normal_(device, 1, b);
  REQUIRE(allclose(device, host, 1e-6, 1e-6));
  nn::init::uniform_(transpose(host, 0, 1), -2, 3, a);
  nn::init::uniform_(transpose(device, 0, 1), -2, 3, b);
  REQUIRE(allclose(device, host, 1e-6, 1e-6));
  nn::init::constant_(device, 4);
  REQUIRE(equal(device, full({40, 30}, 4.f)));
}

TEST_CASE("dropout keeps what the CPU's keeps, forwards and back") {
  for (const std::int64_t n : {1, 4, 7, 1024, 5001})
    for (const double p : {0.1, 0.5, 1.0}) {
      check_dropout<float>(n, p);
      check_dropout<double>(n, p);
      check_dropout<bfloat16>(n, p);
      check_dropout<half>(n, p);
    }
  const auto x = ones({3000}, card);
  same_under_all_schedules([&] {
    Generator g(1);
    const auto y = dropout(x, 0.3, true, g).cpu();
    return std::vector<float>(y.data(), y.data() + 3000);
  });
  // Addresses that no pack may be read from.
  Generator a(1), b(1);
  const auto part = narrow(x, 0, 1, 2900);
  REQUIRE(equal(dropout(part, 0.3, true, a), dropout(part.cpu(), 0.3, true, b)));
}

TEST_CASE("a recording draws relative to a state of the device") {
  const Tensor<std::int64_t, 1> memory = zeros<std::int64_t>({2}, card);
  auto* state = reinterpret_cast<RandomState*>(memory.data());
  Generator g(11), eager(11);
  rand({10}, g), rand({10}, eager);
  set_random_on_device(state, g.seed(), g.position());
  const auto x = ones({100}, card);
  std::uint64_t drawn = 0;
  const auto step = [&] { return eval(dropout(x, 0.5, true, g) + rand({100}, g, card)); };
  const auto expected = [&] { return eval(dropout(x.cpu(), 0.5, true, eager) + rand({100}, eager)); };
  const std::uint64_t before = g.position();
  {
    RandomRecording recording(state, g);
    REQUIRE(equal(step(), expected()));
    drawn = recording.counters();
  }
  REQUIRE(drawn == g.position() - before);
  // What a replay would do: the same launches once more, behind an advanced state.
  advance_random_on_device(state, drawn);
  {
    g.set_position(before);
    RandomRecording recording(state, g);
    REQUIRE(equal(step(), expected()));
  }
}
