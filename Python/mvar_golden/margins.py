"""How close the second candidate was where a kernel returns integers: between
two tokens whose boundary is at the random number, or two codes at almost the
same distance, rounding may decide. Codes at exactly the same distance are no
such case: the first one wins."""

from __future__ import annotations

import math
from typing import Any, Callable, Optional

import numpy as np

from .case import OperatorCase
from .comparator import Margin
from .random_numbers import TOKEN, uniform

#: For a position, what was found there and what is expected.
Margins = Callable[[int, int, int], Optional[Margin]]


def margins_of(case: OperatorCase) -> Optional[Margins]:
    """The margins of a case; None where its operator has none."""
    makers = {"nearestCode": _codes, "sampleTokens": _tokens}
    if case.operator not in makers:
        return None
    return makers[case.operator](
        case, 2.0**-49 if case.dtype == "float64" else 2.0**-20)


def _tokens(case: OperatorCase, rounding: float) -> Margins:
    """How far the random number is from the nearest one that would have given
    the token found."""
    logits = case.inputs["logits"].numbers()
    _, positions, width = logits.shape
    rows = logits.reshape(-1, width)
    seed = int(case.attributes.get("seed", 0))
    first = int(case.attributes.get("firstPosition", 0))

    def margin(place: int, found: int, expected: int) -> Optional[Margin]:
        row = rows[place]
        if not (0 <= found < width and 0 <= expected < width):
            return None
        if not row[found] > -math.inf:
            return None
        weights = np.exp(row - row.max())
        number = uniform(seed, place // positions, TOKEN,
                         first + place % positions)
        last = found if found < expected else found - 1
        end = weights[:last + 1].sum() / weights.sum()
        return Margin(abs(number - float(end)), rounding,
                      "distance of the random number from the boundary of "
                      "the tokens")

    return margin


def _codes(case: OperatorCase, rounding: float) -> Margins:
    """The difference of the two distances."""
    vectors, codebook = case.inputs["vectors"], case.inputs["codebook"]
    z = vectors.numbers().reshape(-1, codebook.shape[-1])
    codes = codebook.numbers()
    is_cosine = case.attributes.get("metric") == "cosine"

    def margin(place: int, found: int, expected: int) -> Optional[Margin]:
        if not (0 <= found < len(codes) and 0 <= expected < len(codes)):
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
