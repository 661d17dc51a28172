"""The forward of every operator without random numbers, in double precision,
as plainly as NumPy allows: a second opinion, and what each operator means.

    python -m mvar_golden check --forward-only --kernel numpy_operators.py
"""
import numpy as np

from numpy_kernels import neighborhood_attention, probabilities, softmax


def kernel_of(function):
    """A kernel without a backward; its inputs and attributes are the
    function's arguments, in double precision."""

    def kernel(inputs, attributes, grad_outputs):
        wide = {name: array.astype(np.float64) if array.dtype.kind == "f"
                else array for name, array in inputs.items()}
        return function(**wide, **attributes)

    return kernel


# Products

def linear(x, weight, bias=0):
    return x @ weight.T + bias


def convolution(x, weight, bias=None, stride=1, top=0, left=0, bottom=0,
                right=0):
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    side = weight.shape[2:]
    windows = np.lib.stride_tricks.sliding_window_view(x, side, axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    y = np.einsum("bchwij,ocij->bohw", windows, weight)
    return y if bias is None else y + bias[:, None, None]


# Activations, sums, rearrangements

def sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


def silu(x):
    return x * sigmoid(x)


def gelu(x):
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    return 0.5 * x * (1 + np.tanh(inner))


def gated_residual(x, branch, gain, keep=()):
    factors = np.reshape(keep, (-1, 1, 1)) if len(keep) else 1
    return x + gain[:, None] * factors * branch


def concatenate(axis, **parts):
    ordered = [parts[f"part{place}"] for place in range(len(parts))]
    return np.concatenate(ordered, axis=axis)


def part_of(x, axis, range):
    return np.take(x, np.arange(*range), axis=axis)


# Norms

def normalized(x, epsilon, axis=-1):
    centered = x - x.mean(axis=axis, keepdims=True)
    variance = np.square(centered).mean(axis=axis, keepdims=True)
    return centered / np.sqrt(variance + epsilon)


def adaptive_layer_norm(x, scale, shift, epsilon):
    return normalized(x, epsilon) * (1 + scale[:, None]) + shift[:, None]


def group_norm(x, weight, bias, groups, epsilon, activation="identity"):
    rows = normalized(x.reshape(x.shape[0], groups, -1), epsilon)
    y = rows.reshape(x.shape) * weight[:, None, None] + bias[:, None, None]
    return silu(y) if activation == "silu" else y


def l2_normalize(x):
    length = np.sqrt(np.square(x).sum(axis=-1, keepdims=True))
    return x / np.maximum(length, 1e-12)


# Attention

def split_heads(qkv, heads, logitScale=None):
    parts = qkv.reshape(*qkv.shape[:2], 3, heads, -1)
    q, k, v = np.moveaxis(parts, 2, 0)
    if logitScale is not None:
        factor = np.exp(np.minimum(logitScale, np.log(100)))
        q, k = l2_normalize(q) * factor[:, None], l2_normalize(k)
    return {"queries": q, "keys": k, "values": v}


def attention(queries, keys, values, softmaxScale, spans=()):
    y = np.zeros_like(queries)
    everything = [[0, queries.shape[1], 0, keys.shape[1]]]
    for q0, q1, k0, k1 in spans or everything:
        scores = np.einsum(
            "bnhc,bmhc->bhnm", queries[:, q0:q1], keys[:, k0:k1])
        y[:, q0:q1] = np.einsum(
            "bhnm,bmhc->bnhc", probabilities(scores * softmaxScale),
            values[:, k0:k1])
    return y


# Resizing

def area_matrix(inputs, outputs):
    matrix = np.zeros((outputs, inputs))
    for row in range(outputs):
        first = row * inputs // outputs
        last = -(-(row + 1) * inputs // outputs)
        matrix[row, first:last] = 1 / (last - first)
    return matrix


def bicubic_matrix(inputs, outputs, a=-0.75):
    matrix = np.zeros((outputs, inputs))
    for row in range(outputs):
        place = (row + 0.5) * inputs / outputs - 0.5
        first = int(np.floor(place))
        for tap in range(first - 1, first + 3):
            x = abs(place - tap)
            weight = (((a + 2) * x - (a + 3)) * x * x + 1 if x <= 1
                      else ((a * x - 5 * a) * x + 8 * a) * x - 4 * a)
            matrix[row, min(max(tap, 0), inputs - 1)] += weight
    return matrix


def resize_by(matrix_of):
    def resize(x, height, width):
        rows = matrix_of(x.shape[2], height)
        columns = matrix_of(x.shape[3], width)
        return np.einsum("ih,bchw,jw->bcij", rows, x, columns)
    return resize


# Losses and tables

def cross_entropy(logits, targets, labelSmoothing=0):
    largest = logits.max(axis=-1, keepdims=True)
    shifted = logits - largest
    log = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    right = np.take_along_axis(log, targets[..., None], axis=-1)[..., 0]
    return -(1 - labelSmoothing) * right - labelSmoothing * log.mean(axis=-1)


def nearest_code(vectors, codebook, metric="euclidean"):
    if metric == "cosine":
        similar = l2_normalize(vectors) @ l2_normalize(codebook).T
        return similar.argmax(axis=-1)
    apart = vectors[..., None, :] - codebook
    return np.square(apart).sum(axis=-1).argmin(axis=-1)


# Sampling and the optimizer

def guide(logits, strength):
    with_class, without = np.split(logits, 2)
    return (1 + strength) * with_class - strength * without


def filter_logits(logits, topK=0, topP=0):
    y = logits.copy()
    for row in y.reshape(-1, y.shape[-1]):
        if 0 < topK < row.size:
            row[row < np.sort(row)[-topK]] = -np.inf
        if 0 < topP < 1:
            order = np.argsort(row, kind="stable")
            mass = np.cumsum(probabilities(row[order]))
            row[order[:-1][mass[:-1] <= 1 - topP]] = -np.inf
    return y


def adam_w(parameter, gradient, firstMoment, secondMoment, learningRate,
           decay, step, betas=(0.9, 0.95), epsilon=1e-8, gradientFactor=1,
           steps=1):
    w, m, v = parameter, firstMoment, secondMoment
    g = gradient * gradientFactor
    for t in range(step, step + steps):
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        corrected = m / (1 - betas[0]**t)
        root = np.sqrt(v / (1 - betas[1]**t)) + epsilon
        w = w * (1 - learningRate * decay) - learningRate * corrected / root
    return {"parameter": w, "firstMoment": m, "secondMoment": v}


def sum_of_squares(**tensors):
    sums = [np.square(tensors[f"tensor{place}"]).sum()
            for place in range(len(tensors))]
    return {"first": sums[:1], "each": sums}


KERNELS = {
    "softmax": softmax,
    "neighborhoodAttention": neighborhood_attention,
    **{name: kernel_of(function) for name, function in {
        "linear": linear,
        "convolution": convolution,
        "silu": silu,
        "geluTanh": gelu,
        "multiply": lambda x, alpha: alpha * x,
        "combine": lambda x, y, alpha, beta: alpha * x + beta * y,
        "addRows": lambda x, rows: x + rows,
        "gatedResidual": gated_residual,
        "transpose": lambda x: np.swapaxes(x, -1, -2),
        "concatenate": concatenate,
        "slice": part_of,
        "layerNorm": normalized,
        "adaptiveLayerNorm": adaptive_layer_norm,
        "groupNorm": group_norm,
        "l2Normalize": l2_normalize,
        "splitHeads": split_heads,
        "attention": attention,
        "areaResize": resize_by(area_matrix),
        "bicubicResize": resize_by(bicubic_matrix),
        "upsampleNearest": lambda x: x.repeat(2, axis=2).repeat(2, axis=3),
        "crossEntropy": cross_entropy,
        "meanSquaredError": lambda x, y: [np.square(x - y).mean()],
        "meanAbsoluteError": lambda x, y: [np.abs(x - y).mean()],
        "sum": lambda x, alpha=1: [alpha * x.sum()],
        "embedding": lambda table, indices: table[indices],
        "nearestCode": nearest_code,
        "guide": guide,
        "filterLogits": filter_logits,
        "adamW": adam_w,
        "sumOfSquares": sum_of_squares,
    }.items()},
}
