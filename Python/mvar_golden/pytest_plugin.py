"""A pytest plugin: one test per case of a golden file.

    @pytest.mark.golden(operator="neighborhoodAttention", dtype="float32")
    def test_my_attention(golden_case):
        golden_case.assert_close(my_attention)

The marker takes what ``mvar_golden.cases`` takes: ``operator``, ``dtype``,
``file``; and ``only``, ``rtol``, ``atol``, ``forward_only``, ``arrays`` as
``mvar_golden.check`` does. ``NotSupported`` skips a test.
"""

from __future__ import annotations

from typing import Any, Dict, Generator, List, Optional

import pytest

from .arrays import NUMPY, ArrayKind
from .case import OperatorCase
from .comparison import Comparison
from .errors import GoldenError, NotSupported
from .golden import cases
from .kernels import Judge, Kernel, Results, raise_for_rows

_CASE_OPTIONS = ("operator", "dtype", "file")
_JUDGE_OPTIONS = ("only", "rtol", "atol", "forward_only")


class GoldenCase:
    """A case that a test runs its kernel on."""

    def __init__(self, case: OperatorCase, judge: Judge) -> None:
        self.case, self.judge = case, judge
        if case.problem is not None:
            raise GoldenError(f"{case.name}: {case.problem}")
        self.name, self.operator = case.name, case.operator
        self.dtype = case.dtype
        self.inputs, self.attributes, self.grad_outputs = judge.arguments(case)

    def assert_close(self, kernel: Optional[Kernel] = None, *,
                     outputs: Any = None,
                     gradients: Optional[Dict[str, Any]] = None) -> None:
        """Raises ``GoldenMismatch`` if a tensor differs.

        Either ``kernel`` is called, or ``outputs`` (an array or a dict) and
        the inputs' ``gradients`` are what one returned.
        """
        __tracebackhide__ = True
        raise_for_rows(self.rows(kernel, outputs, gradients))

    def rows(self, kernel: Optional[Kernel] = None, outputs: Any = None,
             gradients: Optional[Dict[str, Any]] = None) -> List[Comparison]:
        """One row per tensor. The kernel's exceptions are not caught."""
        __tracebackhide__ = True
        if kernel is not None:
            returned = kernel(*self.judge.arguments(self.case))
            return self.judge.rows(self.case, Results.of(returned))
        return self.judge.rows(self.case, Results.of((outputs, gradients)))


def pytest_configure(config: Any) -> None:
    """Makes the marker known."""
    config.addinivalue_line(
        "markers", "golden(operator, dtype='float32', file=None, only=None, "
        "rtol=None, atol=None, forward_only=False, arrays='numpy'): run the "
        "test for every case of a golden file, as `golden_case`")


def pytest_generate_tests(metafunc: Any) -> None:
    """One test per case."""
    if "golden_case" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("golden")
    if marker is None:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: golden_case needs the marker "
            "golden")
    try:
        pairs = _pairs(marker)
    except GoldenError as error:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: {error}") from None
    metafunc.parametrize(
        "golden_case", pairs, indirect=True,
        ids=[case.name for case, _ in pairs])


def _pairs(marker: Any) -> "list[tuple[OperatorCase, Judge]]":
    options = dict(zip(_CASE_OPTIONS, marker.args))
    options.update(marker.kwargs)
    arrays = options.pop("arrays", NUMPY)
    kind = ArrayKind(arrays) if isinstance(arrays, str) else arrays
    judge = Judge(kind, **{name: options.pop(name) for name in _JUDGE_OPTIONS
                           if name in options})
    wanted = {name: options.pop(name, None) for name in _CASE_OPTIONS}
    if options:
        raise GoldenError(
            f"the marker golden has no argument {sorted(options)[0]}")
    if "dtype" not in marker.kwargs and len(marker.args) < 2:
        wanted["dtype"] = None if wanted["file"] else "float32"
    chosen = [case for case in cases(**wanted) if judge.wants(case)]
    if not chosen:
        raise GoldenError(f"no tensor's name contains {judge.only!r}")
    return [(case, judge) for case in chosen]


@pytest.fixture
def golden_case(request: Any) -> GoldenCase:
    """A case of a golden file; see the marker ``golden``."""
    case, judge = request.param
    return GoldenCase(case, judge)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: Any) -> Generator[None, Any, None]:
    """What a kernel does not support is skipped."""
    outcome = yield
    if outcome.excinfo is not None:
        error = outcome.excinfo[1]
        if isinstance(error, NotSupported):
            outcome.force_exception(
                pytest.skip.Exception(f"not supported: {error}"))
