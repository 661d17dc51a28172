"""The PyTorch side of the benchmarks: each work by its name, prepared once and then done as often as wanted.

A work returns tensors or numbers, which `describe` makes comparable with those of `Benchmarks/Sources/Workloads`; inputs and
weights are computed from their names on both sides. `Benchmarks/Peers` runs them, with models of its own making.
"""
import functools
import time

import torch
import torch.nn.functional as F

import seeded
import training
import transformer
import window
from sampling import draw, filter_logits, sample
from tokenizer import Tokenizer
from transformer import MVAR, Config

try:
    import natten
except ImportError:
    natten = None

PATCH_NUMS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
WIDTH, HEADS = 1024, 16


def values(name, *shape, scale=1.0):
    """Numbers of an interval around 0, the same on both sides."""
    return seeded.tensor(f"{name}.pos_start", shape, 0) * scale


def result(*tensors):
    return tensors


def describe(parts):
    """Root mean squares of tensors, or the share of finite numbers; numbers as they are: made when the clock stands."""

    def number(part):
        if not torch.is_tensor(part):
            return part
        finite = part.isfinite()
        return (part.double().pow(2).mean().sqrt() if finite.all() else finite.double().mean()).item()

    return [number(part) for part in parts]


def fused_attention(q, k, v, scale, mask=None):
    """`window.dense_attention` by PyTorch's own operator, its fastest."""
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale).transpose(1, 2)


@functools.cache
def window_mask(height, width, kernel):
    mask = torch.zeros(height * width, height * width, dtype=torch.bool)
    return mask.scatter_(1, window.window_keys(height, width, kernel), True)


def fused_window_attention(q, k, v, kernel, scale):
    """`window.window_attention` by the same operator and a mask, several times as fast as gathering keys on small maps."""
    height, width = q.shape[1:3]
    out = fused_attention(*(t.flatten(1, 2) for t in (q, k, v)), scale, window_mask(height, width, kernel))
    return out.unflatten(1, (height, width))


class Models:
    """Built when first asked for, with the fastest attention there is."""

    def __init__(self):
        self.known = {}
        transformer.dense_attention, transformer.window_attention = fused_attention, fused_window_attention

    def get(self, name, make):
        if name not in self.known:
            self.known[name] = make()
        return self.known[name]

    @property
    def tokenizer(self):
        return self.get("tokenizer", lambda: seeded.fill(Tokenizer(4096, 32, 160, PATCH_NUMS), 0).eval())

    @property
    def transformer(self):
        return self.get(
            "transformer", lambda: seeded.fill(MVAR(Config(4096, 32, PATCH_NUMS, 1000, 16, 1024, 16)), 0).eval())


MODELS = Models()


def linear(rows):
    x, weight, bias = values("x", rows, WIDTH), values("w", 4 * WIDTH, WIDTH, scale=0.03), values("b", 4 * WIDTH)
    return lambda: result(F.linear(x, weight, bias))


def with_gradient(tensors, function):
    """Forward and backward with respect to all the tensors; the cotangent is the output's own shape of ones / count."""
    tensors = [t.requires_grad_() for t in tensors]

    def run():
        with torch.enable_grad():
            output = function(*tensors)
            gradients = torch.autograd.grad(output, tensors, torch.full_like(output, 1 / 64))
        return result(output.detach(), *gradients)

    return run


def adaptive_layer_norm():
    x, scale, shift = values("x", 8, 256, WIDTH), values("s", 8, 1, WIDTH), values("t", 8, 1, WIDTH)
    return lambda: result(F.layer_norm(x, (WIDTH,), eps=1e-6) * (1 + scale) + shift)


def gelu():
    x = values("x", 2048, 4 * WIDTH, scale=3.0)
    return lambda: result(F.gelu(x, approximate="tanh"))


def gated_residual():
    x, branch, gain = values("x", 8, 256, WIDTH), values("b", 8, 256, WIDTH), values("g", 8, 1, WIDTH)
    return lambda: result(x + gain * branch)


def group_norm():
    x, weight, bias = values("x", 1, 320, 128, 128), values("w", 320), values("b", 320)
    return lambda: result(F.silu(F.group_norm(x, 32, weight, bias, eps=1e-6)))


def convolution(width, side, upsampled=False):
    x, weight = values("x", 1, width, side, side), values("w", width, width, 3, 3, scale=0.03)
    bias = values("b", width)
    if upsampled:
        return lambda: result(F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), weight, bias, padding=1))
    return lambda: result(F.conv2d(x, weight, bias, padding=1))


def cross_entropy():
    logits, targets = values("x", 1024, 4096, scale=5.0), torch.arange(1024) * 37 % 4096
    return with_gradient([logits], lambda x: F.cross_entropy(x, targets, reduction="none"))


