"""A case of an operator: what a kernel receives, and what it should return.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, Optional

from .comparison import Bar
from .safetensors import StoredTensor

#: The types that a kernel under test can receive and return, and how they are
#: stored.
DTYPES: Dict[str, str] = {
    "float64": "F64", "float32": "F32", "tf32": "F32", "bfloat16": "BF16",
    "float16": "F16",
}


@dataclass(frozen=True)
class Expected:
    """A tensor that a kernel should return."""

    #: Its name in the file: ``CASE.out``, ``CASE.grad.weight``.
    name: str
    #: Its values; None if the file does not contain it, and need not.
    tensor: Optional[StoredTensor]
    #: How close the kernel must get; None for integers.
    bar: Optional[Bar] = None
    #: Why it cannot be compared.
    problem: Optional[str] = None

    def with_shape(self, shape: "tuple[int, ...]", whose: str) -> "Expected":
        """The same, which cannot be compared if it has another shape."""
        if self.tensor is None or self.tensor.shape == shape:
            return self
        return replace(self, problem=(
            f"{self.name} has shape {list(self.tensor.shape)}, and the "
            f"{whose} {list(shape)}"))

    def scaled(self, factor: float) -> "Expected":
        """The same for values multiplied by a factor."""
        if factor == 1 or self.tensor is None:
            return self
        values = StoredTensor.of(self.tensor.numbers() * factor)
        bar = self.bar and replace(
            self.bar, absolute=self.bar.absolute * abs(factor))
        return replace(self, tensor=values, bar=bar)


@dataclass(frozen=True)
class OperatorCase:
    """An operator on one set of inputs, and what it should return.

    Outputs have the names of the operator's outputs; the only output of an
    operator that has one is called ``""``.
    """

    name: str
    operator: str
    dtype: str
    inputs: Dict[str, StoredTensor] = field(default_factory=dict)
    attributes: Dict[str, Any] = field(default_factory=dict)
    outputs: Dict[str, Expected] = field(default_factory=dict)
    grad_outputs: Dict[str, StoredTensor] = field(default_factory=dict)
    gradients: Dict[str, Expected] = field(default_factory=dict)
    #: Why the case cannot be judged; None if it can.
    problem: Optional[str] = None

    @property
    def has_backward(self) -> bool:
        """Whether gradients are expected."""
        return bool(self.grad_outputs)

    def __str__(self) -> str:
        return self.name
