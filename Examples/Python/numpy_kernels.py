"""Softmax and windowed attention in NumPy, forward and backward.

    python -m mvar_golden check --kernel numpy_kernels.py
"""
import numpy as np


def wide(array):
    """At least float32, whatever the kernel is given."""
    return array.astype(np.result_type(array, np.float32))


def probabilities(scores):
    """The softmax over the last axis."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def softmax_gradient(gradient, output):
    """dx = y · (dy − Σ dy · y)"""
    total = (gradient * output).sum(axis=-1, keepdims=True)
    return output * (gradient - total)


def softmax(inputs, attributes, grad_outputs):
    """y = exp(x − max x) / Σ exp(x − max x) over the last axis"""
    output = probabilities(wide(inputs["x"]))
    if grad_outputs is None:
        return output
    gradient = softmax_gradient(wide(grad_outputs["output"]), output)
    return output, {"x": gradient}


def window_starts(side, window):
    """The first key of every query: the window is shifted inward at the
    border, never cut."""
    return np.clip(np.arange(side) - window // 2, 0, side - window)


def window_keys(height, width, window):
    """The row-major positions of every query's keys: [queries, window²]"""
    offsets = np.arange(window)
    rows = window_starts(height, window)[:, None] + offsets
    columns = window_starts(width, window)[:, None] + offsets
    keys = rows[:, None, :, None] * width + columns[None, :, None, :]
    return keys.reshape(height * width, window * window)


def neighborhood_attention(inputs, attributes, grad_outputs):
    """Every query attends to the keys of a window around its own place.

    Queries, keys and values are [B, height, width, heads, c].
    """
    shape = inputs["queries"].shape
    batch, height, width, heads, channels = shape
    flat = (batch, height * width, heads, channels)
    q, k, v = (wide(inputs[name]).reshape(flat)
               for name in ("queries", "keys", "values"))
    keys = window_keys(height, width, attributes["window"])
    scale = q.dtype.type(attributes["softmaxScale"])
    p = probabilities(
        np.einsum("bnhc,bnwhc->bnhw", q, k[:, keys]) * scale)
    output = np.einsum("bnhw,bnwhc->bnhc", p, v[:, keys]).reshape(shape)
    if grad_outputs is None:
        return output

    dy = wide(grad_outputs["output"]).reshape(flat)
    dp = np.einsum("bnhc,bnwhc->bnhw", dy, v[:, keys])
    ds = softmax_gradient(dp, p) * scale
    dq = np.einsum("bnhw,bnwhc->bnhc", ds, k[:, keys])
    dk, dv = np.zeros_like(k), np.zeros_like(v)
    # A key gets a part from every query whose window it lies in.
    everywhere = (slice(None), keys)
    np.add.at(dk, everywhere, np.einsum("bnhw,bnhc->bnwhc", ds, q))
    np.add.at(dv, everywhere, np.einsum("bnhw,bnhc->bnwhc", p, dy))
    return output, {"queries": dq.reshape(shape), "keys": dk.reshape(shape),
                    "values": dv.reshape(shape)}
