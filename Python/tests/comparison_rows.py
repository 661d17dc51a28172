"""Random faults, and what the comparator says of them.

``Fixtures/comparison/rows.json`` holds them for the tests of both comparators,
the Swift module ``MVARComparison`` and this package. After a change of the
rules,

    python -m tests.comparison_rows

in the folder ``Python`` writes the file again; Swift's test must then agree.
"""

import json
import math
import os
from typing import Any, Callable, Dict, Iterator, List, Optional

import numpy as np

from mvar_golden import (
    Bar, Comparison, FilterSettings, Margin, compare_integers,
    compare_probabilities, compare_values)
from mvar_golden.comparison import json_number

PATH = os.path.join(os.path.dirname(__file__), os.pardir, os.pardir,
                    "Fixtures", "comparison", "rows.json")
NAN, INF = math.nan, math.inf


# The rows

def tensor(array: Any) -> Dict[str, Any]:
    """An array as the file has it."""
    array = np.asarray(array)
    if array.dtype.kind == "i":
        return {"shape": list(array.shape), "numbers": array.ravel().tolist()}
    numbers = [json_number(float(number)) for number in array.ravel()]
    return {"shape": list(array.shape), "numbers": numbers}


def values(name: str, found: Any, expected: Any, bar: Bar,
           size: Optional[float] = None) -> Dict[str, Any]:
    """A row of kind values."""
    row = {"name": name, "kind": "values", "found": tensor(found),
           "expected": tensor(expected), "bar": bar.__dict__.copy()}
    for key in ("absolute", "relative"):
        row["bar"][key] = json_number(row["bar"][key])
    return row if size is None else {**row, "size": size}


def planted(generator: np.random.Generator) -> Iterator[Dict[str, Any]]:
    """One fault each in a tensor of 24 random values."""
    faults: Dict[str, Callable[[np.ndarray], Any]] = {
        "rounded": lambda x: x.astype(np.float16).astype(float),
        "NaN": lambda x: put(x, 5, NAN),
        "infinity": lambda x: put(x, 23, INF),
        "infinity and NaN": lambda x: put(put(x, 7, -INF), 3, NAN),
        "zeros": np.zeros_like,
        "one zero": lambda x: put(x, 11, 0.0),
        "swapped axes": lambda x: x.reshape(4, 6).T.reshape(6, 4),
        "transposed values": lambda x: x.T.reshape(x.shape),
        "wrong sign": lambda x: -x,
        "one wrong sign": lambda x: put(x, 20, -x.flat[20]),
        "scaled": lambda x: x * 1.01,
        "shifted": lambda x: np.roll(x, 1, axis=1),
        "stale last row": lambda x: put_row(x, x[-2]),
        "lost element": lambda x: x.ravel()[:-1],
        "extra axis": lambda x: x[None],
        "a little noise": lambda x: x + 1e-6 * np.cos(np.arange(24)
                                                      ).reshape(x.shape),
        "too much noise": lambda x: x + 1e-4 * np.cos(np.arange(24)
                                                      ).reshape(x.shape),
        "overflow": lambda x: put(x, 2, 1.7e308),
    }
    bars = [Bar(1e-5, 0, "a hundred-thousandth"), Bar(1e-7, 1e-3, "both"),
            Bar(0, 2.0**-8, "a rounding to bfloat16"), Bar(0, 0, "a copy")]
    for place, (name, fault) in enumerate(faults.items()):
        # Short in decimal digits.
        x = np.round(generator.normal(size=(4, 6)) * 1024) / 1024
        for bar in (bars[place % 4], bars[(place + 1) % 4]):
            yield values(f"{name}, {bar.limit}", fault(x.copy()), x, bar)


def put(x: np.ndarray, place: int, value: float) -> np.ndarray:
    """One element replaced."""
    x = x.copy()
    x.flat[place] = value
    return x


def put_row(x: np.ndarray, row: np.ndarray) -> np.ndarray:
    """The last row replaced."""
    return np.concatenate([x[:-1], row[None]])


