"""Times on a GPU what `gpu-check` times, in PyTorch: eager, and compiled.

    python device.py PART [--device cpu] [--small] [--compiled]

PART is limits, operators, attention, sampling or training. Prints lines SECTION, ROW, COLUMN, TEXT with tabs between them, with the
sections and rows of `gpu-check`, so that `gpu-check report` puts both into the same tables. Needs nothing but torch, and numpy for
sampling. Windowed attention is NATTEN's where that is installed, beside flex_attention and a mask.
"""
import argparse
import statistics
import time

import torch
import torch.nn.functional as F

import training
import transformer
import window
from transformer import MVAR, Config

try:
    import natten
except ImportError:
    natten = None

PRECISIONS = ("float32", "tf32", "bfloat16")
OPTIONS = argparse.Namespace()


def report(section, row, column, text):
    print(section, row, column, text, sep="\t", flush=True)


def time_text(seconds):
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} µs"


def bytes_text(count):
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def synchronize():
    if OPTIONS.device == "cuda":
        torch.cuda.synchronize()


def seconds(work):
    """After a first time that does not count, the median of three measurements of as many repetitions as last some time."""

    def measure(repeats):
        synchronize()
        start = time.perf_counter()
        for _ in range(repeats):
            work()
        synchronize()
        return (time.perf_counter() - start) / repeats

    first = measure(1)
    if OPTIONS.small:
        return first
    repeats = min(max(int(0.03 / measure(1)), 1), 300)
    return statistics.median(measure(repeats) for _ in range(3))


def numbers(*shape, scale=1.0):
    return (2 * torch.rand(shape) - 1) * scale


def precision_of(name):
    """float32 and tf32 are settings, bfloat16 is what autocast does to products."""
    torch.set_float32_matmul_precision("highest" if name == "float32" else "high")
    torch.backends.cudnn.allow_tf32 = name != "float32"
    return torch.autocast(OPTIONS.device, torch.bfloat16, enabled=name == "bfloat16")


def column(precision):
    return f"PyTorch{' compiled' if OPTIONS.compiled else ''}, {precision}"


def maybe_compiled(function):
    return torch.compile(function) if OPTIONS.compiled else function


class Memory:
    """The most memory of tensors beyond what there was."""

    def __init__(self):
        self.before = 0
        if OPTIONS.device == "cuda":
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated()

    @property
    def peak(self):
        return torch.cuda.max_memory_allocated() if OPTIONS.device == "cuda" else 0


# Limits


def limits():
    section = "Limits of the device"
    report(section, "device", "PyTorch", f"{torch.__version__}, CUDA {torch.version.cuda}")
    source = torch.zeros(2**16 if OPTIONS.small else 2**28)
    target = torch.empty_like(source)
    rate = 8 * source.numel() / seconds(lambda: target.copy_(source))
    report(section, "copying memory", "PyTorch", f"{rate / 1e9:.0f} GB/s")
    side = 256 if OPTIONS.small else 8192
    for precision in PRECISIONS:
        with precision_of(precision):
            x = numbers(side, side).to(torch.bfloat16 if precision == "bfloat16" else torch.float32)
            rate = 2 * side**3 / seconds(lambda: F.linear(x, x))
        report(section, f"product of {side} × {side} matrices, {precision}", "PyTorch", f"{rate / 1e12:.1f} TFLOP/s")


# Operators: names and sizes are those of OperatorWork.swift


def backward(function, *inputs):
    """The gradient with respect to the inputs alone, of an output that is kept."""
    inputs = [x.requires_grad_() for x in inputs]
    with torch.enable_grad():
        output = function(*inputs)
        cotangent = torch.ones_like(output)
    return lambda: torch.autograd.grad(output, inputs, cotangent, retain_graph=True)


