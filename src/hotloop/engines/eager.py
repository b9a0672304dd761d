"""The reference engine: runs the module itself, step by step, as the loop one would write by hand.

::

    for each step:
        output = model(X)                # never model.forward: hooks always run
        loss = criterion(output, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Everything later is checked and measured against it. What it adds to the hand-written loop costs nothing: rows are
sliced on the device instead of going through a DataLoader; on an accelerator losses stay there and are read back once
per :meth:`EagerSession.advance`; a step that does not fit into memory is done in slices whose gradients add up.
"""

from __future__ import annotations

import gc
import inspect
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from hotloop.engines.dropout import DropoutMasks
from hotloop.engines.interface import FloatArray, State
from hotloop.engines.losses import RowLoss
from hotloop.engines.memory import (
    cannot_slice,
    empty_cache,
    evaluated_at_once,
    explained,
    fit_into_memory,
    is_out_of_memory,
)
from hotloop.engines.task import Rows, Task
from hotloop.engines.threads import torch_threads
from hotloop.engines.torch_state import clone, generators, is_finite, learned, loss_on, move, restore_generators
from hotloop.errors import OutOfMemoryError, UnsupportedError
from hotloop.program.network import Network
from hotloop.program.random import RowOrders
from hotloop.sentence import Sentence

if TYPE_CHECKING:
    import torch

    _Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]

__all__ = ["EagerEngine", "EagerSession", "needs_closure"]


class EagerEngine:
    """Runs whatever torch runs."""

    name = "eager"
    compiles = False

    def refusal(self, task: Task) -> None:
        """Return None: there is no task that eager cannot run."""

    def output_of_a_row(self, task: Task) -> None:
        """Return None: the probe tells."""

    def prepare(self, task: Task) -> EagerSession:
        """Return a session at step 0; see :class:`hotloop.engines.interface.Engine`."""
        slices = fit_into_memory(task)
        home = next(task.model.parameters()).device
        try:
            return EagerSession(task, slices)
        except Exception as error:
            move(task, home)
            if not is_out_of_memory(error):
                raise
        raise OutOfMemoryError(
            f"rows and weights do not fit into the memory of {task.device}", do='use device="cpu", or fewer rows'
        )


