"""The comparator says what ``Fixtures/comparison/rows.json`` has."""

import json
import math
import unittest

import numpy as np

from mvar_golden import Bar, Verdict, compare_integers, compare_values

from . import comparison_rows


class SharedRowsTests(unittest.TestCase):
    """Both comparators, this one and Swift's, are tested with these rows."""

    def test_rows(self) -> None:
        with open(comparison_rows.PATH, encoding="utf-8") as file:
            rows = json.load(file)
        self.assertGreater(len(rows), 100)
        for row in rows:
            with self.subTest(row["name"]):
                self.check(row)

    def check(self, row):
        result = comparison_rows.compare(row)
        found, expected = result.as_json(), row["result"]
        for key in ("found", "expected", "absolute", "relative", "share"):
            ours, right = float(found.pop(key)), float(expected.pop(key))
            if not (math.isnan(ours) and math.isnan(right)):
                self.assertTrue(
                    ours == right or
                    abs(ours - right) <= 1e-9 + 1e-12 * abs(right),
                    f"{key}: {ours} {right}")
        self.assertEqual(found, expected)
        self.assertEqual(result.details, row["details"])

    def test_the_rows_are_those_of_the_generator(self) -> None:
        with open(comparison_rows.PATH, encoding="utf-8") as file:
            names = [row["name"] for row in json.load(file)]
        self.assertEqual(names, [row["name"] for row in
                                 comparison_rows.rows()])


class ComparatorTests(unittest.TestCase):
    """What the shared rows do not show."""

    def test_the_worst_element_of_many(self) -> None:
        expected = np.arange(1, 100001, dtype=float).reshape(100, 1000)
        found = expected.copy()
        found[17, 503] += 0.5
        found[99, 999] += 1.0
        row = compare_values("x", found, expected, Bar(0.25, 0, "a quarter"))
        self.assertEqual(row.coordinates, [99, 999])
        self.assertEqual((row.exceeding, row.count), (2, 100000))
        relative = compare_values("x", found, expected, Bar(0, 1e-5, "small"))
        self.assertEqual(relative.coordinates, [17, 503])

    def test_no_warnings(self) -> None:
        with np.errstate(all="raise"):
            row = compare_values(
                "x", [math.inf, math.nan, 1e308], [-math.inf, 0, -1e308],
                Bar(0, 0, "equal"))
        self.assertEqual((row.verdict, row.exceeding), (Verdict.FAILED, 3))

    def test_integers_that_are_numbers(self) -> None:
        self.assertTrue(compare_integers("x", [3.0, 4.0], [3, 4]).passes)
        for wrong in ([3.5, 4.0], [math.nan, 4.0], [math.inf, 4.0]):
            self.assertFalse(compare_integers("x", wrong, [3, 4]).passes)


if __name__ == "__main__":
    unittest.main()
