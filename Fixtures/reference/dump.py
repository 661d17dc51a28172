"""Writes what `mvar golden dump` writes, from this implementation: every value of a seeded model at work.

    python dump.py OUT.safetensors [--config GOLDEN.safetensors | --depth 16] [--class 0] [--cfg 1] [--scales 0:3]
                   [--gradients] [--double] [--plant BLOCK]

The models are those of a golden file's config, or the published sizes with seed 0. Sampling is greedy. Then

    mvar golden dump --model GOLDEN.safetensors -o ours.safetensors
    mvar golden diff ours.safetensors OUT.safetensors --first

names the first value that differs. --plant BLOCK puts a wrong constant into that block's attention, to see it found.
"""
import argparse
import json
import re
import struct

import torch

import sampling
import seeded
import training
import transformer
from tokenizer import Tokenizer

STAGES = r"(quant_conv|post_quant_conv|(en|de)coder\.(conv_in|conv_out|mid\.\w+|(down|up)\.\d+\.(block\.\d+|attn\.\d+|\w+sample)))"
VECTORS = ("gain1", "gain2", "scale1", "scale2", "shift1", "shift2")


class Enough(Exception):
    """The last scale that is wanted is done."""


class Dump:
    """Values by name, in the order in which they are computed."""

    def __init__(self, scales):
        self.values, self.prefix, self.scales = {}, "", scales
        self.block, self.norms = None, 0  # the block at work, and how many norms it has computed

    def note(self, name, value):
        prefix = self.prefix
        scale = re.match(r"scale\.(\d+)\.", prefix + name)
        if scale and int(scale[1]) not in self.scales:
            return value
        self.values[prefix + name] = value.detach().clone()
        if value.requires_grad:
            value.register_hook(lambda gradient: self.values.update({f"{prefix}grad.{name}": gradient.clone()}))
        return value

    def before(self, module, name):
        """Notes a module's input whenever it runs."""

        def hook(_, inputs):
            self.note(name, inputs[0])

        module.register_forward_pre_hook(hook)

    def after(self, module, name):
        """Notes a module's output whenever it runs."""

        def hook(_, inputs, output):
            self.note(name, output)

        module.register_forward_hook(hook)

    def write(self, path):
        """The safetensors format: the length of a JSON header, the header, the data; integers first for alignment."""
        names = sorted(self.values, key=lambda name: self.values[name].is_floating_point())
        kinds = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64"}
        metadata = {"format": "2", "kind": "dump", "producer": f"PyTorch {torch.__version__}"}
        metadata["order"] = json.dumps(list(self.values))
        header, end = {"__metadata__": metadata}, 0
        for name in names:
            value = self.values[name] = self.values[name].contiguous()
            size = value.numel() * value.element_size()
            header[name] = {"dtype": kinds[value.dtype], "shape": list(value.shape), "data_offsets": [end, end + size]}
            end += size
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(path, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for name in names:
                file.write(self.values[name].numpy().tobytes())


def follow_transformer(dump, model, plant):
    dump.before(model.blocks[0], "embedded")
    for index, block in enumerate(model.blocks):
        follow_block(dump, block, f"blocks.{index}.", 1.02 if index == plant else 1.0)
    dump.after(model.head_nm, "head_nm")
    dump.after(model.head, "logits")


def follow_block(dump, block, name, factor):
    """norm1, qkv, q, k, v, attention, proj, residual1, norm2, fc1, gelu, fc2, residual2"""
    attn, ffn = block.attn, block.ffn
    dump.before(attn, name + "norm1")

    def followed(attend):
        def run(q, k, v, softmax_scale, *rest):
            for part, value in zip("qkv", (q, k, v)):
                dump.note(name + part, value)
            return attend(q, k, v, softmax_scale * factor, *rest)

        return run

    attn.markov, attn.causal = followed(attn.markov), followed(attn.causal)
    dump.before(attn.proj, name + "attention")
    dump.after(attn.proj, name + "proj")
    dump.before(ffn, name + "norm2")
    dump.after(ffn.fc1, name + "fc1")
    dump.before(ffn.fc2, name + "gelu")
    dump.after(ffn.fc2, name + "fc2")
    dump.after(block, name + "residual2")
    # What no module takes or returns: the joint projection and the sum between the halves.
    block.register_forward_pre_hook(lambda _, inputs: dump.__dict__.update(block=name, norms=0))
    block.register_forward_hook(lambda *_: dump.__dict__.update(block=None))


def follow_functions(dump):
    """The two values that no module takes or returns, where the transformer calls functions for them."""
    normalized, functional = transformer.normalized, transformer.F

    def followed_norm(x):
        if dump.block:
            dump.norms += 1
            if dump.norms == 2:
                dump.note(dump.block + "residual1", x)
        return normalized(x)

    class Functional:
        def __getattr__(self, name):
            return getattr(functional, name)

        @staticmethod
        def linear(x, weight, bias):
            return dump.note(dump.block + "qkv", functional.linear(x, weight, bias))

    transformer.normalized, transformer.F = followed_norm, Functional()


def note_condition(dump, model, labels):
    condition = dump.note("class_emb", model.class_emb(labels))
    shared = model.shared_ada_lin(condition) if model.config.shared_aln else condition
    for index, block in enumerate(model.blocks):
        for name, vector in zip(VECTORS, block.modulation(shared)):
            dump.note(f"blocks.{index}.ada.{name}", vector[:, 0])
    scale, shift = model.head_nm.ada_lin(condition).chunk(2, dim=1)
    dump.note("head_nm.scale", scale), dump.note("head_nm.shift", shift)


@torch.no_grad()
def sample(dump, model, vae, label, cfg):
    """Samples greedily up to the last scale that is wanted -> tokens and f_hat of each scale."""
    quantizer, tokens, sums = vae.quantize, [], []
    filter_logits, draw, contribution = sampling.filter_logits, sampling.draw, quantizer.contribution_of_codes

    def begin(_, inputs):
        rows, x, scale = inputs[:3]
        if scale == 0:
            note_condition(dump, model, rows)
        dump.prefix = f"scale.{scale}."
        if x is not None:
            dump.note("input", x)

    def followed_filter(logits, *arguments):
        if cfg != 1 or not model.config.markov:
            dump.note("guided", logits)
        return dump.note("filtered", filter_logits(logits, *arguments))

    def followed_draw(*arguments):
        tokens.append(dump.note("tokens", draw(*arguments)))
        return tokens[-1]

    def followed_contribution(scale, codes):
        h = dump.note("phi", contribution(scale, dump.note("codes", codes)))
        sums.append(dump.note("f_hat", sums[-1] + h if sums else h))
        if scale + 1 == dump.scales.stop:
            raise Enough
        return h

    sampling.filter_logits, sampling.draw = followed_filter, followed_draw
    quantizer.contribution_of_codes = followed_contribution
    handle = model.register_forward_pre_hook(begin)
    try:
        sampling.sample(model, quantizer, torch.tensor([label]), cfg, top_k=1)
    except Enough:
        pass
    handle.remove()
    quantizer.contribution_of_codes = contribution
    dump.prefix = ""
    return tokens, sums


@torch.no_grad()
def decode(dump, vae, f_hat):
    for name, module in vae.named_modules():
        if re.fullmatch(STAGES, name):
            dump.after(module, name)
    dump.before(vae.decoder.conv_out, "decoder.norm_out")
    dump.note("image01", sampling.image(vae, f_hat))


def differentiate(dump, model, vae, label, tokens, sums):
    """The backward of teacher forcing, segment by segment."""
    config, quantizer = model.config, vae.quantize
    known = [quantizer.next_input(s + 1, f_hat) for s, f_hat in enumerate(sums[: dump.scales.stop - 1])]
    missing = config.length - 1 - sum(x.shape[1] for x in known)
    inputs = torch.cat(known + [torch.zeros(1, missing, config.z)], dim=1)
    targets = torch.cat(tokens + [torch.zeros(1, config.length - sum(t.shape[1] for t in tokens)).long()], dim=1)
    parts = [(begin, end) for begin, end in training.segments(config) if begin < end]
    if not config.markov:
        parts = [(0, config.scales)]
    for index, (begin, end) in enumerate(parts):
        begin, end = max(begin, dump.scales.start), min(end, dump.scales.stop)
        if begin >= end:
            continue
        dump.prefix = f"segment.{index}."
        model.zero_grad(set_to_none=True)
        logits = training.segment_logits(model, torch.tensor([label]), inputs, begin, end)
        loss = training.segment_loss(config, logits, targets, begin, end)
        dump.values[dump.prefix + "loss"] = loss.detach().reshape(1)
        loss.backward()
        for name, parameter in model.named_parameters():
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            dump.values[f"{dump.prefix}grad.{name}"] = gradient.detach().clone()
    dump.prefix = ""


def configuration(path):
    """The config of a golden file: its header is JSON, whose length is in the first eight bytes."""
    with open(path, "rb") as file:
        return json.loads(json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))["__metadata__"]["config"])


