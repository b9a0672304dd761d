"""The native engine: the whole run compiled to one function, on the CPU.

Model, loss and optimizer are captured as a program (``capture/``), compiled (``compiler/``) and run chunk by chunk.
While a session is open the weights live in its memory; ``publish`` and ``close`` put them into model and optimizer, so
that eager torch can go on from there; ``adopt`` takes them back, and captures again: only numbers may have changed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hotloop.capture import Captured, CapturedGroup, NotCaptured, capture, read_slots, write_slots
from hotloop.capture.model_parts import ModelParts
from hotloop.capture.optimizers import read_rule_again
from hotloop.compiler.code_size import check_code_size
from hotloop.compiler.compiled import CompiledProgram, Memory
from hotloop.compiler.layout import Layout
from hotloop.compiler.pipeline import compile_program
from hotloop.compiler.target import host_target
from hotloop.engines.compiled_steps import Batching, CompiledSteps, UpdateRule
from hotloop.engines.interface import FloatArray, State, Weights
from hotloop.engines.losses import RowLoss
from hotloop.engines.task import Task
from hotloop.engines.torch_state import clone, is_finite, learned
from hotloop.errors import UnsupportedError
from hotloop.program.network import Network

if TYPE_CHECKING:
    import torch

__all__ = ["NativeEngine", "NativeSession"]


# Above all labels that are not negative.
_ANY_LABEL = 1 << 63
_PLAIN = frozenset({bool, int, float, type(None)})


class NativeEngine:
    """Runs what can be captured."""

    name = "native"
    compiles = True

    def refusal(self, task: Task) -> UnsupportedError | None:
        """Return why the task cannot be compiled, or None; see :class:`hotloop.engines.interface.Engine`."""
        try:
            _captured(task)
        except UnsupportedError as error:
            return error
        return None

    def output_of_a_row(self, task: Task) -> tuple[int, ...]:
        """Return the shape of the model's output for one row; see :class:`hotloop.engines.interface.Engine`."""
        return (_captured(task).n_outputs,)

    def prepare(self, task: Task) -> NativeSession:
        """Return a session at step 0; see :class:`hotloop.engines.interface.Engine`."""
        captured = _captured(task)
        batching = _batching(task)
        lanes = host_target().lanes(captured.program.element)
        compiled = compile_program(captured.program, batching.shape(len(task.training), lanes))
        return NativeSession(task, captured, compiled, batching)


@dataclass(eq=False)
class _Mark:
    """Where a session stood: a copy of its memory, and what the optimizer was set to."""

    step: int
    memory: NDArray[Any]
    groups: list[CapturedGroup]
    adopted_at: int
    settings: list[dict[str, Any]]


