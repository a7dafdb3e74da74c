# SPDX-License-Identifier: MIT
"""The workloads in PyTorch, eager or compiled. Usage: torch_bench.py [--mode eager|compile] [--device cpu|cuda]
[--workload ...] [--threads N]. On CUDA a training step has a second figure, "graph": captured and replayed."""
import argparse
import common

parser = argparse.ArgumentParser(parents=[common.threads_parser])
parser.add_argument("--mode", choices=["eager", "compile"], default="eager")
parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
args = parser.parse_args()
common.limit_threads(args.threads)

import torch
import torch.nn.functional as F
import torch_nets as nets

torch.set_num_threads(args.threads)
cuda = args.device == "cuda"
torch.backends.cudnn.allow_tf32 = False  # products of floats are exact, in convolutions as in matrix products
wait = torch.cuda.synchronize if cuda else None


def compiled(function):
    return torch.compile(function, dynamic=False) if args.mode == "compile" else function


def normal(name, *shape):
    return torch.from_numpy(common.normal(name, shape)).to(args.device)


def labels(name, shape, classes):
    return torch.from_numpy(common.labels(name, shape, classes)).to(args.device)


def digests(*tensors):
    return [number for t in tensors for number in common.digest(t.detach().cpu().numpy())]


def forward(function, *inputs):
    """No gradients."""
    f = compiled(function)
    with torch.inference_mode():
        ms = common.milliseconds(lambda: f(*inputs), finish=wait)
        return ms, digests(f(*inputs))


def gradients(function, upstream, *inputs):
    f = compiled(function)
    leaves = [x.requires_grad_() if x.is_floating_point() else x for x in inputs]

    def call():
        for x in leaves:
            x.grad = None
        y = f(*leaves)
        y.backward(upstream)
        return y

    ms = common.milliseconds(call, finish=wait)
    return ms, digests(call(), *(x.grad for x in leaves if x.grad is not None))


def train(net, loss_of, make_optimizer, *data):
    """loss_of(net, *data) -> loss."""
    net.to(args.device)
    start = {name: torch.from_numpy(common.parameter(name, tuple(p.shape))).to(args.device)
             for name, p in net.named_parameters()} if cuda or small(net) else None

    @torch.no_grad()
    def restart():
        for name, p in net.named_parameters():
            p.copy_(start[name] if start else torch.from_numpy(common.parameter(name, tuple(p.shape))))

    restart()
    opt = make_optimizer(net.parameters())
    forward = compiled(lambda *d: loss_of(net, *d))

    def step(update=opt.step):
        opt.zero_grad(set_to_none=True)
        loss = forward(*data)
        loss.backward()
        update()
        return loss

    losses = [step().item() for _ in range(3)]
    checks = losses + common.digest(*(p.detach().cpu().numpy() for p in net.parameters()))
    ms = common.milliseconds(step, restart, wait)
    if args.mode == "compile":  # the optimizer can be compiled, too: whichever is faster
        update = compiled(opt.step)
        ms = min(ms, common.milliseconds(lambda: step(update), restart, wait))
    return (ms, checks, graph_of(net, forward, make_optimizer, data, restart)) if cuda else (ms, checks)


def graph_of(net, forward, make_optimizer, data, restart):
    """{"graph": the milliseconds of a step that is captured and replayed}, or why there are none."""
    try:
        opt = make_optimizer(net.parameters())
        for group in opt.param_groups:
            if "capturable" in group:
                group["capturable"] = True

        def step():
            opt.zero_grad(set_to_none=True)
            forward(*data).backward()
            opt.step()

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        opt.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            step()
        return {"graph": float(f"{common.milliseconds(graph.replay, restart, wait):.6g}")}
    except Exception as problem:
        return {"no_graph": f"{type(problem).__name__}: {problem}"[:300]}


def small(net):
    return sum(p.numel() for p in net.parameters()) < 1 << 20


def cross_entropy(net, x, y):
    return F.cross_entropy(net(x), y)


def mse(net, *inputs_and_target):
    return F.mse_loss(net(*inputs_and_target[:-1]), inputs_and_target[-1])


