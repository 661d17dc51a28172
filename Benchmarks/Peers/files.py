"""The models of the benchmarks as files: the published sizes with seeded weights, and what other libraries make of them.

Everything is prepared once, by processes of their own, so that converting a model counts in nobody's time or memory.
"""
from pathlib import Path

import torch
from torch import nn

import once
import seeded
import workloads
from tokenizer import Tokenizer
from transformer import MVAR, Config

TRANSFORMER = Config(4096, 32, workloads.PATCH_NUMS, 1000, 16, 1024, 16)


class Decoder(nn.Module):
    """f_hat [B, Z, P, P] -> image before the clamp [B, 3, 16 P, 16 P]"""

    def __init__(self, tokenizer):
        super().__init__()
        self.post_quant_conv, self.decoder = tokenizer.post_quant_conv, tokenizer.decoder

    def forward(self, f_hat):
        return self.decoder(self.post_quant_conv(f_hat))


def save(folder):
    """The checkpoints, in float32 and bf16."""
    folder = Path(folder)
    for name, model in (
        ("d16", seeded.fill(MVAR(TRANSFORMER), 0)), ("vae", seeded.fill(Tokenizer(4096, 32, 160, workloads.PATCH_NUMS), 0))
    ):
        torch.save(model.state_dict(), folder / f"{name}.pth")
        torch.save(model.bfloat16().state_dict(), folder / f"{name}-bf16.pth")


def read(module, path):
    """A module with the weights of a file, which are used where they lie, in the file's precision."""
    with torch.device("meta"):
        model = module()
    model.load_state_dict(torch.load(path, mmap=True), assign=True)
    return model.eval()


def ending(dtype):
    return "" if dtype == torch.float32 else "-bf16"


def transformer(folder, dtype=torch.float32):
    return read(lambda: MVAR(TRANSFORMER), Path(folder) / f"d16{ending(dtype)}.pth")


def tokenizer(folder, dtype=torch.float32):
    module = lambda: Tokenizer(4096, 32, 160, workloads.PATCH_NUMS)  # noqa: E731
    return read(module, Path(folder) / f"vae{ending(dtype)}.pth")


def core_inputs(batch, tokens):
    """Tensors of the shapes that a core takes."""
    width, depth = TRANSFORMER.embed, TRANSFORMER.depth
    return (torch.zeros(batch, tokens, width), torch.zeros(depth, 6, batch, 1, width),
            torch.zeros(2, batch, 1, width), torch.zeros(tokens, tokens))


@torch.no_grad()
def export_openvino(folder):
    import openvino

    folder, width, depth = Path(folder), TRANSFORMER.embed, TRANSFORMER.depth
    core = once.Core(transformer(folder)).eval()
    shapes = [[-1, -1, width], [depth, 6, -1, 1, width], [2, -1, 1, width], [-1, -1]]
    model = openvino.convert_model(core, example_input=core_inputs(2, 256), input=shapes)
    openvino.save_model(model, folder / "core.xml", compress_to_fp16=False)
    example = torch.zeros(1, 32, 16, 16)
    model = openvino.convert_model(Decoder(tokenizer(folder)).eval(), example_input=example, input=[[1, 32, 16, 16]])
    openvino.save_model(model, folder / "decoder.xml", compress_to_fp16=False)


@torch.no_grad()
def export_onnx(folder):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    folder = Path(folder)
    batch, tokens = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("tokens", min=1, max=1024)
    shapes = ({0: batch, 1: tokens}, {2: batch}, {1: batch}, {0: tokens, 1: tokens})
    torch.onnx.export(
        once.Core(transformer(folder)).eval(), core_inputs(4, 169), folder / "core.onnx",
        input_names=["x", "six", "two", "mask"], dynamic_shapes=shapes, dynamo=True, external_data=True)
    torch.onnx.export(
        Decoder(tokenizer(folder)).eval(), (torch.zeros(1, 32, 16, 16),), folder / "decoder.onnx",
        input_names=["x"], dynamo=True, external_data=True)
    # A scale for each output of a weight; activations get theirs from each tensor while the model runs.
    quantize_dynamic(
        folder / "core.onnx", folder / "core-int8.onnx", weight_type=QuantType.QInt8, per_channel=True,
        use_external_data_format=True, op_types_to_quantize=["MatMul", "Gemm"])
