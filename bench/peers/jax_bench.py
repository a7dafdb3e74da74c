# SPDX-License-Identifier: MIT
"""The workloads in JAX, each one jitted function: a training step includes the optimizer. Usage as of torch_bench.py."""
import argparse
import common

args = argparse.ArgumentParser(parents=[common.threads_parser]).parse_args()
common.limit_threads(args.threads)

import jax
import jax.numpy as jnp
import numpy as np
import jax_nets as nets

jax.config.update("jax_platforms", "cpu")


def normal(name, *shape):
    return jnp.asarray(common.normal(name, shape))


def labels(name, shape, classes):
    return jnp.asarray(common.labels(name, shape, classes), jnp.int32)


def digests(*arrays):
    return [number for a in arrays for number in common.digest(np.asarray(a))]


def forward(function, *inputs):
    f = jax.jit(function)
    return common.milliseconds(lambda: jax.block_until_ready(f(*inputs))), digests(f(*inputs))


def gradients(function, upstream, leaves, *rest):
    """function(*leaves, *rest); its result and the gradients of the leaves."""
    @jax.jit
    def both(upstream, leaves, rest):
        y, back = jax.vjp(lambda *leaves: function(*leaves, *rest), *leaves)
        return y, back(upstream)

    def call():
        return jax.block_until_ready(both(upstream, leaves, rest))

    ms = common.milliseconds(call)
    y, grads = call()
    return ms, digests(y, *grads)


# ---- optimizers: rate(state), then (parameter, gradient, state) -> (parameter, state) for each array

def sgd(lr, momentum=0.0):
    def update(p, g, s, t):
        if momentum == 0:
            return p - lr * g, s
        s = momentum * s + g
        return p - lr * s, s
    return update, lambda p: jnp.zeros_like(p) if momentum else ()


def adam(lr=1e-3, weight_decay=0.0):
    def update(p, g, s, t):
        m, v = 0.9 * s[0] + 0.1 * g, 0.999 * s[1] + 0.001 * g * g
        p = p * (1 - lr * weight_decay)
        return p - lr / (1 - 0.9**t) * m / (jnp.sqrt(v) / jnp.sqrt(1 - 0.999**t) + 1e-8), (m, v)
    return update, lambda p: (jnp.zeros_like(p), jnp.zeros_like(p))


def adamw(lr=1e-3):
    return adam(lr, 0.01)


def train(shapes, loss_of, optimizer, *data, buffers=()):
    """loss_of(p, buffers, *data) -> loss, new buffers."""
    update, initial = optimizer
    start = {n: common.parameter(n, s) for n, s in shapes.items()} if sum(map(np.prod, shapes.values())) < 1 << 20 else None

    def weights():
        return {n: jnp.array(start[n] if start else common.parameter(n, s)) for n, s in shapes.items()}

    def step(p, state, t, buffers, data):
        (loss, buffers), grads = jax.value_and_grad(loss_of, has_aux=True)(p, buffers, *data)
        t = t + 1
        new = {n: update(p[n], grads[n], state[n], t) for n in p}
        return {n: a for n, (a, _) in new.items()}, {n: s for n, (_, s) in new.items()}, t, buffers, loss

    jitted = jax.jit(step, donate_argnums=(0, 1, 2, 3))
    now = [weights(), {n: initial(jnp.zeros(s)) for n, s in shapes.items()}, jnp.zeros(()), buffers, None]

    def call():
        now[:] = jitted(*now[:4], data)

    def restart():
        now[0] = weights()

    checks = []
    for _ in range(3):
        call()
        checks.append(float(now[4]))
    checks += common.digest(*(np.asarray(a) for a in now[0].values()))
    return common.milliseconds(call, restart, lambda: jax.block_until_ready(now[4])), checks


def classify(net):
    return lambda p, buffers, x, y: (nets.cross_entropy(net(p, x), y), buffers)


def regress(net):
    return lambda p, buffers, *xy: (nets.mse(net(p, *xy[:-1]), xy[-1]), buffers)


def resnet_loss(p, buffers, x, y):
    scores, buffers = nets.resnet(p, buffers, x)
    return nets.cross_entropy(scores, y), buffers


def chain(x):
    return jnp.tanh(x * 1.5 + 0.5) * x


def chain_grad(x, a, b, c):
    return jax.nn.gelu(x * a + b, approximate=True) * c


def rows(name="x"):
    return normal(name, 4096, 1024)


def infer_b1():
    p = {n: jnp.asarray(common.parameter(n, s)) for n, s in nets.MLP.items()}
    return forward(nets.mlp, p, normal("x", 1, 784))


def y_labels(n):
    return labels("y", (n,), 10)


workloads = {
    "chain_fwd_16m": lambda: forward(chain, normal("x", 1 << 24)),
    "chain_fwd_16k": lambda: forward(chain, normal("x", 1 << 14)),
    "chain_grad_4m": lambda: gradients(chain_grad, rows("g"), (rows(), *(normal(n, 1024) for n in "abc"))),
    "softmax_grad_4m": lambda: gradients(lambda x: jax.nn.softmax(x, 1), rows("g"), (rows(),)),
    "layer_norm_grad_4m": lambda: gradients(nets.layer_norm, rows("g"), (rows(), normal("w", 1024), normal("b", 1024))),
    "cross_entropy_grad": lambda: gradients(nets.cross_entropy, jnp.ones(()), (normal("x", 1024, 8192),), labels("y", (1024,), 8192)),
    **{f"gemm_{n}": lambda n=n: forward(jnp.matmul, normal("a", n, n), normal("b", n, n)) for n in (64, 128, 256, 512, 1024, 2048)},
    "linear_gelu_fwd": lambda: forward(lambda x, w, b: jax.nn.gelu(x @ w.T + b, approximate=True),
                                       normal("x", 1024, 768), normal("w", 3072, 768), normal("b", 3072)),
    "small_add_16": lambda: forward(jnp.add, normal("a", 16), normal("b", 16)),
    "mlp_infer_b1": infer_b1,
    "mlp_tiny_step": lambda: train(nets.TINY, regress(nets.tiny), sgd(0.01), normal("x", 32, 32), normal("y", 32, 1)),
    "mlp_step": lambda: train(nets.MLP, classify(nets.mlp), adam(), normal("x", 64, 784), y_labels(64)),
    "cnn_step": lambda: train(nets.CNN, classify(nets.cnn), adam(), normal("x", 64, 1, 28, 28), y_labels(64)),
    "resnet8_step": lambda: train(nets.resnet_shapes(), resnet_loss, sgd(0.1, 0.9), normal("x", 32, 3, 32, 32), y_labels(32),
                                  buffers=nets.resnet_state()),
    "lstm_step": lambda: train(nets.LSTM, classify(nets.lstm), adam(), normal("x", 32, 50, 64), y_labels(32)),
    "encoder_step": lambda: train(nets.encoder_shapes(), regress(nets.encoder), adamw(), normal("x", 16, 64, 256), normal("y", 16, 64, 256)),
    "seq2seq_step": lambda: train(nets.seq2seq_shapes(), regress(nets.seq2seq), adamw(), normal("source", 16, 32, 128),
                                  normal("target", 16, 32, 128), normal("y", 16, 32, 128)),
    "gpt_char_step": lambda: train(nets.gpt_shapes(), classify(nets.gpt), adamw(), labels("x", (4, 256), 65), labels("y", (1024,), 65)),
}
common.main(f"jax {jax.__version__}", workloads, args)
