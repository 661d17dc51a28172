"""Reads and writes safetensors files, with NumPy only.

The reader is as strict as the format's definition: the tensors' ranges fill
the data exactly, without holes or overlaps, and agree with type and shape; a
key occurs once. What is wrong is said in one sentence, a ``GoldenError``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from .errors import GoldenError

_LONGEST_HEADER = 100_000_000

#: The NumPy type that holds the elements of a safetensors type.
_TYPES: Dict[str, str] = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|u1",
}
_FLOATS = {"F64", "F32", "F16", "BF16"}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as it lies in a file.

    ``data`` has the NumPy type of ``dtype``; bfloat16 is held as its 16 bits,
    in ``uint16``.
    """

    dtype: str
    data: np.ndarray

    @property
    def shape(self) -> Tuple[int, ...]:
        """The side lengths, slowest-varying first."""
        return tuple(self.data.shape)

    @property
    def is_integer(self) -> bool:
        """Whether values have no fraction."""
        return self.dtype not in _FLOATS

    def array(self) -> np.ndarray:
        """A copy as NumPy knows it; bfloat16 becomes float32, exactly."""
        if self.dtype == "BF16":
            return (self.data.astype("<u4") << 16).view("<f4")
        if self.dtype == "BOOL":
            return self.data.astype(bool)
        return self.data.copy()

    def numbers(self) -> np.ndarray:
        """The values in double precision."""
        return self.array().astype(np.float64)

    @staticmethod
    def of(values: Any, dtype: Optional[str] = None) -> "StoredTensor":
        """Values of an array, rounded to nearest even if need be.

        ``dtype`` is a name of the format, such as ``F32`` or ``BF16``; by
        default it is that of the array.
        """
        array = np.asarray(values)
        if dtype is None:
            dtype = _name_of(array.dtype)
        if dtype not in _TYPES:
            raise GoldenError(f"the type {dtype!r} is not supported")
        if dtype == "BF16":
            return StoredTensor(dtype, bfloat16_bits(array))
        with np.errstate(over="ignore"):
            return StoredTensor(
                dtype, np.array(array, dtype=_TYPES[dtype], order="C"))


@dataclass(frozen=True)
class TensorFile:
    """The tensors of a file, in the order of its header, and its metadata."""

    tensors: Dict[str, StoredTensor]
    metadata: Dict[str, str]


def bfloat16_bits(values: Any) -> np.ndarray:
    """The bits of bfloat16 nearest to each value, ties to even."""
    with np.errstate(over="ignore", invalid="ignore"):
        exact = np.asarray(values, dtype=np.float64)
        single = exact.astype("<f4")
    bits = np.atleast_1d(single).view("<u4").reshape(exact.shape)
    # Rounding twice must not differ from rounding once: where the first
    # rounding changed the value, the last bit says that something was lost.
    with np.errstate(invalid="ignore"):
        away = np.abs(single.astype(np.float64)) > np.abs(exact)
        inexact = (single != exact) & ~np.isnan(exact)
    bits = np.where(inexact, (bits - away.astype("<u4")) | 1, bits)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    quiet = (bits >> 16) | 0x40
    return np.where(np.isnan(exact), quiet, rounded).astype("<u2")


def _name_of(dtype: np.dtype) -> str:
    if dtype == np.bool_:
        return "BOOL"
    for name, numpy_name in _TYPES.items():
        if name not in ("BF16", "BOOL"):
            if dtype == np.dtype(numpy_name).newbyteorder(dtype.byteorder):
                return name
    raise GoldenError(f"arrays of type {dtype} cannot be stored")


# Reading


def read_safetensors(path: "str | os.PathLike[str]") -> TensorFile:
    """Reads a whole file.

    Raises ``GoldenError`` if it is no valid safetensors file.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            content = file.read()
    except OSError as error:
        reason = error.strerror or str(error)
        raise GoldenError(f"{name}: cannot be read: {reason}") from None
    try:
        return parse_safetensors(content)
    except GoldenError as error:
        raise GoldenError(f"{name}: {error}") from None


def parse_safetensors(content: bytes) -> TensorFile:
    """The tensors and the metadata of a file's bytes."""
    if len(content) < 8:
        raise GoldenError(
            f"holds {len(content)} bytes, too few for a safetensors file")
    length = int.from_bytes(content[:8], "little")
    if length > _LONGEST_HEADER:
        raise GoldenError(
            f"claims a safetensors header of {length} bytes; at most "
            f"{_LONGEST_HEADER} are allowed")
    if length > len(content) - 8:
        raise GoldenError(
            f"is truncated: the safetensors header takes {length} bytes, and "
            f"only {len(content) - 8} follow")
    header = _parse_header(content[8:8 + length])
    metadata = _metadata(header.pop("__metadata__", {}))
    data = memoryview(content)[8 + length:]
    tensors: Dict[str, StoredTensor] = {}
    ranges: List[Tuple[int, int, str]] = []
    for name, description in header.items():
        try:
            tensor, begin, end = _tensor(description, data)
        except GoldenError as error:
            raise GoldenError(f"tensor {_quoted(name)}: {error}") from None
        tensors[name] = tensor
        ranges.append((begin, end, name))
    _check_ranges(ranges, len(data))
    return TensorFile(tensors, metadata)


