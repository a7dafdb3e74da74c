// SPDX-License-Identifier: MIT
// Single statements on tensors that fill a GPU; torch_large.py has the same. bench_gpu_large [--only chains,rows,optim,products]
#include "timing.hpp"

using namespace bench;

namespace {

constexpr double gib = 1 << 30;

template <class T, std::size_t R>
Tensor<T, int(R)> random(const std::int64_t (&sizes)[R], double scale = 1) {
  Tensor<T, int(R)> t = empty<T>(sizes, gpu);
  nn::init::normal_(t, 0, scale);
  return t;
}
template <class... X>
void forget(X&... x) { (x.set_grad({}), ...); }

// ---- chains: copies and statements of elements

void copy(const std::string& name) {
  const auto from = random<float>({1 << 28}), to = random<float>({1 << 28});
  const auto bytes = std::size_t(gib);
  report_bytes(name, time_ms([&] { cuda_backend->copy(to.data(), 0, from.data(), 0, bytes); }), 2 * gib);
}

// gelu_tanh(x * a + b) * c with a and b for each column and c for each row, of 2^28 elements.
template <class T>
struct Chain {
  static constexpr std::int64_t rows = 65536, columns = 4096;
  static constexpr double bytes = double(rows * columns) * sizeof(T);
  Tensor<T, 2> x = random<T>({rows, columns}), c = random<T>({rows, 1});
  Tensor<T, 1> a = random<T>({columns}), b = random<T>({columns});
  Tensor<T, 2> operator()() const { return gelu_tanh(x * a + b) * c; }
};
template <class T>
void chain_forward(const std::string& name) {
  const Chain<T> chain;
  NoGradGuard no_grad;
  report_bytes(name, time_ms([&] { chain(); }), 2 * chain.bytes);
}
template <class T>
void chain_backward(const std::string& name) {
  Chain<T> chain;
  const auto g = random<T>({chain.rows, chain.columns});
  chain.x.requires_grad_(), chain.a.requires_grad_(), chain.b.requires_grad_(), chain.c.requires_grad_();
  const Tensor<T, 2> y = chain();
  report_bytes(name, time_ms([&] {
                 forget(chain.x, chain.a, chain.b, chain.c);
                 y.backward(g, true);
               }),
               3 * chain.bytes);
}

// ---- rows

constexpr std::int64_t rows = 32768, columns = 8192;

// f(x, w, b) forward (its bytes twice) or backward (three times).
template <class F>
void row_pass(const std::string& name, bool backward, F f) {
  auto x = random<float>({rows, columns});
  auto w = random<float>({columns}), b = random<float>({columns});
  if (!backward) {
    NoGradGuard no_grad;
    report_bytes(name, time_ms([&] { f(x, w, b); }), 2 * gib);
    return;
  }
  const auto g = random<float>({rows, columns});
  x.requires_grad_(), w.requires_grad_(), b.requires_grad_();
  const Tensor<float, 2> y = f(x, w, b);
  report_bytes(name, time_ms([&] {
                 forget(x, w, b);
                 y.backward(g, true);
               }),
               3 * gib);
}
using Matrix = Tensor<float, 2>;
using Vector = Tensor<float, 1>;
Matrix softmaxed(const Matrix& x, const Vector&, const Vector&) { return softmax(x, 1); }
Matrix layer_normed(const Matrix& x, const Vector& w, const Vector& b) { return layer_norm(x, {columns}, w, b); }
Matrix rms_normed(const Matrix& x, const Vector& w, const Vector&) { return rms_norm(x, {columns}, w); }

template <class T>
void cross_entropy_both(const std::string& name) {
  auto x = random<T>({8192, 50257});
  const auto y = randint(0, 50257, {8192}).to(gpu);
  x.requires_grad_();
  report_bytes(name, time_ms([&] {
                 forget(x);
                 const Tensor<T, 0> loss = cross_entropy(x, y);
                 loss.backward();
               }),
               3.0 * double(x.numel()) * sizeof(T));
}
// Of GPT-2's table: 16 rows of 1024 tokens.
void embedding_backward(const std::string& name) {
  auto table = random<float>({50257, 768});
  const auto tokens = randint(0, 50257, {16, 1024}).to(gpu);
  const auto g = random<float>({16, 1024, 768});
  table.requires_grad_();
  const Tensor<float, 3> y = embedding(tokens, table);
  report_bytes(name, time_ms([&] {
                 forget(table);
                 y.backward(g, true);
               }),
               4.0 * 768 * (16384 + 50257));
}

// ---- optim: AdamW on GPT-2's 124 million parameters

struct Gpt2Shapes {
  std::vector<Matrix> matrices;
  std::vector<Vector> vectors;
  double numel = 0;
  Gpt2Shapes() {
    const auto matrix = [&](std::int64_t n, std::int64_t m) { matrices.push_back(random<float>({n, m}, 0.02)), numel += double(n * m); };
    const auto vector = [&](std::int64_t n) { vectors.push_back(random<float>({n}, 0.02)), numel += double(n); };
    matrix(50257, 768), matrix(1024, 768);
    for (int i = 0; i < 12; ++i) {
      matrix(2304, 768), matrix(768, 768), matrix(3072, 768), matrix(768, 3072);
      vector(2304), vector(768), vector(3072), vector(768);
      for (int k = 0; k < 4; ++k) vector(768);
    }
    vector(768), vector(768);
    for (Matrix& m : matrices) m.requires_grad_(), m.set_grad(random<float>({m.size(0), m.size(1)}, 1e-3));
    for (Vector& v : vectors) v.requires_grad_(), v.set_grad(random<float>({v.size(0)}, 1e-3));
  }
  std::vector<Ref<TensorImpl>> parameters() const {
    std::vector<Ref<TensorImpl>> list;
    for (const Matrix& m : matrices) list.push_back(m.impl);
    for (const Vector& v : vectors) list.push_back(v.impl);
    return list;
  }
};
// Reads p, g, m, v and writes p, m, v; clipping reads g once more.
void adamw(const std::string& name, bool clip) {
  const Gpt2Shapes net;
  optim::AdamW opt(net.parameters(), optim::AdamWOptions().lr(1e-4));
  const double ms = time_ms([&] {
    if (clip) opt.step(optim::ClipGradNorm(1.0));
    else opt.step();
  });
  report_bytes(name, ms, 4 * (clip ? 8 : 7) * net.numel);
}

// ---- products

template <class T>
void square_product(const std::string& name, bool tf32) {
  constexpr std::int64_t n = 8192;
  const auto a = random<T>({n, n}), b = random<T>({n, n});
  const bool before = cuda::allows_tf32();
  cuda::allow_tf32(tf32);
  report_flops(name, time_ms([&] { Tensor<T, 2> c = matmul(a, b); }), 2.0 * n * n * n);
  cuda::allow_tf32(before);
}
void linear_gelu(const std::string& name) {
  const auto x = random<bfloat16>({8192, 4096}), w = random<bfloat16>({16384, 4096}, 1.0 / 64);
  const auto b = random<bfloat16>({16384});
  report_flops(name, time_ms([&] { Tensor<bfloat16, 2> y = gelu_tanh(linear(x, w, b)); }), 2.0 * 8192 * 4096 * 16384);
}
// Operations: 4 (forward) or 10 (backward) for each pair of tokens and column of a head; half of the pairs where it is causal.
void attention(const std::string& name, std::int64_t width, bool causal, bool backward) {
  auto q = random<bfloat16>({4, 16, 4096, width}), k = random<bfloat16>({4, 16, 4096, width}), v = random<bfloat16>({4, 16, 4096, width});
  const double pairs = 4.0 * 16 * 4096 * 4096 * double(width) * (causal ? 0.5 : 1);
  const auto options = SDPAOptions().is_causal(causal);
  using Heads = Tensor<bfloat16, 4>;
  if (!backward) {
    NoGradGuard no_grad;
    report_flops(name, time_ms([&] { Heads y = scaled_dot_product_attention(q, k, v, options); }), 4 * pairs);
    return;
  }
  const auto g = random<bfloat16>({4, 16, 4096, width});
  q.requires_grad_(), k.requires_grad_(), v.requires_grad_();
  const Heads y = scaled_dot_product_attention(q, k, v, options);
  report_flops(name, time_ms([&] {
                 forget(q, k, v);
                 y.backward(g, true);
               }),
               10 * pairs);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<Case> cases{
      {"chains", "copy", copy},
      {"chains", "chain_fwd_f32", chain_forward<float>},
      {"chains", "chain_bwd_f32", chain_backward<float>},
      {"chains", "chain_fwd_bf16", chain_forward<bfloat16>},
      {"chains", "chain_bwd_bf16", chain_backward<bfloat16>},
      {"rows", "cross_entropy_f32", cross_entropy_both<float>},
      {"rows", "cross_entropy_bf16", cross_entropy_both<bfloat16>},
      {"rows", "embedding_bwd", embedding_backward},
      {"optim", "adamw", [](const std::string& n) { adamw(n, false); }},
      {"optim", "adamw_clip", [](const std::string& n) { adamw(n, true); }},
      {"products", "matmul_bf16", [](const std::string& n) { square_product<bfloat16>(n, false); }},
      {"products", "matmul_tf32", [](const std::string& n) { square_product<float>(n, true); }},
      {"products", "linear_gelu_bf16", linear_gelu},
  };
  for (const bool backward : {false, true}) {
    const std::string pass = backward ? "_bwd" : "_fwd";
    cases.push_back({"rows", "softmax" + pass, [=](const std::string& n) { row_pass(n, backward, softmaxed); }});
    cases.push_back({"rows", "layer_norm" + pass, [=](const std::string& n) { row_pass(n, backward, layer_normed); }});
    cases.push_back({"rows", "rms_norm" + pass, [=](const std::string& n) { row_pass(n, backward, rms_normed); }});
    for (const int width : {64, 128})
      for (const bool causal : {false, true})
        cases.push_back({"products", "sdpa" + pass + '_' + std::to_string(width) + (causal ? "_causal" : ""),
                         [=](const std::string& n) { attention(n, width, causal, backward); }});
  }
  return run_cases(cases, argc, argv);
}
