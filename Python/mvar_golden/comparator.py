"""The comparator: it decides what passes, and finds the worst element.

What is not finite comes first. NaN never passes, on either side; an infinity
passes only against the same infinity. Every limit comes from the expected
side, never from the values that are judged. A limit of zero requires
equality. The rules are those of the Swift module ``MVARComparison``; both
are tested with the same rows, ``Fixtures/comparison/rows.json``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Callable, List, Optional

import numpy as np

from .comparison import (
    Bar, Comparison, NotFinite, Verdict, coordinates_of, empty, failed,
    not_judged, number_text)


def largest_of(numbers: np.ndarray) -> float:
    """The largest magnitude of a finite value; 0 if there is none."""
    finite = np.abs(numbers[np.isfinite(numbers)])
    return float(finite.max()) if finite.size else 0.0


def compare_values(
    name: str, found: Any, expected: Any, bar: Bar,
    size: Optional[float] = None,
) -> Comparison:
    """Compares two tensors element by element.

    ``size`` is what the relative error is relative to: the largest expected
    magnitude if it is None.
    """
    found = np.asarray(found, dtype=np.float64)
    expected = np.asarray(expected, dtype=np.float64)
    if found.shape != expected.shape:
        return failed(
            name, f"shape {list(found.shape)}, expected "
            f"{list(expected.shape)}", bar)
    if expected.size == 0:
        return empty(name, bar)
    if not (_is_limit(bar.absolute) and _is_limit(bar.relative)):
        return not_judged(name, f"the tolerance {bar.limit} is no limit")
    ours, right = found.reshape(-1), expected.reshape(-1)
    with np.errstate(all="ignore"):
        return _compare(name, ours, right, expected.shape, bar, size)


def _is_limit(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _compare(
    name: str, ours: np.ndarray, right: np.ndarray, shape: Any, bar: Bar,
    size: Optional[float],
) -> Comparison:
    # Equal infinities agree; two NaN do not.
    equal = ours == right
    broken = ~equal & ~(np.isfinite(ours) & np.isfinite(right))
    distance = np.where(equal, 0.0, np.abs(ours - right))
    limit = limits(bar, right)
    outside = broken | (~equal & ~(distance <= limit))
    share = np.where(equal, 0.0, distance / limit)
    distance[broken] = math.inf
    share[broken] = math.inf
    place = int(np.argmax(broken)) if broken.any() else _worst(share, distance)
    exceeding, not_finite = int(outside.sum()), int(broken.sum())
    size = largest_of(right) if size is None else size
    worst = float(distance[place])
    return Comparison(
        name, Verdict.FAILED if exceeding else Verdict.PASSED,
        coordinates=coordinates_of(place, shape), found=float(ours[place]),
        expected=float(right[place]), absolute=worst,
        relative=relative_error(worst, size), share=float(share[place]),
        exceeding=exceeding, count=int(right.size),
        not_finite=NotFinite(_side(ours[place], right[place]), not_finite)
        if not_finite else None, bar=bar,
        remarks=["every value found is zero"]
        if exceeding and not ours.any() else [])


def limits(bar: Bar, expected: np.ndarray) -> np.ndarray:
    """The largest distances from expected values that pass."""
    if bar.relative == 0:
        return np.full_like(expected, bar.absolute)
    limit = bar.absolute + bar.relative * np.abs(expected)
    return np.asarray(np.fmin(limit, np.finfo(np.float64).max))


def _worst(share: np.ndarray, distance: np.ndarray) -> int:
    """The first of the largest distances among the largest shares."""
    share = np.where(np.isnan(share), -1.0, share)
    ties = share == share.max()
    return int(np.argmax(np.where(ties, distance, -1.0)))


def _side(ours: float, right: float) -> str:
    if np.isfinite(ours):
        return "expected"
    return "found" if np.isfinite(right) else "both"


def relative_error(distance: float, size: float) -> float:
    """A distance relative to the size of the expected values."""
    if size > 0:
        return distance / size
    return 0.0 if distance == 0 else math.inf


@dataclass(frozen=True)
class Margin:
    """How close two candidates are, between which rounding may decide."""

    #: The distance between the candidate found and the one expected.
    distance: float
    #: The distance below which rounding may decide.
    limit: float
    #: What is measured: ``difference of the two logits``.
    meaning: str

    @property
    def is_within_rounding(self) -> bool:
        """Whether rounding may decide; never for NaN."""
        return self.distance <= self.limit


def compare_integers(
    name: str, found: Any, expected: Any,
    margin: Optional[Callable[[int], Optional[Margin]]] = None,
) -> Comparison:
    """Compares integers, which must be equal.

    ``margin`` tells for a position that differs how close the two candidates
    are, None if nothing excuses the difference.
    """
    bar = Bar(reason="integers are equal")
    shape = np.shape(expected)
    ours = np.asarray(found).reshape(-1)
    right = np.asarray(expected).reshape(-1)
    if ours.size != right.size:
        return failed(
            name, f"{ours.size} integers, expected {right.size}", bar)
    if not right.size:
        return empty(name, bar)
    different = [int(place) for place in np.flatnonzero(ours != right)]
    margins = [margin(place) if margin else None for place in different]
    unexplained = [
        (place, excuse) for place, excuse in zip(different, margins)
        if excuse is None or not excuse.is_within_rounding]
    place = (unexplained[0][0] if unexplained
             else different[0] if different else 0)
    shown = (unexplained[0][1] if unexplained
             else margins[0] if margins else None)
    distance = abs(float(ours[place]) - float(right[place]))
    return Comparison(
        name, Verdict.FAILED if unexplained else Verdict.PASSED,
        coordinates=coordinates_of(place, shape), found=float(ours[place]),
        expected=float(right[place]), absolute=distance,
        relative=relative_error(
            distance, float(np.abs(right.astype(np.float64)).max())),
        share=math.inf if unexplained else 0.0, exceeding=len(unexplained),
        count=int(right.size), bar=bar,
        remarks=_integer_remarks(
            shown, len(different), len(unexplained), ours))


def _integer_remarks(
    shown: Optional[Margin], different: int, unexplained: int,
    ours: np.ndarray,
) -> List[str]:
    remarks = []
    if shown is not None:
        remarks.append(
            f"{shown.meaning} {number_text(shown.distance)}, rounding "
            f"explains up to {number_text(shown.limit)}")
    if different and not unexplained:
        remarks.append(
            f"{different} of {ours.size} differ, each within rounding")
    if unexplained and ours.size > 1 and not ours.any():
        remarks.append("every value found is zero")
    return remarks
