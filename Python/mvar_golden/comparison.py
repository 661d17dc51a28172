"""The outcome of one comparison: a row of every report.

Rows have the same fields, verdicts and words as those of ``mvar golden``.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence


class Verdict(str, enum.Enum):
    """What became of a comparison."""

    #: Everything is within the bar.
    PASSED = "passed"
    #: Something is outside the bar, not finite, or of another shape.
    FAILED = "failed"
    #: Nothing could be compared; ``cause`` says why.
    NOT_JUDGED = "notJudged"
    #: The file does not contain it, and need not.
    NOT_IN_FILE = "notInFile"
    #: The kernel under test says that it does not do this.
    NOT_SUPPORTED = "notSupported"


_IN_WORDS = {
    Verdict.PASSED: "passed", Verdict.FAILED: "failed",
    Verdict.NOT_JUDGED: "not checked", Verdict.NOT_IN_FILE: "not in the file",
    Verdict.NOT_SUPPORTED: "not supported",
}


def number_text(value: float) -> str:
    """The shortest text that means this number: ``0.25``, ``1e-06``."""
    if 1e16 <= abs(value) < 2.0**54:
        return f"{value:.1f}"
    return repr(float(value))


@dataclass(frozen=True)
class Bar:
    """How far a value may be from the expected one, and why.

    It passes if |found − expected| ≤ absolute + relative · |expected|.
    """

    absolute: float = 0.0
    relative: float = 0.0
    reason: str = ""

    @property
    def limit(self) -> str:
        """The limit as a formula: ``equal``, ``1e-05``."""
        absolute, relative = f"{self.absolute:.3g}", f"{self.relative:.3g}"
        if self.relative == 0:
            return "equal" if self.absolute == 0 else absolute
        if self.absolute == 0:
            return f"{relative}·|expected|"
        return f"{absolute} + {relative}·|expected|"

    def __str__(self) -> str:
        return f"{self.limit}: {self.reason}"

    def overridden(self, rtol: Optional[float] = None,
                   atol: Optional[float] = None) -> "Bar":
        """The bar to use if a user sets limits in its place.

        If one of the two is set, it is both of them, and the other one is 0.
        Bars that require equality stay: no tolerance makes another token the
        right one.
        """
        is_set = rtol is not None or atol is not None
        if not is_set or (self.absolute == 0 and self.relative == 0):
            return self
        return Bar(
            atol or 0.0, rtol or 0.0, "set by the user, instead of "
            f"{self.limit} ({self.reason})")


@dataclass(frozen=True)
class NotFinite:
    """Elements that differ, one of the two values not being finite."""

    #: The side that the first of them is on: found, expected or both.
    side: str
    #: How many elements disagree in this way.
    count: int


_SIDES = {
    "found": "the value found is", "expected": "the expected value is",
    "both": "both are",
}


@dataclass(frozen=True)
class Comparison:
    """One tensor that was found, beside the one that was expected."""

    #: The tensor, or the part of a file.
    name: str
    #: What became of it.
    verdict: Verdict
    #: Where the element is that uses the largest share of its bar.
    coordinates: List[int] = field(default_factory=list)
    #: The value found there.
    found: float = 0.0
    #: The value expected there.
    expected: float = 0.0
    #: |found − expected| there.
    absolute: float = 0.0
    #: That distance relative to the largest expected magnitude.
    relative: float = 0.0
    #: That distance relative to the limit there; above 1 it fails.
    share: float = 0.0
    #: How many elements are outside the bar.
    exceeding: int = 0
    #: How many elements were compared.
    count: int = 0
    #: Elements that are not finite; None if there are none, or if they agree.
    not_finite: Optional[NotFinite] = None
    #: The tolerance and its reason; None if nothing was compared.
    bar: Optional[Bar] = None
    #: Why nothing was compared, or why the shapes do not fit.
    cause: Optional[str] = None
    #: What else is worth knowing.
    remarks: List[str] = field(default_factory=list)

    @property
    def passes(self) -> bool:
        """Whether it is within the bar."""
        return self.verdict is Verdict.PASSED

    @property
    def details(self) -> str:
        """The row without its name, in words."""
        worst = self.worst
        if worst is None:
            return "; ".join([self.statement] + self.remarks)
        parts = [worst]
        if math.isfinite(self.share) and self.share > 0:
            parts.append(f"{self.share_in_words} of the bar")
        if self.exceeding > 0:
            parts.append(f"{self.exceeding} of {self.count} outside it")
        return "; ".join(parts + self.remarks + [f"bar {self.bar}"])

    @property
    def worst(self) -> Optional[str]:
        """The worst element in words; None if the row has no numbers."""
        if self.bar is None or self.count == 0 or self.cause is not None:
            return None
        place = f"at {self.coordinates}: " if self.coordinates else ""
        values = (f"{place}{number_text(self.found)}, "
                  f"expected {number_text(self.expected)}")
        if self.not_finite is None:
            return values
        return (f"{values}: {_SIDES[self.not_finite.side]} not finite, "
                f"{self.not_finite.count} of {self.count} not finite")

    @property
    def statement(self) -> str:
        """Why a row without numbers failed, or why nothing was compared."""
        cause = self.cause
        if self.verdict in (Verdict.NOT_JUDGED, Verdict.NOT_SUPPORTED):
            words = _IN_WORDS[self.verdict]
            return words if cause is None else f"{words}: {cause}"
        return _IN_WORDS[self.verdict] if cause is None else cause

    @property
    def share_in_words(self) -> str:
        """The share of the bar: ``93 %``, ``24 ×`` from ten times on."""
        if math.isnan(self.share) or self.share == math.inf:
            return "∞"
        if self.share == 0:
            return "0"
        if self.share < 0.01:
            return "below 1 %"
        if self.share < 10:
            return f"{int(self.share * 100)} %"
        return f"{int(self.share)} ×" if self.share < 1e12 else "above 10¹² ×"

    def __str__(self) -> str:
        return f"{self.name}: {self.details}"

    def as_json(self) -> Dict[str, Any]:
        """The row as JSON has it, without what is None."""
        row: Dict[str, Any] = {
            "name": self.name, "verdict": self.verdict.value,
            "coordinates": self.coordinates, "exceeding": self.exceeding,
            "count": self.count, "remarks": self.remarks,
        }
        for key in ("found", "expected", "absolute", "relative", "share"):
            row[key] = json_number(getattr(self, key))
        if self.not_finite is not None:
            row["not_finite"] = {
                "side": self.not_finite.side, "count": self.not_finite.count}
        if self.bar is not None:
            row["bar"] = {
                "absolute": json_number(self.bar.absolute),
                "relative": json_number(self.bar.relative),
                "reason": self.bar.reason,
            }
        if self.cause is not None:
            row["cause"] = self.cause
        return row


def json_number(value: float) -> Any:
    """A number for JSON; what is not finite becomes text."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


