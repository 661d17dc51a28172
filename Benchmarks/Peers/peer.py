"""What a user would pick instead, one peer a process: does a piece of work when told to.

    python peer.py serve PEER THREADS FILES             reads requests, see below
    python peer.py sample PEER THREADS FILES COUNT PNG  loads both models, draws images of class 207, writes one image
    python peer.py emoji PEER THREADS COUNT PNG         the same with the models that ship: COUNT images of each class
    python peer.py prepare PART FILES                   writes checkpoints, openvino or onnx into the folder FILES
    python peer.py load FILES                           prints the seconds that torch.load takes for the transformer
    python peer.py versions                             prints a line

Requests are lines. `NAME REPEATS` does a work as `Fixtures/reference/workloads.py` does; `output NAME PATH` writes float32
numbers that show how far a peer's precision is from float32; `peak` asks for the most memory the process ever took. An answer
is a line of numbers, or `error` and why.
"""
import importlib.metadata
import os
import platform
import sys
import time

START = time.perf_counter()
sys.path[:0] = [os.environ["REFERENCE"]]

import torch
from PIL import Image

import emoji
import files
import once
import runtimes
import sampling
import training
import workloads

PIXELS = 255


class Peer:
    """PyTorch as it comes: `Fixtures/reference` with fused attention."""

    dtype = torch.float32

    def __init__(self, threads, folder):
        self.threads, self.folder = threads, folder
        torch.set_num_threads(threads)

    def load(self):
        return files.transformer(self.folder, self.dtype)

    def model(self):
        """What takes the transformer's place in sampling."""
        return self.load()

    def small(self):
        """The same for the models that ship with the package."""
        return emoji.load_transformer(), emoji.load_tokenizer()

    def decoder(self):
        """f_hat [B, Z, P, P] -> image before the clamp."""
        return files.tokenizer(self.folder).decode

    def trainee(self):
        return self.load().train()



class Once(Peer):
    """AdaLN computed once per image, and convolutions with channels last."""

    def model(self):
        return once.eager(self.load(), self.dtype)

    def small(self):
        model, tokenizer = super().small()
        tokenizer.decoder = tokenizer.decoder.to(memory_format=torch.channels_last)
        return once.eager(model), tokenizer

    def decoder(self):
        decoder = files.Decoder(files.tokenizer(self.folder, self.dtype)).to(memory_format=torch.channels_last)
        return lambda f_hat: decoder(f_hat.to(self.dtype, memory_format=torch.channels_last)).float()


class HalfOnce(Once):
    """The same after `model.bfloat16()`; training with autocast."""

    dtype = torch.bfloat16

    def trainee(self):
        return files.transformer(self.folder).train()


class Compiled(Once):
    """The same compiled by TorchInductor."""

    def model(self):
        return once.compiled(self.load(), self.dtype)

    def decoder(self):
        decoder = torch.compile(files.Decoder(files.tokenizer(self.folder, self.dtype)))
        return lambda f_hat: decoder(f_hat.to(self.dtype)).float()


class HalfCompiled(Compiled):
    dtype = torch.bfloat16


class Other(Peer):
    """Another library's core and decoder; the rest is PyTorch."""

    def models(self):
        raise NotImplementedError

    def model(self):
        return once.Once(self.load(), self.models()[0]())

    def decoder(self):
        return self.models()[1]()


class OpenVINO(Other):
    hint = "f32"

    def models(self):
        return runtimes.openvino_models(self.folder, self.hint, self.threads)


class HalfOpenVINO(OpenVINO):
    hint = "bf16"


class ONNXRuntime(Other):
    name = "core"

    def models(self):
        return runtimes.onnx_models(self.folder, self.name, self.threads)


class ByteONNXRuntime(ONNXRuntime):
    """Linear layers in int8, quantized dynamically; the decoder stays in float32."""

    name = "core-int8"


PEERS = {
    "eager": Peer, "once": Once, "compile": Compiled, "openvino": OpenVINO, "onnx": ONNXRuntime, "once-bf16": HalfOnce,
    "compile-bf16": HalfCompiled, "openvino-bf16": HalfOpenVINO, "onnx-int8": ByteONNXRuntime,
}