def edges() -> Iterator[Dict[str, Any]]:
    """What is on the border between right and wrong."""
    quarter, equal = Bar(0.25, 0, "a quarter"), Bar(0, 0, "equal")
    anything = Bar(1.7e308, 0, "anything")
    yield values("the same", [1.0, 2.0], [1.0, 2.0], equal)
    yield values("exactly at the bar", [1.25], [1.0], quarter)
    yield values("just outside", [1.25 + 2.0**-40], [1.0], quarter)
    yield values("both NaN", [1.0, NAN], [1.0, NAN], anything)
    yield values("expected NaN", [1.0, 2.0], [1.0, NAN], anything)
    yield values("the same infinities", [INF, -INF], [INF, -INF], equal)
    yield values("opposite infinities", [INF, 1.0], [-INF, 1.0], anything)
    yield values("expected infinity", [3e38, 1.0], [INF, 1.0], anything)
    yield values("infinity with a relative bar", [INF, 1.5], [INF, 1.0],
                 Bar(0, 0.5, "half"))
    yield values("negative zero", [-0.0], [0.0], equal)
    yield values("expected zero", [1e-300], [0.0], Bar(0, 0.5, "half"))
    yield values("all expected are zero", [0.1, 0.0], [0.0, 0.0], quarter)
    yield values("denormal", [5e-324, 1.0], [0.0, 1.0], equal)
    yield values("found is zero", [0.0, 0.0], [0.0, 1.0], equal)
    yield values("the larger share", [1000.5, 0.2], [1000.0, 0.0],
                 Bar(0.1, 0.01, "both"))
    yield values("first of two equal", [1.5, 2.5], [1.0, 2.0], quarter)
    yield values("among infinite shares", [1.5, 2.75], [1.0, 2.0], equal)
    yield values("an overflowing limit", [1.7e308], [-1e308],
                 Bar(1.7e308, 1.0, "wide"))
    yield values("relative to a size", [1.5], [1.0], quarter, size=100.0)
    yield values("an overflowing distance", [1.7e308], [-1.7e308], anything)
    yield values("a number", np.array(1.5), np.array(1.0), quarter)
    yield values("empty", np.zeros((0, 3)), np.zeros((0, 3)), equal)
    yield values("empty of another shape", np.zeros((3, 0)), np.zeros((0, 3)),
                 equal)
    yield values("other shape", [[1.0, 2.0]], [1.0, 2.0], quarter)
    for limit in (-1.0, NAN, INF):
        yield values(f"limit {limit}", [1.0], [1.0], Bar(limit, 0, "none"))
        yield values(f"relative limit {limit}", [1.0], [1.0],
                     Bar(0, limit, "none"))


def integers() -> Iterator[Dict[str, Any]]:
    """Tokens and codes."""
    expected = np.array([[3, 1, 4], [1, 5, 9]])
    found = np.array([[3, 1, 4], [2, 5, 8]])
    row = {"kind": "integers", "found": tensor(found),
           "expected": tensor(expected)}
    yield {**row, "name": "two tokens"}
    yield {**row, "name": "the same tokens", "found": tensor(expected)}
    yield {**row, "name": "all zero", "found": tensor(expected * 0)}
    yield {**row, "name": "too few", "found": tensor(found[0])}
    yield {**row, "name": "no tokens", "found": tensor(np.zeros(0, int)),
           "expected": tensor(np.zeros(0, int))}
    yield {**row, "name": "large", "found": tensor(np.array([2**53])),
           "expected": tensor(np.array([2**53 - 2]))}
    for limit in (1e-2, 1e-5, 1e-7):
        yield {**row, "name": f"margin {limit}", "margins": [
            {"place": 3, "distance": 1e-6, "limit": limit, "meaning": "gap"},
            {"place": 5, "distance": 1e-3, "limit": limit, "meaning": "gap"}]}
    yield {**row, "name": "a margin for one of two", "margins": [
        {"place": 3, "distance": 1e-6, "limit": 1e-5, "meaning": "gap"}]}
    yield {**row, "name": "a margin that is NaN", "margins": [
        {"place": 3, "distance": "nan", "limit": 1, "meaning": "gap"},
        {"place": 5, "distance": 0, "limit": 1, "meaning": "gap"}]}


def filtered(logits: np.ndarray, top_k: int, top_p: float) -> np.ndarray:
    """Probabilities of the tokens that a filter keeps."""
    rows = []
    for row in logits.reshape(-1, logits.shape[-1]):
        kept = np.ones(row.shape, bool)
        if 0 < top_k < row.size:
            kept = row >= np.sort(row)[-top_k]
        weights = np.where(kept, np.exp(row - row.max()), 0)
        if 0 < top_p < 1:
            order = np.argsort(weights, kind="stable")
            mass = np.cumsum(weights[order]) / weights.sum()
            weights[order[mass <= 1 - top_p]] = 0
        rows.append(weights / weights.sum())
    return np.array(rows).reshape(logits.shape)


