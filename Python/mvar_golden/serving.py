"""The other end of ``mvar golden run``: a kernel in a process of its own.

``serve(kernel)`` speaks both protocols. With two arguments, IN and OUT, it
answers the request in the file IN with the file OUT and ends: exit status 0,
or 77 if the kernel does not support the case. Without arguments it reads
lines ``IN<TAB>OUT`` and answers each with ``ok``, ``unsupported [why]`` or
``error why``.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence, TextIO, Union

from .arrays import NUMPY, ArrayKind, first_line, stored
from .case import Expected, OperatorCase
from .errors import GoldenError, NotSupported
from .golden import metadata_object
from .kernels import NO_KERNEL, Judge, Kernels, Results, kernel_for
from .reading import group, plain
from .safetensors import (
    StoredTensor, parse_json, read_safetensors, write_safetensors)

#: The exit status of a kernel that does not support a case.
NOT_SUPPORTED_STATUS = 77


def read_request(path: str) -> OperatorCase:
    """The case of a request file, without what it should return."""
    file = read_safetensors(path)
    metadata = file.metadata
    try:
        attributes = metadata_object(metadata, "attributes")
        outputs = _outputs(metadata)
        if "operator" not in metadata:
            raise GoldenError("has no metadata `operator`")
    except GoldenError as error:
        raise GoldenError(f"{path}: {error}") from None
    return OperatorCase(
        metadata.get("case", ""), metadata["operator"],
        metadata.get("dtype", "float32"), inputs=group(file.tensors, "in"),
        attributes={key: plain(attributes[key]) for key in attributes},
        grad_outputs=group(file.tensors, "grad_out"), outputs=outputs)


def answer(function: Kernels, request: str, result: str,
           arrays: ArrayKind = NUMPY) -> None:
    """Runs a kernel on a request file and writes what it returns.

    Raises ``NotSupported``, ``GoldenError``, and what the kernel raises.
    """
    case = read_request(request)
    kernel = kernel_for(case.operator, function)
    if kernel is None:
        raise NotSupported(NO_KERNEL + case.operator)
    results = Results.of(kernel(*Judge(arrays).arguments(case)))
    write_safetensors(result, _tensors(case, results))


def _tensors(case: OperatorCase, results: Results) -> Dict[str, StoredTensor]:
    tensors: Dict[str, StoredTensor] = {}
    is_only = _has_one_output(case, results)
    for key, value in results.outputs.items():
        name = "out" if is_only or not key else f"out.{key}"
        tensors[name] = stored(value, case.dtype)
    for key, value in (results.gradients or {}).items():
        if value is not None:
            tensors[f"grad.{key}"] = stored(value, case.dtype)
    return tensors


def _has_one_output(case: OperatorCase, results: Results) -> bool:
    """Whether the only output that was returned is the operator's only one;
    requests that do not list the outputs have as many gradients of them."""
    wanted = case.outputs or case.grad_outputs
    return len(results.outputs) == 1 and (not wanted or list(wanted) == [""])


def _outputs(metadata: Mapping[str, str]) -> Dict[str, Expected]:
    """The outputs that a request lists in its metadata, without values."""
    try:
        names = [entry["name"] for entry in
                 parse_json(metadata.get("outputs", "[]"))]
        return {name[4:]: Expected(name, None) for name in names}
    except (GoldenError, KeyError, TypeError):
        raise GoldenError("its metadata `outputs` list no outputs") from None


def serve(function: Kernels, arguments: Optional[Sequence[str]] = None, *,
          arrays: Union[str, ArrayKind] = NUMPY) -> None:
    """Answers requests and ends the process.

    What the kernel prints goes to standard error, so that it cannot disturb
    the answers.

    :param function: a kernel, or kernels by operator.
    :param arguments: IN and OUT, or nothing; by default the program's.
    :param arrays: what the kernel receives: ``numpy``, ``torch``, ``jax``.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    kind = ArrayKind(arrays) if isinstance(arrays, str) else arrays
    if len(given) not in (0, 2):
        sys.exit("give two files, IN and OUT, or nothing to serve lines")
    answers = _own_standard_output()
    if given:
        sys.exit(_answer_once(function, given, kind))
    for line in sys.stdin:
        answers.write(_reply(function, line.rstrip("\r\n"), kind) + "\n")
        answers.flush()
    sys.exit(0)


def _own_standard_output() -> TextIO:
    """Standard output for the answers alone; file descriptor 1 becomes
    standard error, also for what C code prints."""
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _answer_once(function: Kernels, files: List[str], kind: ArrayKind) -> int:
    try:
        answer(function, files[0], files[1], kind)
        return 0
    except (NotSupported, NotImplementedError) as error:
        print(error, file=sys.stderr)
        return NOT_SUPPORTED_STATUS
    except GoldenError as error:
        print(error, file=sys.stderr)
        return 1


def _reply(function: Kernels, line: str, kind: ArrayKind) -> str:
    files = line.split("\t")
    if len(files) != 2:
        return "error a line is IN, a tab, OUT"
    try:
        answer(function, files[0], files[1], kind)
        return "ok"
    except (NotSupported, NotImplementedError) as error:
        return f"unsupported {_one_line(error)}".rstrip()
    except GoldenError as error:
        return f"error {_one_line(error)}"
    except (Exception, SystemExit) as error:
        return f"error {_one_line(first_line(error))}"


def _one_line(text: Any) -> str:
    return " ".join(str(text).split())
