"""The network of FID (TensorFlow's Inception of 2015-12-05), and the measures of its features, in plain PyTorch and NumPy.

    python inception.py [MVAR]    times the network on random images of 256 × 256, beside `mvar metrics` if its path is given
"""
import math
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F

import seeded

SIDE = 299


class Weights:
    """Computed from their names when they are first asked for."""

    def __init__(self, seed):
        self.seed, self.tensors = seed, {}

    def __call__(self, name, *shape):
        if name not in self.tensors:
            if name.endswith("running_var"):
                center, bound = 1.0, 0.5
            elif name.endswith("running_mean"):
                center, bound = 0.0, 0.3
            elif len(shape) == 1:
                center, bound = (1.0 if name.endswith(".weight") else 0.0), 0.1
            else:
                center, bound = 0.0, math.sqrt(6 / math.prod(shape[1:]))
            values = center + bound * seeded.uniform(name, self.seed, 0, math.prod(shape))
            self.tensors[name] = torch.from_numpy(values.astype(np.float32)).reshape(shape)
        return self.tensors[name]


def resize(x):
    """TensorFlow 1's bilinear interpolation to 299 × 299: neither half-pixel centers nor aligned corners."""
    def axis(size):
        place = torch.arange(SIDE, dtype=torch.float32) * (size / SIDE)
        low = place.long()
        return low, (low + 1).clamp_max(size - 1), place - low.float()

    (up, down, dy), (left, right, dx) = axis(x.shape[2]), axis(x.shape[3])
    above = x[:, :, up][..., left] + (x[:, :, up][..., right] - x[:, :, up][..., left]) * dx
    below = x[:, :, down][..., left] + (x[:, :, down][..., right] - x[:, :, down][..., left]) * dx
    return above + (below - above) * dy[:, None]


