"""Reads a case of a golden file of operators, format 2.

What does not fit is a sentence about this case, or about one tensor; other
cases of the file are not affected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional

import numpy as np

from . import catalog
from .case import DTYPES, Expected, OperatorCase
from .comparison import Bar
from .errors import GoldenError
from .safetensors import StoredTensor

#: Why a tensor that nothing has asked for is not judged.
STRAY = "files of kind ops have no such tensor"

#: What a case may hold.
PART = re.compile(r"(out|grad_out)$|(in|out|grad_out|grad)\.")


def stray_tensors(case: OperatorCase, tensors: Mapping[str, StoredTensor]
            ) -> List[str]:
    """The tensors that the operator of a case does not have."""
    if case.problem is not None:
        return []
    expected = {item.name for item in (
        *case.outputs.values(), *case.gradients.values())}
    given = {f"{case.name}.in.{key}" for key in case.inputs} | {
        f"{case.name}.grad_out" + (f".{key}" if key else "")
        for key in case.grad_outputs}
    return [name for name in tensors
            if name not in expected and name not in given]


@dataclass(frozen=True)
class CaseReader:
    """Reads a case of format 2."""

    name: str
    dtype: str
    tensors: Mapping[str, StoredTensor]
    #: Bars of tensors by their whole names, which come before the case's own.
    bars: Mapping[str, Any]

    #: Operators that the file brings along, and the catalog does not have.
    own_operators: Mapping[str, Any]

    def case(self, entry: Any) -> OperatorCase:
        """The case that the metadata describe."""
        operator, attributes, bars = _description(entry)
        specification = catalog.specifications().get(operator)
        case = OperatorCase(
            self.name, operator, self.dtype, inputs=self._given("in"),
            attributes={key: plain(attributes[key]) for key in attributes},
            grad_outputs=self._given("grad_out"))
        if specification is not None:
            return self._known(case, specification, bars)
        if operator not in self.own_operators:
            raise GoldenError(
                f"this version knows no operator `{operator[:60]}`")
        for part, target in (("out", case.outputs), ("grad", case.gradients)):
            found = group(self.tensors, f"{self.name}.{part}")
            for key, tensor in found.items():
                target[key] = self._expected(
                    part, key, tensor, bars, tensor.is_integer)
        if not case.outputs:
            raise GoldenError(f"the file has no tensor {self.name}.out")
        self._check_gradients(case, {
            key: expected.tensor.shape
            for key, expected in case.outputs.items() if expected.tensor})
        if case.has_backward:
            for key, tensor in case.inputs.items():
                if not tensor.is_integer and key not in case.gradients:
                    case.gradients[key] = _missing(f"{self.name}.grad.{key}")
        return case

    def _known(self, case: OperatorCase, specification: Mapping[str, Any],
               bars: Mapping[str, Any]) -> OperatorCase:
        """A case of an operator of the catalog."""
        inputs = catalog.checked_inputs(dict(specification), case.inputs)
        integers = {one["name"] for one in specification["inputs"]
                    if one["integers_below"]}
        inputs = {key: tensor if key in integers else self._in_dtype(
            tensor, f"in.{key}") for key, tensor in inputs.items()}
        attributes = catalog.resolved_attributes(
            dict(specification), case.attributes)
        shapes = catalog.output_shapes(
            dict(specification), inputs, attributes)
        case = replace(case, inputs=inputs, attributes=attributes)
        for one, (key, shape) in zip(specification["outputs"],
                                     shapes.items()):
            case.outputs[key] = self._found(
                "out", key, bars, one["integer"]
            ).with_shape(shape, "operator returns")
        if not specification["has_backward"]:
            return replace(case, grad_outputs={})
        names = [key for key in inputs if key not in integers]
        head = f"{self.name}.grad"
        if case.grad_outputs or any(
                f"{head}.{key}" in self.tensors for key in names):
            for key in names:
                case.gradients[key] = self._found(
                    "grad", key, bars, False
                ).with_shape(inputs[key].shape, "input has")
        self._check_gradients(case, shapes)
        return replace(case, grad_outputs={
            key: self._in_dtype(tensor, f"grad_out.{key}")
            for key, tensor in case.grad_outputs.items()})

    def _in_dtype(self, tensor: StoredTensor, tail: str) -> StoredTensor:
        """A tensor of real numbers in the type that a kernel works in."""
        if tensor.is_integer:
            tensor = StoredTensor.of(tensor.numbers())
        return in_dtype(tensor, self.dtype, f"{self.name}.{tail}")

    def _found(self, part: str, key: str, bars: Mapping[str, Any],
               is_integer: bool) -> Expected:
        """What a kernel should return, if the file has it."""
        name = f"{self.name}.{part}" + (f".{key}" if key else "")
        if name not in self.tensors:
            return _missing(name)
        return self._expected(
            part, key, self.tensors[name], bars, is_integer)

    def _given(self, part: str) -> Dict[str, StoredTensor]:
        """What a kernel receives, in the type that it works in."""
        head = f"{self.name}.{part}"
        return {key: in_dtype(tensor, self.dtype, f"{head}.{key}")
                for key, tensor in group(self.tensors, head).items()}

    def _expected(self, part: str, key: str, tensor: StoredTensor,
                  bars: Mapping[str, Any], is_integer: bool) -> Expected:
        tail = f"{part}.{key}" if key else part
        name = f"{self.name}.{tail}"
        if is_integer:
            try:
                return Expected(name, catalog.whole(tensor, name))
            except GoldenError as error:
                return Expected(name, tensor, problem=str(error))
        if tensor.is_integer:
            tensor = StoredTensor.of(tensor.numbers())
        entry = self.bars.get(name, bars.get(tail))
        if entry is None:
            problem = ("the file states no bar for it, and only `mvar golden` "
                       "computes one")
            return Expected(name, tensor, problem=problem)
        bar = _bar(entry)
        problem = "its bar in the metadata is none"
        return Expected(name, tensor, bar, None if bar else problem)

    def _check_gradients(self, case: OperatorCase, shapes: Mapping[
            str, "tuple[int, ...]"]) -> None:
        head = f"{self.name}.grad_out"
        if case.gradients and not case.grad_outputs:
            raise GoldenError(f"the file has no tensor {head}")
        if case.grad_outputs and set(case.grad_outputs) != set(case.outputs):
            raise GoldenError(f"{head} does not fit the outputs")
        for key, gradient in case.grad_outputs.items():
            shape = shapes.get(key, gradient.shape)
            if gradient.shape != shape:
                raise GoldenError(
                    f"{head} has shape {list(gradient.shape)}, and the "
                    f"output has {list(shape)}")


def _description(
    entry: Any
) -> "tuple[str, Mapping[str, Any], Mapping[str, Any]]":
    """The operator, the attributes and the bars of a case."""
    if not isinstance(entry, dict):
        raise GoldenError("its description is no dictionary")
    for key in sorted(entry):
        if key not in ("operator", "attributes", "bars"):
            raise GoldenError(
                f"its description has an unknown member `{key}`")
    operator = operator_of(entry)
    if not operator:
        raise GoldenError("its description names no `operator`")
    attributes, bars = entry.get("attributes", {}), entry.get("bars", {})
    if not isinstance(attributes, dict):
        raise GoldenError("its attributes are no dictionary")
    if not isinstance(bars, dict):
        raise GoldenError("its bars are no dictionary")
    return operator, attributes, bars


def _missing(name: str) -> Expected:
    return Expected(name, None, problem=f"the file has no tensor {name}")


def in_dtype(tensor: StoredTensor, dtype: str, name: str) -> StoredTensor:
    """A tensor in the type that a kernel works in, without rounding."""
    if tensor.is_integer:
        return tensor
    numbers = tensor.numbers()
    rounded = StoredTensor.of(numbers, DTYPES[dtype])
    exact = rounded.numbers()
    if dtype == "tf32":
        # 13 of the fraction's 23 bits are not used.
        lost = rounded.data.view(np.uint32) & 0x1FFF
        exact = np.where((lost != 0) & np.isfinite(exact), np.nan, exact)
    wrong = (numbers != exact) & ~np.isnan(numbers)
    if wrong.any():
        raise GoldenError(
            f"{name.rstrip('.')} holds {numbers[wrong][0]!s}, which is no "
            f"number of the type {dtype}")
    return rounded


def operator_of(entry: Any) -> str:
    operator = entry.get("operator") if isinstance(entry, dict) else None
    return operator if isinstance(operator, str) else ""


def group(
    tensors: Mapping[str, StoredTensor], head: str
) -> Dict[str, StoredTensor]:
    """The tensors ``HEAD.KEY`` by their keys, and ``HEAD`` under ``""``."""
    found = {name[len(head) + 1:]: tensor for name, tensor in tensors.items()
             if name.startswith(head + ".")}
    if head in tensors:
        found[""] = tensors[head]
    return found


def _bar(entry: Any) -> Optional[Bar]:
    """A bar from its JSON; None if it is none."""
    if not isinstance(entry, dict):
        return None
    limits = [plain(entry.get(key, 0)) for key in ("absolute", "relative")]
    if any(isinstance(limit, bool) or not isinstance(limit, (int, float))
           or not limit >= 0 for limit in limits):
        return None
    reason = entry.get("reason")
    if not isinstance(reason, str):
        reason = "stated by the file, without a reason"
    return Bar(float(limits[0]), float(limits[1]), reason)


def plain(value: Any) -> Any:
    """An attribute's value; what is not finite is text in JSON."""
    words = {"nan": float("nan"), "inf": float("inf"), "-inf": -float("inf")}
    if isinstance(value, list):
        return [plain(element) for element in value]
    return words.get(value, value) if isinstance(value, str) else value
