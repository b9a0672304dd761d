"""A workload as a JAX program: steps inside ``jax.lax.scan`` inside ``jax.jit``, so that Python is left once a run.

::

    for each epoch (scan):
        order = places sorted by random bits         # or the order given
        for each batch of order (scan):
            loss, gradients = value_and_grad(loss)(weights, X[batch], y[batch])
            weights, moments = update(gradients)
    return weights, the loss of each step

Optimizers are written after torch's formulas, so that curves can be compared.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from hotloop.bench.workloads import Workload

__all__ = ["compile_training"]

# torch.optim.Adam's defaults.
_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8

Tree = Any
Step = Callable[[Tree, Any], tuple[Tree, jax.Array]]


def compile_training(
    workload: Workload, epochs: int, orders: NDArray[np.int64] | None
) -> Callable[[], NDArray[np.float32]]:
    """Compile the training of a workload from its first weights.

    Parameters
    ----------
    workload : Workload
    epochs : int
    orders : int array of shape (epochs, rows), optional
        The order of the rows in each epoch; by default drawn inside the program. Ignored for full batch.

    Returns
    -------
    function
        Trains, waits for the end, and returns the loss of each step: float32 of shape (epochs, steps of an epoch).
    """
    X, y = (jnp.asarray(array) for array in workload.rows())
    weights = [(jnp.asarray(weight), jnp.asarray(bias)) for weight, bias in workload.first_weights()]
    moments = jax.tree.map(jnp.zeros_like, (weights, weights)) if workload.optimizer == "adam" else ()
    carry = (weights, moments, jnp.float32(0))
    each_epoch = jax.random.split(jax.random.key(0), epochs) if orders is None else jnp.asarray(orders, jnp.int32)

    def train(carry: Tree, each_epoch: jax.Array, X: jax.Array, y: jax.Array) -> tuple[Tree, jax.Array]:
        step = _step(workload, X, y)
        over = None if workload.batch_size is None else each_epoch
        by = step if workload.batch_size is None else _epoch(workload, step, len(X))
        trained: tuple[Tree, jax.Array] = jax.lax.scan(by, carry, over, length=epochs)
        return trained

    compiled = jax.jit(train).lower(carry, each_epoch, X, y).compile()

    def run() -> NDArray[np.float32]:
        _, losses = jax.block_until_ready(compiled(carry, each_epoch, X, y))
        return np.asarray(losses).reshape(epochs, -1)

    return run


def _loss(workload: Workload) -> Callable[[Tree, jax.Array, jax.Array], jax.Array]:
    activation = {"relu": jax.nn.relu, "tanh": jnp.tanh, None: lambda x: x}[workload.activation]

    def loss(weights: Tree, X: jax.Array, y: jax.Array) -> jax.Array:
        for number, (weight, bias) in enumerate(weights):
            if number:
                X = activation(X)
            X = X @ weight + bias
        if workload.loss == "mse":
            return jnp.mean((X - y) ** 2)
        chosen = jax.nn.one_hot(y, X.shape[1])
        return -jnp.mean(jnp.sum(chosen * jax.nn.log_softmax(X), axis=1))

    return loss


def _step(workload: Workload, X: jax.Array, y: jax.Array) -> Step:
    """Return one update, on the rows at the given places, or all for None."""
    value_and_grad = jax.value_and_grad(_loss(workload))
    update = {"sgd": _sgd, "adam": _adam}[workload.optimizer]

    def step(carry: Tree, at: jax.Array | None) -> tuple[Tree, jax.Array]:
        weights, moments, number = carry
        loss, gradients = value_and_grad(weights, *((X, y) if at is None else (X[at], y[at])))
        return (*update(workload.lr, weights, moments, number + 1, gradients), number + 1), loss

    return step


def _epoch(workload: Workload, step: Step, n_rows: int) -> Step:
    """Return an epoch's steps, on an order given or one drawn from a key."""
    sizes = workload.batch_sizes
    whole = [size for size in sizes if size == sizes[0]]

    def epoch(carry: Tree, given: jax.Array) -> tuple[Tree, jax.Array]:
        is_key = jnp.issubdtype(given.dtype, jax.dtypes.prng_key)
        order = _drawn_order(given, n_rows) if is_key else given
        batches = order[: sum(whole)].reshape(len(whole), sizes[0])
        carry, losses = jax.lax.scan(step, carry, batches)
        if whole == sizes:
            return carry, losses
        carry, last = step(carry, order[sum(whole) :])
        return carry, jnp.append(losses, last)

    return epoch


def _drawn_order(key: jax.Array, n_rows: int) -> jax.Array:
    """A random order by one sort: jax.random.permutation sorts twice, which makes a step up to 40 % longer."""
    bits, places = jax.random.bits(key, (n_rows,)), jnp.arange(n_rows, dtype=jnp.int32)
    return jax.lax.sort_key_val(bits, places, is_stable=False)[1]


def _sgd(lr: float, weights: Tree, moments: Tree, number: jax.Array, gradients: Tree) -> tuple[Tree, Tree]:
    return jax.tree.map(lambda weight, gradient: weight - lr * gradient, weights, gradients), moments


def _adam(lr: float, weights: Tree, moments: Tree, number: jax.Array, gradients: Tree) -> tuple[Tree, Tree]:
    # expm1: 1 - 0.999 loses four digits in float32.
    correction1, correction2 = (-jnp.expm1(number * np.log(beta)) for beta in (_BETA1, _BETA2))
    first = jax.tree.map(lambda m, g: m + (1 - _BETA1) * (g - m), moments[0], gradients)
    second = jax.tree.map(lambda v, g: _BETA2 * v + (1 - _BETA2) * g * g, moments[1], gradients)

    def updated(weight: jax.Array, m: jax.Array, v: jax.Array) -> jax.Array:
        return weight - lr / correction1 * m / (jnp.sqrt(v) / jnp.sqrt(correction2) + _EPS)

    return jax.tree.map(updated, weights, first, second), (first, second)
