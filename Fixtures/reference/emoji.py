"""The models that ship with the package, read from `Fixtures/emoji`, and images of all their classes."""
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file

from sampling import image, sample
from tokenizer import Tokenizer
from transformer import MVAR, Config, load_checkpoint

FOLDER = Path(__file__).resolve().parents[1] / "emoji"
PATCH_NUMS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
CLASSES = 12
GUIDANCE, TOP_K, TOP_P = 3.0, 30, 0.85  # with which the model samples best


def load_tokenizer():
    tokenizer = Tokenizer(512, 16, 32, PATCH_NUMS, multipliers=(1, 2, 2), blocks=1)
    state = load_file(FOLDER / "tokenizer.safetensors")
    tokenizer.load_state_dict({name: t.float() for name, t in state.items()})
    return tokenizer.eval()


def load_transformer():
    model = MVAR(Config(512, 16, PATCH_NUMS, CLASSES, 6, 144, 6, shared_aln=True))
    return load_checkpoint(model, load_file(FOLDER / "transformer.safetensors")).eval()


@torch.no_grad()
def sheet(model, tokenizer, count, batch=48):
    """`count` images of each class -> one image, a row for each class; 48 at a time are faster here than 8 or 16."""
    labels = torch.arange(CLASSES).repeat_interleave(count)
    generator = torch.Generator().manual_seed(0)
    tiles = []
    for part in labels.split(batch):
        f_hat, _, _ = sample(model, tokenizer.quantize, part, GUIDANCE, TOP_K, TOP_P, generator=generator)
        tiles.append(image(tokenizer, f_hat))
    rows = torch.cat(tiles).unflatten(0, (CLASSES, count))  # [rows, columns, 3, side, side]
    pixels = rows.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)  # [rows · side, columns · side, 3]
    return Image.fromarray((255 * pixels).round().byte().numpy())
