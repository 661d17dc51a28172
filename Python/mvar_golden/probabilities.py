"""Probabilities after top-k and top-p.

An absolute tolerance is blind here: of thousands of tokens each has a few
times 1e-4, so losing most of them changes no probability by much. What is
compared instead:

- the support, the tokens with a probability above zero. A token may be kept
  on one side only if rounding decides: its logit is equal to the k-th largest
  within rounding, or the mass below it is equal to 1 − p within rounding.
  Probabilities below the smallest normal number may be zero on one side;
- the sum of every row, which is 1;
- the probabilities that are kept, each relative to its expected value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, List, Optional, Tuple

import numpy as np

from .comparator import compare_values, limits
from .comparison import (
    Bar, Comparison, Verdict, coordinates_of, empty, failed, not_judged,
    number_text)


@dataclass(frozen=True)
class FilterSettings:
    """How logits were filtered."""

    #: The logits before the filter, in the shape of the probabilities.
    logits: Any
    #: How many of the largest logits are kept; 0 keeps all.
    top_k: int = 0
    #: The probability mass that is kept; 0 or at least 1 keeps all.
    top_p: float = 0.0


def compare_probabilities(
    name: str, found: Any, expected: Any,
    filter: Optional[FilterSettings] = None, bar: Optional[Bar] = None,
    rounding: float = 2.0**-24, least_normal: float = 2.0**-126,
) -> Comparison:
    """Compares rows of probabilities after a filter.

    Without ``filter`` the same tokens must be kept. ``bar`` is the limit of
    each probability that is kept, by default a part of itself. ``rounding``
    is half the distance between 1 and the next number in the precision of the
    values found, ``least_normal`` its smallest normal number.
    """
    found = np.asarray(found, dtype=np.float64)
    expected = np.asarray(expected, dtype=np.float64)
    bar = probability_bar(rounding, least_normal) if bar is None else bar
    shape = list(expected.shape)
    if found.shape != expected.shape:
        return failed(
            name, f"shape {list(found.shape)}, expected {shape}", bar)
    if filter is not None and list(np.shape(filter.logits)) != shape:
        return not_judged(
            name, f"the logits have shape {list(np.shape(filter.logits))}, "
            f"the probabilities {shape}")
    if expected.ndim == 0 or expected.size == 0:
        return empty(name, bar)
    # What is not finite is a matter of single values.
    values = compare_values(name, found, expected, bar)
    if values.not_finite is not None:
        return values
    width = shape[-1]
    rows = _Rows(bar, least_normal, max(1e-5, math.sqrt(width) * rounding))
    ours, right = found.reshape(-1, width), expected.reshape(-1, width)
    thresholds: List[Optional[_Thresholds]] = [None] * len(right)
    with np.errstate(all="ignore"):
        if filter is not None:
            logits = np.asarray(filter.logits, dtype=np.float64)
            thresholds = [_Thresholds(row, filter, rounding)
                          for row in logits.reshape(-1, width)]
        for row in range(len(right)):
            rows.add(ours[row], right[row], thresholds[row])
    place, share = rows.worst
    mine, other = float(found.flat[place]), float(expected.flat[place])
    return replace(
        values, verdict=Verdict.PASSED if rows.is_right else Verdict.FAILED,
        coordinates=coordinates_of(place, shape), found=mine, expected=other,
        absolute=abs(mine - other), share=share,
        exceeding=rows.exceeding, remarks=rows.remarks + values.remarks)


def probability_bar(
    rounding: float = 2.0**-24, least_normal: float = 2.0**-126
) -> Bar:
    """The limit of a probability: a part of itself, since most are far below
    any absolute limit."""
    return Bar(least_normal, max(1e-4, 16 * rounding), reason=(
        "of each probability that is kept; the same tokens are kept, and "
        "every row's sum is 1"))


class _Rows:
    """Collects the findings of all rows."""

    def __init__(self, bar: Bar, least_normal: float,
                 sum_tolerance: float) -> None:
        self.bar, self.sum_tolerance = bar, sum_tolerance
        self.least_normal = least_normal
        self.place, self.share, self.exceeding = 0, -1.0, 0
        self.lost = self.added = self.excused = self.negative = 0
        self.row = self.start = self.wrong_sums = 0
        self.worst_row, self.worst_start, self.worst_sum = 0, 0, 1.0

    def add(self, ours: np.ndarray, right: np.ndarray,
            thresholds: "Optional[_Thresholds]") -> None:
        moved = ((ours > 0) != (right > 0)) & (ours >= 0)
        moved &= np.maximum(ours, right) >= self.least_normal
        excused = np.zeros(ours.shape, dtype=bool)
        kept = right
        if thresholds is not None:
            excused = moved & thresholds.rounding_decides()
            if excused.any():
                kept = np.where(
                    ours > 0, thresholds.probabilities(ours, right), right)
        negative = ours < 0
        wrong = ~excused & moved
        share = np.abs(ours - kept) / limits(self.bar, kept)
        share[(ours == kept) | (excused & (ours == 0))] = 0.0
        share[negative | wrong] = math.inf
        self.excused += int(excused.sum())
        self.negative += int(negative.sum())
        self.lost += int((wrong & (kept > 0)).sum())
        self.added += int((wrong & ~(kept > 0)).sum())
        self.exceeding += int((~(share <= 1)).sum())
        share[np.isnan(share)] = -1.0
        worst = int(np.argmax(share))
        if share[worst] > self.share:
            self.place, self.share = self.start + worst, float(share[worst])
        self._add_sum(float(np.cumsum(ours)[-1]))
        self.row += 1
        self.start += ours.size

    def _add_sum(self, total: float) -> None:
        if abs(total - 1) <= self.sum_tolerance:
            return
        self.wrong_sums += 1
        is_worse = abs(total - 1) > abs(self.worst_sum - 1)
        if is_worse or math.isnan(total):
            self.worst_row, self.worst_sum = self.row, total
            self.worst_start = self.start

    @property
    def is_right(self) -> bool:
        """Whether every probability and every sum is right."""
        return self.exceeding == 0 and self.wrong_sums == 0

    @property
    def worst(self) -> Tuple[int, float]:
        """The probability that uses most of its limit; where only sums are
        wrong, the first one of the worst row."""
        if self.exceeding == 0 and self.wrong_sums > 0:
            return self.worst_start, math.inf
        return self.place, self.share

    @property
    def remarks(self) -> List[str]:
        remarks = []
        if self.lost:
            remarks.append(f"{self.lost} tokens are lost")
        if self.added:
            remarks.append(
                f"{self.added} tokens are kept that the filter removes")
        if self.negative:
            remarks.append(f"{self.negative} probabilities are negative")
        if self.wrong_sums:
            remarks.append(
                f"{self.wrong_sums} of {self.row} rows do not sum to 1, row "
                f"{self.worst_row} to {number_text(self.worst_sum)}")
        if self.excused:
            remarks.append(
                f"{self.excused} tokens at a threshold, where rounding "
                "decides, differ")
        return remarks


class _Thresholds:
    """The thresholds of a filter for one row, in double precision."""

    def __init__(self, logits: np.ndarray, settings: FilterSettings,
                 rounding: float) -> None:
        self.logits, self.rounding = logits, rounding
        self.dropped = 1 - settings.top_p
        self.mass_rounding = 4 * rounding * (1 + math.sqrt(logits.size))
        self.kth: Optional[float] = None
        self.mass: Optional[np.ndarray] = None
        self.weights = np.exp(logits - logits.max())
        ascending = np.argsort(logits, kind="stable")
        if 0 < settings.top_k < logits.size:
            self.kth = float(logits[ascending[-settings.top_k]])
        if not 0 < settings.top_p < 1:
            return
        kth = -math.inf if self.kth is None else self.kth
        weights = np.where(logits < kth, 0, self.weights)[ascending]
        # For each token, the mass of those that are not more likely.
        self.mass = np.empty_like(logits)
        self.mass[ascending] = np.cumsum(weights / np.cumsum(weights)[-1])

    def probabilities(
        self, ours: np.ndarray, right: np.ndarray
    ) -> np.ndarray:
        """What probabilities should be where rounding kept other tokens than
        expected: those that are kept share the mass of those that are not."""
        found = np.cumsum(np.where(ours > 0, self.weights, 0))[-1]
        expected = np.cumsum(np.where(right > 0, self.weights, 0))[-1]
        return np.asarray(np.where(
            right > 0, right * expected / found, self.weights / found))

    def rounding_decides(self) -> np.ndarray:
        """Where a token is so close to a threshold that rounding decides."""
        near: np.ndarray = np.zeros(self.logits.shape, dtype=bool)
        if self.kth is not None:
            size = np.maximum(abs(self.kth), np.abs(self.logits))
            near = (self.logits != self.kth) & (
                np.abs(self.logits - self.kth) <= 2 * self.rounding * size)
        if self.mass is not None:
            near |= np.abs(self.mass - self.dropped) <= self.mass_rounding
        return near
