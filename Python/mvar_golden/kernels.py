"""Runs a kernel on cases and judges what it returns.

A kernel is a function ``kernel(inputs, attributes, grad_outputs)``: a dict of
arrays, a dict of numbers and words, and a dict of arrays (None if only the
forward is wanted). Outputs and their gradients are under the names of the
operator's outputs, or ``"output"`` if it has one. It returns

- an array, the only output;
- a dict of outputs;
- a pair of one of these and a dict of the inputs' gradients.

It raises ``NotSupported`` for what it does not do.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import (
    Any, Callable, Dict, List, Mapping, Optional, Sequence, Union)

import numpy as np

from .arrays import NUMPY, ArrayKind, first_line, stored
from .case import Expected, OperatorCase
from .comparator import compare_integers, compare_values
from .comparison import (
    Comparison, Verdict, failed, not_in_file, not_judged, not_supported)
from .errors import GoldenError, GoldenMismatch, NotSupported
from .golden import cases
from .margins import margins_of

#: A function, or functions by the names of their operators.
Kernel = Callable[..., Any]
Kernels = Union[Kernel, Mapping[str, Kernel]]

#: Why a case is not run, before its operator.
NO_KERNEL = "there is no kernel for "

#: What the only output of an operator is called.
OUTPUT = "output"


@dataclass(frozen=True)
class Results:
    """What a kernel returned; the only output is called ``""``."""

    outputs: Dict[str, Any] = field(default_factory=dict)
    #: None if the kernel returned none at all.
    gradients: Optional[Dict[str, Any]] = None

    @staticmethod
    def of(returned: Any) -> "Results":
        """Sorts what a kernel returned into outputs and gradients."""
        gradients: Optional[Dict[str, Any]] = None
        if isinstance(returned, (tuple, list)) and len(returned) == 2:
            if returned[1] is None or isinstance(returned[1], dict):
                returned, gradients = returned
        if returned is None:
            return Results({}, gradients)
        if not isinstance(returned, dict):
            return Results({"": returned}, gradients)
        outputs: Dict[str, Any] = {}
        for key, value in returned.items():
            if str(key).startswith("grad."):
                gradients = {**(gradients or {}), str(key)[5:]: value}
            else:
                outputs[output_key(str(key))] = value
        return Results(outputs, gradients)


def output_key(key: str) -> str:
    """The name of an output without ``out``; empty for the only one."""
    if key in (OUTPUT, "out"):
        return ""
    return key[4:] if key.startswith("out.") else key


@dataclass(frozen=True)
class Judge:
    """How cases are run and judged."""

    arrays: ArrayKind = NUMPY
    #: A missing gradient is no failure, and none is asked for.
    forward_only: bool = False
    #: Replace the file's bars if one of them is not None.
    rtol: Optional[float] = None
    atol: Optional[float] = None
    #: Only rows whose names this regular expression is found in.
    only: Optional[str] = None

    def __post_init__(self) -> None:
        for name, value in (("rtol", self.rtol), ("atol", self.atol)):
            if value is not None and not 0 <= value < float("inf"):
                raise GoldenError(f"{name} {value} is no limit")
        try:
            re.compile(self.only or "")
        except re.error as error:
            raise GoldenError(
                f"{self.only!r} is no regular expression: {error}") from None

    # Running

    def run(self, kernel: Kernel, case: OperatorCase) -> List[Comparison]:
        """Runs a kernel on a case; one row per tensor."""
        if not self.wants(case):
            return []
        if case.problem is not None:
            return [not_judged(case.name, case.problem)]
        try:
            returned = kernel(*self.arguments(case))
        except (NotSupported, NotImplementedError) as error:
            return [not_supported(case.name, str(error) or None)]
        except GoldenError as error:
            return [not_judged(case.name, str(error))]
        except (Exception, SystemExit) as error:
            return [failed(case.name, f"the kernel {_raised(error)}")]
        return self.rows(case, Results.of(returned))

    def arguments(self, case: OperatorCase) -> "tuple[Any, Any, Any]":
        """What a kernel is called with: copies, which it may change."""
        inputs = {key: self.arrays.array(tensor)
                  for key, tensor in case.inputs.items()}
        gradients = None
        if case.has_backward and not self.forward_only:
            gradients = {key or OUTPUT: self.arrays.array(tensor)
                         for key, tensor in case.grad_outputs.items()}
        return inputs, dict(case.attributes), gradients

    def wants(self, case: OperatorCase) -> bool:
        """Whether a row of a case is wanted."""
        names = [case.name]
        for group in (case.outputs, case.gradients):
            names += [expected.name for expected in group.values()]
        return any(self._is_wanted(name) for name in names)

    def _is_wanted(self, name: str) -> bool:
        return self.only is None or re.search(self.only, name) is not None

    # Judging

    def rows(self, case: OperatorCase, results: Results) -> List[Comparison]:
        """Judges what a kernel returned for a case."""
        rows = self._outputs(case, results.outputs)
        if not self.forward_only or results.gradients is not None:
            rows += self._gradients(case, results.gradients)
        elif case.has_backward:
            rows += [not_in_file(item.name)
                     for _, item in sorted(case.gradients.items())]
        return [row for row in rows if self._is_wanted(row.name)]

    def _outputs(self, case: OperatorCase, outputs: Dict[str, Any]
                 ) -> List[Comparison]:
        if list(case.outputs) == [""] and len(outputs) == 1:
            outputs = {"": next(iter(outputs.values()))}
        rows = []
        for key, expected in sorted(case.outputs.items()):
            if expected.problem is not None:
                rows.append(not_judged(expected.name, expected.problem))
            elif outputs.get(key) is None:
                rows.append(failed(expected.name, "the kernel returned "
                                   f"no output{_named(key)}", expected.bar))
            else:
                rows.append(self._row(case, expected, outputs[key]))
        for key in sorted(set(outputs) - set(case.outputs)):
            rows.append(failed(
                f"{case.name}.out{'.' + key if key else ''}",
                f"{case.operator} has no output{_named(key or OUTPUT)}"))
        return rows

    def _gradients(self, case: OperatorCase,
                   gradients: Optional[Dict[str, Any]]) -> List[Comparison]:
        given = gradients or {}
        rows = []
        for key, expected in sorted(case.gradients.items()):
            if expected.problem is not None:
                rows.append(not_judged(expected.name, expected.problem))
            elif expected.tensor is None:
                rows.append(not_in_file(expected.name))
            elif given.get(key) is not None:
                rows.append(self._row(case, expected, given[key]))
            elif self.forward_only:
                rows.append(not_in_file(expected.name))
            else:
                rows.append(failed(
                    expected.name, "the kernel returned no gradient of "
                    f"`{key}`", expected.bar))
        for key in sorted(set(given) - set(case.gradients)):
            if key not in case.inputs:
                rows.append(failed(
                    f"{case.name}.grad.{key}",
                    f"{case.operator} has no input `{key}`"))
        return rows

    def _row(self, case: OperatorCase, expected: Expected, value: Any
             ) -> Comparison:
        name, tensor = expected.name, expected.tensor
        if tensor is None:
            return not_judged(name, expected.problem or "is not in the file")
        try:
            found = stored(value, None if tensor.is_integer else case.dtype)
        except GoldenError as error:
            return failed(name, str(error), expected.bar)
        if found.shape != tensor.shape:
            return failed(name, f"shape {list(found.shape)}, expected "
                          f"{list(tensor.shape)}", expected.bar)
        if tensor.is_integer:
            return _integers(name, case, found.array(), tensor.array())
        if expected.bar is None:
            return not_judged(name, expected.problem or "has no bar")
        bar = expected.bar.overridden(self.rtol, self.atol)
        return compare_values(name, found.numbers(), tensor.numbers(), bar)


def _integers(name: str, case: OperatorCase, found: np.ndarray,
              expected: np.ndarray) -> Comparison:
    margins = margins_of(case)
    if margins is None or found.dtype.kind not in "iu":
        return compare_integers(name, found, expected)
    ours, right, of = found.ravel(), expected.ravel(), margins
    return compare_integers(name, found, expected, lambda place: of(
        place, int(ours[place]), int(right[place])))


def _named(key: str) -> str:
    return f" `{key}`" if key else ""


def _raised(error: BaseException) -> str:
    """Where an exception was raised, if that is known."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f" in {os.path.basename(code.co_filename)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"raised {first_line(error)}{place}"


# The functions of the package


def check(
    function: Kernels, operator: Optional[str] = None,
    dtype: Optional[str] = "float32",
    file: "str | os.PathLike[str] | None" = None, only: Optional[str] = None,
    rtol: Optional[float] = None, atol: Optional[float] = None, *,
    forward_only: bool = False, arrays: Union[str, ArrayKind] = NUMPY,
) -> List[Comparison]:
    """Runs a kernel on all cases of an operator; one row per tensor.

    :param function: a kernel, or kernels by operator.
    :param operator: the contract's name; all of the file's if it is None.
    :param dtype: what the kernel receives and returns; any if it is None.
    :param file: a golden file; by default the one of all operators.
    :param only: a regular expression that is searched in the rows' names.
    :param rtol: replaces the file's bars, as does ``atol``.
    :param forward_only: ask for no gradients.
    :param arrays: what the kernel receives: ``numpy``, ``torch``, ``jax``, or
        an ``ArrayKind``.
    :raises GoldenError: if the file cannot be read, or has no such case.
    """
    kind = ArrayKind(arrays) if isinstance(arrays, str) else arrays
    judge = Judge(kind, forward_only, rtol, atol, only)
    rows = judge_cases(judge, function, cases(file, operator, dtype))
    if not rows:
        raise GoldenError(f"no tensor's name contains {only!r}")
    return rows


def judge_cases(judge: Judge, function: Kernels,
                chosen: Sequence[OperatorCase]) -> List[Comparison]:
    """Runs kernels on cases; a case without a kernel is not supported."""
    rows: List[Comparison] = []
    for case in chosen:
        kernel = kernel_for(case.operator, function)
        if kernel is not None:
            rows += judge.run(kernel, case)
        elif judge.wants(case):
            rows.append(
                not_judged(case.name, case.problem) if case.problem
                else not_supported(case.name, NO_KERNEL + case.operator))
    return rows


def kernel_for(operator: str, function: Kernels) -> Optional[Kernel]:
    """The kernel of an operator, None if there is none."""
    if isinstance(function, Mapping):
        return function.get(operator)
    return function


def raise_for_rows(rows: Sequence[Comparison]) -> None:
    """Raises ``GoldenMismatch`` if a row failed or was not judged, or if
    nothing passed."""
    __tracebackhide__ = True
    wrong = [row for row in rows
             if row.verdict in (Verdict.FAILED, Verdict.NOT_JUDGED)]
    if wrong:
        raise GoldenMismatch(wrong, len(rows))
    if not any(row.passes for row in rows):
        raise GoldenMismatch(rows, len(rows))


def assert_close(
    function: Kernels, operator: Optional[str] = None,
    dtype: Optional[str] = "float32",
    file: "str | os.PathLike[str] | None" = None, only: Optional[str] = None,
    rtol: Optional[float] = None, atol: Optional[float] = None, *,
    forward_only: bool = False, arrays: Union[str, ArrayKind] = NUMPY,
) -> None:
    """As ``check``; raises ``GoldenMismatch`` if anything differs."""
    __tracebackhide__ = True
    raise_for_rows(check(
        function, operator, dtype, file, only, rtol, atol,
        forward_only=forward_only, arrays=arrays))
