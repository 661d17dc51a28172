"""Golden files of operators that ``mvar golden make`` does not know: a kernel
computes the expected values in double precision."""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Dict, Iterable, Mapping, Optional

import numpy as np

from .case import DTYPES, Expected, OperatorCase
from .catalog import specifications
from .comparison import Bar
from .kernels import OUTPUT, Kernel, Results, output_key
from .safetensors import StoredTensor, write_safetensors


def make_case(
    name: str, operator: str, kernel: Kernel, inputs: Mapping[str, Any],
    attributes: Mapping[str, Any], grad_outputs: Optional[Mapping[str, Any]],
    bar: Callable[[np.ndarray], Bar], dtype: str = "float32",
) -> OperatorCase:
    """A case whose expected values a kernel computes in double precision,
    from inputs rounded to ``dtype``; for golden files of operators that
    ``mvar golden make`` does not know."""
    tensors = {key: _rounded(value, dtype)
               for key, value in inputs.items()}
    given = {output_key(key): _rounded(value, dtype)
             for key, value in (grad_outputs or {}).items()}
    exact = Results.of(kernel(
        {key: _exact(tensor) for key, tensor in tensors.items()},
        dict(attributes),
        {key or OUTPUT: _exact(value) for key, value in given.items()}
        or None))
    outputs = exact.outputs
    if len(outputs) == 1:
        outputs = {"": next(iter(outputs.values()))}
    case = OperatorCase(
        name, operator, dtype, inputs=tensors, attributes=dict(attributes),
        grad_outputs=given)
    for part, group, values in (("out", case.outputs, outputs),
                                ("grad", case.gradients, exact.gradients)):
        for key, value in (values or {}).items():
            tail = f"{part}.{key}" if key else part
            group[key] = _made(f"{name}.{tail}", value, bar)
    return case


def _rounded(value: Any, dtype: str) -> StoredTensor:
    array = np.asarray(value)
    if array.dtype.kind in "iu":
        return StoredTensor.of(array.astype(np.int64))
    tensor = StoredTensor.of(array, DTYPES[dtype])
    return tf32(tensor) if dtype == "tf32" else tensor


def _exact(tensor: StoredTensor) -> np.ndarray:
    return tensor.array() if tensor.is_integer else tensor.numbers()


def _made(name: str, value: Any, bar: Callable[[np.ndarray], Bar]
          ) -> Expected:
    array = np.asarray(value)
    if array.dtype.kind in "iu":
        return Expected(name, StoredTensor.of(array.astype(np.int64)))
    numbers = array.astype(np.float64)
    return Expected(name, StoredTensor.of(numbers), bar(numbers))


def tf32(tensor: StoredTensor) -> StoredTensor:
    """Single precision rounded to 10 fraction bits, ties to even."""
    bits = tensor.data.view(np.uint32)
    rounded = (bits + 0xFFF + ((bits >> 13) & 1)) & np.uint32(0xFFFFE000)
    kept = np.where(np.isfinite(tensor.data), rounded, bits)
    return StoredTensor("F32", kept.astype(np.uint32).view(np.float32))


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
    own = {entry["operator"]: {} for entry in entries.values()
           if entry["operator"] not in specifications()}
    if own:
        # Without this, an operator that is not in the catalog is a mistake.
        metadata["operators"] = json.dumps(own, ensure_ascii=False)
    if seed is not None:
        metadata["seed"] = str(seed)
    write_safetensors(path, tensors, metadata)
