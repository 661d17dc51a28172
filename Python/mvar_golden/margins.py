"""How close the second candidate was where a kernel returns integers: between
two codes at almost the same distance, rounding may decide. Codes at exactly
the same distance are no such case: the first one wins."""

from __future__ import annotations

from typing import Any, Callable, Optional

import numpy as np

from .comparator import Margin
from .golden import OperatorCase

#: For a position, the code found and the code expected.
Margins = Callable[[int, int, int], Optional[Margin]]


def margins_of(case: OperatorCase) -> Optional[Margins]:
    """The margins of a case; None where its operator has none."""
    if case.operator != "nearestCode":
        return None
    vectors, codebook = case.inputs["vectors"], case.inputs["codebook"]
    z = vectors.numbers().reshape(-1, codebook.shape[-1])
    codes = codebook.numbers()
    is_cosine = case.attributes.get("metric") == "cosine"
    rounding = 2.0**-49 if case.dtype == "float64" else 2.0**-20

    def margin(place: int, found: int, expected: int) -> Optional[Margin]:
        if not 0 <= found < len(codes):
            return None
        vector, right = z[place], codes[expected]
        measure = _cosine if is_cosine else _distance
        difference = abs(measure(vector, codes[found])
                         - measure(vector, right))
        if not difference > 0:
            return None
        size = 1.0 if is_cosine else float(vector @ vector + right @ right)
        return Margin(difference, rounding * size, "difference of the " + (
            "cosines" if is_cosine else "squared distances"))

    return margin


def _distance(z: Any, e: Any) -> float:
    return float(z @ z + e @ e - 2 * (z @ e))


def _cosine(z: Any, e: Any) -> float:
    lengths = [max(float(np.sqrt(x @ x)), 1e-12) for x in (z, e)]
    return -float(z @ e) / (lengths[0] * lengths[1])
