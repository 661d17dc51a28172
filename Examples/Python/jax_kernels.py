"""GELU and softmax as pure functions of arrays, as JAX has them.

    python -m mvar_golden check --arrays jax --kernel jax_kernels.py

Without JAX they run with NumPy, and the gradients are not asked for:

    python -m mvar_golden check --forward-only --kernel jax_kernels.py
"""
try:
    import jax
    import jax.numpy as jnp
except ImportError:
    import numpy as jnp
    jax = None


def gelu(x):
    """½ · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))"""
    inner = 0.7978845608028654 * (x + 0.044715 * x * x * x)
    return 0.5 * x * (1 + jnp.tanh(inner))


def softmax_function(x):
    """The softmax over the last axis."""
    weights = jnp.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def kernel_of(function):
    """A pure function of ``x`` with the gradient that JAX derives."""

    def kernel(inputs, attributes, grad_outputs):
        x = inputs["x"]
        wide = x.astype(jnp.result_type(x, jnp.float32))
        if jax is None or grad_outputs is None:
            return function(wide)
        output, pullback = jax.vjp(function, wide)
        gradient, = pullback(grad_outputs["output"].astype(wide.dtype))
        return output, {"x": gradient}

    return kernel


KERNELS = {
    "geluTanh": kernel_of(gelu),
    "softmax": kernel_of(softmax_function),
}