class EagerSession:
    """A task under way in eager torch; see :class:`hotloop.engines.interface.Session`.

    Parameters
    ----------
    task : Task
    slices : int
        Parts in which each step is done; 1 unless memory is short.
    """

    def __init__(self, task: Task, slices: int = 1):
        import torch

        self.step = 0
        self.first_chunk = 1
        self.notes: tuple[str, ...] = ()
        self._task = task
        self._home = next(task.model.parameters()).device
        move(task, task.device)
        self._training = task.training.to(task.device)
        self._validation = task.validation and task.validation.to(task.device)
        self._on_cpu = torch.device(task.device).type == "cpu"
        self._criterion = loss_on(task.loss, task.device)
        self._row_loss = RowLoss.of(self._criterion)
        self._needs_closure = needs_closure(task.optimizer)
        self._parameters = [p for group in task.optimizer.param_groups for p in group["params"]]
        self._clip_grad_norm = torch.nn.utils.clip_grad_norm_
        self._is_full_batch = task.batch_size >= len(task.training) and not task.shuffle
        self._orders = RowOrders(len(task.training), task.seed)
        self._order: torch.Tensor | None = None
        self._order_epoch = -1
        self._slices = 1
        self._evaluated_at_once = evaluated_at_once(task)
        if slices > 1:
            self._use_slices(slices)
        self._dropout = DropoutMasks(task.model, task.seed)

    def advance(self, n_steps: int, lr_table: FloatArray | None) -> FloatArray:
        """Do the next steps; see :class:`hotloop.engines.interface.Session`."""
        import torch

        kept: list[Any] = []
        # Steps are sliced where their activations are too many; what slices cannot make smaller ends here.
        room = explained("what a training step needs besides its activations", self._task.device)
        with room, torch_threads(self._task.threads), self._dropout:
            for X, y, weight in self._batches(n_steps, lr_table):
                loss = self._update(X, y, weight)
                kept.append(loss.item() if self._on_cpu else loss.detach().reshape(()))
                self.step += 1
                # The next batch is gathered before these names are bound to it: there must not be two at a time.
                del X, y, weight
        if not self._on_cpu:
            kept = torch.stack(kept).tolist()
        return np.array(kept, dtype=np.float64)

    def evaluate(self) -> float:
        """Return the loss over the validation rows; see :class:`hotloop.engines.interface.Session`."""
        import torch

        rows, model = self._validation, self._task.model
        assert rows is not None, "evaluate() without validation rows"
        modes = [(module, module.training) for module in model.modules()]
        with torch_threads(self._task.threads), torch.no_grad():
            model.eval()
            try:
                return self._evaluate(rows)
            finally:
                for module, training in modes:
                    module.training = training

    def state(self, *, weights_only: bool = False) -> State:
        """Return a copy of where the session stands; see :class:`hotloop.engines.interface.Session`."""
        with explained("a copy of the weights", self._task.device):
            return self._state(weights_only)

    def _state(self, weights_only: bool) -> State:
        weights = {name: clone(value) for name, value in self._task.model.state_dict().items()}
        if weights_only:
            return State(self.step, weights, None, {})
        return State(self.step, weights, clone(self._task.optimizer.state_dict()), generators(self._task.device))

    def load_state(self, state: State) -> None:
        """Stand where ``state`` was taken; see :class:`hotloop.engines.interface.Session`."""
        self.step = state.step
        with explained("a copy of the weights", self._task.device):
            self._task.model.load_state_dict(state.model)
            if state.optimizer is not None:
                self._task.optimizer.load_state_dict(clone(state.optimizer))
        restore_generators(state.generators)

    def mark(self) -> State:
        """Return the state; see :class:`hotloop.engines.interface.Session`."""
        return self.state()

    def return_to(self, mark: State) -> None:
        """Stand where the mark was made; see :class:`hotloop.engines.interface.Session`."""
        self.load_state(mark)

    def not_finite(self) -> list[str]:
        """Return the names of what is not finite; see :class:`hotloop.engines.interface.Session`."""
        return [name for name, value in self._task.model.state_dict().items() if not is_finite(value)]

    def publish(self) -> None:
        """Do nothing: model and optimizer are what is trained."""

    def adopt(self) -> UnsupportedError | None:
        """Do nothing: model and optimizer are what is trained."""
        return None

    def close(self) -> None:
        """Put model and optimizer state back where they were; see :class:`hotloop.engines.interface.Session`."""
        move(self._task, self._home)

    def learned(self) -> tuple[Network | None, dict[str, Any]]:
        """Return what the model has become; see :class:`hotloop.engines.interface.Session`."""
        return learned(self._task.model)

    def _batches(self, n_steps: int, lr_table: FloatArray | None) -> Iterator[_Batch]:
        """Yield the rows of the next steps, with each epoch's learning rates set before its first."""
        first_epoch = self.step // self._task.steps_per_epoch
        last = self.step + n_steps
        while self.step < last:
            epoch, step_of_epoch = divmod(self.step, self._task.steps_per_epoch)
            if lr_table is not None:
                self._set_learning_rates(lr_table[epoch - first_epoch])
            elif self._is_full_batch:
                # Nothing tells one epoch from the next: no need to come back here between them.
                yield from itertools.repeat(self._training.all, last - self.step)
                return
            yield from self._batches_of(epoch, range(step_of_epoch, step_of_epoch + last - self.step))

    def _batches_of(self, epoch: int, steps: range) -> Iterator[_Batch]:
        rows, task = self._training, self._task
        if self._is_full_batch:
            yield rows.all
            return
        order = self._row_order(epoch)
        for index in steps[: task.steps_per_epoch - steps.start]:
            start, stop = task.epoch.batch(index)
            if order is None:
                chosen = slice(start, stop)
                yield rows.X[chosen], rows.y[chosen], None if rows.weight is None else rows.weight[chosen]
            else:
                at = order[start:stop]
                weight = None if rows.weight is None else rows.weight.index_select(0, at)
                yield rows.X.index_select(0, at), rows.y.index_select(0, at), weight

    def _row_order(self, epoch: int) -> torch.Tensor | None:
        import torch

        if not self._task.shuffle:
            return None
        if self._order_epoch != epoch:
            order = torch.from_numpy(self._orders.of(epoch))
            self._order, self._order_epoch = order.to(self._task.device), epoch
        return self._order

    def _update(self, X: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """Change the weights once; return the loss before."""
        optimizer = self._task.optimizer
        if self._needs_closure:
            # torch's annotation says float, but what comes back is what the closure returned first.
            return optimizer.step(lambda: self._gradients(X, y, weight))  # type: ignore[arg-type, return-value]
        loss = self._gradients(X, y, weight)
        optimizer.step()
        return loss

    def _gradients(self, X: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """Leave the gradients of this step's loss in the parameters; return the loss."""
        while True:
            try:
                loss = self._backward(X, y, weight)
                break
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            # Only here, outside the except block, does the traceback let go of the tensors.
            self._recover_memory(len(X))
        if self._task.clip_grad_norm is not None:
            self._clip_grad_norm(self._parameters, self._task.clip_grad_norm)
        return loss

    def _backward(self, X: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        if self._slices > 1:
            return self._backward_in_slices(X, y, weight)
        self._dropout.start_step(self.step)
        loss = self._loss(self._task.model(X), y, weight)
        self._task.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    def _backward_in_slices(self, X: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        assert self._row_loss is not None, "slices need a loss that can be taken apart"
        rows_each = -(-len(X) // self._slices)
        self._task.optimizer.zero_grad()
        whole: torch.Tensor | float = 0.0
        normaliser: torch.Tensor | float | None = None
        for start in range(0, len(X), rows_each):
            part = slice(start, start + rows_each)
            self._dropout.start_step(self.step, first_row=start)
            output = self._task.model(X[part])
            if normaliser is None:
                shape_of_all = output.detach()[:1].expand(len(X), *output.shape[1:])
                normaliser = self._row_loss.normaliser(shape_of_all, y, weight)
            loss = self._row_loss.total(output, y[part], None if weight is None else weight[part]) / normaliser
            loss.backward()  # type: ignore[no-untyped-call]
            whole = whole + loss.detach()
        return whole  # type: ignore[return-value]

    def _loss(self, output: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        if weight is None:
            return self._criterion(output, y)  # type: ignore[no-any-return]
        assert self._row_loss is not None, "sample weights need a loss that can be taken apart"
        return self._row_loss(output, y, weight)

    def _evaluate(self, rows: Rows) -> float:
        while True:
            at_once = min(self._evaluated_at_once, len(rows))
            try:
                if at_once == len(rows) or self._row_loss is None:
                    return float(self._loss(self._task.model(rows.X), rows.y, rows.weight))
                return float(self._evaluate_in_slices(rows, self._row_loss, at_once))
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            empty_cache(self._task.device)
            reason = cannot_slice(self._task, training=False)
            if at_once == 1 or reason:
                raise OutOfMemoryError(
                    f"{len(rows)} validation rows do not fit into the memory of {self._task.device}",
                    why=reason or "not even one row at a time fits",
                    do="use fewer validation rows" + ("" if self._on_cpu else ', or device="cpu"'),
                )
            self._evaluated_at_once = -(-at_once // 2)

    def _evaluate_in_slices(self, rows: Rows, row_loss: RowLoss, at_once: int) -> torch.Tensor | float:
        total: torch.Tensor | float = 0.0
        for start in range(0, len(rows), at_once):
            part = slice(start, start + at_once)
            output = self._task.model(rows.X[part])
            if start == 0:
                shape_of_all = output[:1].expand(len(rows), *output.shape[1:])
                normaliser = row_loss.normaliser(shape_of_all, rows.y, rows.weight)
            total += row_loss.total(output, rows.y[part], None if rows.weight is None else rows.weight[part])
        return total / normaliser

    def _set_learning_rates(self, rates: FloatArray) -> None:
        import torch

        for group, rate in zip(self._task.optimizer.param_groups, rates.tolist(), strict=True):
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _recover_memory(self, n_rows: int) -> None:
        """Free what can be freed and halve the rows done at once; raise when that would change the mathematics."""
        self._task.optimizer.zero_grad()
        gc.collect()
        empty_cache(self._task.device)
        reason = cannot_slice(self._task)
        if self._slices >= n_rows or reason:
            raise OutOfMemoryError(
                f"a training step of {n_rows} rows does not fit into the memory of {self._task.device}",
                why=reason or "not even one row at a time fits",
                do='use a smaller batch_size or network, or device="cpu"',
            )
        self._use_slices(min(self._slices * 2, n_rows))

    def _use_slices(self, slices: int) -> None:
        self._slices = slices
        self.notes = (
            Sentence("memory is short: each step is done in {n} slices of its rows, with the same result", n=slices),
        )


def needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the optimizer evaluates the loss itself, like LBFGS."""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty
