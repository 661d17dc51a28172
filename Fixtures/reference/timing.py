"""Times the published d16 sizes with seeded weights, as the peer of `mvar sample` and `mvar reconstruct`.

    python timing.py sample COUNT [THREADS]
    python timing.py reconstruct PHOTO [THREADS]
    python timing.py train BATCH STEPS [THREADS]

Prints seconds of the transformer, the encoder and the decoder (or of optimizer steps, segment by segment), and the
process's peak memory.
"""
import resource
import sys
import time

import torch

import images
import seeded
import training
import transformer
import window
from sampling import image, sample
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


def train(batch, steps):
    # The faster of the two forms if keys must be differentiated: 9 s instead of 20 s for scale 9.
    transformer.window_attention = window.masked_window_attention
    model = make_transformer().train()
    optimizer = training.make_optimizer(model)
    training.set_schedule(optimizer, 1e-5, 0.05)
    generator = torch.Generator().manual_seed(1)
    length = model.config.length
    tokens = torch.randint(4096, (batch, length), generator=generator)
    inputs = 2 * torch.rand((batch, length - 1, 32), generator=generator) - 1
    labels = torch.arange(batch) * 37 % 1000
    for segment in training.segments(model.config):
        for step in range(steps + 1):  # the first one is a warm-up
            start = time.perf_counter()
            loss, norm = training.step(model, optimizer, labels, tokens, inputs, segment, 2.0)
            if step > 0:
                seconds = time.perf_counter() - start
                print(f"segment {segment[0] + 1} {segment[1]}: {seconds:.2f} s, loss {loss}, norm {norm}", flush=True)


def main():
    what, subject = sys.argv[1:3]
    if what == "train":
        torch.set_num_threads(int(sys.argv[4]) if len(sys.argv) > 4 else 2)
        train(int(subject), int(sys.argv[3]))
    else:
        torch.set_num_threads(int(sys.argv[3]) if len(sys.argv) > 3 else 2)
        infer(what, subject)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


@torch.no_grad()
def infer(what, subject):
    tokenizer = timed("load tokenizer", make_tokenizer)
    if what == "sample":
        model = timed("load transformer", make_transformer)
        labels = torch.full((int(subject),), 207)
        generator = torch.Generator().manual_seed(1)
        f_hat, _, _ = timed(
            "transformer", lambda: sample(model, tokenizer.quantize, labels, 2.7, 900, 0.96, generator=generator))
        timed("decoder", lambda: [image(tokenizer, f_hat[i : i + 1]) for i in range(len(f_hat))])
    else:
        pixels = images.center_crop(images.load(subject), 256)
        image = torch.from_numpy(images.to_model(pixels))[None]
        _, sums = timed("encoder", lambda: tokenizer.encode(image))
        timed("decoder", lambda: tokenizer.decode(sums[-1]))


main()
