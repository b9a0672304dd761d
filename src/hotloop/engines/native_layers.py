"""The native engine for layer specs: what ``hotloop train`` runs on the CPU. NumPy only, torch is not imported.

Weights and the optimizer's slots live in the session's memory. In a :class:`State` they are arrays by the names that
``torch.nn.Sequential`` would give them: ``model["0.weight"]``, ``optimizer["exp_avg"]["0.weight"]``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hotloop.capture.network import capture_network
from hotloop.compiler.code_size import check_code_size
from hotloop.compiler.compiled import CompiledProgram
from hotloop.compiler.pipeline import compile_program
from hotloop.compiler.target import host_target
from hotloop.engines.compiled_steps import Batching, CompiledSteps, UpdateRule
from hotloop.engines.interface import FloatArray, State
from hotloop.engines.layers_task import LayersTask
from hotloop.errors import OutOfMemoryError, UnsupportedError
from hotloop.program.network import Network
from hotloop.program.program import Program

__all__ = ["LayersSession", "NativeLayersEngine", "batching_of", "program_of"]

_Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class _Mark:
    """Where a session stood: a copy of its memory, and the learning rates it used."""

    step: int
    memory: NDArray[Any]
    rates: FloatArray


class NativeLayersEngine:
    """Runs layer specs."""

    name = "native"
    compiles = True

    def refusal(self, task: LayersTask) -> UnsupportedError | None:
        """Return why the task cannot be compiled, or None; see :class:`hotloop.engines.interface.Engine`."""
        try:
            check_code_size(program_of(task)[0])
            host_target()
        except UnsupportedError as error:
            return error
        return None

    def output_of_a_row(self, task: LayersTask) -> tuple[int, ...]:
        """Return the shape of the network's output for one row; see :class:`hotloop.engines.interface.Engine`."""
        return (task.network.n_outputs,)

    def prepare(self, task: LayersTask) -> LayersSession:
        """Return a session at step 0; see :class:`hotloop.engines.interface.Engine`."""
        program, fixed = program_of(task)
        batching = batching_of(task)
        lanes = host_target().lanes(program.element)
        compiled = compile_program(program, batching.shape(len(task.training), lanes))
        with contextlib.suppress(MemoryError):
            return LayersSession(task, compiled, fixed, batching)
        raise OutOfMemoryError(
            f"training a network {task.network} on {len(task.training):,} rows does not fit into memory",
            do="make the hidden layers narrower, or give a batch_size",
        )


class LayersSession:
    """A task under way in machine code; see :class:`hotloop.engines.interface.Session`.

    Parameters
    ----------
    task : LayersTask
    compiled : CompiledProgram
    fixed : mapping of arrays
    batching : Batching
    """

    def __init__(
        self, task: LayersTask, compiled: CompiledProgram, fixed: Mapping[str, NDArray[Any]], batching: Batching
    ):
        self.step = 0
        self.notes: tuple[str, ...] = ()
        self._network, self._shapes = task.network, task.network.parameter_shapes
        self._inputs = dict(zip(self._shapes, compiled.program.weight_names, strict=True))
        self._slots = compiled.program.updates[0].slots
        self._updates = [UpdateRule(task.rule, group_index=0, first_step=0)]
        self._rates = np.array([[task.learning_rate]])
        self._steps = CompiledSteps(compiled, fixed, task.training, task.validation, batching)
        self._put(self._steps.memory.weight, task.weights)

    def advance(self, n_steps: int, lr_table: FloatArray | None) -> FloatArray:
        """Do the next steps; see :class:`hotloop.engines.interface.Session`."""
        rates = self._rates if lr_table is None else lr_table
        losses = self._steps.advance(self.step, n_steps, self._updates, rates)
        self.step += n_steps
        self._rates = rates[-1:]
        return losses

    def evaluate(self) -> float:
        """Return the loss over the validation rows; see :class:`hotloop.engines.interface.Session`."""
        return self._steps.evaluate()

    def state(self, *, weights_only: bool = False) -> State:
        """Return a copy of where the session stands; see :class:`hotloop.engines.interface.Session`."""
        weights = self._copies(self._steps.memory.weight)
        if weights_only:
            return State(self.step, weights, None, {})
        return State(self.step, weights, {slot: self._copies(self._slot(slot)) for slot in self._slots}, {})

    def load_state(self, state: State) -> None:
        """Stand where ``state`` was taken; see :class:`hotloop.engines.interface.Session`."""
        self.step = state.step
        self._put(self._steps.memory.weight, state.model)
        for slot, kept in (state.optimizer or {}).items():
            self._put(self._slot(slot), kept)

    @property
    def first_chunk(self) -> int:
        """Steps for a start; see :class:`hotloop.engines.interface.Session`."""
        return self._steps.first_chunk

    def mark(self) -> _Mark:
        """Return a copy of where the session stands; see :class:`hotloop.engines.interface.Session`."""
        return _Mark(self.step, self._steps.memory.copy(), self._rates)

    def return_to(self, mark: _Mark) -> None:
        """Stand where the mark was made; see :class:`hotloop.engines.interface.Session`."""
        self.step, self._rates = mark.step, mark.rates
        self._steps.memory.restore(mark.memory)

    def not_finite(self) -> list[str]:
        """Return the names of weights that are not finite; see :class:`hotloop.engines.interface.Session`."""
        lost = self._steps.not_finite()
        return [name for name, own in self._inputs.items() if own in lost]

    def publish(self) -> None:
        """Do nothing: nobody looks at the weights between steps."""

    def adopt(self) -> None:
        """Return None: nobody changes the weights between steps."""

    def close(self) -> None:
        """Do nothing: nobody but the session holds the weights."""

    def learned(self) -> tuple[Network, _Arrays]:
        """Return the network and its weights; see :class:`hotloop.engines.interface.Session`."""
        return self._network, self._copies(self._steps.memory.weight)

    def _slot(self, slot: str) -> Callable[[str], NDArray[Any]]:
        return lambda name: self._steps.memory.slot(0, slot, name)

    def _copies(self, view: Callable[[str], NDArray[Any]]) -> _Arrays:
        """Return copies, under the network's names and in its shapes, of what ``view`` gives for the program's."""
        return {name: view(self._inputs[name]).reshape(shape).copy() for name, shape in self._shapes.items()}

    def _put(self, view: Callable[[str], NDArray[Any]], values: Mapping[str, NDArray[Any]]) -> None:
        for name, own in self._inputs.items():
            view(own)[:] = values[name].reshape(-1)


def program_of(task: LayersTask) -> tuple[Program, Mapping[str, NDArray[Any]]]:
    """Return the program of a task, and its inputs of role "fixed".

    Raises
    ------
    UnsupportedError
        If it cannot be captured.
    """
    return capture_network(
        task.network,
        task=task.output,
        class_weight=task.class_weight,
        rule=task.rule,
        has_validation=task.validation is not None,
    )


def batching_of(task: LayersTask) -> Batching:
    """Return how the task's epochs are cut into steps."""
    return Batching(
        batch_size=task.batch_size,
        steps_per_epoch=task.steps_per_epoch,
        is_shuffled=task.shuffle,
        is_full=not task.shuffle and task.batch_size >= len(task.training),
        seed=task.seed,
    )
