"""Golden files of operators: cases with inputs and expected values.

A file of kind ``ops`` holds cases of operators: inputs, attributes, expected
outputs, and the gradients of the inputs for a given gradient of the outputs.
Format 2 states a bar with its reason for every tensor; format 1, the values
of the authors' code, is read as well. ``Fixtures/golden/README.md`` describes
both.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from typing import Any, Dict, Iterable, List, Mapping, Optional

import numpy as np

from .comparison import Bar
from .errors import GoldenError
from .safetensors import (
    StoredTensor, TensorFile, parse_json, read_safetensors, write_safetensors)

#: The types that a kernel under test can receive and return, and how they are
#: stored.
DTYPES: Dict[str, str] = {
    "float64": "F64", "float32": "F32", "tf32": "F32", "bfloat16": "BF16",
    "float16": "F16",
}


@dataclass(frozen=True)
class Expected:
    """A tensor that a kernel should return."""

    #: Its name in the file: ``CASE.out``, ``CASE.grad.weight``.
    name: str
    #: Its values; None if the file does not contain it, and need not.
    tensor: Optional[StoredTensor]
    #: How close the kernel must get; None for integers.
    bar: Optional[Bar] = None
    #: Why it cannot be compared.
    problem: Optional[str] = None

    def scaled(self, factor: float) -> "Expected":
        """The same for values multiplied by a factor."""
        if factor == 1 or self.tensor is None:
            return self
        values = StoredTensor.of(self.tensor.numbers() * factor)
        bar = self.bar and replace(
            self.bar, absolute=self.bar.absolute * abs(factor))
        return replace(self, tensor=values, bar=bar)


@dataclass(frozen=True)
class OperatorCase:
    """An operator on one set of inputs, and what it should return.

    Outputs have the names of the operator's outputs; the only output of an
    operator that has one is called ``""``.
    """

    name: str
    operator: str
    dtype: str
    inputs: Dict[str, StoredTensor] = field(default_factory=dict)
    attributes: Dict[str, Any] = field(default_factory=dict)
    outputs: Dict[str, Expected] = field(default_factory=dict)
    grad_outputs: Dict[str, StoredTensor] = field(default_factory=dict)
    gradients: Dict[str, Expected] = field(default_factory=dict)
    #: Why the case cannot be judged; None if it can.
    problem: Optional[str] = None

    @property
    def has_backward(self) -> bool:
        """Whether gradients are expected."""
        return bool(self.grad_outputs)

    def __str__(self) -> str:
        return self.name


class GoldenFile:
    """The cases of a golden file."""

    def __init__(self, path: "str | os.PathLike[str]") -> None:
        self.path = os.fspath(path)
        self._file = _read(self.path)
        try:
            self._open()
        except GoldenError as error:
            raise GoldenError(f"{self.path}: {error}") from None

    def _open(self) -> None:
        metadata = self._file.metadata
        kind = metadata.get("kind")
        if kind is None:
            raise GoldenError("has no metadata `kind`: it is no golden file")
        if kind != "ops":
            raise GoldenError(
                f"holds a model's values (kind {kind!r}), not operators")
        self.format = metadata.get("format", "1")
        if self.format not in ("1", "2"):
            raise GoldenError(
                f"has format {self.format!r}; this version reads 1 and 2")
        self.dtype = metadata.get("dtype", "float32")
        if self.dtype not in DTYPES:
            raise GoldenError(f"has the unknown dtype {self.dtype!r}")
        self.producer = metadata.get("producer", "")
        self._entries = metadata_object(metadata, "ops")

    @property
    def metadata(self) -> Mapping[str, str]:
        """The file's metadata."""
        return self._file.metadata

    def cases(self, operator: Optional[str] = None) -> List[OperatorCase]:
        """The cases in alphabetical order, of one operator if it is named."""
        from .authors import authors_case
        make = self._case if self.format == "2" else authors_case
        cases = []
        for name in sorted(self._entries):
            try:
                case = make(name, self._entries[name], self._file.tensors)
            except GoldenError as error:
                case = OperatorCase(
                    name, _operator_of(self._entries[name]), self.dtype,
                    problem=str(error))
            if operator is None or case.operator in (operator, ""):
                cases.append(case)
        return cases

    @property
    def operators(self) -> List[str]:
        """The operators of all cases, in alphabetical order."""
        return sorted({case.operator for case in self.cases()} - {""})

    def _case(self, name: str, entry: Any,
              tensors: Mapping[str, StoredTensor]) -> OperatorCase:
        operator = _operator_of(entry)
        if not operator:
            raise GoldenError("states no operator")
        attributes = entry.get("attributes", {})
        bars = entry.get("bars", {})
        if not isinstance(attributes, dict) or not isinstance(bars, dict):
            raise GoldenError("its attributes or bars are no JSON object")
        case = OperatorCase(
            name, operator, self.dtype, inputs=group(tensors, f"{name}.in"),
            attributes={key: plain(attributes[key]) for key in attributes},
            grad_outputs=group(tensors, f"{name}.grad_out"))
        for part, target in (("out", case.outputs), ("grad", case.gradients)):
            for key, tensor in group(tensors, f"{name}.{part}").items():
                tail = f"{part}.{key}" if key else part
                target[key] = _expected(f"{name}.{tail}", tensor, bars, tail)
        if not case.outputs:
            raise GoldenError(f"the file has no tensor {name}.out")
        if case.gradients and set(case.grad_outputs) != set(case.outputs):
            raise GoldenError(f"{name}.grad_out does not fit the outputs")
        for key, gradient in case.grad_outputs.items():
            output = case.outputs.get(key)
            if output is None or output.tensor is None:
                raise GoldenError(f"{name}.grad_out does not fit the outputs")
            if gradient.shape != output.tensor.shape:
                raise GoldenError(
                    f"{name}.grad_out has shape {list(gradient.shape)}, and "
                    f"the output has {list(output.tensor.shape)}")
        if case.has_backward:
            for key, tensor in case.inputs.items():
                if not tensor.is_integer and key not in case.gradients:
                    case.gradients[key] = Expected(f"{name}.grad.{key}", None)
        return case


