// SPDX-License-Identifier: MIT
// Attention of tensors on CUDA against the CPU: results, gradients, the same dropped weights.
#include "on_cuda.hpp"

using namespace on_cuda;

// Leaves of their own: gradients add up.
template <class T, int R>
Tensor<T, R> fresh(const Tensor<T, R>& x) { return x.detach().clone(); }

TEST_CASE("cuda: attention, its masks and its gradients") {
  const auto q = randn({2, 4, 9, 8}), k = randn({2, 2, 7, 8}), v = randn({2, 2, 7, 6});
  const auto o = SDPAOptions().enable_gqa(true);
  same_everywhere([&](auto q, auto k, auto v) { return scaled_dot_product_attention(q, k, v, o); }, 1e-4, 1e-5, fresh(q), fresh(k), fresh(v));
  same_everywhere([&](auto q, auto k, auto v) { return scaled_dot_product_attention(q, k, v, SDPAOptions(o).is_causal(true).scale(0.7)); }, 1e-4, 1e-5, fresh(q), fresh(k), fresh(v));
  const Tensor<bool, 3> seen = rand({4, 9, 7}) < 0.6;
  same_everywhere([&](auto q, auto k, auto v) { return scaled_dot_product_attention(q, k, v, seen.to(q.device()), o); }, 1e-4, 1e-5, fresh(q), fresh(k), fresh(v));
  const auto bias = randn({9, 1});
  same_everywhere([&](auto q, auto k, auto v) { return scaled_dot_product_attention(q, k, v, bias.to(q.device()), o); }, 1e-4, 1e-5, fresh(q), fresh(k), fresh(v));
  same_everywhere([&](auto q, auto k, auto v) {
    Generator g(7);
    return scaled_dot_product_attention(q, k, v, SDPAOptions(o).dropout_p(0.4), g);
  }, 1e-4, 1e-5, fresh(q), fresh(k), fresh(v));
  same_everywhere([&](auto q) {  // heads side by side, as views
    const auto heads = transpose(reshape(q, Shape<4>{{2, 4, 3, 3}}), 1, 2);
    const Tensor<double, 4> x(heads);
    return scaled_dot_product_attention(x, x, x);
  }, 1e-11, 1e-12, randn<double>({2, 4, 9}));
}

TEST_CASE("cuda: attention of a packed projection") {
  for (const bool batch_first : {true, false}) {
    const HeadsJoined heads(2, batch_first);
    same_everywhere([&](auto qkv) { return multi_head_attention(qkv, heads, Tensor<bool, 2>(), SDPAOptions().is_causal(true)); }, 1e-4, 1e-5, randn({2, 5, 48}));
    same_everywhere([&](auto q, auto kv) { return multi_head_attention(q, kv, heads); }, 1e-4, 1e-5, randn({3, 3, 16}), randn({3, 3, 32}));
  }
  nn::MultiheadAttention here(16, 2, nn::MultiheadAttentionOptions().batch_first(true));
  nn::MultiheadAttention there = here;
  there.to(gpu);
  const auto x = randn({2, 6, 16});
  const Tensor<bool, 2> padding = rand({2, 6}) < 0.3;
  require_close(there(x.to(gpu), x.to(gpu), x.to(gpu), nn::AttentionMasks().key_padding_mask(padding.to(gpu))).detach(),
                here(x, x, x, nn::AttentionMasks().key_padding_mask(padding)).detach(), 1e-4, 1e-5);
}

TEST_CASE("cuda: attention in 16 bits, by tensor cores") {
  const auto q = eval(to<bfloat16>(randn({1, 2, 20, 16}))), k = eval(to<bfloat16>(randn({1, 2, 24, 16}))), v = eval(to<bfloat16>(randn({1, 2, 24, 16})));
  same_everywhere([](auto q, auto k, auto v) { return scaled_dot_product_attention(q, k, v, SDPAOptions().is_causal(true)); }, 3e-2, 3e-2, fresh(q), fresh(k), fresh(v));
  same_everywhere([](auto qkv) { return multi_head_attention(qkv, HeadsJoined(2)); }, 3e-2, 3e-2, eval(to<bfloat16>(randn({1, 9, 48}))));
  const auto bias = eval(to<bfloat16>(randn({20, 24})));
  same_everywhere([&](auto q, auto k, auto v) { return scaled_dot_product_attention(q, k, v, bias.to(q.device())); }, 3e-2, 3e-2, fresh(q), fresh(k), fresh(v));
}

TEST_CASE("cuda: what attention refuses") {
  const auto q = randn({2, 3, 4}), there = q.to(gpu);
  CHECK_THROWS_AS(scaled_dot_product_attention(there, q, q), DeviceError);
  CHECK_THROWS_AS(scaled_dot_product_attention(there, there, there, zeros({3, 3})), DeviceError);
  const auto wide = randn({2, 3, 300}).to(gpu);
  CHECK_THROWS_AS(scaled_dot_product_attention(wide, wide, wide), ShapeError);
}