def mean_pool(x):
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class Inception:
    def __init__(self, seed):
        self.weights = Weights(seed)

    def unit(self, x, name, outputs, kernel=1, stride=1, padding=0):
        height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        x = F.conv2d(x, self.weights(f"{name}.conv.weight", outputs, x.shape[1], height, width), None, stride, padding)
        norm = [self.weights(f"{name}.bn.{part}", outputs) for part in ("running_mean", "running_var", "weight", "bias")]
        return F.relu(F.batch_norm(x, *norm, False, 0.0, 1e-3))

    def row(self, x, name, outputs, length):
        return self.unit(x, name, outputs, (1, length), 1, (0, length // 2))

    def column(self, x, name, outputs, length):
        return self.unit(x, name, outputs, (length, 1), 1, (length // 2, 0))

    def double(self, x, name, stride=1):
        x = self.unit(self.unit(x, f"{name}_1", 64), f"{name}_2", 96, 3, 1, 1)
        return self.unit(x, f"{name}_3", 96, 3, stride, 1 if stride == 1 else 0)

    def block_a(self, x, name, pooled):
        five = self.unit(self.unit(x, f"{name}.branch5x5_1", 48), f"{name}.branch5x5_2", 64, 5, 1, 2)
        return torch.cat([self.unit(x, f"{name}.branch1x1", 64), five, self.double(x, f"{name}.branch3x3dbl"),
                          self.unit(mean_pool(x), f"{name}.branch_pool", pooled)], 1)

    def block_b(self, x, name):
        return torch.cat([self.unit(x, f"{name}.branch3x3", 384, 3, 2), self.double(x, f"{name}.branch3x3dbl", 2),
                          F.max_pool2d(x, 3, 2)], 1)

    def block_c(self, x, name, inner):
        first = self.unit(x, f"{name}.branch1x1", 192)
        seven = self.row(self.unit(x, f"{name}.branch7x7_1", inner), f"{name}.branch7x7_2", inner, 7)
        seven = self.column(seven, f"{name}.branch7x7_3", 192, 7)
        double = self.unit(x, f"{name}.branch7x7dbl_1", inner)
        for place, outputs in ((2, inner), (3, inner), (4, inner), (5, 192)):
            layer = self.column if place % 2 == 0 else self.row
            double = layer(double, f"{name}.branch7x7dbl_{place}", outputs, 7)
        return torch.cat([first, seven, double, self.unit(mean_pool(x), f"{name}.branch_pool", 192)], 1), first

    def block_d(self, x, name):
        three = self.unit(self.unit(x, f"{name}.branch3x3_1", 192), f"{name}.branch3x3_2", 320, 3, 2)
        seven = self.row(self.unit(x, f"{name}.branch7x7x3_1", 192), f"{name}.branch7x7x3_2", 192, 7)
        seven = self.column(seven, f"{name}.branch7x7x3_3", 192, 7)
        return torch.cat([three, self.unit(seven, f"{name}.branch7x7x3_4", 192, 3, 2), F.max_pool2d(x, 3, 2)], 1)

    def block_e(self, x, name, pool):
        three = self.unit(x, f"{name}.branch3x3_1", 384)
        double = self.unit(self.unit(x, f"{name}.branch3x3dbl_1", 448), f"{name}.branch3x3dbl_2", 384, 3, 1, 1)
        return torch.cat([self.unit(x, f"{name}.branch1x1", 320),
                          self.row(three, f"{name}.branch3x3_2a", 384, 3), self.column(three, f"{name}.branch3x3_2b", 384, 3),
                          self.row(double, f"{name}.branch3x3dbl_3a", 384, 3),
                          self.column(double, f"{name}.branch3x3dbl_3b", 384, 3),
                          self.unit(pool(x), f"{name}.branch_pool", 192)], 1)

    @torch.no_grad()
    def __call__(self, images):
        """Images [N, 3, H, W] of bytes → features by name."""
        found = {}
        x = self.unit((resize(images.float()) - 128) / 128, "Conv2d_1a_3x3", 32, 3, 2)
        x = self.unit(self.unit(x, "Conv2d_2a_3x3", 32, 3), "Conv2d_2b_3x3", 64, 3, 1, 1)
        x = F.max_pool2d(x, 3, 2)
        found["64"] = x.mean((2, 3))
        x = F.max_pool2d(self.unit(self.unit(x, "Conv2d_3b_1x1", 80), "Conv2d_4a_3x3", 192, 3), 3, 2)
        found["192"] = x.mean((2, 3))
        for letter, pooled in (("b", 32), ("c", 64), ("d", 64)):
            x = self.block_a(x, f"Mixed_5{letter}", pooled)
        x = self.block_b(x, "Mixed_6a")
        for letter, inner in (("b", 128), ("c", 160), ("d", 160), ("e", 192)):
            x, first = self.block_c(x, f"Mixed_6{letter}", inner)
            if letter == "d":
                found["spatial"] = first[:, :7]
        found["768"] = x.mean((2, 3))
        x = self.block_e(self.block_d(x, "Mixed_7a"), "Mixed_7b", mean_pool)
        x = self.block_e(x, "Mixed_7c", lambda x: F.max_pool2d(x, 3, 1, 1))
        found["2048"] = x.mean((2, 3))
        found["logits_unbiased"] = found["2048"] @ self.weights("fc.weight", 1008, 2048).T
        found["logits"] = found["logits_unbiased"] + self.weights("fc.bias", 1008)
        return found


def frechet_distance(one, other):
    """‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁^½ Σ₂ Σ₁^½)^½"""
    (m1, s1), (m2, s2) = ((x.mean(0), np.cov(x, rowvar=False)) for x in (one, other))
    values, vectors = np.linalg.eigh(s1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    common = np.sqrt(np.linalg.eigvalsh(root @ s2 @ root).clip(0)).sum()
    return ((m1 - m2) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * common


def precision_recall(samples, references, neighbor=3):
    def distances(a, b):
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(2))

    def share(points, others):
        radii = np.sort(distances(others, others), 1)[:, neighbor]
        return (distances(points, others) <= radii).any(1).mean()

    return share(samples, references), share(references, samples)


def inception_score(logits, part):
    scores = []
    for first in range(0, len(logits), part):
        x = logits[first:first + part]
        p = np.exp(x - x.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        scores.append(np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean()))
    return np.mean(scores)


def features_per_second(mvar, model, folder):
    """Images a second of `mvar metrics`, from sets of two sizes, so that what is done once does not count."""
    weights, reference = os.path.join(folder, "inception.pth"), os.path.join(folder, "reference.npz")
    sizes = (32, 160)
    if not os.path.exists(weights):
        torch.save(model.weights.tensors, weights)
        for count in (2, *sizes):
            images = np.random.default_rng(count).integers(0, 256, (count, 256, 256, 3), dtype=np.uint8)
            np.savez(os.path.join(folder, f"{count}.npz"), arr_0=images)
        quiet(mvar, "metrics", *2 * [os.path.join(folder, "2.npz")], "--inception", weights, "--save-features", reference)
    seconds = []
    for count in sizes:
        start = time.perf_counter()
        quiet(mvar, "metrics", os.path.join(folder, f"{count}.npz"), reference, "--inception", weights)
        seconds.append(time.perf_counter() - start)
    return (sizes[1] - sizes[0]) / (seconds[1] - seconds[0])


def quiet(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@torch.no_grad()
def main():
    torch.set_num_threads(os.cpu_count())
    model = Inception(0)
    images = torch.randint(0, 256, (16, 3, 256, 256), dtype=torch.uint8)
    model(images)
    own, peer = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(3):
            start, rounds = time.perf_counter(), 8
            for _ in range(rounds):
                model(images)
            peer.append(rounds * len(images) / (time.perf_counter() - start))
            if len(sys.argv) > 1:
                own.append(features_per_second(os.path.abspath(sys.argv[1]), model, folder))
    for name, speeds in (("PyTorch", peer), ("mvar", own)):
        if speeds:
            print(f"{name}: {sorted(speeds)[1]:.1f} images a second ({min(speeds):.1f} to {max(speeds):.1f})")


if __name__ == "__main__":
    main()
