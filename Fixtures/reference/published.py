"""Writes seeded weights of the published sizes as the files that the authors publish: names, buffers and format.

    python published.py FOLDER      FOLDER/var_d16.pth and FOLDER/vae_ch160v4096z32.pth, 1.7 GB

They draw nothing, but time, memory and gradients of a fine-tuning are those of the real ones:

    mvar train --data IMAGES --tokenizer FOLDER/vae_ch160v4096z32.pth --init FOLDER/var_d16.pth -o RUN \\
        --steps 4 --batch 2 --accumulate 4 --segments all
    mvar golden dump --model FOLDER/var_d16.pth --tokenizer FOLDER/vae_ch160v4096z32.pth --attention mvar \\
        --class 207 --gradients --limit 8000 -o ours.safetensors
    python dump.py peer.safetensors --depth 16 --class 207 --gradients
    mvar golden diff peer.safetensors ours.safetensors --json differences.json
"""
import os
import sys

import torch

import seeded
import transformer
from tokenizer import Tokenizer

SIDES = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    configuration = transformer.Config(depth=16, embed=1024, heads=16, patch_nums=SIDES, vocab=4096, z=32, classes=1000,
                                       markov=False)
    weights = seeded.fill(transformer.MVAR(configuration), 0).state_dict()
    # What the authors' module keeps besides: the level of each token, and VAR's mask.
    levels = torch.cat([torch.full((side * side,), level) for level, side in enumerate(SIDES)])
    weights.setdefault("lvl_1L", levels[None])
    mask = torch.where(levels[:, None] >= levels, 0.0, -torch.inf)
    weights.setdefault("attn_bias_for_masking", mask[None, None])
    torch.save(weights, os.path.join(folder, "var_d16.pth"))
    torch.save(seeded.fill(Tokenizer(4096, 32, 160, SIDES, 4, False), 0).state_dict(),
               os.path.join(folder, "vae_ch160v4096z32.pth"))


if __name__ == "__main__":
    main()
