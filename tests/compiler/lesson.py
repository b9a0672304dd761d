"""The lesson's network in compiled code, without a table: made here, trained, and its numbers as bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from hotloop.compiler.compiled import Rows
from hotloop.engines.layers_task import LayersTask
from hotloop.engines.native_layers import NativeLayersEngine
from hotloop.program.network import Network
from hotloop.program.optimizers import Adam, OptimizerRule, Sgd

__all__ = ["TASKS", "digest_of", "train"]

N_STEPS = 60


def _task(batch_size: int, rule: OptimizerRule, hidden: tuple[int, ...], activation: str) -> LayersTask:
    random = np.random.default_rng(3)
    x = random.uniform(0, 1, (120, 4)).astype(np.float32)
    y = (x[:, 0] * 1.5 + x[:, 1]).astype(np.int64)
    network = Network.mlp(4, hidden, 3, activation)
    return LayersTask(
        network=network,
        weights=network.initialise(0),
        output="classification",
        class_weight=None,
        rule=rule,
        learning_rate=0.05,
        training=Rows(x, y),
        validation=Rows(x[:37], y[:37]),
        batch_size=batch_size,
        shuffle=batch_size < 120,
        drop_last=False,
        seed=1,
    )


TASKS = {
    "full": lambda: _task(120, Sgd(), (10,), "relu"),
    "batches": lambda: _task(33, Adam(amsgrad=True), (10, 7), "gelu"),
}
"""A full batch in order, and shuffled batches with a rest, by Adam."""


def train(task: LayersTask, chunks: Sequence[int] = (N_STEPS,)) -> bytes:
    """Return losses, weights, slots and validation loss after the steps, as bytes."""
    session = NativeLayersEngine().prepare(task)
    losses = [session.advance(n_steps, None) for n_steps in chunks]
    state = session.state()
    slots = [value for kept in (state.optimizer or {}).values() for value in kept.values()]
    arrays = [*losses, *state.model.values(), *slots, np.float64(session.evaluate())]
    return b"".join(array.tobytes() for array in arrays)


def digest_of(name: str) -> str:
    """Return the SHA-256 of what training a task leaves."""
    return hashlib.sha256(train(TASKS[name]())).hexdigest()