def cases(
    file: "str | os.PathLike[str] | None" = None,
    operator: Optional[str] = None, dtype: Optional[str] = None,
) -> List[OperatorCase]:
    """The cases of a golden file in alphabetical order.

    ``file`` is the one for ``dtype`` that ``default_file`` finds if it is
    None. Raises ``GoldenError`` if there are none.
    """
    path = default_file(dtype or "float32") if file is None else file
    golden = GoldenFile(path)
    if dtype is not None and golden.dtype != dtype:
        raise GoldenError(
            f"{golden.path}: is for {golden.dtype}, not {dtype}: `mvar golden "
            f"make --all-cases --dtype {dtype}` makes one that is")
    found = golden.cases(operator)
    if not found:
        known = ", ".join(golden.operators) or "none"
        raise GoldenError(
            f"{golden.path}: has no case of {operator or 'any operator'}; its "
            f"operators are: {known}")
    return found


def default_file(dtype: str = "float32") -> str:
    """The golden file of all operators for a dtype.

    It is the file that the environment variable ``MVAR_GOLDEN`` names, or
    ``cases.safetensors`` (for other types than float32
    ``cases.DTYPE.safetensors``) in the folder that it names, or in
    ``Fixtures/golden`` of this checkout.
    """
    if dtype not in DTYPES:
        raise GoldenError(
            f"the dtype {dtype!r} is unknown: use {', '.join(DTYPES)}")
    name = ("cases.safetensors" if dtype == "float32"
            else f"cases.{dtype}.safetensors")
    place = os.environ.get("MVAR_GOLDEN")
    if place and not os.path.isdir(place):
        return place
    here = os.path.dirname(os.path.abspath(__file__))
    folder = place or os.path.join(
        here, os.pardir, os.pardir, "Fixtures", "golden")
    path = os.path.normpath(os.path.join(folder, name))
    if not os.path.exists(path):
        raise GoldenError(
            f"no golden file is named, and {path} does not exist: `mvar "
            f"golden make --all-cases --dtype {dtype} -o FILE` makes one")
    return path


