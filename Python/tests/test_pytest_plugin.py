"""The pytest plugin, where pytest is installed."""

import importlib.util
import unittest

from .support import FolderTestCase

TESTS = '''
import pytest
from mvar_golden import NotSupported
from tests.support import scaled

FILE = "golden.float32.safetensors"

@pytest.mark.golden(operator="scaled", file=FILE)
def test_right(golden_case):
    golden_case.assert_close(scaled)

@pytest.mark.golden("scaled", "float32", file=FILE, only="2.7")
def test_parts(golden_case):
    assert golden_case.operator == "scaled"
    output, gradients = scaled(golden_case.inputs, golden_case.attributes,
                               golden_case.grad_outputs)
    golden_case.assert_close(outputs=output, gradients=gradients)

@pytest.mark.golden(operator="scaled", file=FILE, forward_only=True)
def test_forward(golden_case):
    assert golden_case.grad_outputs is None
    golden_case.assert_close(scaled)

@pytest.mark.golden(operator="scaled", file=FILE)
def test_wrong(golden_case):
    golden_case.assert_close(lambda x, a, d: (x["x"] * 0, scaled(x, a, d)[1]))

@pytest.mark.golden(operator="scaled", file=FILE)
def test_some(golden_case):
    def kernel(inputs, attributes, grad_outputs):
        raise NotSupported("not yet")
    golden_case.assert_close(kernel)

@pytest.mark.golden(operator="scaled", file=FILE)
def test_crash(golden_case):
    golden_case.assert_close(lambda x, a, d: x["y"])
'''


@unittest.skipUnless(importlib.util.find_spec("pytest"),
                     "pytest is not installed")
class PytestTests(FolderTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.golden()

    def pytest(self, text: str):
        self.write("test_it.py", text)
        return self.run_python(
            "-m", "pytest", "-p", "mvar_golden.pytest_plugin", "-p",
            "no:cacheprovider", "-rs", "--strict-markers", "test_it.py")

    def test_cases(self) -> None:
        result = self.pytest(TESTS)
        text = result.stdout
        self.assertEqual(result.returncode, 1, text + result.stderr)
        self.assertIn("4 failed, 5 passed, 2 skipped", text)
        self.assertIn("not supported: not yet", text)
        self.assertIn("GoldenMismatch: 1 of 3 tensors differ:", text)
        self.assertIn("scaled by 2.7.out: at [", text)
        self.assertIn("KeyError: 'y'", text)
        # A failure ends in the test, not within this package.
        self.assertNotIn("def raise_for_rows", text)
        self.assertNotIn("def assert_close", text)

    def test_ids_are_the_names_of_the_cases(self) -> None:
        self.write("test_it.py", TESTS)
        result = self.run_python(
            "-m", "pytest", "-p", "mvar_golden.pytest_plugin", "-v", "-p",
            "no:cacheprovider", "test_it.py", "-k", "test_right and 2.7")
        self.assertIn("test_right[scaled by 2.7] PASSED", result.stdout)

    def test_markers_that_are_wrong(self) -> None:
        for marker, sentence in [
            ("operator='sclaed', file=FILE", "has no case of sclaed"),
            ("operator='scaled', file='none'", "cannot be read"),
            ("operator='scaled', file=FILE, dtpye=3", "no argument dtpye"),
            ("operator='scaled', file=FILE, only='gone'", "no tensor's name"),
        ]:
            result = self.pytest(
                "import pytest\nFILE = 'golden.float32.safetensors'\n"
                f"@pytest.mark.golden({marker})\n"
                "def test_it(golden_case): pass\n")
            text = result.stdout + result.stderr
            self.assertNotIn(result.returncode, (0, 5), text)
            self.assertIn(sentence, text)
        result = self.pytest("def test_it(golden_case): pass\n")
        self.assertIn("needs the marker golden",
                      result.stdout + result.stderr)
