// SPDX-License-Identifier: MIT
// A training step of GPT-2 with 124 million parameters in bfloat16, with weights in float behind them (AdamW's master_weights):
// eager, and replayed as a CUDA graph. bench_gpt2 [BATCH [SECONDS]]; torch_gpt2.py has the same.
#include <chrono>
#include <cstdlib>

#include "timing.hpp"

using namespace bench;

namespace {

using T = bfloat16;
constexpr std::int64_t depth = 12, width = 768, heads = 12, context = 1024, vocabulary = 50304;

template <std::size_t R>
Tensor<T, int(R)> random(const std::int64_t (&sizes)[R], double scale = 0.02) {
  Tensor<T, int(R)> t = empty<T>(sizes, gpu);
  nn::init::normal_(t, 0, scale);
  return t;
}

struct Linear : nn::Module<Linear> {
  nn::Parameter<T, 2> weight;
  nn::Parameter<T, 1> bias;
  Linear(std::int64_t in, std::int64_t out, double scale = 0.02) : weight(random({out, in}, scale)), bias(zeros<T>({out}, gpu)) {}
  template <class V>
  void visit(V&& v) {
    v("weight", weight), v("bias", bias);
  }
  auto forward(const Tensor<T, 3>& x) const { return linear(x, weight, bias); }
};
struct Norm : nn::Module<Norm> {
  nn::Parameter<T, 1> weight{ones<T>({width}, gpu)}, bias{zeros<T>({width}, gpu)};
  template <class V>
  void visit(V&& v) {
    v("weight", weight), v("bias", bias);
  }
  Tensor<T, 3> forward(const Tensor<T, 3>& x) const { return layer_norm(x, {width}, weight, bias); }
};
struct Block : nn::Module<Block> {
  Norm ln1, ln2;
  Linear qkv{width, 3 * width}, proj{width, width, 0.02 / std::sqrt(2.0 * depth)}, fc1{width, 4 * width},
      fc2{4 * width, width, 0.02 / std::sqrt(2.0 * depth)};
  template <class V>
  void visit(V&& v) {
    v("ln1", ln1), v("ln2", ln2), v("qkv", qkv), v("proj", proj), v("fc1", fc1), v("fc2", fc2);
  }
  Tensor<T, 3> forward(const Tensor<T, 3>& x) const {
    const Tensor<T, 3> projected = qkv(ln1(x));
    const Tensor<T, 3> y = x + proj(multi_head_attention(projected, heads, Tensor<bool, 2>(), SDPAOptions().is_causal(true)));
    const Tensor<T, 3> hidden = gelu_tanh(fc1(ln2(y)));
    return y + fc2(hidden);
  }
};
// Tokens (batch, context) -> scores (batch * context, vocabulary); the head is the table of tokens.
struct Gpt2 : nn::Module<Gpt2> {
  nn::Parameter<T, 2> wte{random({vocabulary, width})}, wpe{random({context, width})};
  nn::ModuleList<Block> blocks;
  Norm ln;
  Gpt2() {
    for (std::int64_t i = 0; i < depth; ++i) blocks.append();
  }
  template <class V>
  void visit(V&& v) {
    v("wte", wte), v("wpe", wpe), v("blocks", blocks), v("ln", ln);
  }
  Tensor<T, 2> forward(const Tensor<std::int64_t, 2>& tokens) const {
    const Tensor<float, 2> table = sinter::to<float>(wte);  // embedding() takes floats
    Tensor<T, 3> x = sinter::to<T>(embedding(tokens, table)) + wpe;
    for (const Block& block : blocks) x = block(x);
    const Tensor<T, 3> scores = linear(ln(x), wte);
    return scores.flatten<0, 1>();
  }
};

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// The median of the milliseconds of batches of five steps.
template <class F>
double step_ms(F&& step, double seconds) {
  cuda::synchronize();
  std::vector<double> times;
  for (const double begin = now(); now() - begin < seconds || times.size() < 3;) {
    const double start = now();
    for (int i = 0; i < 5; ++i) step();
    cuda::synchronize();
    times.push_back((now() - start) * 200);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// 6 operations for each parameter and token, and attention's.
void report_step(const char* name, double ms, std::int64_t batch, std::int64_t parameters, double first, double last) {
  const double tokens = double(batch * context);
  const double flops = tokens * (6.0 * double(parameters) + 12.0 * depth * width * context);
  const DeviceMemory m = cuda::memory();
  std::printf("{\"name\": \"%s\", \"peer\": \"sinter\", \"ms\": %.6g, \"tokens_per_s\": %.6g, \"tflops\": %.4g, \"batch\": %d, \"gib\": %.3g, "
              "\"first_loss\": %.5g, \"last_loss\": %.5g}\n",
              name, ms, tokens / ms * 1e3, flops / ms * 1e-9, int(batch), double(m.peak) / (1 << 30), first, last);
  std::fflush(stdout);
}

void train(std::int64_t batch, double seconds) {
  manual_seed(1);
  Gpt2 net;
  optim::AdamW opt(net, optim::AdamWOptions().lr(1e-4).weight_decay(0.1));
  const auto x = randint(0, 50257, {batch, context}).to(gpu);
  const auto y = randint(0, 50257, {batch * context}).to(gpu);
  const Tensor<T, 0> loss = zeros<T>(Shape<0>{}, gpu);
  const auto step = [&] {
    opt.zero_grad();
    const Tensor<T, 0> l = cross_entropy(net(x), y);
    l.backward();
    opt.step(optim::ClipGradNorm(1.0));
    no_grad([&] { loss.detach().copy_(l.detach()); });
  };
  const auto value = [&] { return double(float(loss.item())); };
  step();
  const double first = value();
  for (int i = 0; i < 3; ++i) step();
  const double eager = step_ms(step, seconds);
  report_step("gpt2_step", eager, batch, net.num_parameters(), first, value());
  try {
    cuda::empty_cache();  // the graph's memory is its own
    const cuda::Graph graph = cuda::capture(step);
    for (int i = 0; i < 2; ++i) graph.replay();
    const double captured = step_ms([&] { graph.replay(); }, seconds);
    report_step("gpt2_step_graph", captured, batch, net.num_parameters(), first, value());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_gpt2: no graph: %s\n", e.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::int64_t batch = argc > 1 ? std::atoll(argv[1]) : 16;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 3;
  for (; batch >= 1; batch /= 2) try {
      train(batch, seconds);
      return 0;
    } catch (const std::exception& e) {
      std::fprintf(stderr, "bench_gpt2: batch %d: %s\n", int(batch), e.what());
      try {
        cuda::synchronize();
        cuda::empty_cache();
      } catch (const std::exception&) {
        std::_Exit(3);
      }
    }
  return 1;
}
