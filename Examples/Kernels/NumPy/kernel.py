#!/usr/bin/env python3
"""Kernels in NumPy behind the two protocols of `mvar golden run`.

    mvar golden run --operator neighborhoodAttention -- python3 kernel.py            # kernel.py IN OUT for each case
    mvar golden run --operator neighborhoodAttention --serve -- python3 kernel.py --serve    # one process for all cases

IN holds the operator, its attributes, `in.NAME` for each input, and `grad_out` if gradients are wanted; OUT receives `out`
and `grad.NAME`.
"""

import json
import sys

import numpy as np

import kernels
import tensor_files

NOT_SUPPORTED = 77


def run(source, target):
    """One case; whether the operator is one of ours."""
    tensors, types, metadata = tensor_files.read(source)
    kernel = kernels.KERNELS.get(metadata["operator"])
    if kernel is None:
        return False
    precision = np.float64 if metadata["dtype"] == "float64" else np.float32
    inputs = {name[3:]: array.astype(precision) for name, array in tensors.items() if name.startswith("in.")}
    grad = tensors["grad_out"].astype(precision) if "grad_out" in tensors else None
    with np.errstate(all="ignore"):
        output, gradients = kernel(inputs, json.loads(metadata["attributes"]), grad)
    answer = {"out": output, **{f"grad.{name}": gradient for name, gradient in gradients.items()}}
    tensor_files.write(target, answer, next(kind for name, kind in types.items() if name.startswith("in.")))
    return True


def serve():
    """Answers a line for each line IN<TAB>OUT."""
    for line in sys.stdin:
        try:
            answer = "ok" if run(*line.rstrip("\n").split("\t")) else "unsupported"
        except Exception as error:
            answer = f"error {type(error).__name__}: {error}".replace("\n", " ")
        print(answer, flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    elif len(sys.argv) == 3:
        sys.exit(0 if run(*sys.argv[1:]) else NOT_SUPPORTED)
    else:
        sys.exit("usage: kernel.py IN OUT, or kernel.py --serve")