# Reading


def _read(path: str) -> TensorFile:
    if not path.endswith(".npz"):
        return read_safetensors(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile's, zlib's and NumPy's own
        raise GoldenError(f"{path}: cannot be read: {error}") from None
    text = arrays.pop("__metadata__", np.zeros(0, np.uint8)).tobytes()
    try:
        metadata = parse_json(text.decode("utf-8", "replace")) if text else {}
        strings = {key: value if isinstance(value, str) else str(value)
                   for key, value in dict(metadata).items()}
        return TensorFile(
            {name: StoredTensor.of(arrays[name]) for name in arrays}, strings)
    except (GoldenError, TypeError, ValueError) as error:
        raise GoldenError(f"{path}: its metadata or a tensor: {error}") \
            from None


def metadata_object(metadata: Mapping[str, str], key: str) -> Dict[str, Any]:
    """Metadata that are a JSON object."""
    if key not in metadata:
        raise GoldenError(f"has no metadata `{key}`")
    try:
        value = parse_json(metadata[key])
    except GoldenError as error:
        raise GoldenError(f"its metadata `{key}` {error}") from None
    if not isinstance(value, dict):
        raise GoldenError(f"its metadata `{key}` are not a JSON object")
    return value


def _operator_of(entry: Any) -> str:
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


def _expected(name: str, tensor: StoredTensor, bars: Mapping[str, Any],
              tail: str) -> Expected:
    if tensor.is_integer:
        return Expected(name, tensor)
    entry = bars.get(tail)
    if entry is None:
        return Expected(name, tensor, problem="the file states no bar for it")
    try:
        bar = Bar(float(entry.get("absolute", 0)),
                  float(entry.get("relative", 0)),
                  str(entry.get("reason", "")))
    except (AttributeError, TypeError, ValueError):
        return Expected(name, tensor, problem="its bar in the file is none")
    return Expected(name, tensor, bar)


def plain(value: Any) -> Any:
    """An attribute's value; what is not finite is text in JSON."""
    words = {"nan": float("nan"), "inf": float("inf"), "-inf": -float("inf")}
    if isinstance(value, list):
        return [plain(element) for element in value]
    return words.get(value, value) if isinstance(value, str) else value


# Writing


def write_golden(
    path: "str | os.PathLike[str]", cases: Iterable[OperatorCase],
    dtype: str = "float32", producer: str = "mvar_golden",
    seed: Optional[int] = None,
) -> None:
    """Writes cases as a golden file of format 2."""
    tensors: Dict[str, StoredTensor] = {}
    entries: Dict[str, Any] = {}
    for case in cases:
        bars: Dict[str, Any] = {}
        for key, tensor in case.inputs.items():
            tensors[f"{case.name}.in.{key}"] = tensor
        for key, tensor in case.grad_outputs.items():
            tail = f"grad_out.{key}" if key else "grad_out"
            tensors[f"{case.name}.{tail}"] = tensor
        expected = list(case.outputs.values()) + list(case.gradients.values())
        for item in expected:
            if item.tensor is None:
                continue
            tensors[item.name] = item.tensor
            if item.bar is not None:
                bars[item.name[len(case.name) + 1:]] = {
                    "absolute": item.bar.absolute,
                    "relative": item.bar.relative, "reason": item.bar.reason}
        entries[case.name] = {
            "operator": case.operator, "attributes": case.attributes,
            "bars": bars}
    metadata = {
        "format": "2", "kind": "ops", "producer": producer, "dtype": dtype,
        "ops": json.dumps(entries, sort_keys=True, ensure_ascii=False)}
    if seed is not None:
        metadata["seed"] = str(seed)
    write_safetensors(path, tensors, metadata)
