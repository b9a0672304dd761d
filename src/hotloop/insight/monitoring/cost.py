"""What monitoring costs: steps with and without a monitor's hooks, in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hotloop.capture.model_parts import ModelParts
from hotloop.engines.losses import RowLoss
from hotloop.errors import ArgumentError
from hotloop.insight.measure import Arm, BlockPlan, Budget, Clock, collect, difference, level, ratio, run_block
from hotloop.insight.monitoring.hooks import MonitorHooks
from hotloop.insight.monitoring.paused_clock import PausedClock
from hotloop.insight.monitoring.records import MonitorCost
from hotloop.insight.preserve import preserved
from hotloop.insight.verdict import restless
from hotloop.training.data import features, targets

if TYPE_CHECKING:
    import torch

__all__ = ["measure_cost"]

_FEWEST_BLOCKS = 5


def measure_cost(
    model: torch.nn.Module,
    hooks: MonitorHooks,
    batch: tuple[Any, Any, Callable[[Any, Any], torch.Tensor]],
    seconds: float,
    clock: Clock = time.perf_counter,
) -> MonitorCost:
    """Time steps of a model without and with hooks.

    Parameters
    ----------
    model : torch.nn.Module
    hooks : MonitorHooks
        Not attached.
    batch : tuple
        x, y and the loss.
    seconds : float
    clock : callable, optional
        Seconds.

    Raises
    ------
    ArgumentError
        If a step cannot be done with this batch, or ``seconds`` do not suffice for five blocks.
    """
    x, y = _as_tensors(model, *batch)
    loss = batch[2]
    paused = PausedClock(clock)

    def without(n: int) -> None:
        for _step in range(n):
            model.zero_grad()
            loss(model(x), y).backward()  # type: ignore[no-untyped-call]

    def monitored(n: int) -> None:
        with paused.pause():
            hooks.attach()
        try:
            without(n)
        finally:
            with paused.pause():
                hooks.remove()

    arms = (Arm("without", without), Arm("with", monitored))
    budget = Budget(seconds, least_blocks=_FEWEST_BLOCKS)
    with preserved(model):
        _try(without)
        measured = collect(
            lambda plan: run_block(arms, plan, paused),
            budget,
            plan=BlockPlan(seed=0, rounds=3, sample_s=0.002),
            clock=clock,
        )
    if len(measured.blocks) < _FEWEST_BLOCKS:
        raise ArgumentError(f"seconds is {seconds:g}, too short for steps of this model", do="give a larger one")
    return MonitorCost(
        with_us=level(measured, "with").interval(),
        without_us=level(measured, "without").interval(),
        added_us=difference(measured, "with").interval(),
        ratio=ratio(measured, "with").exp().interval(),
        restless=restless(measured),
        blocks=len(measured.blocks),
    )


def _as_tensors(model: torch.nn.Module, x: Any, y: Any, loss: Callable[[Any, Any], torch.Tensor]) -> tuple[Any, Any]:
    """Return a batch with arrays and frames as ``fit`` would take them; whatever else a model takes stays as it is."""
    parts = ModelParts.of(model)
    if _is_array(x):
        x = features(x, parts, "x")[0].to(_device(parts))
    if _is_array(y):
        y = targets(y, len(x), loss, RowLoss.of(loss), parts)[0].to(_device(parts))
    return x, y


def _is_array(value: object) -> bool:
    import torch

    return hasattr(value, "__array__") and not isinstance(value, torch.Tensor)


def _device(parts: ModelParts) -> torch.device:
    import torch

    return parts.parameters[0].device if parts.parameters else torch.device("cpu")


def _try(steps: Callable[[int], None]) -> None:
    try:
        steps(1)
    except Exception as error:
        raise ArgumentError(
            "a step with this x and y fails",
            why=f"{type(error).__name__}: {error}".splitlines()[0],
            do="give a batch as the model and the loss take it",
        ) from error
