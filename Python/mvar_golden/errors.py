"""The exceptions of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

if TYPE_CHECKING:
    from .comparison import Comparison


class GoldenError(Exception):
    """Bad input: one sentence that says what is wrong, and where."""


class NotSupported(Exception):
    """Raised by a kernel for a case that it does not do."""


class GoldenMismatch(AssertionError):
    """Tensors differ from the golden values, or could not be judged.

    The text lists each of them: the element that is farthest off with both
    values, how much of its bar it uses, how many others are outside it, and
    the bar with its reason.
    """

    def __init__(self, rows: Sequence["Comparison"], count: int) -> None:
        self.rows = list(rows)
        lines = [f"{len(self.rows)} of {count} tensors differ:"]
        lines += [f"  {row}" for row in self.rows]
        super().__init__("\n".join(lines))
