"""The interface between training and whatever runs it: an engine prepares a task, a session advances it.

::

    session = engine.prepare(task)
    losses  = session.advance(n_steps, lr_table)    # as often as training likes; any split of the steps gives
    loss    = session.evaluate()                    #   the same numbers
    saved   = session.state()
    session.load_state(saved)                       # back to that step, exactly
    mark = session.mark(); session.return_to(mark)  # the same, in the engine's own form
    session.publish(); session.adopt()              # model and optimizer up to date; and taken as they are
    session.close()                                 # the model is the caller's again

A new engine is one file with these two classes and one row in ``engines/choose.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from hotloop.errors import UnsupportedError
from hotloop.program.network import Network

__all__ = ["AnyTask", "Engine", "FloatArray", "Mark", "Session", "State", "Weights"]

FloatArray = NDArray[np.float64]
# Arrays, or torch's tensors, by name; or what makes them of numbers that are no longer changed.
Weights = dict[str, Any] | Callable[[], dict[str, Any]]


class AnyTask(Protocol):
    """What training must know of a task: torch's objects (``engines/task.py``) or a layer spec (``layers_task.py``)."""

    @property
    def device(self) -> str:
        """Where to train."""

    @property
    def steps_per_epoch(self) -> int:
        """Updates in one epoch."""

    @property
    def shown(self) -> tuple[Any, Any]:
        """Model and optimizer, as callbacks are given them."""

    def on_cpu(self) -> Self:
        """Return the same task on the CPU."""


OwnTask = TypeVar("OwnTask", contravariant=True)


@dataclass(frozen=True)
class State:
    """Everything a session needs to stand at a step again; tensors in it are copies.

    Parameters
    ----------
    step : int
        Steps done since the start of training.
    model : dict of tensors or arrays
        The model's ``state_dict``.
    optimizer : dict, optional
        The optimizer's ``state_dict``, or its slots by name; None where only the weights were asked for.
    generators : dict of tensors
        torch's random generators, for layers that draw from them.
    """

    step: int
    model: dict[str, Any]
    optimizer: dict[str, Any] | None
    generators: dict[str, Any]


class Mark(Protocol):
    """Where a session stood."""

    @property
    def step(self) -> int:
        """Steps done since the start of training."""


class Session(Protocol):
    """A task under way; used from one thread at a time."""

    @property
    def step(self) -> int:
        """Steps done since the start of training."""

    @property
    def first_chunk(self) -> int:
        """Steps that surely take less than some hundredths of a second; training learns how many really do."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about how the task is run, as sentences."""

    def advance(self, n_steps: int, lr_table: FloatArray | None) -> FloatArray:
        """Do the next steps.

        Parameters
        ----------
        n_steps : int
            At least 1.
        lr_table : float64 array of shape (epochs touched, parameter groups), optional
            Learning rates of each epoch that these steps touch; None keeps those the optimizer has.

        Returns
        -------
        float64 array of shape (n_steps,)
            The loss of each step, before its update.
        """

    def evaluate(self) -> float:
        """Return the loss over the validation rows in evaluation mode; each module's mode is restored."""

    def state(self, *, weights_only: bool = False) -> State:
        """Return a copy of where the session stands."""

    def load_state(self, state: State) -> None:
        """Stand where ``state`` was taken; parts that it lacks stay as they are."""

    def mark(self) -> Mark:
        """Return a copy of where the session stands that only sessions of this engine understand, but cheap."""

    def return_to(self, mark: Any) -> None:
        """Stand where the mark was made."""

    def not_finite(self) -> list[str]:
        """Return the names of weights and buffers that hold NaN or infinity."""

    def publish(self) -> None:
        """Let model and optimizer hold what has been learned so far, for whoever looks at them between steps."""

    def adopt(self) -> UnsupportedError | None:
        """Go on from what model and optimizer hold, if somebody has changed them; or return why that cannot be."""

    def close(self) -> None:
        """Let model and optimizer hold what has been learned, on the device where they were."""

    def learned(self) -> tuple[Network | None, Weights]:
        """Return, once closed, the model as a layer spec with arrays by name; or None and its state dict on the CPU."""


class Engine(Protocol[OwnTask]):
    """A way of running one kind of task.

    Attributes
    ----------
    name : str
    compiles : bool
        Whether preparing means capture and compilation, whose time a run reports.
    """

    name: str
    compiles: bool

    def refusal(self, task: OwnTask) -> UnsupportedError | None:
        """Return why this engine cannot run the task, or None if it can."""

    def output_of_a_row(self, task: OwnTask) -> tuple[int, ...] | None:
        """Return the shape of the model's output for one row, where the engine knows it without trying."""

    def prepare(self, task: OwnTask) -> Session:
        """Return a session at step 0, with model and rows on ``task.device``.

        Raises
        ------
        OutOfMemoryError
            If the task does not fit into memory in any way that keeps the mathematics.
        """
