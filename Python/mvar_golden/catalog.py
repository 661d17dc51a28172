"""The operators: what each takes and returns, and what fits together.

``operators.json`` is ``mvar golden list --json`` without what is for people
only; ``python -m tests.catalog LIST`` in the folder ``Python`` writes it
again. A case whose inputs or attributes do not fit its operator says nothing
about a kernel: it is not judged, with the sentence that ``mvar`` has for it.
"""

from __future__ import annotations

import functools
import json
import math
import os
import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from .errors import GoldenError
from .safetensors import StoredTensor

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                    "operators.json")

Shape = Tuple[int, ...]
Specification = Dict[str, Any]


@functools.lru_cache(maxsize=None)
def specifications() -> Dict[str, Specification]:
    """All operators by name."""
    with open(PATH, encoding="utf-8") as file:
        return {one["name"]: one for one in json.load(file)["operators"]}


def output_keys(specification: Specification) -> List[str]:
    """The names of an operator's outputs; ``""`` for a single one."""
    outputs = specification["outputs"]
    return [one["name"] for one in outputs] if len(outputs) > 1 else [""]


# Inputs


def checked_inputs(
    specification: Specification, given: Mapping[str, StoredTensor]
) -> Dict[str, StoredTensor]:
    """The inputs in the order of the operator; integers as integers."""
    inputs: Dict[str, StoredTensor] = {}
    for one in specification["inputs"]:
        for name in _input_names(one, given):
            if name in given:
                inputs[name] = (whole(given[name], name)
                                if one["integers_below"] else given[name])
            elif not one["optional"]:
                raise GoldenError(f"has no input `{name}`")
    for name in sorted(set(given) - set(inputs)):
        raise GoldenError(f"unknown input `{name}`")
    return inputs


def _input_names(one: Mapping[str, Any], given: Mapping[str, Any]
                 ) -> List[str]:
    """Those of a repeated input count from 0 without a gap."""
    if not one["repeated"]:
        return [one["name"]]
    names = [f"{one['name']}0"]
    while f"{one['name']}{len(names)}" in given:
        names.append(f"{one['name']}{len(names)}")
    return names


def whole(tensor: StoredTensor, name: str) -> StoredTensor:
    """A tensor of integers, whatever type holds them."""
    array = tensor.array()
    if array.dtype.kind == "f" and not (
            (array == np.floor(array)) & (abs(array) < 2.0**63)).all():
        raise GoldenError(f"{name} holds something that is no integer")
    return StoredTensor.of(array.astype(np.int64))


# Attributes


def resolved_attributes(
    specification: Specification, given: Mapping[str, Any]
) -> Dict[str, Any]:
    """Every attribute with its value, given or by default."""
    known = {one["name"]: one for one in specification["attributes"]}
    for name in sorted(given):
        if name not in known:
            raise GoldenError(f"unknown attribute `{name}`")
    values: Dict[str, Any] = {}
    for name, one in known.items():
        if name in given:
            values[name] = _value(one, given[name])
        elif one["required"]:
            raise GoldenError(f"needs the attribute `{name}`")
        else:
            values[name] = one["default"]
    return values


def _value(one: Mapping[str, Any], value: Any) -> Any:
    kind, accepts = one["type"], one["accepts"]
    read = _KINDS[kind](value)
    if read is None:
        raise GoldenError(f"the attribute `{one['name']}` is of the wrong "
                          f"kind; it must be {accepts}")
    numbers = read if kind == "numbers" else [read]
    fits = (read in one["choices"] if kind == "choice"
            else kind in ("range", "spans")
            or all(_is_within(number, accepts) for number in numbers))
    if not fits:
        raise GoldenError(f"the attribute `{one['name']}` is {value}, and "
                          f"must be {accepts}")
    return read


def _integer(value: Any) -> Optional[int]:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and value is not True \
        and value is not False else None


def _number(value: Any) -> Optional[float]:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number else None


def _list(value: Any, read: Callable[[Any], Any]) -> Optional[List[Any]]:
    elements = [read(one) for one in value] if isinstance(value, list) else []
    return elements if isinstance(value, list) and None not in elements \
        else None


def _bounds(count: int) -> Callable[[Any], Optional[List[int]]]:
    """An even number of bounds, each lower one followed by its upper one."""
    def read(value: Any) -> Optional[List[int]]:
        bounds = _list(value, _integer)
        ordered = bounds is not None and len(bounds) == count and all(
            lower <= upper for lower, upper in zip(bounds[::2], bounds[1::2]))
        return bounds if ordered else None
    return read