class NativeSession:
    """A task under way in machine code; see :class:`hotloop.engines.interface.Session`.

    Parameters
    ----------
    task : Task
    captured : Captured
    compiled : CompiledProgram
    batching : Batching
    """

    def __init__(self, task: Task, captured: Captured, compiled: CompiledProgram, batching: Batching):
        self.step = 0
        self.notes: tuple[str, ...] = ()
        self._task, self._captured = task, captured
        self._groups = list(captured.groups)
        self._own = {id(parameter) for parameter in captured.weights.values()}
        parts = task.parts or ModelParts.of(task.model)
        others = [*parts.buffers, *(own for own in parts.parameters if id(own) not in self._own)]
        self._others_are_finite = all(map(is_finite, others))
        validation = None if task.validation is None else task.validation.arrays
        self._steps = CompiledSteps(compiled, captured.fixed, task.training.arrays, validation, batching)
        self._take()

    def advance(self, n_steps: int, lr_table: FloatArray | None) -> FloatArray:
        """Do the next steps; see :class:`hotloop.engines.interface.Session`."""
        if lr_table is None:
            rates = np.array([[float(group["lr"]) for group in self._task.optimizer.param_groups]])
        else:
            rates = lr_table
        losses = self._steps.advance(self.step, n_steps, self._rules(anew=lr_table is not None), rates)
        self.step += n_steps
        self._is_published = False
        # What torch's schedulers look at before they warn that they were stepped before the optimizer was.
        self._task.optimizer._opt_called = True  # type: ignore[attr-defined]
        if lr_table is not None:
            self._set_rates(lr_table[-1])
        return losses

    def evaluate(self) -> float:
        """Return the loss over the validation rows; see :class:`hotloop.engines.interface.Session`."""
        return self._steps.evaluate()

    def state(self, *, weights_only: bool = False) -> State:
        """Return a copy of where the session stands; see :class:`hotloop.engines.interface.Session`."""
        self.publish()
        weights = {name: clone(value) for name, value in self._task.model.state_dict().items()}
        optimizer = None if weights_only else clone(self._task.optimizer.state_dict())
        return State(self.step, weights, optimizer, {})

    def load_state(self, state: State) -> None:
        """Stand where ``state`` was taken; see :class:`hotloop.engines.interface.Session`."""
        self.publish()
        self.step = state.step
        self._task.model.load_state_dict(state.model)
        if state.optimizer is not None:
            self._task.optimizer.load_state_dict(clone(state.optimizer))
        self.adopt()

    @property
    def first_chunk(self) -> int:
        """Steps for a start; see :class:`hotloop.engines.interface.Session`."""
        return self._steps.first_chunk

    def mark(self) -> _Mark:
        """Return a copy of where the session stands; see :class:`hotloop.engines.interface.Session`."""
        settings = [_settings(group) for group in self._task.optimizer.param_groups]
        return _Mark(self.step, self._steps.memory.copy(), self._groups, self._adopted_at, settings)

    def return_to(self, mark: _Mark) -> None:
        """Stand where the mark was made; see :class:`hotloop.engines.interface.Session`."""
        self.step, self._groups, self._adopted_at = mark.step, mark.groups, mark.adopted_at
        self._steps.memory.restore(mark.memory)
        self._is_published = False
        for group, settings in zip(self._task.optimizer.param_groups, mark.settings, strict=True):
            for name, value in settings.items():
                _set(group, name, value)

    def not_finite(self) -> list[str]:
        """Return the names of weights and buffers that are not finite."""
        # Buffers do not change while compiled code runs, nor do weights that the program does not have.
        lost = {id(self._captured.weights[name]) for name in self._steps.not_finite()}
        if not lost and self._others_are_finite:
            return []
        values = self._task.model.state_dict(keep_vars=True).items()
        return [
            name for name, value in values if (id(value) in lost if id(value) in self._own else not is_finite(value))
        ]

    def publish(self) -> None:
        """Put weights and slots into model and optimizer; see :class:`hotloop.engines.interface.Session`."""
        import torch

        if self._is_published:
            return
        self._is_published = True
        memory, weights = self._steps.memory, self._captured.weights
        _give(memory, weights, self._pointers)
        for parameter in weights.values():
            # The gradients of the last step are not kept; older ones would be mistaken for them.
            parameter.grad = None
        # What autograd has saved of the former numbers must not be used.
        torch.autograd.graph.increment_version([each for each in weights.values() if each.requires_grad])
        for number, group in enumerate(self._groups):
            if not group.rule.slots:
                continue
            slots = {
                slot: np.concatenate([memory.slot(number, slot, name) for name in self._names(number)])
                for slot in group.rule.slots
            }
            write_slots(self._task.optimizer, group, slots, self.step - self._adopted_at)

    def adopt(self) -> UnsupportedError | None:
        """Take weights, slots and settings from model and optimizer; see :class:`hotloop.engines.interface.Session`."""
        try:
            captured = _capture(self._task, anew=True)
        except UnsupportedError as error:
            return error
        if not _is_same_program(captured, self._captured):
            return NotCaptured("what the model has become", "a callback changed more than numbers")
        self._captured, self._groups = captured, list(captured.groups)
        self._steps.read_again(captured.fixed)
        self._take()
        return None

    def _take(self) -> None:
        """Take weights and slots from model and optimizer."""
        memory = self._steps.memory
        self._pointers = _take(memory, self._captured.weights)
        self._adopted_at = self.step
        self._is_published = True
        for number, group in enumerate(self._groups):
            if not group.rule.slots:
                continue
            place = 0
            slots = read_slots(self._task.optimizer, group) if group.first_step else {}
            for name in self._names(number):
                size = memory.weight(name).size
                for slot in group.rule.slots:
                    memory.slot(number, slot, name)[:] = slots[slot][place : place + size] if slots else 0.0
                place += size

    def close(self) -> None:
        """Put weights and slots into model and optimizer; see :class:`hotloop.engines.interface.Session`."""
        self.publish()

    def learned(self) -> tuple[Network | None, Weights]:
        """Return what the model has become; see :class:`hotloop.engines.interface.Session`."""
        network = self._captured.network
        if network is None:
            return learned(self._task.model)
        return network, partial(_by_name, self._steps.memory.weights.copy(), self._steps.compiled.layout, network)

    def _names(self, number: int) -> tuple[str, ...]:
        return self._captured.program.updates[number].weights

    def _rules(self, *, anew: bool) -> list[UpdateRule]:
        """Return the rules of the program's updates; ``anew`` where a schedule may have changed more than rates."""
        rules = [read_rule_again(self._task.optimizer, group) if anew else group.rule for group in self._groups]
        return [
            UpdateRule(rule, group.group_index, group.first_step - self._adopted_at)
            for rule, group in zip(rules, self._groups, strict=True)
        ]

    def _set_rates(self, rates: NDArray[np.float64]) -> None:
        for group, rate in zip(self._task.optimizer.param_groups, rates.tolist(), strict=True):
            _set(group, "lr", rate)


# memmove that keeps the GIL: letting go of it for a copy wakes whichever thread waits for it.
_copy = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(
    ctypes.cast(ctypes.memmove, ctypes.c_void_p).value or 0
)


