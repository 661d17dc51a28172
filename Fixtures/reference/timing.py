"""Times the published d16 sizes with seeded weights, as the peer of `mvar sample` and `mvar reconstruct`.

    python timing.py sample COUNT [THREADS]
    python timing.py reconstruct PHOTO [THREADS]

Prints seconds of the transformer, the encoder and the decoder, and the process's peak memory.
"""
import resource
import sys
import time

import torch

import images
import seeded
from sampling import picture, sample
from tokenizer import Tokenizer
from transformer import MVAR, Config

PATCH_NUMS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)


def make_tokenizer():
    return seeded.fill(Tokenizer(4096, 32, 160, PATCH_NUMS), 0).eval()


def make_transformer():
    return seeded.fill(MVAR(Config(4096, 32, PATCH_NUMS, 1000, 16, 1024, 16)), 0).eval()


def timed(name, function):
    start = time.perf_counter()
    result = function()
    print(f"{name} {time.perf_counter() - start:.2f} s", flush=True)
    return result


@torch.no_grad()
def main():
    what, subject = sys.argv[1:3]
    torch.set_num_threads(int(sys.argv[3]) if len(sys.argv) > 3 else 2)
    tokenizer = timed("load tokenizer", make_tokenizer)
    if what == "sample":
        model = timed("load transformer", make_transformer)
        labels = torch.full((int(subject),), 207)
        generator = torch.Generator().manual_seed(1)
        f_hat, _, _ = timed(
            "transformer", lambda: sample(model, tokenizer.quantize, labels, 2.7, 900, 0.96, generator=generator))
        timed("decoder", lambda: [picture(tokenizer, f_hat[i : i + 1]) for i in range(len(f_hat))])
    else:
        pixels = images.centre_crop(images.load(subject), 256)
        image = torch.from_numpy(images.to_model(pixels))[None]
        _, sums = timed("encoder", lambda: tokenizer.encode(image))
        timed("decoder", lambda: tokenizer.decode(sums[-1]))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


main()
