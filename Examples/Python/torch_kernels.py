"""Adaptive layer norm and windowed attention in PyTorch; the gradients come
from autograd.

    python -m mvar_golden check --arrays torch --kernel torch_kernels.py

With ``--device cuda`` the tensors are on a GPU.
"""
import torch


def wide(tensor):
    """At least float32, whatever the kernel is given."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def with_gradients(function, inputs, grad_outputs):
    """The output of a function and the gradients of its inputs."""
    if grad_outputs is None:
        return function(**inputs)
    leaves = {name: tensor.requires_grad_(tensor.is_floating_point())
              for name, tensor in inputs.items()}
    output = function(**leaves)
    gradients = torch.autograd.grad(
        output, list(leaves.values()), grad_outputs["output"])
    return output, dict(zip(leaves, gradients))


def adaptive_layer_norm(inputs, attributes, grad_outputs):
    """y = x̂ · (1 + scale) + shift; x [B, N, C], scale and shift [B, C]"""

    def forward(x, scale, shift):
        x, kept = wide(x), x.dtype
        centered = x - x.mean(-1, keepdim=True)
        variance = centered.square().mean(-1, keepdim=True)
        normalized = centered * (variance + attributes["epsilon"]).rsqrt()
        y = normalized * (1 + wide(scale)[:, None]) + wide(shift)[:, None]
        return y.to(kept)

    return with_gradients(forward, inputs, grad_outputs)


def window_mask(height, width, window, device):
    """Which keys every query sees: [queries, keys]"""

    def seen(side):
        place = torch.arange(side, device=device)
        start = (place - window // 2).clamp(0, side - window)[:, None]
        return (place >= start) & (place < start + window)

    rows, columns = seen(height), seen(width)
    mask = rows[:, None, :, None] & columns[None, :, None, :]
    return mask.reshape(height * width, height * width)


def neighborhood_attention(inputs, attributes, grad_outputs):
    """Dense attention with the window as a mask; [B, height, width, heads,
    c]"""

    def forward(queries, keys, values):
        shape, kept = queries.shape, queries.dtype
        q, k, v = (wide(x).flatten(1, 2).transpose(1, 2)
                   for x in (queries, keys, values))
        mask = window_mask(
            shape[1], shape[2], attributes["window"], queries.device)
        scores = q @ k.mT * attributes["softmaxScale"]
        scores = scores.masked_fill(~mask, float("-inf"))
        output = scores.softmax(-1) @ v
        return output.transpose(1, 2).reshape(shape).to(kept)

    return with_gradients(forward, inputs, grad_outputs)
