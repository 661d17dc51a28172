"""JSON and JUnit have the form of ``mvar golden check``."""

import json
import math
import unittest
import xml.dom.minidom

from mvar_golden import (
    Bar, ComparisonCounts, ComparisonReport, compare_values, json_text,
    junit_text)
from mvar_golden.comparison import not_in_file, not_judged, not_supported


class ReportTests(unittest.TestCase):

    def setUp(self) -> None:
        quarter = Bar(0.25, 0, "a quarter")
        rows = [
            compare_values("x", [1.0, 2.0], [1.0, 2.0], quarter),
            compare_values("x", [1.0, math.nan], [1.0, 2.0], quarter),
            not_judged("y", 'it is <gone> & "lost"\x01\ud800'),
            not_in_file("z"), not_supported("w", "only float32"),
        ]
        self.reports = [
            ComparisonReport("a.safetensors", "ops", rows),
            ComparisonReport("b.safetensors", problem="is empty"),
        ]

    def test_counts(self) -> None:
        counts = ComparisonCounts(self.reports)
        self.assertEqual(
            str(counts), "1 passed, 1 failed, 2 not checked")
        self.assertEqual(counts.rest, "1 not supported, 1 not in the file")
        self.assertEqual(counts.exit_status, 1)
        self.assertEqual(ComparisonCounts(self.reports[1:]).exit_status, 2)
        self.assertEqual(ComparisonCounts([]).exit_status, 2)
        passed = ComparisonReport("c", "ops", self.reports[0].rows[:1])
        self.assertEqual(ComparisonCounts([passed]).exit_status, 0)

    def test_json(self) -> None:
        self.reports[0].rows.pop(2)
        text = json_text(self.reports, "test")
        document = json.loads(text)
        self.assertEqual(
            sorted(document),
            ["counts", "exit_status", "format", "producer", "reports"])
        self.assertEqual(document["counts"], {
            "passed": 1, "failed": 1, "notJudged": 1, "notInFile": 1,
            "notSupported": 1})
        row = document["reports"][0]["rows"][1]
        self.assertEqual(row["found"], "nan")
        self.assertEqual(row["not_finite"], {"side": "found", "count": 1})
        self.assertEqual(row["bar"], {
            "absolute": 0.25, "relative": 0, "reason": "a quarter"})
        self.assertNotIn("cause", row)
        self.assertEqual(document["reports"][1]["problem"], "is empty")

    def test_junit(self) -> None:
        text = junit_text(self.reports, "mvar")
        document = xml.dom.minidom.parseString(text.encode("utf-8"))
        for name, count in {"testcase": 6, "failure": 1, "error": 2,
                            "skipped": 2, "testsuite": 2}.items():
            self.assertEqual(
                len(document.getElementsByTagName(name)), count, name)
        self.assertIn("it is &lt;gone&gt; &amp; &quot;lost&quot;\ufffd", text)
        suites = document.documentElement
        self.assertEqual(
            [suites.getAttribute(name) for name in (
                "tests", "failures", "errors", "skipped")],
            ["6", "1", "2", "2"])
