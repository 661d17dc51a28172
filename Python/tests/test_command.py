"""``python -m mvar_golden`` as a program."""

import io
import json
import os
import unittest
import xml.dom.minidom
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

from mvar_golden import GoldenError, default_file
from mvar_golden.command import load_kernels, main

from .support import AUTHORS, FolderTestCase

KERNELS = '''
from tests.support import largest, scaled, split

def wrong(inputs, attributes, grad_outputs):
    if grad_outputs is None:
        return scaled(inputs, attributes, None)
    output, gradients = scaled(inputs, attributes, grad_outputs)
    return output, {**gradients, "rows": gradients["rows"] * 2}
'''


class CommandTests(FolderTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.file = self.golden()
        self.kernels = self.write("kernels.py", KERNELS)

    def check(self, *arguments: str) -> "tuple[int, str, str]":
        """Runs the command in this process; returns the exit status, what it
        printed, and its errors."""
        output, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            try:
                status = main(["check", self.file, *arguments])
            except SystemExit as exit:
                status = exit.code
        return status, output.getvalue(), errors.getvalue()

    def test_statuses(self) -> None:
        kernels, wrong = self.kernels, f"{self.kernels}:wrong"
        for status, arguments in [
            (0, ("--kernel", kernels)),
            (0, ("--kernel", f"{kernels}:scaled", "--operator", "scaled")),
            (0, ("--kernel", f"scaled={kernels}:scaled")),
            (1, ("--kernel", wrong, "--operator", "scaled")),
            (0, ("--kernel", wrong, "--operator", "scaled",
                 "--forward-only")),
            (0, ("--kernel", wrong, "--operator", "scaled", "--only",
                 "out$")),
            (0, ("--kernel", wrong, "--operator", "scaled", "--atol", "9")),
            (2, ("--kernel", f"other={kernels}:scaled")),
            (2, ("--kernel", f"{kernels}:scaled")),
            (2, ("--kernel", kernels, "--only", "nothing")),
            (2, ("--kernel", kernels, "--dtype", "bfloat16")),
            (2, ("none", "--kernel", kernels)),
            (2, ("--kernel", "a_module_that_is_not_there")),
            (2, ("--kernel", "none.py:f")),
            (2, ("--kernel", f"{kernels}:none")),
            (64, ("--kernel", kernels, "--only", "(")),
            (64, ("--kernel", kernels, "--rtol", "-1")),
            (64, ("--kernel", kernels, "--arrays", "tensorflow")),
            (2, ("--kernel", kernels, "--json", self.path("none/a.json"))),
            (64, ()), (64, ("--kernel", kernels, "--rtol", "wide")),
            (64, ("--kernel", kernels, "--dtype", "int4")),
            (64, ("--kernel", kernels, "--what")),
        ]:
            with self.subTest(arguments=arguments):
                found, output, errors = self.check(*arguments)
                self.assertEqual(found, status, output + errors)

    def test_as_a_program(self) -> None:
        result = self.run_module("check", self.file, "--kernel", "kernels")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertTrue(result.stdout.endswith(
            "\n10 passed, 0 failed, 0 not checked\n"))
        result = self.run_module("check", "--kernel", "kernels.py", "none")
        self.assertEqual(result.returncode, 2)
        self.assertIn("none: cannot be read", result.stderr)

    def test_what_is_printed(self) -> None:
        arguments = ("--kernel", f"{self.kernels}:wrong", "--operator",
                     "scaled")
        lines = self.check(*arguments)[1].splitlines()
        self.assertEqual(len(lines), 7)
        self.assertEqual(lines[-1], "4 passed, 2 failed, 0 not checked")
        self.assertTrue(lines[0].startswith("pass  scaled [3, 4].out:"))
        self.assertTrue(lines[1].startswith(
            "FAIL  scaled [3, 4].grad.rows: at ["))
        quiet = self.check(*arguments, "--quiet")[1].splitlines()
        self.assertEqual(len(quiet), 3)
        some = self.check("--kernel", f"split={self.kernels}:split")[1]
        self.assertIn("----  3 cases: there is no kernel for largest, "
                      "scaled\n3 passed", some)

    def test_files_for_other_programs(self) -> None:
        status, _, _ = self.check(
            "--kernel", f"{self.kernels}:wrong", "--operator", "scaled",
            "--json", self.path("a.json"), "--junit", self.path("a.xml"))
        self.assertEqual(status, 1)
        with open(self.path("a.json"), encoding="utf-8") as file:
            document = json.load(file)
        self.assertEqual(document["exit_status"], 1)
        report, = document["reports"]
        self.assertEqual((report["subject"], report["kind"]),
                         (self.file, "ops"))
        self.assertEqual(
            [row["name"] for row in report["rows"]
             if row["verdict"] == "failed"],
            ["scaled [3, 4].grad.rows", "scaled by 2.7.grad.rows"])
        parsed = xml.dom.minidom.parse(self.path("a.xml"))
        self.assertEqual(len(parsed.getElementsByTagName("failure")), 2)

    @unittest.skipUnless(os.path.exists("/dev/full"), "there is no /dev/full")
    def test_a_full_output_is_no_difference(self) -> None:
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = self.run_module(
                "check", self.file, "--kernel", "kernels", "--json", "a.json",
                stdout=full)
        self.assertEqual(result.returncode, 2)
        self.assertEqual(
            result.stderr, "mvar_golden: standard output cannot be written: "
            "No space left on device\n")
        with open(self.path("a.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["exit_status"], 0)

    def test_one_bad_file_leaves_the_others(self) -> None:
        bad = self.write("bad.safetensors", "nothing like it")
        status, output, errors = self.check(bad, "--kernel", self.kernels)
        self.assertEqual(status, 2)
        self.assertIn(f"{bad}: claims", errors)
        self.assertIn("10 passed, 0 failed, 1 not checked", output)

    def test_kernels_that_cannot_be_imported(self) -> None:
        self.write("bad.py", "import a_module_that_is_not_there")
        self.write("stop.py", "raise SystemExit(0)")
        self.write("empty.py", "")
        for name, sentence in [
            ("bad.py", "cannot be imported: ModuleNotFoundError"),
            ("stop.py:f", "cannot be imported: SystemExit"),
            ("empty.py", "has no functions"),
            ("kernels.py:scaled.none", "has no function scaled.none"),
        ]:
            status, _, errors = self.check("--kernel", self.path(name))
            self.assertEqual(status, 2)
            self.assertIn(sentence, errors)
            self.assertEqual(len(errors.splitlines()), 1)

    def test_names_of_functions(self) -> None:
        path = self.write(
            "names.py", "def layer_norm(x, a, d): pass\n"
            "def adaptiveLayerNorm(x, a, d): pass\ndef _helper(): pass\n"
            "number = 3\n")
        self.assertEqual(sorted(load_kernels([path], None)),
                         ["adaptiveLayerNorm", "layerNorm"])
        path = self.write("named.py", "KERNELS = {'layerNorm': print}")
        self.assertEqual(load_kernels([path], None), {"layerNorm": print})
        with self.assertRaises(GoldenError):
            load_kernels([self.path("gone.py")], None)

    def test_list(self) -> None:
        output = io.StringIO()
        with redirect_stdout(output):
            self.assertEqual(main(["list", self.file]), 0)
            main(["list", AUTHORS, "--operator", "linear"])
        lines = output.getvalue().splitlines()
        self.assertIn("scaled: scaled by 2.7: x [2, 4], rows [4]; alpha 2.7",
                      lines)
        self.assertIn("4 cases for float32", lines)
        self.assertEqual(lines[-1], "1 cases for float32")

    def test_the_file_of_all_operators(self) -> None:
        os.rename(self.file, self.path("cases.safetensors"))
        for place in (self.folder, self.path("cases.safetensors")):
            with mock.patch.dict(os.environ, {"MVAR_GOLDEN": place}), \
                    redirect_stdout(io.StringIO()):
                self.assertEqual(
                    main(["check", "--kernel", self.kernels]), 0)
        with mock.patch.dict(os.environ, {"MVAR_GOLDEN": self.folder}):
            with self.assertRaisesRegex(GoldenError, "does not exist: `mvar"):
                default_file("float16")
