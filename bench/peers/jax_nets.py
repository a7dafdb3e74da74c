# SPDX-License-Identifier: MIT
"""The models of the workloads in JAX: functions of a dict of weights under PyTorch's names, and the shapes of those."""
import jax
import jax.numpy as jnp
from jax import lax


def linear(p, name, x):
    y = x @ p[name + ".weight"].T
    return y + p[name + ".bias"] if name + ".bias" in p else y


def linear_shapes(name, inside, out, bias=True):
    return {name + ".weight": (out, inside), **({name + ".bias": (out,)} if bias else {})}


def cross_entropy(logits, y):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean()


def mse(x, y):
    return jnp.square(x - y).mean()


def layer_norm(x, w, b):
    mean = x.mean(-1, keepdims=True)
    variance = jnp.square(x - mean).mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * w + b


def norm(p, name, x):
    return layer_norm(x, p[name + ".weight"], p[name + ".bias"])


def norm_shapes(name, d):
    return {name + ".weight": (d,), name + ".bias": (d,)}


# ---- linear nets

MLP = {**linear_shapes("fc1", 784, 256), **linear_shapes("fc2", 256, 10)}
TINY = {**linear_shapes("fc1", 32, 32), **linear_shapes("fc2", 32, 1)}


def mlp(p, x):
    return linear(p, "fc2", jax.nn.relu(linear(p, "fc1", x)))


def tiny(p, x):
    return linear(p, "fc2", jnp.tanh(linear(p, "fc1", x)))


# ---- convolutions

def conv(x, weight, stride=1, padding=1):
    return lax.conv_general_dilated(x, weight, (stride, stride), [(padding, padding)] * 2, dimension_numbers=("NCHW", "OIHW", "NCHW"))


def max_pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


CNN = {"conv1.weight": (32, 1, 3, 3), "conv1.bias": (32,), "conv2.weight": (64, 32, 3, 3), "conv2.bias": (64,),
       **linear_shapes("fc1", 3136, 128), **linear_shapes("fc2", 128, 10)}


def cnn(p, x):
    for name in ("conv1", "conv2"):
        x = max_pool(jax.nn.relu(conv(x, p[name + ".weight"]) + p[name + ".bias"][:, None, None]))
    return linear(p, "fc2", jax.nn.relu(linear(p, "fc1", x.reshape(x.shape[0], -1))))


BLOCKS = [(16, 16, 1), (16, 32, 2), (32, 64, 2)]


def resnet_shapes():
    shapes = {"conv.weight": (16, 3, 3, 3), **norm_shapes("bn", 16)}
    for i, (inside, out, stride) in enumerate(BLOCKS):
        at = f"blocks.{i}."
        shapes |= {at + "conv1.weight": (out, inside, 3, 3), **norm_shapes(at + "bn1", out)}
        shapes |= {at + "conv2.weight": (out, out, 3, 3), **norm_shapes(at + "bn2", out)}
        if inside != out:
            shapes |= {at + "shortcut.weight": (out, inside, 1, 1), **norm_shapes(at + "shortcut_bn", out)}
    return shapes | linear_shapes("fc", 64, 10)


def resnet(p, state, x):
    """state: the running means and variances, by name; -> (scores, new state)."""
    state = dict(state)

    def bn(name, x):
        mean = x.mean((0, 2, 3))
        variance = jnp.square(x - mean[:, None, None]).mean((0, 2, 3))
        n = x.size // x.shape[1]
        state[name] = [0.9 * old + 0.1 * new for old, new in zip(state[name], (mean, variance * n / (n - 1)))]
        scale = lax.rsqrt(variance + 1e-5) * p[name + ".weight"]
        return (x - mean[:, None, None]) * scale[:, None, None] + p[name + ".bias"][:, None, None]

    x = jax.nn.relu(bn("bn", conv(x, p["conv.weight"])))
    for i, (inside, out, stride) in enumerate(BLOCKS):
        at = f"blocks.{i}."
        y = jax.nn.relu(bn(at + "bn1", conv(x, p[at + "conv1.weight"], stride)))
        y = bn(at + "bn2", conv(y, p[at + "conv2.weight"]))
        if inside != out:
            x = bn(at + "shortcut_bn", conv(x, p[at + "shortcut.weight"], stride, 0))
        x = jax.nn.relu(y + x)
    return linear(p, "fc", x.mean((2, 3))), state


def resnet_state():
    names = [n[: -len(".weight")] for n in resnet_shapes() if "bn" in n and n.endswith("weight")]
    return {n: [jnp.zeros(resnet_shapes()[n + ".weight"]), jnp.ones(resnet_shapes()[n + ".weight"])] for n in names}


# ---- a recurrent net

LSTM = {"lstm.weight_ih_l0": (512, 64), "lstm.weight_hh_l0": (512, 128), "lstm.bias_ih_l0": (512,), "lstm.bias_hh_l0": (512,),
        **linear_shapes("fc", 128, 10)}


