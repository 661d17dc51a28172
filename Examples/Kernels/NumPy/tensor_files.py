"""Safetensors files in a few lines: 8 bytes with the length of a JSON header, the header, the tensors' bytes.

bfloat16, which NumPy does not have, is the upper half of float32: it is read as float32 and rounded when it is written.
"""

import json
import struct

import numpy as np

TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16, "I64": np.int64, "I32": np.int32}


def read(path):
    """The tensors of a file by name, the types they are stored in, and the metadata."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        array = np.frombuffer(data[begin:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
        if entry["dtype"] == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = array
    return tensors, {name: entry["dtype"] for name, entry in header.items()}, metadata


def write(path, tensors, dtype):
    """Writes tensors, rounded to a type such as BF16."""
    header, data = {}, b""
    for name, array in tensors.items():
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        if dtype == "BF16":
            bits = array.astype(np.float32).view(np.uint32)
            rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
            array = np.where(np.isnan(array), (bits >> 16) | 0x40, rounded)
        stored = array.astype(TYPES[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": np.shape(array), "data_offsets": [len(data), len(data) + len(stored)]}
        data += stored
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
