"""The transformer as someone who wants it fast would write it: AdaLN's vectors are computed once per image instead of once
per scale, and what is left, the blocks and the head, is one module of plain tensors that a compiler can take.
"""
import functools
import math

import torch
import torch.nn.functional as F
from torch import nn

import workloads
from transformer import normalized


def attend(attention, x, mask):
    """x [B, N, C], mask [N, N] added to the logits or None."""
    heads = attention.config.heads
    bias = torch.cat([attention.q_bias, attention.zero_k_bias, attention.v_bias])
    qkv = F.linear(x, attention.mat_qkv.weight, bias).unflatten(2, (3, heads, x.shape[2] // heads))
    q, k, v = (t.transpose(1, 2) for t in qkv.unbind(2))  # [B, H, N, c]
    factor = attention.scale_mul_1H11.clamp(max=math.log(100)).exp()
    q, k = F.normalize(q, dim=-1) * factor, F.normalize(k, dim=-1)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
    return attention.proj(mixed.transpose(1, 2).flatten(2))


def advance(x, block, vectors, mask):
    """One block; vectors [6, B, 1, C]."""
    gain1, gain2, scale1, scale2, shift1, shift2 = vectors.unbind(0)
    x = x + gain1 * attend(block.attn, normalized(x) * (1 + scale1) + shift1, mask)
    return x + gain2 * block.ffn(normalized(x) * (1 + scale2) + shift2)


class Core(nn.Module):
    """Blocks and head over the tokens of one scale.

    x [B, N, C], six [D, 6, B, 1, C] and two [2, B, 1, C] from `condition`, mask [N, N] added to the logits of attention
    or None -> logits [B, N, V].
    """

    def __init__(self, model, advance=advance):
        super().__init__()
        self.model, self.advance = model, advance

    def forward(self, x, six, two, mask):
        for vectors, block in zip(six.unbind(0), self.model.blocks):
            x = self.advance(x, block, vectors, mask)
        scale, shift = two.unbind(0)
        return self.model.head(normalized(x) * (1 + scale) + shift)


def condition(model, labels):
    """What depends on the labels alone: AdaLN's vectors of all blocks, and of the head."""
    vector = model.class_emb(labels)  # [B, C]
    shared = model.shared_ada_lin(vector) if model.config.shared_aln else vector
    six = torch.stack([torch.stack(block.modulation(shared)) for block in model.blocks])  # [D, 6, B, 1, C]
    two = torch.stack(model.head_nm.ada_lin(vector).unflatten(1, (1, 2, -1)).unbind(2))  # [2, B, 1, C]
    return six, two


@functools.cache
def window_bias(side, kernel, dtype):
    """0 where a query of the map may look, minus infinity elsewhere [N, N]."""
    mask = workloads.window_mask(side, side, kernel)
    return torch.zeros(mask.shape).masked_fill(~mask, float("-inf")).to(dtype)


class Once:
    """Takes the place of the model in `sampling.sample`.

    The core may be compiled, or be another library's; `dtype` is that of the model's weights. Logits are float32.
    """

    def __init__(self, model, core, dtype=torch.float32):
        self.model, self.core, self.dtype = model, core, dtype
        self.config, self.vectors = model.config, None

    def __call__(self, labels, x, begin, end, caches=None):
        if begin == 0:
            self.vectors = condition(self.model, labels)
        h = self.model.embed(labels, None if x is None else x.to(self.dtype), begin, end)
        mask = None
        if self.config.windowed(begin):
            mask = window_bias(self.config.patch_nums[begin], self.config.kernel, self.dtype)
        return self.core(h, *self.vectors, mask).float()


def eager(model, dtype=torch.float32):
    return Once(model, Core(model), dtype)


def compiled(model, dtype=torch.float32):
    """Block by block: compiling all of them as one takes minutes, and nothing is fused across them."""
    return Once(model, Core(model, torch.compile(advance, dynamic=True)), dtype)
