"""Checks a kernel against golden values of MVAR's operators.

    import mvar_golden

    def softmax(inputs, attributes, grad_outputs):
        ...
        return output, {"x": gradient}

    mvar_golden.assert_close(softmax, "softmax")

Needs NumPy and nothing else; kernels may return arrays of any framework.
"""

from .arrays import ArrayKind
from .case import DTYPES, Expected, OperatorCase
from .comparator import Margin, compare_integers, compare_values
from .comparison import Bar, Comparison, NotFinite, Verdict
from .errors import GoldenError, GoldenMismatch, NotSupported
from .golden import GoldenFile, cases, default_file
from .kernels import Judge, Results, assert_close, check, raise_for_rows
from .making import make_case, write_golden
from .probabilities import FilterSettings, compare_probabilities
from .report import (
    ComparisonCounts, ComparisonReport, json_text, junit_text)
from .safetensors import (
    StoredTensor, TensorFile, read_safetensors, write_safetensors)
from .serving import serve

__all__ = [
    "ArrayKind", "Bar", "Comparison", "ComparisonCounts", "ComparisonReport",
    "DTYPES", "Expected", "FilterSettings", "GoldenError", "GoldenFile",
    "GoldenMismatch", "Judge", "Margin", "NotFinite", "NotSupported",
    "OperatorCase", "Results", "StoredTensor", "TensorFile", "Verdict",
    "assert_close", "cases", "check", "compare_integers",
    "compare_probabilities", "compare_values", "default_file", "json_text",
    "junit_text", "make_case", "raise_for_rows", "read_safetensors", "serve",
    "write_golden", "write_safetensors",
]
