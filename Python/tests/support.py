"""What several tests need: kernels, a golden file, folders, processes."""

import os
import subprocess
import sys
import tempfile
import unittest
from typing import Any, Dict, List, Optional

import numpy as np

from mvar_golden import Bar, OperatorCase, make_case, write_golden

PYTHON = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(PYTHON)
AUTHORS = os.path.join(ROOT, "Fixtures", "golden", "ops.safetensors")
EXAMPLES = os.path.join(ROOT, "Examples", "Python")

#: The spacing of numbers next to 1 in each type, for bars.
ROUNDINGS = {"float64": 2.0**-40, "float32": 2.0**-20, "tf32": 2.0**-8,
             "float16": 2.0**-8, "bfloat16": 2.0**-5}


def scaled(inputs: Dict[str, Any], attributes: Dict[str, Any],
           grad_outputs: Optional[Dict[str, Any]]) -> Any:
    """y = alpha · x + rows, an operator with two inputs."""
    alpha = attributes["alpha"]
    output = inputs["x"] * alpha + inputs["rows"]
    if grad_outputs is None:
        return output
    gradient = grad_outputs["output"]
    return output, {"x": gradient * alpha, "rows": gradient.sum(axis=0)}


def split(inputs: Dict[str, Any], attributes: Dict[str, Any],
          grad_outputs: Optional[Dict[str, Any]]) -> Any:
    """Two outputs: the halves of x."""
    low, high = np.split(inputs["x"], 2, axis=-1)
    outputs = {"low": low, "high": high}
    if grad_outputs is None:
        return outputs
    gradient = np.concatenate(
        [grad_outputs["low"], grad_outputs["high"]], axis=-1)
    return outputs, {"x": gradient}


def largest(inputs: Dict[str, Any], attributes: Dict[str, Any],
            grad_outputs: Optional[Dict[str, Any]]) -> Any:
    """An operator without a backward that returns integers."""
    return {"tokens": np.argmax(inputs["x"], axis=-1) + inputs["first"]}


KERNELS = {"scaled": scaled, "split": split, "largest": largest}


def golden_cases(dtype: str = "float32") -> List[OperatorCase]:
    """Four cases of three operators."""
    generator = np.random.default_rng(3)

    def normal(*shape: int) -> np.ndarray:
        return generator.normal(size=shape)

    def bar(values: np.ndarray) -> Bar:
        limit = ROUNDINGS[dtype] * float(np.abs(values).max())
        return Bar(limit, ROUNDINGS[dtype], "a few roundings")

    return [
        make_case("scaled [3, 4]", "scaled", scaled,
                  {"x": normal(3, 4), "rows": normal(4)}, {"alpha": 1.5},
                  {"output": normal(3, 4)}, bar, dtype),
        make_case("scaled by 2.7", "scaled", scaled,
                  {"x": normal(2, 4), "rows": normal(4)}, {"alpha": 2.7},
                  {"output": normal(2, 4)}, bar, dtype),
        make_case("split", "split", split, {"x": normal(3, 6)}, {},
                  {"low": normal(3, 3), "high": normal(3, 3)}, bar, dtype),
        make_case("largest", "largest", largest,
                  {"x": normal(2, 5, 9), "first": np.array(3)}, {}, None, bar,
                  dtype),
    ]


class FolderTestCase(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="mvar-golden-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name: str) -> str:
        """A path in the folder."""
        return os.path.join(self.folder, name)

    def write(self, name: str, text: str) -> str:
        """Writes a text file; returns its path."""
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def golden(self, dtype: str = "float32") -> str:
        """Writes the golden file of ``golden_cases``; returns its path."""
        path = self.path(f"golden.{dtype}.safetensors")
        write_golden(path, golden_cases(dtype), dtype, seed=3)
        return path

    def run_module(self, *arguments: str, **options: Any
                   ) -> "subprocess.CompletedProcess[str]":
        """Runs ``python -m mvar_golden`` in the folder."""
        return self.run_python("-m", "mvar_golden", *arguments, **options)

    def run_python(self, *arguments: str, **options: Any
                   ) -> "subprocess.CompletedProcess[str]":
        """Runs Python, which finds this package, in the folder."""
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, text=True,
            env=environment(), stderr=subprocess.PIPE, encoding="utf-8",
            timeout=300, **{"stdout": subprocess.PIPE, **options})


def environment() -> Dict[str, str]:
    """The environment of a process that finds this package."""
    return {**os.environ, "PYTHONPATH": PYTHON, "PYTHONIOENCODING": "utf-8",
            "PYTHONDONTWRITEBYTECODE": "1"}