def lstm(p, x):
    inputs = x @ p["lstm.weight_ih_l0"].T + (p["lstm.bias_ih_l0"] + p["lstm.bias_hh_l0"])

    def cell(carry, gates):
        h, c = carry
        i, f, g, o = jnp.split(gates + h @ p["lstm.weight_hh_l0"].T, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zero = jnp.zeros((x.shape[0], 128), x.dtype)
    (h, _), _ = lax.scan(cell, (zero, zero), inputs.transpose(1, 0, 2))
    return linear(p, "fc", h)


# ---- transformers

def heads_of(x, heads):
    return x.reshape(*x.shape[:2], heads, -1)


def attend(q, k, v, heads, causal=False):
    y = jax.nn.dot_product_attention(heads_of(q, heads), heads_of(k, heads), heads_of(v, heads), is_causal=causal)
    return y.reshape(q.shape)


def gpt_shapes(vocabulary=65, context=256, d=384, blocks=6):
    shapes = {"tok.weight": (vocabulary, d), "pos.weight": (context, d)}
    for i in range(blocks):
        at = f"blocks.{i}."
        shapes |= {**norm_shapes(at + "ln1", d), **norm_shapes(at + "ln2", d)}
        shapes |= {**linear_shapes(at + "qkv", d, 3 * d), **linear_shapes(at + "proj", d, d)}
        shapes |= {**linear_shapes(at + "fc1", d, 4 * d), **linear_shapes(at + "fc2", 4 * d, d)}
    return shapes | norm_shapes("ln", d) | linear_shapes("head", d, vocabulary, bias=False)


def gpt(p, tokens, blocks=6, heads=6):
    x = p["tok.weight"][tokens] + p["pos.weight"][: tokens.shape[1]]
    for i in range(blocks):
        at = f"blocks.{i}."
        q, k, v = jnp.split(linear(p, at + "qkv", norm(p, at + "ln1", x)), 3, -1)
        x = x + linear(p, at + "proj", attend(q, k, v, heads, causal=True))
        x = x + linear(p, at + "fc2", jax.nn.gelu(linear(p, at + "fc1", norm(p, at + "ln2", x)), approximate=True))
    x = linear(p, "head", norm(p, "ln", x))
    return x.reshape(-1, x.shape[-1])


def attention_shapes(name, d):
    return {name + ".in_proj_weight": (3 * d, d), name + ".in_proj_bias": (3 * d,), **linear_shapes(name + ".out_proj", d, d)}


def attention(p, name, x, memory, heads, causal=False):
    """As nn.MultiheadAttention(x, memory, memory)."""
    wq, wk, wv = jnp.split(p[name + ".in_proj_weight"], 3)
    bq, bk, bv = jnp.split(p[name + ".in_proj_bias"], 3)
    y = attend(x @ wq.T + bq, memory @ wk.T + bk, memory @ wv.T + bv, heads, causal)
    return linear(p, name + ".out_proj", y)


def layer_shapes(at, d, wide, cross):
    shapes = attention_shapes(at + "self_attn", d) | (attention_shapes(at + "multihead_attn", d) if cross else {})
    shapes |= linear_shapes(at + "linear1", d, wide) | linear_shapes(at + "linear2", wide, d)
    for i in range(1, 4 if cross else 3):
        shapes |= norm_shapes(f"{at}norm{i}", d)
    return shapes


def layer(p, at, x, heads, memory=None):
    """Post-norm: an encoder's layer, or with memory a decoder's."""
    x = norm(p, at + "norm1", x + attention(p, at + "self_attn", x, x, heads, causal=memory is not None))
    last = "norm2"
    if memory is not None:
        x, last = norm(p, at + "norm2", x + attention(p, at + "multihead_attn", x, memory, heads)), "norm3"
    return norm(p, at + last, x + linear(p, at + "linear2", jax.nn.relu(linear(p, at + "linear1", x))))


def encoder_shapes():
    return {k: v for i in range(4) for k, v in layer_shapes(f"encoder.layers.{i}.", 256, 1024, False).items()}


def encoder(p, x):
    for i in range(4):
        x = layer(p, f"encoder.layers.{i}.", x, 4)
    return x


def seq2seq_shapes():
    shapes = {}
    for side in ("encoder", "decoder"):
        for i in range(2):
            shapes |= layer_shapes(f"transformer.{side}.layers.{i}.", 128, 512, side == "decoder")
        shapes |= norm_shapes(f"transformer.{side}.norm", 128)
    return shapes


def seq2seq(p, source, target):
    memory = source
    for i in range(2):
        memory = layer(p, f"transformer.encoder.layers.{i}.", memory, 4)
    memory = norm(p, "transformer.encoder.norm", memory)
    for i in range(2):
        target = layer(p, f"transformer.decoder.layers.{i}.", target, 4, memory)
    return norm(p, "transformer.decoder.norm", target)
