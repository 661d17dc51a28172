"""The kernels of ``Examples/Python`` against the authors' values, and against
the file of all operators where that is there."""

import importlib.util
import os
import sys
import unittest
from unittest import mock

import numpy as np

from mvar_golden import GoldenError, GoldenFile, Verdict, check, default_file
from mvar_golden.command import load_kernels

from .support import AUTHORS, EXAMPLES


def kernels(name):
    """The kernels of an example by operator."""
    return load_kernels([os.path.join(EXAMPLES, f"{name}.py")], None)


def is_installed(name):
    """Whether a framework can be imported."""
    return importlib.util.find_spec(name) is not None


class ExampleTests(unittest.TestCase):

    def check(self, name, operators, arrays="numpy", file=AUTHORS, **options):
        for operator in operators:
            rows = check(kernels(name), operator, file=file, arrays=arrays,
                         **options)
            self.assertEqual(
                [str(row) for row in rows if row.verdict not in
                 (Verdict.PASSED, Verdict.NOT_IN_FILE)], [])
            self.assertTrue(any(row.passes for row in rows))

    def test_numpy(self) -> None:
        self.check("numpy_kernels", ["softmax", "neighborhoodAttention"])

    def test_the_shipped_file_finds_faults_of_windowed_attention(self):
        right = kernels("numpy_kernels")["neighborhoodAttention"]

        def without_maximum(scores):
            weights = np.exp(scores)
            return weights / weights.sum(axis=-1, keepdims=True)

        def shifted(side, window):
            return np.clip(np.arange(side) - (window - 1) // 2, 0,
                           side - window)

        def one_head(inputs, attributes, grad_outputs):
            """The last head is a copy of the first one, in windows of an even
            side."""
            output, gradients = right(inputs, attributes, grad_outputs)
            if attributes["window"] % 2 == 0:
                output[..., -1, :] = output[..., 0, :]
            return output, gradients

        for kernel, fault, is_right in (
                (right, {}, True), (one_head, {}, False),
                (right, {"probabilities": without_maximum}, False),
                (right, {"window_starts": shifted}, False)):
            with mock.patch.dict(right.__globals__, fault), \
                    np.errstate(all="ignore"):
                rows = check(kernel, "neighborhoodAttention")
            self.assertEqual(all(row.passes for row in rows), is_right, fault)

    def test_numpy_operators(self) -> None:
        operators = GoldenFile(AUTHORS).operators
        self.assertGreater(len(operators), 10)
        self.check("numpy_operators", operators, forward_only=True)

    @unittest.skipUnless(is_installed("torch"), "PyTorch is not installed")
    def test_torch(self) -> None:
        self.check("torch_kernels", ["neighborhoodAttention"], "torch")

    @unittest.skipUnless(is_installed("jax"), "JAX is not installed")
    def test_jax(self) -> None:
        self.check("jax_kernels", ["softmax", "geluTanh"], "jax")

    def test_jax_kernels_without_jax(self) -> None:
        with mock.patch.dict(sys.modules, {"jax": None}):
            self.check("jax_kernels", ["softmax", "geluTanh"],
                       forward_only=True)

    def test_all_operators(self) -> None:
        for dtype in ("float32", "bfloat16", "float16", "tf32", "float64"):
            try:
                file = default_file(dtype)
            except GoldenError:
                continue
            self.check("numpy_kernels", ["softmax", "neighborhoodAttention"],
                       file=file, dtype=dtype)
            self.check_every("numpy_operators", file, dtype)
            if is_installed("torch"):
                self.check(
                    "torch_kernels",
                    ["adaptiveLayerNorm", "neighborhoodAttention"], "torch",
                    file=file, dtype=dtype)

    def check_every(self, name, file, dtype):
        """All operators but those with random numbers."""
        rows = check(kernels(name), None, dtype, file, forward_only=True)
        others = [row for row in rows if row.verdict not in
                  (Verdict.PASSED, Verdict.NOT_IN_FILE)]
        self.assertEqual(
            {row.cause for row in others},
            {"there is no kernel for gumbelSoftmax",
             "there is no kernel for sampleTokens"}, others)
        self.assertGreater(sum(row.passes for row in rows), 200)

    def test_planted_faults(self) -> None:
        right = kernels("numpy_kernels")["neighborhoodAttention"]

        def failures(fault):
            with mock.patch.dict(right.__globals__, fault):
                rows = check(right, "neighborhoodAttention", file=AUTHORS)
            return {row.name.split(".", 1)[1] for row in rows
                    if row.verdict is Verdict.FAILED}

        def border(side, window):
            return np.clip(np.arange(side) - (window - 1) // 2 - 1, 0,
                           side - window)

        def no_total(gradient, output):
            return output * gradient

        self.assertEqual(failures({}), set())
        self.assertEqual(failures({"window_starts": border}),
                         {"out", "grad.q", "grad.k", "grad.v"})
        self.assertEqual(failures({"softmax_gradient": no_total}),
                         {"grad.q", "grad.k"})