def probabilities(generator: np.random.Generator) -> Iterator[Dict[str, Any]]:
    """Rows after top-k and top-p."""
    for top_k, top_p in ((0, 0.0), (3, 0.0), (0, 0.9), (5, 0.8)):
        logits = np.round(generator.normal(size=(2, 8)) * 2, 4)
        right = filtered(logits, top_k, top_p)
        row = {"kind": "probabilities", "expected": tensor(right),
               "logits": tensor(logits), "top_k": top_k, "top_p": top_p}
        first, last = int(right[0].argmax()), int(right[1].argmax())
        for name, found in {
            "the same": right,
            "rounded": right.astype(np.float32).astype(float),
            "noise": right * (1 + 1.3e-3 * np.sign(logits)),
            "one more token": filtered(logits, top_k and top_k + 1,
                                       top_p and top_p + 0.08),
            "not normalized": right * 1.01,
            "only the sums": right * (1 + 5e-5),
            "a lost token": put(right, first, 0.0),
            "a negative one": put(right, 8 + last, -0.1),
            "NaN": put(right, 3, NAN),
            "zeros": right * 0,
            "rows swapped": right[::-1],
            "one row": right[0],
        }.items():
            yield {**row, "name": f"{name}, k {top_k}, p {top_p}",
                   "found": tensor(found)}
        yield {**row, "name": f"logits of another shape, k {top_k}",
               "found": tensor(right), "logits": tensor(logits[0])}
    yield from ties()


def ties() -> Iterator[Dict[str, Any]]:
    """A token at a threshold, where rounding decides."""
    logits = np.array([2, 1, 1.0000001, -3])

    def keeping(*kept: int) -> np.ndarray:
        weights = np.array([math.exp(x) if place in kept else 0.0
                            for place, x in enumerate(logits)])
        return weights / weights.sum()

    everything = keeping(0, 1, 2, 3)
    mass = float(1 - everything[3] - everything[1])
    row = {"kind": "probabilities", "expected": tensor(keeping(0, 2)),
           "logits": tensor(logits)}
    # An error of its own decides which element is the worst, not the rounding
    # of exponentials.
    found = keeping(0, 1, 2) * np.array([1 + 5.5e-6, 1, 1, 1])
    tie = {**row, "found": tensor(found)}
    yield {**tie, "name": "tie at k", "top_k": 2, "top_p": 0.0}
    yield {**tie, "name": "tie at p", "top_k": 0, "top_p": mass + 1e-9}
    yield {**tie, "name": "no tie at p", "top_k": 0, "top_p": mass + 1e-3}
    yield {**row, "found": tensor(keeping(0, 2, 3)), "name": "no tie at k",
           "top_k": 2, "top_p": 0.0}
    yield {**tie, "name": "half precision", "top_k": 1, "top_p": 0.0,
           "rounding": 2.0**-9}
    wrong = keeping(0, 1, 2) * np.array([1.013, 1, 1, 1])
    yield {**tie, "name": "tie at k, and a wrong probability", "top_k": 2,
           "top_p": 0.0, "found": tensor(wrong)}
    yield {**tie, "name": "another limit", "top_k": 2, "top_p": 0.0,
           "found": tensor(wrong), "bar": Bar(0.01, 0, "wide").__dict__}
    yield {**row, "found": tensor(keeping(0)), "name": "lost at k",
           "top_k": 2, "top_p": 0.0}
    without = {**tie, "name": "unknown filter"}
    del without["logits"]
    yield without
    yield {**without, "name": "a single number", "found": tensor(1.0),
           "expected": tensor(1.0)}


def rows() -> List[Dict[str, Any]]:
    """All rows, without results."""
    generator = np.random.default_rng(20)
    return [*planted(generator), *edges(), *integers(),
            *probabilities(generator)]


# What the comparator says

def number(value: Any) -> float:
    """A number as JSON has it."""
    return float(value)


def array(stored: Dict[str, Any]) -> np.ndarray:
    """An array as the file has it."""
    numbers = [number(value) for value in stored["numbers"]]
    return np.array(numbers).reshape(stored["shape"])


def compare(row: Dict[str, Any]) -> Comparison:
    """The comparator's row."""
    name = row["name"]
    found, expected = array(row["found"]), array(row["expected"])
    if row["kind"] == "values":
        bar = Bar(number(row["bar"]["absolute"]),
                  number(row["bar"]["relative"]), row["bar"]["reason"])
        return compare_values(name, found, expected, bar, row.get("size"))
    if row["kind"] == "integers":
        margins = {
            margin["place"]: Margin(
                number(margin["distance"]), number(margin["limit"]),
                margin["meaning"]) for margin in row.get("margins", [])}
        return compare_integers(
            name, found.astype(np.int64), expected.astype(np.int64),
            margins.get)
    bar = Bar(**row["bar"]) if "bar" in row else None
    settings = None
    if "logits" in row:
        settings = FilterSettings(
            array(row["logits"]), row["top_k"], row["top_p"])
    return compare_probabilities(
        name, found, expected, settings, bar, row.get("rounding", 2.0**-24))


def main() -> None:
    """Writes the file."""
    judged = []
    for row in rows():
        result = compare(row)
        judged.append(
            {**row, "result": result.as_json(), "details": result.details})
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, sort_keys=True)
                       for row in judged)
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(f"[\n{lines}\n]\n")
    print(f"{len(judged)} rows")


if __name__ == "__main__":
    main()
