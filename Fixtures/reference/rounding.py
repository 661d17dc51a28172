"""How far pixels move when the tokenizer's decoder rounds what its convolutions multiply to bf16; sums stay in float32.

    python rounding.py      the shipped tokenizer on emoji, and the seeded one of the published sizes: largest and mean error

A pixel counts as 0 ... 255. "weights": weights only. "direct": weights and inputs. "winograd": the factors of 3 x 3 kernels
after the transforms of F(4 x 4, 3 x 3) at 0, 5/8, -5/8, 3/2, -3/2 and infinity, as Sources/TensorCore has them.
"""
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import emoji
import seeded
from tokenizer import Tokenizer

A, B = 0.625, 1.5


def bf16(x):
    return x.bfloat16().float()


def transforms():
    """G [6, 3], B^T [6, 6] and A^T [4, 6] in double: evaluation at the points, its transpose's inverse, and the result's."""
    points = [0, A, -A, B, -B]
    evaluate = lambda width: [[p**i for i in range(width)] for p in points] + [[0.0] * (width - 1) + [1.0]]  # noqa: E731
    scale = [np.prod([p - q for q in points if q != p]) for p in points] + [1.0]
    kernels = torch.tensor(evaluate(3), dtype=torch.float64) / torch.tensor(scale, dtype=torch.float64)[:, None]
    outputs = torch.tensor(evaluate(4), dtype=torch.float64).T
    # Row i: the polynomial that is zero at all points but the i-th, lowest power first.
    rows = [np.polynomial.polynomial.polyfromroots([q for q in points if q != p]).tolist() + [0.0] for p in points]
    rows.append(np.polynomial.polynomial.polyfromroots(points).tolist())
    return kernels.float(), torch.tensor(rows).float(), outputs.float()


def winograd(x, weight, bias, rounded):
    g, b, a = transforms()
    height, width = x.shape[2:]
    rows, columns = (height + 3) // 4, (width + 3) // 4
    tiles = F.pad(x, (1, 5, 1, 5)).unfold(2, 6, 4).unfold(3, 6, 4)[:, :, :rows, :columns]  # [B, I, rows, columns, 6, 6]
    u = rounded(torch.einsum("ij,ocjk,lk->iloc", g, weight, g))
    v = rounded(torch.einsum("ij,bchwjk,lk->ilcbhw", b, tiles, b))
    m = torch.bmm(u.flatten(0, 1), v.flatten(3).flatten(0, 1)).unflatten(0, (6, 6)).unflatten(3, (len(x), rows, columns))
    y = torch.einsum("ij,jkobhw,lk->bohiwl", a, m, a).flatten(4).flatten(2, 3)
    return y[:, :, :height, :width] + bias[:, None, None]


class Rounding(nn.Module):
    """A convolution that rounds."""

    def __init__(self, convolution, way):
        super().__init__()
        self.convolution, self.way = convolution, way

    def forward(self, x):
        c = self.convolution
        if self.way == "winograd":
            has_tiles = c.kernel_size == (3, 3) and min(c.weight.shape[:2]) >= 32
            return winograd(x, c.weight, c.bias, bf16) if has_tiles else c(x)
        x = bf16(x) if self.way == "direct" else x
        return F.conv2d(x, bf16(c.weight), c.bias, c.stride, c.padding)


def wrap(module, way):
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            setattr(module, name, Rounding(child, way))
        else:
            wrap(child, way)
    return module


def report(title, make, sums):
    expected = torch.cat([make().decode(f).clamp(-1, 1) for f in sums])
    for way in ("weights", "direct", "winograd"):
        tokenizer = make()
        tokenizer.decoder = wrap(tokenizer.decoder, way)
        error = (torch.cat([tokenizer.decode(f).clamp(-1, 1) for f in sums]) - expected).abs() * 127.5
        print(f"| {title} | {way} | {error.max():.1f} | {error.mean():.2f} |")


@torch.no_grad()
def main():
    x, weight, bias = torch.randn(2, 5, 13, 9), torch.randn(7, 5, 3, 3), torch.randn(7)
    direct = F.conv2d(x, weight, bias, padding=1)
    assert (winograd(x, weight, bias, lambda t: t) - direct).abs().max() < 1e-4, "the transforms are wrong"

    tokenizer = emoji.load_tokenizer()
    sheet = torch.from_numpy(np.array(Image.open(emoji.FOLDER / "animal.png").convert("RGB"))).permute(2, 0, 1)
    tiles = (sheet.float() / 127.5 - 1).unfold(1, 64, 64).unfold(2, 64, 64).permute(1, 2, 0, 3, 4).flatten(0, 1)
    sums = [tokenizer.encode(part)[1][-1] for part in tiles[:32].split(8)]

    print("| tokenizer | rounded | largest error | mean |\n| --- | --- | --- | --- |")
    report("shipped, 32 emoji", emoji.load_tokenizer, sums)
    published = lambda: seeded.fill(Tokenizer(4096, 32, 160, emoji.PATCH_NUMS), 0).eval()  # noqa: E731
    generator = torch.Generator().manual_seed(1)
    tokens = [torch.randint(0, 4096, (1, side * side), generator=generator) for side in emoji.PATCH_NUMS]
    report("seeded, 256 × 256", published, [published().quantize.decode(tokens)[-1]])


if __name__ == "__main__":
    main()