_KINDS: Dict[str, Callable[[Any], Any]] = {
    "integer": _integer, "number": _number,
    "numbers": lambda value: _list(value, _number),
    "choice": lambda value: value if isinstance(value, str) else None,
    "range": _bounds(2), "spans": lambda value: _list(value, _bounds(4)),
}


def _is_within(number: float, accepts: str) -> bool:
    """Whether a number is in a range that is given in words."""
    if not math.isfinite(number):
        return False
    if accepts.endswith("0 ..< 1"):
        return 0 <= number < 1
    if accepts.endswith("a number above 0"):
        return number > 0
    if accepts.endswith(", at least 0"):
        return number >= 0
    limits = re.search(r"(-?\d+) … (-?\d+)$", accepts)
    return limits is None or int(limits[1]) <= number <= int(limits[2])


# Shapes


def output_shapes(
    specification: Specification, inputs: Mapping[str, StoredTensor],
    attributes: Mapping[str, Any],
) -> Dict[str, Shape]:
    """The shapes of the outputs; inputs that do not fit raise an error."""
    sizes = _Sizes({name: value for name, value in attributes.items()
                    if isinstance(value, int)})
    for one in specification["inputs"]:
        if not one["repeated"] and one["name"] in inputs:
            sizes.match(one["name"], inputs[one["name"]].shape, one["shape"])
    for one in specification["inputs"]:
        limit = one["integers_below"]
        if limit:
            _check_indices(one["name"], inputs[one["name"]], limit,
                           sizes.sides[limit])
    for one in specification["attributes"]:
        values = attributes[one["name"]]
        if one["type"] == "numbers" and values != one["default"]:
            side = one["accepts"].split(" ")[0]
            count = int(side) if side.isdigit() else sizes.sides[side]
            if len(values) != count:
                raise GoldenError(
                    f"the attribute `{one['name']}` has {len(values)} "
                    f"numbers, not {side} = {count}")
    rule = _RULES.get(specification["name"])
    shapes = rule(sizes, inputs, attributes) if rule else None
    return dict(zip(output_keys(specification), shapes or [
        sizes.shape(one["shape"]) for one in specification["outputs"]]))


def _check_indices(name: str, tensor: StoredTensor, limit: str, count: int
                   ) -> None:
    integers = tensor.array().ravel()
    wrong = integers[(integers < 0) | (integers >= count)]
    if wrong.size:
        raise GoldenError(f"`{name}` holds {wrong[0]}, which is outside "
                          f"0 ..< {limit} = 0 ..< {count}")


class _Sizes:
    """What the symbols of an operator's shapes stand for."""

    def __init__(self, sides: Dict[str, int]) -> None:
        self.sides = sides
        self.leading: Optional[Shape] = None

    def match(self, name: str, shape: Shape, symbolic: List[str]) -> None:
        """Matches a shape with a symbolic one, and remembers the symbols."""
        if 0 in shape:
            raise GoldenError(
                f"{name} has shape {list(shape)}; no side may be 0")
        fixed = [side for side in symbolic if side != "..."]
        extra = len(shape) - len(fixed)
        place = symbolic.index("...") if "..." in symbolic else len(fixed)
        middle = shape[place:place + max(extra, 0)]
        fits = extra == 0 or (extra > 0 and "..." in symbolic)
        if fits and "..." in symbolic:
            fits = self.leading in (None, middle)
            self.leading = middle
        sides = shape[:place] + shape[place + max(extra, 0):]
        if not (fits and all(map(self._bind, fixed, sides))):
            raise GoldenError(
                f"{name} has shape {list(shape)}, which does not fit "
                f"[{', '.join(symbolic)}]")

    def _bind(self, side: str, length: int) -> bool:
        """Solves factor·a·b = length for the symbol that is not known."""
        known, unknown = 1, []
        for part in side.split("·"):
            if part.isdigit() or part in self.sides:
                known *= int(part) if part.isdigit() else self.sides[part]
            else:
                unknown.append(part)
        if not unknown:
            return known == length
        if len(unknown) > 1 or known <= 0 or length % known:
            return False
        self.sides[unknown[0]] = length // known
        return True

    def shape(self, symbolic: List[str]) -> Shape:
        """The shape that a symbolic one stands for."""
        shape: List[int] = []
        for side in symbolic:
            if side == "...":
                shape += self.leading or ()
            else:
                shape.append(math.prod(
                    int(part) if part.isdigit() else self.sides[part]
                    for part in side.split("·")))
        return tuple(shape)


