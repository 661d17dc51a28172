"""The protocols of ``mvar golden run``."""

import json
import subprocess
import sys

import numpy as np

from mvar_golden import read_safetensors, write_safetensors

from .support import FolderTestCase, environment

SERVER = '''
import os
import sys
import mvar_golden
from tests.support import KERNELS

def noisy(inputs, attributes, grad_outputs):
    print("this is not an answer")
    os.system("echo nor is this")
    if "crash" in attributes:
        raise ValueError("cannot\\n do that")
    if "leave" in attributes:
        sys.exit(4)
    return KERNELS["scaled"](inputs, attributes, grad_outputs)

mvar_golden.serve({**KERNELS, "scaled": noisy})
'''


class ServingTests(FolderTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.server = self.write("server.py", SERVER)
        self.x = np.float32([[1, 2], [3, 4]])

    def request(self, operator="scaled", gradients=True, dtype="float32",
                outputs=None, **attributes):
        path = self.path("in.safetensors")
        attributes = {"alpha": 2.0, **attributes}
        tensors = {"in.x": self.x, "in.rows": np.float32([1, 1]),
                   "in.first": np.array(3)}
        if gradients and operator == "split":
            tensors["grad_out.low"] = self.x[:, :1]
            tensors["grad_out.high"] = self.x[:, 1:]
        elif gradients:
            tensors["grad_out"] = self.x
        listed = {} if outputs is None else {"outputs": outputs}
        write_safetensors(path, tensors, {
            **listed, "operator": operator, "case": "a case", "dtype": dtype,
            "attributes": json.dumps(attributes),
            **{f"attribute.{key}": str(value)
               for key, value in attributes.items()}})
        return path

    def answer(self):
        return {name: tensor.array().tolist() for name, tensor in
                read_safetensors(self.path("out")).tensors.items()}

    def once(self, request):
        return self.run_python(self.server, request, self.path("out"))

    def test_one_case_per_process(self) -> None:
        result = self.once(self.request())
        self.assertEqual((result.returncode, result.stdout), (0, ""))
        self.assertEqual(self.answer(), {
            "out": [[3, 5], [7, 9]], "grad.x": [[2, 4], [6, 8]],
            "grad.rows": [4, 6]})
        self.once(self.request("split"))
        self.assertEqual(self.answer(), {
            "out.low": [[1], [3]], "out.high": [[2], [4]],
            "grad.x": [[1, 2], [3, 4]]})
        self.once(self.request("largest", gradients=False))
        self.assertEqual(self.answer(), {"out": [4, 4]})

    def test_outputs_that_are_listed(self) -> None:
        def listed(*names):
            return json.dumps([{"name": name, "shape": []} for name in names])

        for names, expected in [(("out",), "out"), ((), "out"),
                                (("out.tokens", "out.rest"), "out.tokens")]:
            self.once(self.request("largest", gradients=False,
                                   outputs=listed(*names)))
            self.assertEqual(list(self.answer()), [expected])
        for wrong in ("{", "3", "[3]", "[{}]"):
            result = self.once(self.request("largest", outputs=wrong))
            self.assertEqual(result.returncode, 1)
            self.assertIn("list no outputs", result.stderr)

    def test_statuses(self) -> None:
        self.assertEqual(self.once(self.request("other")).returncode, 77)
        crash = self.once(self.request(crash=1))
        self.assertEqual(crash.returncode, 1)
        self.assertIn("ValueError", crash.stderr)
        none = self.once(self.path("none"))
        self.assertEqual(none.returncode, 1)
        self.assertIn("cannot be read", none.stderr)
        self.assertEqual(self.run_python(self.server, "one").returncode, 1)

    def test_lines(self) -> None:
        process = subprocess.Popen(
            [sys.executable, self.server], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            encoding="utf-8", env=environment())
        self.addCleanup(process.kill)
        out = self.path("out")

        def ask(line):
            process.stdin.write(line + "\n")
            process.stdin.flush()
            return process.stdout.readline()

        # Each request overwrites the file.
        for arguments, reply in [
            ({}, "ok\n"), ({"crash": 1}, "error ValueError: cannot\n"),
            ({"leave": 1}, "error SystemExit: 4\n"),
            ({"operator": "other"},
             "unsupported there is no kernel for other\n"),
        ]:
            request = self.request(**arguments)
            self.assertEqual(ask(f"{request}\t{out}"), reply)
        self.assertEqual(ask(f"{self.request()}\t{out}"), "ok\n")
        self.assertEqual(self.answer()["grad.rows"], [4, 6])
        self.assertIn("error a line is", ask("one file"))
        self.assertIn("cannot be read", ask(f"none\t{out}"))
        process.stdin.close()
        self.assertEqual(process.wait(60), 0)
        process.stdout.close()

    def test_requests_that_are_none(self) -> None:
        path = self.path("in.safetensors")
        for metadata in ({}, {"attributes": "{}"}, {"operator": "scaled"},
                         {"operator": "scaled", "attributes": "["}):
            write_safetensors(path, {}, metadata)
            result = self.once(path)
            self.assertEqual(result.returncode, 1)
            self.assertEqual(len(result.stderr.strip().split("\n")), 1)

    def test_the_command_serves(self) -> None:
        kernels = self.write("kernels.py", "from tests.support import *\n")
        result = self.run_module("serve", "--kernel", kernels, input=(
            f"{self.request()}\t{self.path('out')}\n"))
        self.assertEqual((result.returncode, result.stdout), (0, "ok\n"))
        result = self.run_module(
            "serve", "--kernel", kernels, self.request(), self.path("out"))
        self.assertEqual(result.returncode, 0, result.stderr)
