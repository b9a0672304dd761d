"""From a layer spec and arrays to a run of the native engine: what ``fit`` does for modules, without torch."""

from __future__ import annotations

import dataclasses
import operator
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hotloop.compiler.compiled import Rows
from hotloop.engines.layers_task import LayersTask
from hotloop.engines.native_layers import NativeLayersEngine
from hotloop.errors import ArgumentError
from hotloop.program.network import Network
from hotloop.program.optimizers import Adam, OptimizerRule
from hotloop.sentence import Sentence
from hotloop.training.arguments import check_settings
from hotloop.training.fingerprint import fingerprint_of_layers
from hotloop.training.plan import Plan
from hotloop.training.prepared import Prepared, row_settings, threads_notes
from hotloop.training.settings import RunSettings

__all__ = ["PreparedLayers", "prepare_layers"]


@dataclass(eq=False, kw_only=True)
class PreparedLayers(Prepared[LayersTask]):
    """A layer spec that can be trained."""

    def fingerprint(self) -> str:
        """Return the digest of all that a checkpoint must agree with."""
        return fingerprint_of_layers(self.task, self.plan)

    def shares(self) -> Callable[[int, int], NDArray[np.float64]]:
        """Return each step's share of the rows."""
        shares = self.task.epoch.shares
        return lambda epoch, n_epochs: shares

    @property
    def module_name(self) -> str:
        """That of layer specs."""
        return "Network"

    def settings_as_data(self) -> dict[str, object]:
        """Return the settings of the run under the names that torch has for them."""
        task, settings = self.task, self.settings
        numbers = dataclasses.asdict(task.rule)  # type: ignore[call-overload]
        name = task.rule.name
        if isinstance(task.rule, Adam):
            numbers["decoupled_weight_decay"] = numbers.pop("decoupled")
            name = "adamw" if task.rule.decoupled else "adam"
        weight = {} if task.class_weight is None else {"loss_weight": task.class_weight.tolist()}
        return {
            "loss": "CrossEntropyLoss" if task.output == "classification" else "MSELoss",
            "loss_reduction": "mean",
            **weight,
            "optimizer": {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}[name],
            "optimizer_lr": task.learning_rate,
            **{f"optimizer_{name}": value for name, value in numbers.items()},
            "batch_size": task.batch_size,
            **row_settings(task.training.x, task.training.y),
            "weighted": False,
            "shuffle": task.shuffle,
            "drop_last": task.drop_last,
            "schedule": None,
            **settings.numbers,
        }


def prepare_layers(
    network: Network,
    X: NDArray[np.float32],
    y: NDArray[Any],
    settings: RunSettings,
    *,
    output: Literal["classification", "regression"],
    class_weight: NDArray[np.float32] | None,
    rule: OptimizerRule,
    learning_rate: float,
    why_device: str,
) -> PreparedLayers:
    """Return the run that trains a layer spec from its own first weights.

    Parameters
    ----------
    network : Network
    X : float32 array of shape (rows, inputs)
    y : int64 array of shape (rows,), or float32 of shape (rows, outputs)
    settings : RunSettings
        With a seed; sample weights and clipped gradients are not for layer specs.
    output, class_weight, rule, learning_rate
        As in :class:`hotloop.engines.layers_task.LayersTask`.
    why_device : str
        Why on the CPU, in a clause.

    Raises
    ------
    ArgumentError
        If a setting makes no sense.
    UnsupportedError
        If the network cannot be compiled, or not on this machine.
    """
    check_settings(settings)
    assert settings.seed is not None, "a layer spec is initialised from a seed"
    assert settings.sample_weight is None, "layer specs have no row weights"
    assert settings.clip_grad_norm is None, "layer specs have no clipping"
    seed = operator.index(settings.seed)
    validation = None if settings.X_val is None else _rows(settings.X_val, settings.y_val)
    task = LayersTask(
        network=network,
        weights=network.initialise(seed),
        output=output,
        class_weight=class_weight,
        rule=rule,
        learning_rate=learning_rate,
        training=_rows(X, y),
        validation=validation,
        batch_size=min(operator.index(settings.batch_size or len(X)), len(X)),
        shuffle=settings.batch_size is not None and settings.shuffle is not False,
        drop_last=settings.drop_last,
        seed=seed,
    )
    engine = NativeLayersEngine()
    started_s = time.perf_counter()
    if refused := engine.refusal(task):
        raise refused
    asked_for = settings.engine == engine.name
    return PreparedLayers(
        task=task,
        plan=Plan.of(settings, validates=validation is not None),
        engine=engine,
        why_engine=Sentence("{name} was asked for", name="native")
        if asked_for
        else Sentence("{name}, the fastest engine, can compile all of it", name="native"),
        why_device=why_device,
        capture_s=time.perf_counter() - started_s,
        notes=threads_notes(settings),
        settings=settings,
        seed=seed,
    )


def _rows(X: NDArray[Any], y: NDArray[Any]) -> Rows:
    if not len(X):
        raise ArgumentError(f"X is empty: its shape is {X.shape}", do="give at least one row")
    return Rows(np.ascontiguousarray(X, np.float32), np.ascontiguousarray(y))