def products(batch, tokens, c, vocabulary):
    rows = batch * tokens
    for name, rows, inputs, outputs in (
        ("feed-forward, in", rows, c, 4 * c), ("feed-forward, out", rows, 4 * c, c),
        ("queries, keys, values", rows, c, 3 * c), ("head", rows // 2, c, vocabulary),
        ("modulation of a block", batch, c, 6 * c)):
        x, weight, bias = numbers(rows, inputs), numbers(outputs, inputs, scale=0.05), numbers(outputs)
        text = f"linear, {name}: {rows} × {inputs} → {outputs}"
        yield text, lambda x=x, weight=weight, bias=bias: F.linear(x, weight, bias)
        if name == "feed-forward, in":
            yield f"{text}, backward", backward(F.linear, x, weight, bias)


def convolutions(images, channels, pixels):
    x, weight = numbers(images, channels, pixels, pixels), numbers(channels, channels, 3, 3, scale=0.03)
    bias = numbers(channels)
    name = f"convolution 3 × 3, {images} × {channels} × {pixels} × {pixels}"
    yield name, lambda: F.conv2d(x, weight, bias, padding=1)
    yield f"{name}, backward", backward(lambda x, w, b: F.conv2d(x, w, b, padding=1), x, weight, bias)


def passes(batch, tokens, c, heads, vocabulary):
    """Functions and their inputs: what can be compiled."""
    x, y, wide, vector = numbers(batch, tokens, c), numbers(batch, tokens, c), numbers(batch, tokens, 4 * c), numbers(batch, 1, c)
    qkv, factor = numbers(batch, tokens, 3 * c), numbers(1, 1, heads, 1)
    logits, targets = numbers(batch, tokens, vocabulary, scale=5.0), torch.arange(batch * tokens) * 37 % vocabulary
    half = logits[: batch // 2]

    def norm(x, scale, shift):
        return F.layer_norm(x, (c,), eps=1e-6) * (1 + scale) + shift

    def split(qkv, factor):
        q, k, v = qkv.unflatten(2, (3, heads, -1)).unbind(2)
        return F.normalize(q, dim=-1) * factor.exp(), F.normalize(k, dim=-1), v.contiguous()

    def loss(x):
        return F.cross_entropy(x.flatten(0, 1), targets, reduction="none")

    yield "adaptive layer norm", norm, (x, vector, vector.clone()), True
    yield "GELU", lambda x: F.gelu(x, approximate="tanh"), (wide,), True
    yield "gated residual", lambda x, y, g: x + g * y, (x, y, vector), True
    yield "heads of queries, keys, values", split, (qkv, factor), False
    yield "cross-entropy", loss, (logits,), True
    yield "guidance", lambda x: 2.5 * x[: batch // 2] - 1.5 * x[batch // 2 :], (logits,), False
    from sampling import draw, filter_logits
    yield "top-k 900 and top-p 0.96", lambda x: filter_logits(x, min(900, vocabulary), 0.96), (half,), False
    yield "drawing tokens", draw, (half,), False


def of_the_tokenizer(batch, side, images, channels, pixels, vocabulary):
    map_, vector = numbers(images, channels, pixels, pixels), numbers(channels)
    quarter = numbers(images, channels, pixels // 2, pixels // 2)
    total, small = numbers(batch, 32, side, side), numbers(batch, 32, 3, 3)
    vectors, codes = numbers(batch, side * side, 32), numbers(vocabulary, 32)
    groups = channels // 10
    yield "group norm with SiLU", lambda x, v: F.silu(F.group_norm(x, groups, v, v, eps=1e-6)), (map_, vector)
    yield "upsampling", lambda x: F.interpolate(x, scale_factor=2, mode="nearest"), (quarter,)
    yield "area resizing to 13 × 13", lambda x: F.interpolate(x, (13, 13), mode="area"), (total,)
    yield "bicubic resizing from 3 × 3", lambda x: F.interpolate(x, (side, side), mode="bicubic"), (small,)
    yield "nearest codes", lambda x, e: (x.square().sum(-1, True) + e.square().sum(-1) - 2 * x @ e.T).argmin(-1), (vectors, codes)


def operators():
    batch, side, c, heads, vocabulary, images, pixels = (2, 4, 32, 2, 96, 1, 8) if OPTIONS.small else (
        64, 16, 1024, 16, 4096, 8, 128)
    channels = c // 32 * 10
    section = f"Operators at the sizes of d16: {batch} rows of a batch, maps of {side} × {side}"
    if not OPTIONS.compiled:
        for precision in PRECISIONS:
            with precision_of(precision):
                works = list(products(batch, side * side, c, vocabulary)) + list(convolutions(images, channels, pixels))
                for name, work in works:
                    report(section, name, column(precision), time_text(seconds(work)))
    precision_of("float32")
    for name, function, inputs, has_gradient in passes(batch, side * side, c, heads, vocabulary):
        function = maybe_compiled(function)
        report(section, name, column("float32"), time_text(seconds(lambda: function(*inputs))))
        if has_gradient:
            work = backward(function, *(x.clone() for x in inputs))
            report(section, f"{name}, backward", column("float32"), time_text(seconds(work)))
    for name, function, inputs in of_the_tokenizer(batch, side, images, channels, pixels, vocabulary):
        function = maybe_compiled(function)
        report(section, name, column("float32"), time_text(seconds(lambda: function(*inputs))))
    if not OPTIONS.compiled:
        parameter = torch.nn.Parameter(numbers(4 * c * c))
        parameter.grad = numbers(4 * c * c)
        optimizer = torch.optim.AdamW([parameter], lr=1e-4, fused=OPTIONS.device == "cuda")
        report(section, "AdamW", column("float32"), time_text(seconds(optimizer.step)))
        q, k, v = (numbers(batch, heads, side * side, c // heads) for _ in range(3))
        dense = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=0.125)
        report(section, "dense attention", column("float32"), time_text(seconds(lambda: dense(q, k, v))))
        report(section, "dense attention, backward", column("float32"), time_text(seconds(backward(dense, q, k, v))))


# Attention


def fused_attention(q, k, v, scale, mask=None):
    """`window.dense_attention` by PyTorch's own operator."""
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale).transpose(1, 2)


MASKS = {}


def window_mask(height, width, kernel):
    key = (height, width, kernel)
    if key not in MASKS:
        mask = torch.zeros(height * width, height * width, dtype=torch.bool)
        MASKS[key] = mask.scatter_(1, window.window_keys(height, width, kernel), True)
    return MASKS[key]


def masked_window(q, k, v, kernel, scale):
    height, width = q.shape[1:3]
    out = fused_attention(*(t.flatten(1, 2) for t in (q, k, v)), scale, window_mask(height, width, kernel))
    return out.unflatten(1, (height, width))


def best_window(q, k, v, kernel, scale):
    """What the models use."""
    q, k = q.to(v.dtype), k.to(v.dtype)  # normalized ones are float32 under autocast
    return natten.na2d(q, k, v, kernel_size=kernel, scale=scale) if natten else masked_window(q, k, v, kernel, scale)


def flexible_window(side, kernel):
    """flex_attention with the window as a block mask; compiled, as it is meant to be."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    def start(place):
        return torch.clamp(place - kernel // 2, 0, side - kernel)

    def sees(batch, head, query, key):
        row, line = key // side - start(query // side), key % side - start(query % side)
        return (row >= 0) & (row < kernel) & (line >= 0) & (line < kernel)

    mask = create_block_mask(sees, None, None, side * side, side * side, device=OPTIONS.device)
    attend = torch.compile(flex_attention)

    def run(q, k, v, kernel, scale):
        q, k, v = (t.flatten(1, 2).transpose(1, 2) for t in (q, k, v))
        return attend(q, k, v, block_mask=mask, scale=scale)

    return run


def attention():
    heads, width, kernel, batch = (2, 8, 3, 1) if OPTIONS.small else (16, 64, 7, 8)
    section = f"Attention on maps: window {kernel}, {heads} heads of {width} numbers, batch {batch}, float32"
    for side in (8,) if OPTIONS.small else (16, 32, 64):
        forms = {"a mask": masked_window}
        if natten:
            forms["NATTEN"] = lambda q, k, v, kernel, scale: natten.na2d(q, k, v, kernel_size=kernel, scale=scale)
        if OPTIONS.compiled:
            forms = {"flex_attention": flexible_window(side, kernel)}
        forms = {f"windowed, {name}": form for name, form in forms.items()}
        if not OPTIONS.compiled:
            forms["dense, PyTorch"] = lambda q, k, v, kernel, scale: fused_attention(
                *(t.flatten(1, 2) for t in (q, k, v)), scale)
        for name, form in forms.items():
            maps = [numbers(batch, side, side, heads, width) for _ in range(3)]
            both = name.replace(",", " with backward,")

            def with_backward():
                with torch.enable_grad():
                    torch.autograd.grad(form(*maps, kernel, 0.125).sum(), maps)

            for kind, work in ((name, lambda: form(*maps, kernel, 0.125)), (both, with_backward)):
                try:
                    text = time_text(seconds(work))
                except Exception as error:  # a feature that a GPU or a version lacks is a result too
                    text = type(error).__name__
                report(section, f"{side} × {side}", kind, text)
                for t in maps:
                    t.requires_grad_()


# Models


def config(markov=True):
    if OPTIONS.small:
        return Config(96, 8, (1, 2, 3, 4), 10, 2, 32, 2, kernel=3, refine=3, markov=markov)
    return Config(4096, 32, (1, 2, 3, 4, 5, 6, 8, 10, 13, 16), 1000, 16, 1024, 16, markov=markov)


def make_model(markov=True):
    transformer.dense_attention, transformer.window_attention = fused_attention, best_window
    model = MVAR(config(markov))
    if OPTIONS.compiled:
        for name in ("recompile_limit", "cache_size_limit"):
            if hasattr(torch._dynamo.config, name):
                setattr(torch._dynamo.config, name, 64)
        for block in model.blocks:
            block.compile()
    return model


def sampling():
    from sampling import sample
    from tokenizer import Quantizer

    count, name = (2, "a small model") if OPTIONS.small else (32, "d16")
    section = f"Drawing {count} images: {name}, guidance 2.7, top-k 900, top-p 0.96, without the decoder"
    for markov, pattern in ((True, "mvar"), (False, "var")):
        if OPTIONS.compiled and not markov:
            continue  # every scale has different lengths: compiling would take as long as everything else
        model = make_model(markov).eval()
        quantizer = Quantizer(model.config.vocab, model.config.z, model.config.patch_nums)
        labels = torch.arange(count) * 37 % model.config.classes
        generator = torch.Generator(OPTIONS.device)
        for precision in ("float32",) if OPTIONS.compiled else PRECISIONS:
            with precision_of(precision):
                memory = Memory()
                time_ = seconds(lambda: sample(
                    model, quantizer, labels, 2.7, min(900, model.config.vocab), 0.96, generator=generator))
            report(section, f"{pattern}, time", column(precision), time_text(time_))
            report(section, f"{pattern}, memory beyond the weights", column(precision), bytes_text(memory.peak - memory.before))
            report(section, "weights", column(precision), bytes_text(memory.before))


def train():
    count, name = (2, "a small model") if OPTIONS.small else (32, "d16")
    section = f"A training step of {count} images: {name}"
    model = make_model().train()
    c = model.config
    optimizer = training.make_optimizer(model)
    training.set_schedule(optimizer, 1e-5, 0.05)
    tokens = (torch.arange(count * c.length) * 37 % c.vocab).reshape(count, c.length)
    inputs, labels = numbers(count, c.length - 1, c.z), torch.arange(count) * 37 % c.classes

    def work(segment):
        with torch.enable_grad():
            training.step(model, optimizer, labels, tokens, inputs, segment, 2.0)

    for precision in ("float32",) if OPTIONS.compiled else PRECISIONS:
        for segment in training.segments(c):
            with precision_of(precision):
                memory = Memory()
                time_ = seconds(lambda: work(segment))
            row = f"scales {segment[0] + 1} to {segment[1]}"
            report(section, f"{row}, time", column(precision), time_text(time_))
            report(section, f"{row}, peak memory", column(precision), bytes_text(memory.peak))


PARTS = {"limits": limits, "operators": operators, "attention": attention, "sampling": sampling, "training": train}


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--compiled", action="store_true")
    parser.parse_args(namespace=OPTIONS)
    torch.set_default_device(OPTIONS.device)
    PARTS[OPTIONS.part]()


if __name__ == "__main__":
    main()
