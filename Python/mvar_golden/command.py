"""The command ``python -m mvar_golden``: check, list, serve.

Exit status of ``check``: 0 if everything passed, 1 if something differs, 2 if
something could not be judged; 64 for a wrong command line.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import re
import sys
from types import ModuleType
from typing import Any, Dict, Mapping, NoReturn, Optional, Sequence

from .arrays import ArrayKind, first_line
from .case import DTYPES
from .comparison import Verdict
from .errors import GoldenError
from .golden import GoldenFile, cases, default_file
from .kernels import NO_KERNEL, Judge, Kernel, Kernels, judge_cases
from .report import (
    ComparisonCounts, ComparisonReport, json_text, junit_text)
from .serving import serve

_PRODUCER = "mvar_golden"
_USAGE_STATUS = 64


class _Parser(argparse.ArgumentParser):
    """Ends with the status of a wrong command line that ``mvar`` has."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(_USAGE_STATUS, f"{self.prog}: {message}\n")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs the command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except GoldenError as error:
        print(f"{_PRODUCER}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        # What is still to be printed goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # That nobody reads on needs no words.
        if not isinstance(error, BrokenPipeError):
            print(f"{_PRODUCER}: standard output cannot be written: "
                  f"{error.strerror}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m mvar_golden",
        description="Checks kernels against golden values.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="run kernels on golden files")
    check.set_defaults(run=_check)
    check.add_argument("file", nargs="*", help="golden files of kind ops; by "
                       "default the one of all operators")
    _add_kernels(check)
    check.add_argument("--operator", metavar="NAME",
                       help="only cases of this operator")
    check.add_argument("--dtype", choices=list(DTYPES),
                       help="refuse files for another type")
    check.add_argument("--forward-only", action="store_true",
                       help="ask for no gradients")
    check.add_argument("--only", metavar="REGEX",
                       help="only tensors whose names this is found in")
    check.add_argument("--rtol", type=float, metavar="R",
                       help="replaces the file's bars")
    check.add_argument("--atol", type=float, metavar="A",
                       help="replaces the file's bars")
    check.add_argument("--json", metavar="FILE", help="write all rows")
    check.add_argument("--junit", metavar="FILE", help="write test results")
    check.add_argument("--quiet", action="store_true",
                       help="print only what did not pass")
    show = commands.add_parser("list", help="print the cases of a file")
    show.set_defaults(run=_list)
    show.add_argument("file", nargs="?")
    show.add_argument("--operator", metavar="NAME")
    server = commands.add_parser(
        "serve", help="answer `mvar golden run`, per case or with --serve")
    server.set_defaults(run=_serve)
    _add_kernels(server)
    server.add_argument("file", nargs="*", metavar="IN OUT")
    return parser


def _add_kernels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kernel", action="append", required=True, metavar="WHERE",
        help="[OPERATOR=]MODULE:FUNCTION, or MODULE with functions named as "
        "operators; MODULE may be a file NAME.py; may be repeated")
    parser.add_argument("--arrays", default="numpy", metavar="FRAMEWORK",
                        help="what kernels receive: numpy, torch, jax")
    parser.add_argument("--device", default="cpu",
                        help="where torch's tensors lie: cpu, cuda, mps")
    parser.add_argument("--bfloat16", default="float32", metavar="FORM",
                        help="NumPy's bfloat16: float32, bits, ml_dtypes")


def _arrays(options: argparse.Namespace) -> ArrayKind:
    return ArrayKind(options.arrays, options.device, options.bfloat16)


# Commands


def _check(options: argparse.Namespace) -> int:
    try:
        judge = Judge(_arrays(options), options.forward_only, options.rtol,
                      options.atol, options.only)
    except GoldenError as error:
        print(f"{_PRODUCER}: {error}", file=sys.stderr)
        return _USAGE_STATUS
    kernels = load_kernels(options.kernel, options.operator)
    files = options.file or [default_file(options.dtype or "float32")]
    reports = [_report(judge, kernels, file, options) for file in files]
    counts = ComparisonCounts(reports)
    # First, in case nothing can be printed.
    if options.json:
        _write(options.json, json_text(reports, _PRODUCER))
    if options.junit:
        _write(options.junit, junit_text(reports, _PRODUCER))
    for report in reports:
        _print(report, options.quiet)
    if not counts.total:
        print("nothing was compared: no name fits --only", file=sys.stderr)
    print(f"{counts}; {counts.rest}" if counts.rest else counts)
    return counts.exit_status


def _report(judge: Judge, kernels: Kernels, file: str,
            options: argparse.Namespace) -> ComparisonReport:
    try:
        chosen = cases(file, options.operator, options.dtype)
        operators = {case.operator for case in chosen} - {""}
        if callable(kernels) and len(operators) > 1:
            raise GoldenError(
                f"{file}: has cases of {len(operators)} operators: name the "
                "one that the kernel is, with --operator")
    except GoldenError as error:
        problem = str(error)
        if problem.startswith(f"{file}: "):
            problem = problem[len(file) + 2:]
        return ComparisonReport(file, problem=problem)
    return ComparisonReport(
        file, "ops", judge_cases(judge, kernels, chosen))


_WORDS = {Verdict.PASSED: "pass", Verdict.FAILED: "FAIL"}


def _print(report: ComparisonReport, quiet: bool) -> None:
    if report.problem is not None:
        print(_printable(f"{report.subject}: {report.problem}"),
              file=sys.stderr)
    without: Dict[str, int] = {}
    for row in report.rows:
        if row.cause is not None and row.cause.startswith(NO_KERNEL):
            without[row.cause] = without.get(row.cause, 0) + 1
        elif not quiet or row.verdict not in (
                Verdict.PASSED, Verdict.NOT_IN_FILE):
            print(_printable(f"{_WORDS.get(row.verdict, '----')}  {row}"))
    if without and not quiet:
        operators = sorted(cause[len(NO_KERNEL):] for cause in without)
        print(_printable(
            f"----  {sum(without.values())} cases: {NO_KERNEL}"
            f"{', '.join(operators)}"))


def _printable(text: str) -> str:
    """Text from files without control characters."""
    return "".join(letter if letter.isprintable() else "\ufffd"
                   for letter in text)


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise GoldenError(
            f"{path}: cannot be written: {error.strerror}") from None


def _list(options: argparse.Namespace) -> int:
    file = options.file or default_file()
    golden = GoldenFile(file)
    for case in cases(file, options.operator):
        if case.problem is not None:
            print(_printable(f"{case.name}: {case.problem}"))
            continue
        inputs = ", ".join(f"{key} {list(tensor.shape)}"
                           for key, tensor in case.inputs.items())
        settings = ", ".join(f"{key} {value}"
                             for key, value in case.attributes.items())
        line = f"{case.operator}: {case.name}: {inputs}"
        print(_printable(f"{line}; {settings}" if settings else line))
    print(f"{len(golden.cases(options.operator))} cases for {golden.dtype}")
    return 0


def _serve(options: argparse.Namespace) -> int:
    serve(load_kernels(options.kernel, None), options.file,
          arrays=_arrays(options))
    return 0


# Loading


def load_kernels(names: Sequence[str], operator: Optional[str]) -> Kernels:
    """The kernels that the option ``--kernel`` names.

    A single MODULE:FUNCTION is a function for every case; everything else
    gives kernels by operator.
    """
    found: Dict[str, Kernel] = {}
    for name in names:
        target, function = _split(name)
        where, _, attribute = function.partition(":")
        if function.endswith(".py") and not attribute:
            where, attribute = function, ""
        module = _module(where)
        if attribute:
            kernel = _function(module, where, attribute)
            if target is None and len(names) == 1:
                return kernel
            found[target or operator or attribute] = kernel
        else:
            found.update(_functions(module))
    if not found:
        raise GoldenError(f"{', '.join(names)}: has no functions")
    return found


def _split(name: str) -> "tuple[Optional[str], str]":
    match = re.match(r"(\w+)=(.+)$", name)
    return (match[1], match[2]) if match else (None, name)


def _module(where: str) -> ModuleType:
    try:
        if not where.endswith(".py"):
            sys.path.insert(0, os.getcwd())
            try:
                return importlib.import_module(where)
            finally:
                sys.path.remove(os.getcwd())
        if not os.path.isfile(where):
            raise GoldenError(f"{where}: there is no such file")
        name = os.path.splitext(os.path.basename(where))[0]
        # Modules next to the file can be imported by it.
        sys.path.insert(0, os.path.dirname(os.path.abspath(where)))
        spec = importlib.util.spec_from_file_location(name, where)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(name, module)
        spec.loader.exec_module(module)
        return module
    except GoldenError:
        raise
    except (Exception, SystemExit) as error:
        raise GoldenError(
            f"{where}: cannot be imported: {first_line(error)}") from None


def _function(module: ModuleType, where: str, attribute: str) -> Kernel:
    value: Any = module
    for part in attribute.split("."):
        value = getattr(value, part, None)
    if not callable(value):
        raise GoldenError(f"{where}: has no function {attribute}")
    kernel: Kernel = value
    return kernel


def _functions(module: ModuleType) -> Dict[str, Kernel]:
    """A module's own functions by operator: ``layer_norm`` is layerNorm.

    A dict ``KERNELS`` names them otherwise.
    """
    kernels = getattr(module, "KERNELS", None)
    if isinstance(kernels, Mapping):
        return dict(kernels)
    return {_camel(name): value for name, value in vars(module).items()
            if callable(value) and not name.startswith("_")}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
