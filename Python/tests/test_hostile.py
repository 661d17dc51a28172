"""Golden files in which something is wrong: what is not judged, and why.

``Fixtures/comparison/hostile.json`` lists them for the tests of this package
and of the Swift module ``MVARVerification``: a file that is right, and what
each of the others changes in it. ``rows`` are those that neither passed nor
may be missing; without any, nothing of the file can be judged. What only one
of the two programs says is under its name.
"""

import json
import os
from typing import Any, Dict

import numpy as np

from mvar_golden import (
    GoldenError, StoredTensor, Verdict, cases, check, write_safetensors)

from .support import FolderTestCase

PATH = os.path.join(os.path.dirname(__file__), os.pardir, os.pardir,
                    "Fixtures", "comparison", "hostile.json")


def merged(old: Any, patch: Any) -> Any:
    """What RFC 7396 makes of a value: null removes a member."""
    if not isinstance(patch, dict):
        return patch
    result: Dict[str, Any] = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def silu(inputs, attributes, grad_outputs):
    x = inputs["x"].astype(float)
    s = 1 / (1 + np.exp(-x))
    if grad_outputs is None:
        return x * s
    return x * s, {"x": grad_outputs["output"] * s * (1 + x * (1 - s))}


def multiply(inputs, attributes, grad_outputs):
    alpha = attributes["alpha"]
    return alpha * inputs["x"], {"x": alpha * grad_outputs["output"]}


class HostileFileTests(FolderTestCase):

    def test_files_in_which_something_is_wrong(self) -> None:
        with open(PATH, encoding="utf-8") as file:
            document = json.load(file)
        self.assertGreater(len(document["files"]), 40)
        for one in document["files"]:
            with self.subTest(one["name"]):
                self.check_file(document["base"], one)

    def check_file(self, base: Dict[str, Any], one: Dict[str, Any]) -> None:
        """Writes a file and judges two right kernels by it."""
        path = self.path("hostile.safetensors")
        parts = {key: merged(base[key], one.get(key, {})) for key in base}
        write_safetensors(path, {
            name: StoredTensor.of(np.array(tensor["numbers"]).reshape(
                tensor["shape"]), tensor["dtype"])
            for name, tensor in parts["tensors"].items()
        }, {**parts["metadata"], "ops": json.dumps(parts["ops"])})
        expected = one.get("python", one["rows"])
        try:
            rows = check({"silu": silu, "nope": silu, "multiply": multiply},
                         dtype=None, file=path)
        except GoldenError as error:
            self.assertIsNone(expected, str(error))
            self.assertIn(one.get("says", ""), str(error))
            return
        wrong = [row for row in rows if row.verdict not in (
            Verdict.PASSED, Verdict.NOT_IN_FILE)]
        self.assertEqual({row.name: row.verdict.value for row in wrong},
                         expected)
        for row in wrong:
            self.assertIn(one.get("says", ""), str(row))

    def test_defaults_of_attributes_are_given_to_the_kernel(self) -> None:
        path = self.path("norm.safetensors")
        x = np.zeros((1, 2), np.float32)
        write_safetensors(path, {"n.in.x": x, "n.out": x.astype(float)}, {
            "format": "2", "kind": "ops", "dtype": "float32",
            "ops": '{"n": {"operator": "layerNorm"}}'})
        case, = cases(path)
        self.assertEqual(case.attributes, {"epsilon": 1e-6})