def chain(x):
    return torch.tanh(x * 1.5 + 0.5) * x


def chain_grad(x, a, b, c):
    return F.gelu(x * a + b, approximate="tanh") * c


def linear_gelu(x, w, b):
    return F.gelu(F.linear(x, w, b), approximate="tanh")


def layer_norm(x, w, b):
    return F.layer_norm(x, (1024,), w, b)


def infer_b1():
    net = nets.Mlp()
    with torch.no_grad():
        for name, p in net.named_parameters():
            p.copy_(torch.from_numpy(common.parameter(name, tuple(p.shape))))
    net.to(args.device)
    return forward(net, normal("x", 1, 784))


def gpt(b=1, w=1):
    """b and w: batch and width as multiples of the workload's."""
    return train(nets.Gpt(d=384 * w, heads=6 * w), cross_entropy, lambda p: optim.AdamW(p, 1e-3), labels("x", (4 * b, 256), 65),
                 labels("y", (4 * b * 256,), 65))


def rows():
    return normal("x", 4096, 1024)


optim, one = torch.optim, None
workloads = {
    "chain_fwd_16m": lambda: forward(chain, normal("x", 1 << 24)),
    "chain_fwd_16k": lambda: forward(chain, normal("x", 1 << 14)),
    "chain_grad_4m": lambda: gradients(chain_grad, normal("g", 4096, 1024), rows(), *(normal(n, 1024) for n in "abc")),
    "softmax_grad_4m": lambda: gradients(lambda x: F.softmax(x, 1), normal("g", 4096, 1024), rows()),
    "layer_norm_grad_4m": lambda: gradients(layer_norm, normal("g", 4096, 1024), rows(), normal("w", 1024), normal("b", 1024)),
    "cross_entropy_grad": lambda: gradients(F.cross_entropy, one, normal("x", 1024, 8192), labels("y", (1024,), 8192)),
    **{f"gemm_{n}": lambda n=n: forward(torch.matmul, normal("a", n, n), normal("b", n, n)) for n in (64, 128, 256, 512, 1024, 2048)},
    "linear_gelu_fwd": lambda: forward(linear_gelu, normal("x", 1024, 768), normal("w", 3072, 768), normal("b", 3072)),
    "small_add_16": lambda: forward(torch.add, normal("a", 16), normal("b", 16)),
    "mlp_infer_b1": infer_b1,
    "mlp_tiny_step": lambda: train(nets.TinyMlp(), mse, lambda p: optim.SGD(p, 0.01), normal("x", 32, 32), normal("y", 32, 1)),
    "mlp_step": lambda: train(nets.Mlp(), cross_entropy, optim.Adam, normal("x", 64, 784), labels("y", (64,), 10)),
    "cnn_step": lambda: train(nets.Cnn(), cross_entropy, optim.Adam, normal("x", 64, 1, 28, 28), labels("y", (64,), 10)),
    "resnet8_step": lambda: train(nets.ResNet8(), cross_entropy, lambda p: optim.SGD(p, 0.1, momentum=0.9),
                                  normal("x", 32, 3, 32, 32), labels("y", (32,), 10)),
    "lstm_step": lambda: train(nets.Lstm(), cross_entropy, optim.Adam, normal("x", 32, 50, 64), labels("y", (32,), 10)),
    "encoder_step": lambda: train(nets.Encoder(), mse, optim.AdamW, normal("x", 16, 64, 256), normal("y", 16, 64, 256)),
    "seq2seq_step": lambda: train(nets.Seq2Seq(), mse, optim.AdamW, normal("source", 16, 32, 128), normal("target", 16, 32, 128),
                                  normal("y", 16, 32, 128)),
    "gpt_char_step": gpt,
}
growth = {f"gpt_char_step_{what}{n}": lambda what=what, n=n: gpt(**{what: n}) for what in "bw" for n in (2, 4)}
common.main(f"torch {torch.__version__.split('+')[0]} {args.mode}", workloads, args, growth, catch=cuda)
