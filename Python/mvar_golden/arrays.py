"""Arrays of any framework, in and out.

In: NumPy, PyTorch, JAX, CuPy, and whatever has ``__array__``, ``__dlpack__``
or ``detach``. Out: NumPy, PyTorch or JAX. No framework is imported unless it
is asked for; bfloat16 needs no package beside NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from .errors import GoldenError
from .safetensors import StoredTensor


@dataclass(frozen=True)
class ArrayKind:
    """The arrays that a kernel under test receives."""

    #: numpy, torch or jax.
    framework: str = "numpy"
    #: Where PyTorch's tensors lie: ``cpu``, ``cuda``, ``mps``.
    device: str = "cpu"
    #: How NumPy holds bfloat16: as ``float32`` values, as ``bits`` in uint16,
    #: or as ``ml_dtypes``.
    bfloat16: str = "float32"

    def __post_init__(self) -> None:
        if self.framework not in ("numpy", "torch", "jax"):
            raise GoldenError(
                f"there are no arrays of {self.framework!r}: use numpy, "
                "torch or jax")
        if self.bfloat16 not in ("float32", "bits", "ml_dtypes"):
            raise GoldenError(
                f"bfloat16 cannot be held as {self.bfloat16!r}: use float32, "
                "bits or ml_dtypes")

    def array(self, tensor: StoredTensor) -> Any:
        """A copy of a tensor, which the kernel may change."""
        try:
            if self.framework == "torch":
                return self._torch(tensor)
            if self.framework == "jax":
                return self._jax(tensor)
            return self._numpy(tensor)
        except ImportError as error:
            raise GoldenError(
                f"{error.name or self.framework} is not installed") from None

    def _numpy(self, tensor: StoredTensor) -> Any:
        if tensor.dtype == "BF16" and self.bfloat16 == "bits":
            return tensor.data.copy()
        if tensor.dtype == "BF16" and self.bfloat16 == "ml_dtypes":
            import ml_dtypes
            return tensor.data.copy().view(ml_dtypes.bfloat16)
        return tensor.array()

    def _torch(self, tensor: StoredTensor) -> Any:
        import torch
        if tensor.dtype == "BF16":
            bits = torch.from_numpy(tensor.data.copy().view(np.int16))
            return bits.view(torch.bfloat16).to(self.device)
        return torch.from_numpy(tensor.array()).to(self.device)

    def _jax(self, tensor: StoredTensor) -> Any:
        import jax.numpy as jnp
        array = jnp.asarray(tensor.array())
        if tensor.dtype == "BF16":
            return array.astype(jnp.bfloat16)
        if tensor.dtype == "F64" and array.dtype != np.float64:
            raise GoldenError(
                "JAX computes in float64 only if JAX_ENABLE_X64=1 is set")
        return array


#: What a kernel receives unless something else is asked for.
NUMPY = ArrayKind()


def stored(value: Any, dtype: Optional[str] = None) -> StoredTensor:
    """An array of any framework as it would lie in a file.

    ``dtype`` is the type the kernel works in; if it is ``bfloat16``, arrays
    of uint16 are its bits.
    """
    if isinstance(value, StoredTensor):
        return value
    if str(getattr(value, "dtype", "")) == "torch.bfloat16":
        # NumPy does not know the type; float32 holds its values exactly.
        return StoredTensor.of(_numpy_array(value.float()), "BF16")
    array = _numpy_array(value)
    if array.dtype.kind == "V" and array.dtype.name == "bfloat16":
        return StoredTensor("BF16", array.view(np.uint16))
    if array.dtype.kind == "V" and array.dtype.name.startswith("float8"):
        return StoredTensor.of(array.astype(np.float32))
    if array.dtype == np.uint16 and dtype == "bfloat16":
        return StoredTensor("BF16", np.ascontiguousarray(array))
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if array.dtype.kind not in "fiub":
        raise GoldenError(
            f"an array of type {array.dtype} holds no real numbers"
            if array.dtype.kind != "O" else
            f"{_article(type(value).__name__)} is no array")
    return StoredTensor.of(array)


def _article(noun: str) -> str:
    return f"an {noun}" if noun[:1] in "aeiouAEIOU" else f"a {noun}"


def _numpy_array(value: Any) -> np.ndarray:
    try:
        if hasattr(value, "detach"):
            return _of_torch(value.detach())
        if type(value).__module__.split(".")[0] == "cupy":
            return np.asarray(value.get())
        if hasattr(value, "__array__") or not hasattr(value, "__dlpack__"):
            return np.asarray(value)
        return np.from_dlpack(value)
    except GoldenError:
        raise
    except Exception as error:  # what other frameworks raise is not known
        raise GoldenError(
            f"{_article(type(value).__name__)} cannot be read as an array: "
            f"{first_line(error)}") from None


def _of_torch(value: Any) -> np.ndarray:
    value = value.cpu()
    if str(value.dtype).startswith("torch.float8"):
        value = value.float()
    return np.asarray(value.numpy())


def first_line(error: BaseException) -> str:
    """What an exception says, in one line, and its type."""
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