def _take(memory: Memory, weights: Mapping[str, torch.nn.Parameter]) -> dict[str, int]:
    """Copy parameters' numbers to the weights of their names; return where the parameters' memory is."""
    pointers, start, places = {}, memory.address, memory.compiled.weight_places
    for name, parameter in weights.items():
        place, n_bytes = places[name]
        pointers[name] = pointer = parameter.data_ptr()
        if parameter.is_contiguous():
            # NumPy's view of a tensor takes longer than copying a small one.
            _copy(start + place, pointer, n_bytes)
        else:
            memory.weight(name).reshape(parameter.shape)[...] = parameter.data.numpy()
    return pointers


def _give(memory: Memory, weights: Mapping[str, torch.nn.Parameter], pointers: Mapping[str, int]) -> None:
    """Copy weights' numbers to the parameters that are trained.

    A parameter that somebody has given other memory since it was taken is left alone: nobody knows of what it is now.
    """
    start, places = memory.address, memory.compiled.weight_places
    for name, parameter in weights.items():
        pointer = pointers[name]
        place, n_bytes = places[name]
        if not parameter.requires_grad or parameter.data_ptr() != pointer or parameter.nbytes != n_bytes:
            continue
        if parameter.is_contiguous():
            _copy(pointer, start + place, n_bytes)
        else:
            parameter.data.numpy()[...] = memory.weight(name).reshape(parameter.shape)


def _by_name(values: NDArray[Any], layout: Layout, network: Network) -> dict[str, NDArray[Any]]:
    """Return the parts of an array laid out like a program's weights, by the names that a network has for them."""
    own = zip(layout.sizes, network.parameter_shapes.items(), strict=True)
    return {name: layout.part(values, ours).reshape(shape) for ours, (name, shape) in own}


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    """Return copies of a parameter group's settings."""
    settings = group.copy()
    del settings["params"]
    if not _PLAIN.issuperset(map(type, settings.values())):
        for name, value in settings.items():
            if hasattr(value, "item"):
                settings[name] = value.item()
    return settings


def _set(group: dict[str, Any], name: str, value: Any) -> None:
    """Set a setting; a tensor stays the same tensor."""
    if hasattr(group[name], "fill_"):
        group[name].fill_(value)
    else:
        group[name] = value


def _is_same_program(one: Captured, other: Captured) -> bool:
    """Whether two captures are of the same computation over the same tensors."""
    tensors, others = ([id(parameter) for parameter in captured.weights.values()] for captured in (one, other))
    return tensors == others and one.program.text == other.program.text


def _captured(task: Task) -> Captured:
    """Return the task as a program; what is found out is kept with the task."""
    if "native" not in task.findings:
        try:
            task.findings["native"] = _capture(task)
            check_code_size(task.findings["native"].program)
        except UnsupportedError as error:
            task.findings["native"] = error
    found = task.findings["native"]
    if isinstance(found, UnsupportedError):
        raise found
    return found  # type: ignore[no-any-return]


def _capture(task: Task, *, anew: bool = False) -> Captured:
    """Return the task as a program; ``anew`` where callbacks may have changed what is known of it."""
    row_loss = RowLoss.of(task.loss) if anew else task.row_loss
    X, y = task.training.X, task.training.y
    # All parameters are on one device, the optimizer's among them.
    optimized = [parameter.is_cpu for group in task.optimizer.param_groups for parameter in group["params"]]
    if task.device != "cpu" or False in optimized:
        raise NotCaptured("this task", "compiled code runs on the CPU", 'use device="cpu"')
    if X.ndim != 2 or not X.dtype.is_floating_point:
        raise NotCaptured(f"X of shape {tuple(X.shape)}", "compiled code takes rows of real numbers", "flatten X")
    if task.validation is not None and (task.validation.y.dtype, task.validation.y.ndim) != (y.dtype, y.ndim):
        raise NotCaptured("y_val", "it holds targets of another kind than y", 'use engine="eager"')
    is_labels = not y.dtype.is_floating_point and y.ndim == 1
    ignored = -100 if row_loss is None else row_loss.ignore_index
    return capture(
        task.model,
        task.loss,
        task.optimizer,
        n_features=X.shape[1],
        target="labels" if is_labels else "numbers",
        has_row_weight=task.training.weight is not None,
        has_validation=task.validation is not None,
        ignores_labels=is_labels and _has_label(task, ignored, anew),
        clip_grad_norm=task.clip_grad_norm,
        parts=None if anew else task.parts,
        loss_parts=None if row_loss is None else row_loss.parts,
    )


def _has_label(task: Task, label: int, anew: bool) -> bool:
    """Whether some row has a label; ``anew`` where callbacks may have written others into the same memory."""
    every = [rows for rows in (task.training, task.validation) if rows is not None]
    if label < 0 and not anew and False not in [rows.has_labels_below(_ANY_LABEL) for rows in every]:
        return False
    return any(np.count_nonzero(rows.arrays.y == label) for rows in every)


def _batching(task: Task) -> Batching:
    return Batching(
        batch_size=task.batch_size,
        steps_per_epoch=task.steps_per_epoch,
        is_shuffled=task.shuffle,
        is_full=not task.shuffle and task.batch_size >= len(task.training),
        seed=task.seed,
    )