# Rows without numbers


def not_judged(name: str, cause: str) -> Comparison:
    """Something that could not be compared."""
    return Comparison(name, Verdict.NOT_JUDGED, cause=cause)


def not_in_file(name: str) -> Comparison:
    """Something that the file does not contain and need not."""
    return Comparison(name, Verdict.NOT_IN_FILE)


def not_supported(name: str, cause: Optional[str] = None) -> Comparison:
    """Something that the kernel under test does not do."""
    return Comparison(name, Verdict.NOT_SUPPORTED, cause=cause)


def failed(name: str, cause: str, bar: Optional[Bar] = None) -> Comparison:
    """Something that is wrong as a whole: missing, or of another shape."""
    return Comparison(
        name, Verdict.FAILED, found=math.nan, expected=math.nan,
        absolute=math.inf, relative=math.inf, share=math.inf, bar=bar,
        cause=cause)


def empty(name: str, bar: Bar) -> Comparison:
    """Two tensors without elements."""
    return Comparison(name, Verdict.PASSED, bar=bar, cause="empty")


def coordinates_of(place: int, shape: Sequence[int]) -> List[int]:
    """The coordinates of an element from its row-major position."""
    coordinates = [0] * len(shape)
    for axis in range(len(shape) - 1, -1, -1):
        place, coordinates[axis] = divmod(place, shape[axis])
    return coordinates