def prepare_work(peer, name):
    """A work by its name: the models' by this peer, and single operators as they are."""
    kind, _, number = name.rpartition("-")
    if kind == "transformer":
        quantizer = files.tokenizer(peer.folder).quantize
        return workloads.drawing(peer.model(), quantizer, int(number))
    if kind == "decode":
        return workloads.decoding(peer.decoder())
    if kind == "train":
        segment = {"dense": (0, 8), "8": (8, 9), "9": (9, 10)}[number]
        return workloads.train(peer.trainee(), segment, autocast=peer.dtype == torch.bfloat16)
    return workloads.WORK[name]()


def transformer_output(peer):
    """Logits of all scales for seeded inputs, of a class and without one."""
    model, inputs, parts = peer.model(), workloads.values("x", 2, 679, 32), []
    labels = torch.tensor([207, 1000])
    for scale in range(model.config.scales):
        first = model.config.first_token(scale) - 1
        x = inputs[:, first : first + model.config.tokens[scale]] if scale else None
        parts.append(model(labels, x, scale, scale + 1))
    return torch.cat(parts, dim=1)


OUTPUTS = {
    "transformer": transformer_output,
    "decode": lambda peer: peer.decoder()(workloads.values("f", 1, 32, 16, 16)).clamp(-1, 1),
}


def answer(peer, prepared, line):
    words = line.split()
    if words == ["peak"]:
        return [peak_memory()]
    if words[0] == "output":
        values = OUTPUTS[words[1]](peer).float().contiguous()
        values.numpy().tofile(words[2])
        return [values.numel()]
    name, repeats = words[0], int(words[1])
    if name not in prepared:
        prepared[name] = prepare_work(peer, name)
    start = time.perf_counter()
    for _ in range(repeats):
        parts = prepared[name]()
    return [(time.perf_counter() - start) / repeats, *workloads.describe(parts)]


def peak_memory():
    """The system's other count begins with what the parent occupied when it started this program."""
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def one_line(error):
    return f"{type(error).__name__}: " + " ".join(str(error).split())[:300]


@torch.no_grad()
def serve(kind, threads, folder):
    # Whatever libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    peer, prepared = PEERS[kind](int(threads), folder), {}
    for line in sys.stdin:
        try:
            print(*answer(peer, prepared, line), file=answers)
        except Exception as error:  # the other peers go on
            print("error", one_line(error), file=answers)


def save_row(images, path):
    pixels = (torch.cat(images, dim=2) * PIXELS).byte().permute(1, 2, 0).contiguous().numpy()
    Image.fromarray(pixels).save(path)


@torch.no_grad()
def sample(kind, threads, folder, count, path):
    peer = PEERS[kind](int(threads), folder)
    generator = torch.Generator().manual_seed(1)
    labels, quantizer = torch.full((int(count),), 207), files.tokenizer(folder).quantize
    f_hat, _, _ = sampling.sample(peer.model(), quantizer, labels, 2.7, 900, 0.96, generator=generator)
    decode = peer.decoder()
    save_row([((decode(part).clamp(-1, 1) + 1) / 2)[0] for part in f_hat.split(1)], path)


def draw_emoji(kind, threads, count, path):
    peer = PEERS[kind](int(threads), None)
    emoji.sheet(*peer.small(), int(count)).save(path)


def prepare(part, folder):
    {"checkpoints": files.save, "openvino": files.export_openvino, "onnx": files.export_onnx}[part](folder)


def load(folder):
    start = time.perf_counter()
    torch.load(f"{folder}/d16.pth")
    print(time.perf_counter() - start)


def versions():
    names = ["torch", "openvino", "onnxruntime"]
    found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    known = [f"{name} {found[name]}" for name in names if name in found]
    print(", ".join([f"Python {platform.python_version()}", *known]))


def main():
    commands = {"serve": serve, "sample": sample, "emoji": draw_emoji, "prepare": prepare, "load": load, "versions": versions}
    command, *arguments = sys.argv[1:]
    imports = time.perf_counter() - START
    try:
        commands[command](*arguments)
    except Exception as error:
        sys.exit(one_line(error))
    if command in ("sample", "emoji"):
        print(imports)


if __name__ == "__main__":
    main()