# What the symbols of an operator do not say


_Inputs = Mapping[str, StoredTensor]
_Attributes = Mapping[str, Any]
_Rule = Callable[[_Sizes, _Inputs, _Attributes], Optional[List[Shape]]]


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise GoldenError(sentence)


def _window(sizes: _Sizes, inputs: _Inputs, attributes: _Attributes) -> None:
    height, width = sizes.sides["H"], sizes.sides["W"]
    window = attributes["window"]
    _require(window <= min(height, width), f"a window of {window} does not "
             f"fit a map of {height} × {width}")


def _groups(sizes: _Sizes, inputs: _Inputs, attributes: _Attributes) -> None:
    channels, groups = sizes.sides["C"], attributes["groups"]
    _require(channels % groups == 0, f"{channels} channels cannot be divided "
             f"into {groups} groups")


def _spans(sizes: _Sizes, inputs: _Inputs, attributes: _Attributes) -> None:
    queries, keys, end = sizes.sides["N"], sizes.sides["M"], 0
    for first, last, lower, upper in sorted(
            attributes["spans"] or [[0, queries, 0, keys]],
            key=lambda span: span[0]):
        _require(0 <= lower < upper <= keys, f"the span of keys "
                 f"{lower}..<{upper} is no part of {keys} keys")
        end = last if first == end else -1
    _require(end == queries, "the spans of queries do not contain every one "
             f"of {queries} queries exactly once")


def _positions(sizes: _Sizes, inputs: _Inputs, attributes: _Attributes
               ) -> None:
    last = (attributes["firstPosition"] + sizes.sides["N"]) * sizes.sides["V"]
    _require(last <= 1 << 34, f"position {attributes['firstPosition']} needs "
             "random numbers beyond 2³⁴")


def _convolution(sizes: _Sizes, inputs: _Inputs, attributes: _Attributes
                 ) -> None:
    for side, kernel, before, after in (("H", "h", "top", "bottom"),
                                        ("W", "w", "left", "right")):
        steps = (sizes.sides[side] + attributes[before] + attributes[after]
                 - sizes.sides[kernel])
        _require(steps >= 0, "a kernel of {h} × {w} is larger than the map "
                 "of {H} × {W} with its border".format(**sizes.sides))
        sizes.sides[f"{side}′"] = steps // attributes["stride"] + 1


def _axis(shape: Shape, attributes: _Attributes) -> int:
    axis: int = attributes["axis"]
    place = axis + len(shape) if axis < 0 else axis
    _require(0 <= place < len(shape),
             f"shape {list(shape)} has no axis {place}")
    return place


def _concatenate(sizes: _Sizes, inputs: _Inputs, attributes: _Attributes
                 ) -> List[Shape]:
    shapes = [tensor.shape for tensor in inputs.values()]
    axis = _axis(shapes[0], attributes)
    others = {shape[:axis] + (1,) + shape[axis + 1:] for shape in shapes}
    parts = ", ".join(str(list(shape)) for shape in shapes)
    _require(len(others) == 1 and not any(0 in shape for shape in shapes),
             f"the parts {parts} cannot be joined along axis {axis}")
    length = sum(shape[axis] for shape in shapes)
    return [shapes[0][:axis] + (length,) + shapes[0][axis + 1:]]


def _slice(sizes: _Sizes, inputs: _Inputs, attributes: _Attributes
           ) -> List[Shape]:
    shape = inputs["x"].shape
    axis = _axis(shape, attributes)
    lower, upper = attributes["range"]
    _require(0 <= lower < upper <= shape[axis], f"the range {lower}..<{upper} "
             f"is no part of axis {axis} of {list(shape)}")
    return [shape[:axis] + (upper - lower,) + shape[axis + 1:]]


def _squares(sizes: _Sizes, inputs: _Inputs, attributes: _Attributes
             ) -> List[Shape]:
    return [(1,), (len(inputs),)]


_RULES: Dict[str, _Rule] = {
    "neighborhoodAttention": _window, "groupNorm": _groups,
    "attention": _spans, "gumbelSoftmax": _positions,
    "convolution": _convolution, "concatenate": _concatenate,
    "slice": _slice, "sumOfSquares": _squares,
}
