"""Steps of a compiled program over rows: what the native engine does, without torch.

::

    steps  = CompiledSteps(compiled, fixed, rows, validation, batching)
    losses = steps.advance(step, n_steps, groups, rates)
    loss   = steps.evaluate()
    steps.memory.weight("w0")[:] = ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hotloop.compiler.choose_tiles import RowsShape
from hotloop.compiler.compiled import CompiledProgram, Memory, Rows, address_of
from hotloop.engines.finite import all_finite
from hotloop.engines.interface import FloatArray
from hotloop.errors import OutOfMemoryError
from hotloop.hardware import free_memory_bytes
from hotloop.program.optimizers import OptimizerRule
from hotloop.program.random import row_order_keys, row_order_side

__all__ = ["Batching", "CompiledSteps", "UpdateRule"]

# What any machine reaches, and what a step takes besides its products.
_SURE_FLOP_PER_S = 4e9
_FLOP_OF_A_STEP = 2e4
_FIRST_CHUNK_S = 0.05
_SURELY_FREE_BYTES = 32e6
# Epochs whose permutation keys are computed at once: one call costs as much as some hundred epochs.
_EPOCHS_OF_KEYS = 512


@dataclass(eq=False)
class Batching:
    """How epochs are cut into steps.

    Parameters
    ----------
    batch_size : int
        Rows of a step.
    steps_per_epoch : int
    is_shuffled : bool
    is_full : bool
        Each step takes all rows, in order.
    seed : int
        Of the row order.
    """

    batch_size: int
    steps_per_epoch: int
    is_shuffled: bool
    is_full: bool
    seed: int

    def shape(self, n_rows: int, lanes: int) -> RowsShape:
        """Return what the compiler must know of it."""
        return RowsShape.of(n_rows, None if self.is_full else self.batch_size, lanes)


@dataclass(eq=False)
class UpdateRule:
    """An optimizer's rule for one of the program's updates.

    Parameters
    ----------
    rule : OptimizerRule
    group_index : int
        Column of the learning rates.
    first_step : int
        Updates done before step 0.
    """

    rule: OptimizerRule
    group_index: int
    first_step: int


class CompiledSteps:
    """A compiled program at work.

    Parameters
    ----------
    compiled : CompiledProgram
    fixed : mapping of arrays
    training : Rows
    validation : Rows, optional
    batching : Batching

    Raises
    ------
    OutOfMemoryError
        If what is to be held beside the rows does not fit into memory.
    """

    def __init__(
        self,
        compiled: CompiledProgram,
        fixed: Mapping[str, NDArray[Any]],
        training: Rows,
        validation: Rows | None,
        batching: Batching,
    ):
        self.compiled, self._batching = compiled, batching
        batch_rows = min(batching.batch_size, len(training))
        _check_memory(compiled, batch_rows)
        self.memory = Memory(compiled, fixed, batch_rows)
        self._dtype = self.memory.weights.dtype
        self._keys: NDArray[np.uint32] | None = None
        self._first_key_epoch = 0
        self._call = self.memory.arguments(
            training,
            batch_size=batching.batch_size,
            steps_per_epoch=batching.steps_per_epoch,
            side=row_order_side(len(training)),
        )
        self._validation = None if validation is None else self.memory.evaluation_arguments(validation)
        self._is_laid_out = False

    def advance(self, step: int, n_steps: int, updates: Sequence[UpdateRule], rates: FloatArray) -> FloatArray:
        """Do steps from 0-based ``step`` on.

        Parameters
        ----------
        step, n_steps : int
        updates : sequence of UpdateRule
            One for each of the program's updates.
        rates : float64 array of shape (epochs touched or 1, parameter groups)

        Returns
        -------
        float64 array of shape (n_steps,)
            The loss of each step, before its update.
        """
        first_epoch, step_of_epoch = divmod(step, self._batching.steps_per_epoch)
        last_epoch = (step + n_steps - 1) // self._batching.steps_per_epoch
        losses = np.empty(n_steps)
        scalars = self._scalars(step, n_steps, updates, rates)
        keys = self._keys_of(first_epoch, last_epoch)
        words = self._call.words
        words.keys = 0 if keys is None else address_of(keys)
        words.step_of_epoch, words.n_steps, words.n_gathered = step_of_epoch, n_steps, self._n_gathered(n_steps)
        words.scalars, words.scalars_stride = address_of(scalars), scalars.strides[0] if len(scalars) > 1 else 0
        words.losses = address_of(losses)
        self.compiled.run(self._call.address)
        self._is_laid_out = self._batching.is_full
        return losses

    def _n_gathered(self, n_steps: int) -> int:
        """Return how many of the next steps gather their rows: where each takes all, they stay where they are."""
        return int(not self._is_laid_out) if self._batching.is_full else n_steps

    @property
    def first_chunk(self) -> int:
        """Steps that surely take less than some hundredths of a second."""
        flop = 6.0 * self._batching.batch_size * self.compiled.layout.n_weights + _FLOP_OF_A_STEP
        return max(1, int(_FIRST_CHUNK_S * _SURE_FLOP_PER_S / flop))

    def not_finite(self) -> list[str]:
        """Return the names, in the program, of weights that hold NaN or infinity."""
        if all_finite(self.memory.weights):
            return []
        names = self.compiled.program.weight_names
        return [name for name in names if not all_finite(self.memory.weight(name))]

    def read_again(self, fixed: Mapping[str, NDArray[Any]]) -> None:
        """Take rows and fixed numbers as they are now."""
        self.memory.put_fixed(fixed)
        self._is_laid_out = False

    def evaluate(self) -> float:
        """Return the loss over the validation rows."""
        assert self._validation is not None, "evaluate() without validation rows"
        loss = np.empty(1)
        self._validation.words.losses = address_of(loss)
        self.compiled.evaluate(self._validation.address)
        return float(loss[0])

    def _scalars(self, step: int, n_steps: int, updates: Sequence[UpdateRule], rates: FloatArray) -> NDArray[Any]:
        """Return the scalars of each step, one row each, or a single row that holds for all steps."""
        if len(rates) == 1 and all(update.rule.is_steady(update.first_step + step) for update in updates):
            rate = rates[0].tolist()
            return _steady_scalars(tuple([(each.rule, rate[each.group_index]) for each in updates]), self._dtype)
        steps_per_epoch = self._batching.steps_per_epoch
        at = np.arange(step, step + n_steps, dtype=np.float64)
        epoch = at.astype(np.int64) // steps_per_epoch - step // steps_per_epoch
        rates = rates[np.minimum(epoch, len(rates) - 1)]
        columns: list[FloatArray] = []
        for update in updates:
            columns += update.rule.scalars(rates[:, update.group_index], at + update.first_step).values()
        return _rows_of(columns, self._dtype)

    def _keys_of(self, first_epoch: int, last_epoch: int) -> NDArray[np.uint32] | None:
        """Return the round keys from an epoch on, or None for rows in order."""
        if not self._batching.is_shuffled:
            return None
        first = self._first_key_epoch
        if self._keys is None or first_epoch < first or last_epoch >= first + len(self._keys):
            # One more: the loop moves on to the next epoch's keys before it ends.
            epochs = np.arange(first_epoch, max(last_epoch + 2, first_epoch + _EPOCHS_OF_KEYS))
            self._keys, self._first_key_epoch = row_order_keys(self._batching.seed, epochs), first_epoch
        return self._keys[first_epoch - self._first_key_epoch :]


@lru_cache(maxsize=64)
def _steady_scalars(rules: tuple[tuple[OptimizerRule, float], ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the one row of scalars of rules, each with its learning rate, that are the same at every step."""
    columns: list[FloatArray] = []
    for rule, rate in rules:
        columns += rule.scalars(np.array([rate]), np.array([np.inf])).values()
    return _rows_of(columns, dtype)


def _rows_of(columns: Sequence[FloatArray], dtype: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        return np.array(columns, dtype=dtype).T.copy()


def _check_memory(compiled: CompiledProgram, batch_rows: int) -> None:
    """Raise before memory is taken that is not there; training also copies weights and slots, twice at most."""
    need = Memory.size_bytes(compiled, batch_rows, n_copies=2)
    # Looking takes longer than many a run.
    free = free_memory_bytes("cpu") if need > _SURELY_FREE_BYTES else None
    if free is not None and need > free:
        raise OutOfMemoryError(
            f"training needs about {need / 1e9:,.1f} GB beside the rows",
            why=f"{free / 1e9:,.1f} GB are free",
            do="use a smaller batch_size or network",
        )