def adamw():
    parameter = torch.nn.Parameter(values("w", 4096, 4096))
    gradient = values("g", 4096, 4096)
    optimizer = torch.optim.AdamW([parameter], lr=1e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.05)

    def run():
        parameter.grad = gradient
        optimizer.step()
        return []  # the result changes with every repetition

    return run


def filter_and_sample():
    logits = values("x", 4, 256, 4096, scale=5.0)

    def run():
        kept = filter_logits(logits, 900, 0.96)
        draw(kept)
        return result(kept)

    return run


def dense(backward):
    """The eight dense scales of training, four images: block-diagonal attention."""
    q, k, v = (values(name, 4, 255, HEADS, 64, scale=scale) for name, scale in (("q", 1.0), ("k", 1.0), ("v", 1.0)))
    counts = [side * side for side in PATCH_NUMS[:8]]

    def attend(q, k, v):
        parts = zip(*(t.split(counts, dim=1) for t in (q, k, v)))
        mixed = [F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in part), scale=0.125) for part in parts]
        return torch.cat(mixed, dim=2).transpose(1, 2)

    return with_gradient([q, k, v], attend) if backward else lambda: result(attend(q, k, v))


def windowed(side, backward):
    """The fastest of what there is: masked scaled-dot-product attention, gathered keys, NATTEN where it is installed."""
    tensors = [values(name, 1, side, side, HEADS, 64) for name in "qkv"]
    forms = [
        lambda q, k, v: fused_window_attention(q, k, v, 7, 0.125),
        lambda q, k, v: window.window_attention(q, k, v, 7, 0.125),
    ]
    if natten is not None and not backward:
        forms.append(lambda q, k, v: natten.na2d(q, k, v, kernel_size=7, scale=0.125))
    runs = [with_gradient(tensors, form) if backward else lambda form=form: result(form(*tensors)) for form in forms]

    def seconds(run):
        try:
            run()
            start = time.perf_counter()
            run()
            return time.perf_counter() - start
        except (RuntimeError, NotImplementedError, ValueError):
            return float("inf")

    return min(runs, key=seconds)


def drawing(model, quantizer, count):
    """The transformer's part of sampling with guidance."""
    labels = torch.arange(count) * 37 % 1000

    def run():
        generator = torch.Generator().manual_seed(1)
        _, logits, _ = sample(model, quantizer, labels, 2.7, 900, 0.96, generator=generator)
        return result(logits[0])  # later scales depend on what was sampled

    return run


def decoding(decode):
    f_hat = values("f", 1, 32, 16, 16)
    return lambda: result(decode(f_hat))


def encode():
    image = values("i", 1, 3, 256, 256)

    def run():
        _, sums = MODELS.tokenizer.encode(image)
        return result(sums[0])

    return run


def train(model, segment, autocast=False):
    """A step of one segment, four images; `autocast`: products in bf16."""
    optimizer = training.make_optimizer(model)
    training.set_schedule(optimizer, 0.0, 0.0)  # weights stay the same, so that every step is the same
    length = model.config.length
    tokens = (torch.arange(4 * length) * 37 % 4096).reshape(4, length)
    inputs, labels = values("x", 4, length - 1, 32), torch.arange(4) * 37 % 1000

    def run():
        with torch.enable_grad():
            loss, norm = training.step(model, optimizer, labels, tokens, inputs, segment, 2.0, autocast)
        return [loss, norm]

    return run


WORK = {
    "matrix": lambda: (lambda x, w: lambda: result(F.linear(x, w)))(
        values("x", 512, WIDTH), values("w", 4 * WIDTH, WIDTH, scale=0.03)),
    **{f"linear-{rows}": lambda rows=rows: linear(rows) for rows in (2, 8, 32, 128, 512, 2048)},
    "adaptive-layer-norm": adaptive_layer_norm,
    "gelu": gelu,
    "gated-residual": gated_residual,
    "group-norm-silu": group_norm,
    "convolution-160-128": lambda: convolution(160, 128),
    "convolution-640-16": lambda: convolution(640, 16),
    "upsampled-convolution-320-64": lambda: convolution(320, 64, upsampled=True),
    "cross-entropy": cross_entropy,
    "adamw": adamw,
    "filter-and-sample": filter_and_sample,
    "dense-forward": lambda: dense(False),
    "dense-both": lambda: dense(True),
    "window-16-forward": lambda: windowed(16, False),
    "window-16-both": lambda: windowed(16, True),
    "window-64-forward": lambda: windowed(64, False),
    "window-64-both": lambda: windowed(64, True),
    "encode-1": encode,
}