def _check_ranges(ranges: List[Tuple[int, int, str]], length: int) -> None:
    position = 0
    for begin, end, name in sorted(ranges):
        if begin != position:
            what = ("overlap those of another" if begin < position
                    else "leave a hole before them")
            raise GoldenError(f"the data of tensor {_quoted(name)} {what}")
        position = end
    if position != length:
        raise GoldenError(
            f"holds {length} bytes of data, but its tensors take {position}")


def _quoted(text: str, limit: int = 80) -> str:
    shown = text if len(text) <= limit else text[:limit] + "…"
    return json.dumps(shown, ensure_ascii=True)


def parse_json(text: str) -> Any:
    """JSON as RFC 8259 has it, whose keys occur once."""

    def members(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        result: Dict[str, Any] = {}
        for key, value in pairs:
            if key in result:
                raise GoldenError(f"holds the key {_quoted(key)} twice")
            result[key] = value
        return result

    def constant(word: str) -> Any:
        raise GoldenError(f"is not valid JSON: {word} is no value")

    try:
        return json.loads(
            text, object_pairs_hook=members, parse_constant=constant)
    except RecursionError:
        raise GoldenError("is nested too deeply") from None
    except ValueError as error:
        raise GoldenError(f"is not valid JSON: {error}") from None


def _parse_header(content: bytes) -> Dict[str, Any]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise GoldenError(
            "the safetensors header is not valid UTF-8") from None
    try:
        header = parse_json(text)
    except GoldenError as error:
        raise GoldenError(f"the safetensors header {error}") from None
    if not isinstance(header, dict):
        raise GoldenError("the safetensors header is not a JSON object")
    return header


def _metadata(value: Any) -> Dict[str, str]:
    if not isinstance(value, dict):
        raise GoldenError("the metadata are not a JSON object")
    for key, text in value.items():
        if not isinstance(text, str):
            raise GoldenError(f"the metadata {_quoted(key)} are not text")
    return value


def _tensor(
    description: Any, data: memoryview
) -> Tuple[StoredTensor, int, int]:
    if not isinstance(description, dict):
        raise GoldenError("its description is not a JSON object")
    for key in description:
        if key not in ("dtype", "shape", "data_offsets"):
            raise GoldenError(
                f"its description holds an unexpected {_quoted(key)}")
    dtype = description.get("dtype")
    shape = _integers(description.get("shape"), "shape")
    offsets = _integers(description.get("data_offsets"), "data_offsets")
    if not isinstance(dtype, str) or len(offsets) != 2:
        raise GoldenError(
            "its description lacks dtype, shape or data_offsets")
    if dtype not in _TYPES:
        raise GoldenError(f"the type {_quoted(dtype, 40)} is not supported")
    begin, end = offsets
    if not begin <= end <= len(data):
        raise GoldenError(
            f"its data lie at bytes {begin} to {end} of only {len(data)}")
    numpy_type = np.dtype(_TYPES[dtype])
    count = 1
    for side in shape:
        count *= side
    if count * numpy_type.itemsize != end - begin:
        raise GoldenError(
            f"shape {shape} of {dtype} takes {count * numpy_type.itemsize} "
            f"bytes, and its data {end - begin}")
    try:
        values = np.frombuffer(data[begin:end], dtype=numpy_type)
        return StoredTensor(dtype, values.reshape(shape)), begin, end
    except ValueError:
        raise GoldenError(f"shape {shape} is not possible") from None


def _integers(value: Any, name: str) -> List[int]:
    if not isinstance(value, list):
        raise GoldenError(f"its {name} is not an array")
    for element in value:
        if type(element) is not int or element < 0:
            raise GoldenError(
                f"its {name} holds something that is not an integer from 0 up")
    return value


# Writing


def safetensors_bytes(
    tensors: Mapping[str, Any], metadata: Optional[Mapping[str, str]] = None
) -> bytes:
    """A file's bytes; tensors are arrays or ``StoredTensor``."""
    header: Dict[str, Any] = {}
    if metadata:
        header["__metadata__"] = dict(metadata)
    parts: List[bytes] = []
    position = 0
    for name, values in tensors.items():
        tensor = (values if isinstance(values, StoredTensor)
                  else StoredTensor.of(values))
        content = tensor.data.astype(_TYPES[tensor.dtype]).tobytes()
        header[name] = {
            "dtype": tensor.dtype, "shape": list(tensor.shape),
            "data_offsets": [position, position + len(content)],
        }
        parts.append(content)
        position += len(content)
    text = json.dumps(
        header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    # The data begin at a multiple of 8 bytes.
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text] + parts)


def write_safetensors(
    path: "str | os.PathLike[str]", tensors: Mapping[str, Any],
    metadata: Optional[Mapping[str, str]] = None,
) -> None:
    """Writes a file; what was there is replaced when all is written."""
    name = os.fspath(path)
    content = safetensors_bytes(tensors, metadata)
    temporary = f"{name}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(content)
        os.replace(temporary, name)
    except OSError as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        reason = error.strerror or str(error)
        raise GoldenError(f"{name}: cannot be written: {reason}") from None
