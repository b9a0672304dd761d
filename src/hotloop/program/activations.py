"""Activation functions in primitive ops; a new one is one function here and one row in ``ACTIVATIONS``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from hotloop.program.build import Value, apply

__all__ = ["ACTIVATIONS"]


def relu(x: Value) -> Value:
    """max(x, 0), with gradient 0 at 0."""
    return apply("max", x, 0.0)


def leaky_relu(x: Value, negative_slope: float = 0.01) -> Value:
    """Return x above 0 and ``negative_slope * x`` up to it."""
    return apply("select", apply("less", 0.0, x), x, x * negative_slope)


def elu(x: Value, alpha: float = 1.0) -> Value:
    """Return x above 0 and ``alpha * (exp(x) - 1)`` up to it."""
    above = apply("less", 0.0, x)
    # expm1 of a number above 0 may overflow, and its gradient would be infinity times 0. Not min(x, 0): at 0 itself
    # the gradient is alpha.
    return apply("select", above, x, apply("expm1", apply("select", above, 0.0, x)) * alpha)


def gelu(x: Value) -> Value:
    """X times the normal distribution function. Source: Hendrycks, Gimpel, arXiv:1606.08415."""
    return x * 0.5 * (1.0 + apply("erf", x * math.sqrt(0.5)))


def gelu_tanh(x: Value) -> Value:
    """The approximation of GELU by tanh, from the same paper."""
    return x * 0.5 * (1.0 + apply("tanh", (x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)))


def silu(x: Value) -> Value:
    """Return x * sigmoid(x)."""
    return x * apply("sigmoid", x)


def softplus(x: Value, beta: float = 1.0, threshold: float = 20.0) -> Value:
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x is above ``threshold``, as torch computes it."""
    scaled = x if beta == 1.0 else x * beta
    smooth = apply("softplus", scaled)
    smooth = smooth if beta == 1.0 else smooth * (1.0 / beta)
    return apply("select", apply("less", threshold, scaled), x, smooth)


ACTIVATIONS: Mapping[str, Callable[..., Value]] = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "silu": silu,
    "tanh": lambda x: apply("tanh", x),
    "sigmoid": lambda x: apply("sigmoid", x),
    "softplus": softplus,
    "identity": lambda x: x,
}
"""Name -> function of a value and its settings."""