def models(options):
    depth, sizes = options.depth, dict(seed=0, vocab=4096, z=32, ch=160, classes=1000, share_quant_resi=4)
    sizes.update(depth=depth, embed=64 * depth, heads=depth, patch_nums=(1, 2, 3, 4, 5, 6, 8, 10, 13, 16))
    if options.config:
        sizes = configuration(options.config)
    known = {name: value for name, value in sizes.items() if name in transformer.Config.__dataclass_fields__}
    model = transformer.MVAR(transformer.Config(**known, markov=not options.var))
    phis, znorm = sizes["share_quant_resi"], sizes.get("znorm", False)
    vae = Tokenizer(sizes["vocab"], sizes["z"], sizes["ch"], sizes["patch_nums"], phis, znorm)
    return seeded.fill(model, sizes["seed"]), seeded.fill(vae, sizes["seed"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--config", help="a golden file of models, whose sizes and seed are taken")
    parser.add_argument("--depth", type=int, default=16)
    parser.add_argument("--class", dest="label", type=int, default=0)
    parser.add_argument("--cfg", type=float, default=1)
    parser.add_argument("--scales", help="first:end")
    parser.add_argument("--gradients", action="store_true")
    parser.add_argument("--var", action="store_true", help="the baseline: attention over all earlier scales")
    parser.add_argument("--double", action="store_true", help="compute in double precision")
    parser.add_argument("--plant", type=int, help="a block whose attention gets a wrong constant")
    options = parser.parse_args()
    if options.double:
        torch.set_default_dtype(torch.float64)
    model, vae = (m.to(torch.get_default_dtype()).eval() for m in models(options))
    scales = range(model.config.scales)
    if options.scales:
        scales = scales[slice(*map(int, options.scales.split(":")))]
    dump = Dump(scales)
    follow_functions(dump)
    follow_transformer(dump, model, options.plant)
    tokens, sums = sample(dump, model, vae, options.label, options.cfg)
    if scales.stop == model.config.scales:
        decode(dump, vae, sums[-1])
    if options.gradients:
        differentiate(dump, model, vae, options.label, tokens, sums)
    dump.write(options.out)
    print(f"{options.out}: {len(dump.values)} tensors of scales {scales.start}:{scales.stop}")


if __name__ == "__main__":
    main()
