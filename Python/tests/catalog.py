"""Writes ``mvar_golden/operators.json`` from ``mvar golden list --json LIST``:

    mvar golden list --json list.json
    python -m tests.catalog list.json

in the folder ``Python``, after a change of the operators. A test of the Swift
package compares the file with the catalog that the program has.
"""

import json
import sys
from typing import Any, Dict

from mvar_golden.catalog import PATH

#: What the package needs of an operator and its parts.
KEYS = {
    "operator": ("name", "has_backward"),
    "inputs": ("name", "shape", "optional", "repeated", "integers_below"),
    "outputs": ("name", "shape", "integer"),
    "attributes": ("name", "type", "accepts", "choices", "required",
                   "default"),
}


def shortened(operator: Dict[str, Any]) -> Dict[str, Any]:
    """An operator without what is for people only."""
    return {
        **{key: operator[key] for key in KEYS["operator"]},
        **{part: [{key: one[key] for key in KEYS[part]}
                  for one in operator[part]]
           for part in ("inputs", "outputs", "attributes")}}


def main() -> None:
    """Writes the file, one line for each operator."""
    with open(sys.argv[1], encoding="utf-8") as file:
        operators = json.load(file)["operators"]
    lines = ",\n".join(
        json.dumps(shortened(one), ensure_ascii=False, separators=(",", ":"))
        for one in operators)
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(f'{{"format":1,"operators":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
