"""Three kernels in NumPy. They compute in the type of their arguments, float32 unless the inputs are float64.

Each takes a dictionary of inputs, one of attributes, and the gradient of the output or None, and returns the output and a
dictionary of gradients by input. The environment variable MVAR_FAULT plants a fault, to see how it is found.
"""

import os

import numpy as np

FAULT = os.environ.get("MVAR_FAULT", "")


def window_starts(side, window):
    """Where the window of each position begins: clamp(i − ⌊window/2⌋, 0, side − window)."""
    half = (window - 1) // 2 if FAULT == "border" else window // 2
    return np.clip(np.arange(side) - half, 0, side - window)


def windowed_attention(inputs, attributes, grad):
    """softmax(scale·q·k)·v over the keys of each query's window; everything is [B, H, W, heads, c]."""
    batch, height, width, heads, channels = inputs["queries"].shape
    window = attributes["window"]
    q, k, v = (inputs[name].reshape(batch, height * width, heads, channels) for name in ("queries", "keys", "values"))
    scale = q.dtype.type(attributes["softmaxScale"])

    rows = window_starts(height, window)[:, None] + np.arange(window)  # [H, window]
    columns = window_starts(width, window)[:, None] + np.arange(window)  # [W, window]
    seen = rows[:, None, :, None] * width + columns[None, :, None, :]
    seen = seen.reshape(height * width, window * window)  # [N, M]

    scores = scale * np.einsum("bnhc,bnmhc->bnmh", q, k[:, seen])
    if FAULT != "no-max":
        scores = scores - scores.max(axis=2, keepdims=True)
    p = np.exp(scores)
    p /= p.sum(axis=2, keepdims=True)  # [B, N, M, heads]
    output = np.einsum("bnmh,bnmhc->bnhc", p, v[:, seen])
    if grad is None:
        return output.reshape(inputs["queries"].shape), {}

    dout = grad.reshape(q.shape)
    mean = np.sum(dout * output, axis=3)[:, :, None]  # [B, N, 1, heads]
    ds = scale * p * (np.einsum("bnhc,bnmhc->bnmh", dout, v[:, seen]) - mean)
    dq = np.einsum("bnmh,bnmhc->bnhc", ds, k[:, seen])
    dk, dv = np.zeros_like(k), np.zeros_like(v)
    of_keys = np.roll(seen, 1, axis=1) if FAULT == "neighbor" else seen
    for b in range(batch):
        np.add.at(dk[b], of_keys, ds[b, ..., None] * q[b, :, None])
        np.add.at(dv[b], seen, p[b, ..., None] * dout[b, :, None])
    shape = inputs["queries"].shape
    return output.reshape(shape), {"queries": dq.reshape(shape), "keys": dk.reshape(shape), "values": dv.reshape(shape)}


def adaptive_layer_norm(inputs, attributes, grad):
    """x̂·(1 + scale) + shift with x̂ = (x − mean)/√(variance + ε); x is [B, N, C], scale and shift are [B, C]."""
    x, scale, shift = inputs["x"], inputs["scale"][:, None], inputs["shift"][:, None]
    centered = x - x.mean(axis=2, keepdims=True)
    epsilon = x.dtype.type(attributes["epsilon"])
    reciprocal = 1 / np.sqrt((centered * centered).mean(axis=2, keepdims=True) + epsilon)
    normalized = centered * reciprocal
    if FAULT == "swap":
        scale, shift = shift, scale
    output = normalized * (1 + scale) + shift
    if grad is None:
        return output, {}

    d = grad * (1 + scale)
    dx = d - d.mean(axis=2, keepdims=True) - normalized * (d * normalized).mean(axis=2, keepdims=True)
    return output, {"x": dx * reciprocal, "scale": (grad * normalized).sum(axis=1), "shift": grad.sum(axis=1)}


def filter_logits(inputs, attributes, grad):
    """Logits below the k-th largest become −∞; then, in ascending order, those whose cumulative probability is at most
    1 − p, except the last. 0 turns either off."""
    logits = inputs["logits"].copy()
    width = logits.shape[-1]
    top_k, top_p = attributes["topK"], attributes["topP"]
    for row in logits.reshape(-1, width):
        if top_k > 0:
            row[row < np.sort(row)[-min(top_k, width)]] = -np.inf
        if top_p > 0:
            order = np.argsort(row, kind="stable")
            weights = np.exp(row.astype(np.float64) - row.max())
            mass = np.cumsum(weights[order] / np.cumsum(weights)[-1])
            if FAULT == "off-by-one":
                mass = np.concatenate([[0], mass[:-1]])
            row[order[:-1][mass[:-1] <= 1 - top_p]] = -np.inf
    return logits, {}


KERNELS = {
    "neighborhoodAttention": windowed_attention,
    "adaptiveLayerNorm": adaptive_layer_norm,
    "filterLogits": filter_logits,
}
