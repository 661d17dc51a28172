"""Golden files of format 1: the values of the authors' PyTorch code.

The operator follows from the case's name, inputs are single letters; here
they get the names of the engines' contract, as in format 2. The bar is the
one that ``mvar golden check`` applies: 1e-5 of the largest magnitude.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Tuple

import numpy as np

from .case import Expected, OperatorCase
from .comparator import largest_of
from .comparison import Bar
from .errors import GoldenError
from .safetensors import StoredTensor

_KNOWN = {"eps", "groups", "targets", "kernel", "scale", "pre_scale",
          "label_smoothing"}
# They only describe in words what the operator does anyway.
_REMARKS = {"affine", "pad", "align_corners", "a", "layout", "window"}

_PARAMETERS = {"x": "x", "w": "weight", "b": "bias"}
_HEADS = {"q": "queries", "k": "keys", "v": "values"}
_X = {"x": "x"}

_Attributes = Callable[[Mapping[str, Any], Tuple[int, ...]], Dict[str, Any]]


def _none(given: Mapping[str, Any], shape: Tuple[int, ...]) -> Dict[str, Any]:
    return {}


def _convolution(stride: int, *sides: int) -> _Attributes:
    names = ("top", "left", "bottom", "right")
    return lambda given, shape: {"stride": stride, **dict(zip(names, sides))}


def _size(given: Mapping[str, Any], shape: Tuple[int, ...]) -> Dict[str, Any]:
    return {"height": shape[-2], "width": shape[-1]}


def _epsilon(
    given: Mapping[str, Any], shape: Tuple[int, ...]
) -> Dict[str, Any]:
    return {"epsilon": given.get("eps", 1e-6)}


def _groups(
    given: Mapping[str, Any], shape: Tuple[int, ...]
) -> Dict[str, Any]:
    return {"groups": given.get("groups", 32), "activation": "identity",
            **_epsilon(given, shape)}


def _window(
    given: Mapping[str, Any], shape: Tuple[int, ...]
) -> Dict[str, Any]:
    if "kernel" not in given:
        raise GoldenError("needs the attribute `kernel`")
    return {"window": given["kernel"],
            "softmaxScale": given.get("scale", 1.0)}


def _smoothing(
    given: Mapping[str, Any], shape: Tuple[int, ...]
) -> Dict[str, Any]:
    return {"labelSmoothing": given.get("label_smoothing", 0.0)}


#: The beginning of a case's name, the operator, its inputs, its attributes.
_OPERATORS: List[Tuple[str, str, Dict[str, str], _Attributes]] = [
    ("linear", "linear", _PARAMETERS, _none),
    ("layer_norm", "layerNorm", _X, _epsilon),
    ("group_norm", "groupNorm", _PARAMETERS, _groups),
    ("silu", "silu", _X, _none),
    ("gelu_tanh", "geluTanh", _X, _none),
    ("softmax", "softmax", _X, _none),
    ("l2_normalize", "l2Normalize", _X, _none),
    ("conv3x3_pad1", "convolution", _PARAMETERS,
     _convolution(1, 1, 1, 1, 1)),
    ("conv1x1", "convolution", _PARAMETERS, _convolution(1, 0, 0, 0, 0)),
    ("conv3x3_stride2_asympad", "convolution", _PARAMETERS,
     _convolution(2, 0, 0, 1, 1)),
    ("upsample_nearest2x", "upsampleNearest", _X, _none),
    ("area_", "areaResize", _X, _size),
    ("bicubic_", "bicubicResize", _X, _size),
    ("cross_entropy", "crossEntropy", {"x": "logits"}, _smoothing),
    ("window_attention", "neighborhoodAttention", _HEADS, _window),
]


def authors_case(name: str, entry: Any, tensors: Mapping[str, StoredTensor]
                 ) -> OperatorCase:
    """A case of format 1 in the words of format 2."""
    head, operator, letters, attributes = _row(name)
    given = _checked(entry)
    out = tensors.get(f"{name}.out")
    if out is None:
        raise GoldenError(f"the file has no tensor {name}.out")
    scale = float(given.get("pre_scale", 1))
    case = OperatorCase(
        name, operator, "float32", attributes=attributes(given, out.shape),
        outputs={"": Expected(f"{name}.out", out, _bar(out, False))})
    for letter, key in letters.items():
        tensor = tensors.get(f"{name}.in.{letter}")
        if tensor is None:
            raise GoldenError(f"the file has no tensor {name}.in.{letter}")
        if letter == "x" and scale != 1:
            tensor = StoredTensor.of(tensor.numbers() * scale, tensor.dtype)
        case.inputs[key] = tensor
    if operator == "crossEntropy":
        case.inputs["targets"] = StoredTensor.of(
            np.array(given.get("targets", []), dtype=np.int64))
    _add_gradients(case, letters, tensors, scale)
    return case


def _row(name: str) -> Tuple[str, str, Dict[str, str], _Attributes]:
    kind = re.sub(r"_\d+$", "", name)
    prefixes = ("area_", "bicubic_", "cross_entropy", "window_attention")
    for row in _OPERATORS:
        if kind == row[0] or (row[0] in prefixes and name.startswith(row[0])):
            return row
    raise GoldenError("this version knows no such operator")


def _checked(entry: Any) -> Mapping[str, Any]:
    if not isinstance(entry, dict):
        raise GoldenError("its attributes are no dictionary")
    for key in sorted(entry):
        if key not in _KNOWN | _REMARKS:
            raise GoldenError(f"unknown attribute `{key}`")
        value = entry[key]
        is_number = isinstance(value, (int, float)) and value is not True
        if key == "window" and not isinstance(value, str):
            raise GoldenError("unknown attribute `window`")
        if key in _KNOWN - {"targets"} and not is_number:
            raise GoldenError(f"the attribute `{key}` is of the wrong kind")
    return entry


def _add_gradients(case: OperatorCase, letters: Mapping[str, str],
                   tensors: Mapping[str, StoredTensor], scale: float) -> None:
    names = {key: f"{case.name}.grad.{letter}"
             for letter, key in letters.items()}
    cotangent = tensors.get(f"{case.name}.grad_out")
    has_gradients = any(name in tensors for name in names.values())
    if cotangent is not None:
        case.grad_outputs[""] = cotangent
    elif has_gradients:
        raise GoldenError(f"the file has no tensor {case.name}.grad_out")
    for key, name in names.items():
        tensor = tensors.get(name)
        if tensor is None:
            case.gradients[key] = Expected(name, None, problem=(
                f"the file has no tensor {name}" if cotangent is not None
                else None))
            continue
        expected = Expected(name, tensor, _bar(tensor, True))
        # The file's gradient is with respect to the input before it was
        # multiplied.
        case.gradients[key] = expected.scaled(
            1 / scale if key == "x" and scale else 1)


def _bar(tensor: StoredTensor, is_gradient: bool) -> Bar:
    largest = largest_of(tensor.numbers())
    if is_gradient and largest < 1e-6 and np.isfinite(tensor.numbers()).all():
        return Bar(absolute=1e-5, reason="below 1e-5 (true zero)")
    return Bar(absolute=1e-5 * largest, reason=(
        "1e-5 of the largest magnitude: five times the rounding of the "
        "program that computed the golden values"))
