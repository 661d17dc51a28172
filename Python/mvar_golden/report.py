"""All rows of what was judged, and the files that other programs read.

JSON and JUnit have the form of ``mvar golden check --json --junit``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence

from .comparison import Comparison, Verdict


@dataclass
class ComparisonReport:
    """The rows of one subject: a golden file."""

    #: The file.
    subject: str
    #: What was run: the file's kind.
    kind: str = ""
    #: One row per tensor.
    rows: List[Comparison] = field(default_factory=list)
    #: Why nothing of it could be judged; None if something was.
    problem: Optional[str] = None

    def as_json(self) -> Dict[str, Any]:
        """The report as JSON has it."""
        report: Dict[str, Any] = {
            "subject": self.subject, "kind": self.kind,
            "rows": [row.as_json() for row in self.rows],
        }
        if self.problem is not None:
            report["problem"] = self.problem
        return report


class ComparisonCounts:
    """How many rows there were of each kind."""

    def __init__(self, reports: Sequence[ComparisonReport] = ()) -> None:
        self._counts = {verdict: 0 for verdict in Verdict}
        for report in reports:
            if report.problem is not None:
                self._counts[Verdict.NOT_JUDGED] += 1
            for row in report.rows:
                self._counts[row.verdict] += 1

    def __getitem__(self, verdict: Verdict) -> int:
        return self._counts[verdict]

    @property
    def total(self) -> int:
        """All rows, and whole subjects that could not be judged."""
        return sum(self._counts.values())

    @property
    def skipped(self) -> int:
        """What need not be there, and what the kernel does not do."""
        return self[Verdict.NOT_IN_FILE] + self[Verdict.NOT_SUPPORTED]

    @property
    def exit_status(self) -> int:
        """0: all passed; 1: something differs; 2: something, or everything,
        could not be judged."""
        if self[Verdict.FAILED]:
            return 1
        return 2 if self[Verdict.NOT_JUDGED] or not self[Verdict.PASSED] else 0

    def __str__(self) -> str:
        return (f"{self[Verdict.PASSED]} passed, {self[Verdict.FAILED]} "
                f"failed, {self[Verdict.NOT_JUDGED]} not checked")

    @property
    def rest(self) -> Optional[str]:
        """What else does not count; None if there is nothing of it."""
        parts = [f"{self[verdict]} {words}" for verdict, words in (
            (Verdict.NOT_SUPPORTED, "not supported"),
            (Verdict.NOT_IN_FILE, "not in the file")) if self[verdict]]
        return ", ".join(parts) or None

    def as_json(self) -> Dict[str, int]:
        """The counts as JSON has them."""
        return {verdict.value: self[verdict] for verdict in Verdict}


def json_text(reports: Sequence[ComparisonReport], producer: str) -> str:
    """A JSON document with every row; "nan", "inf", "-inf" are text."""
    counts = ComparisonCounts(reports)
    document = {
        "format": 1, "producer": producer, "counts": counts.as_json(),
        "exit_status": counts.exit_status,
        "reports": [report.as_json() for report in reports],
    }
    return json.dumps(
        document, ensure_ascii=False, indent=2, sort_keys=True,
        separators=(",", " : "), allow_nan=False) + "\n"


def junit_text(reports: Sequence[ComparisonReport], name: str) -> str:
    """The XML that continuous integration shows as test results: a suite for
    each subject, a case for each row."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="{_xml(name)}" {_attributes(reports)}>',
    ]
    for report in reports:
        subject = _xml(report.subject)
        lines.append(
            f'  <testsuite name="{subject}" {_attributes([report])}>')
        if report.problem is not None:
            lines.append(
                f'    <testcase name="{subject}"><error '
                f'message="{_xml(report.problem)}"/></testcase>')
        lines += [_junit_case(report.kind, row) for row in report.rows]
        lines.append("  </testsuite>")
    return "\n".join(lines + ["</testsuites>", ""])


_ELEMENTS = {
    Verdict.FAILED: "failure", Verdict.NOT_JUDGED: "error",
    Verdict.NOT_IN_FILE: "skipped", Verdict.NOT_SUPPORTED: "skipped",
}


def _junit_case(kind: str, row: Comparison) -> str:
    head = f'    <testcase classname="{_xml(kind)}" name="{_xml(row.name)}"'
    if row.verdict is Verdict.PASSED:
        return f"{head}/>"
    element = _ELEMENTS[row.verdict]
    return f'{head}><{element} message="{_xml(row.details)}"/></testcase>'


def _attributes(reports: Sequence[ComparisonReport]) -> str:
    counts = ComparisonCounts(reports)
    return (f'tests="{counts.total}" failures="{counts[Verdict.FAILED]}" '
            f'errors="{counts[Verdict.NOT_JUDGED]}" '
            f'skipped="{counts.skipped}"')


def _xml(text: str) -> str:
    """Text in an XML attribute; what XML cannot contain becomes U+FFFD."""
    named = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
    return "".join(named.get(letter) or _xml_letter(letter) for letter in text)


def _xml_letter(letter: str) -> str:
    code = ord(letter)
    if letter in "\n\t\r":
        return f"&#{code};"
    is_control = code < 0x20 or 0x7F <= code <= 0x9F
    if is_control or code & 0xFFFE == 0xFFFE or 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return letter
