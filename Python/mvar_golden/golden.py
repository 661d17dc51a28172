"""Golden files of operators: cases with inputs and expected values.

A file of kind ``ops`` holds cases of operators: inputs, attributes, expected
outputs, and the gradients of the inputs for a given gradient of the outputs.
Format 2 states a bar with its reason for every tensor; format 1, the values
of the authors' code, is read as well. ``Fixtures/golden/README.md`` describes
both.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional

import numpy as np

from . import catalog
from .comparison import Bar
from .errors import GoldenError
from .safetensors import (
    StoredTensor, TensorFile, parse_json, read_safetensors)

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

    def with_shape(self, shape: "tuple[int, ...]", whose: str) -> "Expected":
        """The same, which cannot be compared if it has another shape."""
        if self.tensor is None or self.tensor.shape == shape:
            return self
        return replace(self, problem=(
            f"{self.name} has shape {list(self.tensor.shape)}, and the "
            f"{whose} {list(shape)}"))

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
        self.dtype = metadata.get(
            "dtype", "float32" if self.format == "1" else "none")
        if self.dtype not in DTYPES:
            raise GoldenError(f"its `dtype` is {self.dtype}, not one of "
                              f"{', '.join(DTYPES)}")
        self.producer = metadata.get("producer", "")
        self._entries = metadata_object(metadata, "ops")
        self._bars = (metadata_object(metadata, "bars")
                      if "bars" in metadata else {})
        self._own_operators = (metadata_object(metadata, "operators")
                               if "operators" in metadata else {})

    @property
    def metadata(self) -> Mapping[str, str]:
        """The file's metadata."""
        return self._file.metadata

    def cases(self, operator: Optional[str] = None) -> List[OperatorCase]:
        """The cases in alphabetical order, of one operator if it is named."""
        from .authors import authors_case
        make = self._case if self.format == "2" else authors_case
        tensors, strays = self._tensors_by_case()
        cases = []
        for name in sorted(self._entries):
            entry = self._entries[name]
            if self.format == "2" and operator is not None \
                    and _operator_of(entry) not in (operator, ""):
                continue
            try:
                case = make(name, entry, tensors[name])
            except GoldenError as error:
                case = OperatorCase(
                    name, _operator_of(entry), self.dtype, problem=str(error))
            if operator is None or case.operator in (operator, ""):
                cases.append(case)
                if self.format == "2":
                    strays += _strays(case, tensors[name])
        return cases + [OperatorCase(name, "", self.dtype, problem=_STRAY)
                        for name in strays]

    def _tensors_by_case(
        self
    ) -> "tuple[Dict[str, Dict[str, StoredTensor]], List[str]]":
        """The tensors of every case, and the names of those of none.

        Names of cases may contain dots: the longest one counts after which
        follows what a case may hold.
        """
        tensors: Dict[str, Dict[str, StoredTensor]] = {
            name: {} for name in self._entries}
        strays = []
        for name, tensor in self._file.tensors.items():
            parts = name.split(".")
            owners = [
                case for case in (".".join(parts[:count])
                                  for count in range(1, len(parts)))
                if case in tensors and _PART.match(name[len(case) + 1:])]
            if owners:
                tensors[owners[-1]][name] = tensor
            else:
                strays.append(name)
        return tensors, strays

    @property
    def operators(self) -> List[str]:
        """The operators of all cases, in alphabetical order."""
        if self.format == "2":
            names = {_operator_of(entry) for entry in self._entries.values()}
        else:
            names = {case.operator for case in self.cases()}
        return sorted(names - {""})

    def _case(self, name: str, entry: Any,
              tensors: Mapping[str, StoredTensor]) -> OperatorCase:
        reader = _CaseReader(name, self.dtype, tensors, self._bars,
                             self._own_operators)
        return reader.case(entry)


@dataclass(frozen=True)
class _CaseReader:
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


#: Why a tensor that nothing has asked for is not judged.
_STRAY = "files of kind ops have no such tensor"

#: What a case may hold.
_PART = re.compile(r"(out|grad_out)$|(in|out|grad_out|grad)\.")


def _strays(case: OperatorCase, tensors: Mapping[str, StoredTensor]
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
    operator = _operator_of(entry)
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
    if all(case.problem == _STRAY for case in found):
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
