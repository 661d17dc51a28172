"""Golden files of operators: cases with inputs and expected values.

A file of kind ``ops`` holds cases of operators: inputs, attributes, expected
outputs, and the gradients of the inputs for a given gradient of the outputs.
Format 2 states a bar with its reason for every tensor; format 1, the values
of the authors' code, is read as well. ``Fixtures/golden/README.md`` describes
both.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional

import numpy as np

from .authors import authors_case
from .case import DTYPES, OperatorCase
from .errors import GoldenError
from .reading import PART, STRAY, CaseReader, operator_of, stray_tensors
from .safetensors import (
    StoredTensor, TensorFile, parse_json, read_safetensors)


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
        make = self._case if self.format == "2" else authors_case
        tensors, strays = self._tensors_by_case()
        cases = []
        for name in sorted(self._entries):
            entry = self._entries[name]
            if self.format == "2" and operator is not None \
                    and operator_of(entry) not in (operator, ""):
                continue
            try:
                case = make(name, entry, tensors[name])
            except GoldenError as error:
                case = OperatorCase(
                    name, operator_of(entry), self.dtype, problem=str(error))
            if operator is None or case.operator in (operator, ""):
                cases.append(case)
                if self.format == "2":
                    strays += stray_tensors(case, tensors[name])
        return cases + [OperatorCase(name, "", self.dtype, problem=STRAY)
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
                if case in tensors and PART.match(name[len(case) + 1:])]
            if owners:
                tensors[owners[-1]][name] = tensor
            else:
                strays.append(name)
        return tensors, strays

    @property
    def operators(self) -> List[str]:
        """The operators of all cases, in alphabetical order."""
        if self.format == "2":
            names = {operator_of(entry) for entry in self._entries.values()}
        else:
            names = {case.operator for case in self.cases()}
        return sorted(names - {""})

    def _case(self, name: str, entry: Any,
              tensors: Mapping[str, StoredTensor]) -> OperatorCase:
        reader = CaseReader(name, self.dtype, tensors, self._bars,
                             self._own_operators)
        return reader.case(entry)


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
    if all(case.problem == STRAY for case in found):
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
