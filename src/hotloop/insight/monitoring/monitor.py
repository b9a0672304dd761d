"""``hotloop.monitor``: gradient norms, activations and dead units, by real hooks, while a model trains."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hotloop.errors import ArgumentError
from hotloop.insight.monitoring.hooks import MonitorHooks
from hotloop.insight.monitoring.records import MonitorCost, MonitorRecord

if TYPE_CHECKING:
    import torch

    from hotloop.training.callbacks import Moment

__all__ = ["Monitor", "monitor"]

_MOST_RECORDS = 4096


def monitor(
    model: torch.nn.Module,
    *,
    every: int = 1,
    gradients: bool = True,
    activations: bool = True,
    dead_units: bool = True,
) -> Monitor:
    """Watch a model while it trains.

    Parameters
    ----------
    model : torch.nn.Module
        Gets its hooks now, and keeps them until :meth:`Monitor.remove` or the end of a ``with`` block.
    every : int
        As a callback of ``fit``: epochs between two records.
    gradients : bool
        Norms of the gradient of each parameter that is trained, before any clipping.
    activations : bool
        Mean, spread, bounds and share of zeros of what each module without modules inside gives out.
    dead_units : bool
        Which units of ReLU, ReLU6, Hardswish and Hardsigmoid layers never gave anything but 0.

    Returns
    -------
    Monitor

    Notes
    -----
    Hooks are Python that runs at each step, so that ``fit`` trains in eager torch while they are there;
    :meth:`Monitor.cost` measures what they add. Calls with gradients switched off, such as validation, do not count.
    What a forward does with functions, such as ``torch.relu``, is no module and is not seen.

    Examples
    --------
    >>> with hotloop.monitor(model, every=100) as watch:
    ...     hotloop.fit(model, X, y, ..., callbacks=[watch])
    >>> print(watch)
    """
    return Monitor(model, every=every, gradients=gradients, activations=activations, dead_units=dead_units)


class Monitor:
    """Records of how a model trains; see :func:`monitor`.

    Parameters
    ----------
    model, every, gradients, activations, dead_units
        As for :func:`monitor`.

    Attributes
    ----------
    every : int
        Epochs between two records.
    records : list of MonitorRecord
        Plain data. Where there would be more than 4,096, every other one is dropped, and from then on half as many are
        made.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        every: int = 1,
        gradients: bool = True,
        activations: bool = True,
        dead_units: bool = True,
    ):
        _check(model, every)
        self.every = every
        self.records: list[MonitorRecord] = []
        self._model = model
        self._stride, self._skipped = 1, 0
        self._what = (gradients, activations, dead_units)
        self._hooks: MonitorHooks | None = MonitorHooks(model, *self._what)
        self._hooks.attach()

    def __call__(self, moment: Moment) -> None:
        """Make a record, as a callback of ``fit``."""
        if moment.model is not self._model:
            raise ArgumentError("this monitor watches another model than the one that is trained")
        self.record(epoch=moment.epoch, loss=moment.loss)

    def record(self, *, epoch: int | None = None, loss: float | None = None) -> MonitorRecord | None:
        """Write down what was seen since the record before, in a training loop of one's own.

        Parameters
        ----------
        epoch : int, optional
        loss : float, optional

        Returns
        -------
        MonitorRecord or None
            None where records are thinned out, and this one is left to be part of the next.
        """
        if self._hooks is None:
            raise ArgumentError("this monitor has been removed from its model", do="make another one")
        self._skipped += 1
        if self._skipped < self._stride:
            return None
        self._skipped = 0
        record = MonitorRecord(epoch, None if loss is None else float(loss), *self._hooks.taken())
        self.records.append(record)
        if len(self.records) >= _MOST_RECORDS:
            self.records, self._stride = self.records[1::2], 2 * self._stride
        return record

    def remove(self) -> None:
        """Take the hooks off: the model is as it was before. Records stay."""
        if self._hooks is not None:
            self._hooks.remove()
            self._hooks = None

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Make a last record of what was seen since the record before, and remove the hooks."""
        seen = self._hooks.taken() if self._hooks is not None else ()
        if any(seen):
            self.records.append(MonitorRecord(None, None, *seen))
        self.remove()

    def cost(self, x: Any, y: Any, loss: Callable[[Any, Any], torch.Tensor], *, seconds: float = 1.0) -> MonitorCost:
        """Measure what monitoring adds to a step, by steps with and without it in turn.

        Parameters
        ----------
        x, y : tensors or arrays
            A batch as the model and the loss take it; arrays are converted as in :func:`hotloop.fit`.
        loss : callable
            Of the model's output and ``y``.
        seconds : float
            How long to measure.

        Returns
        -------
        MonitorCost
            Figures with 95 % intervals. The model is left as it was.

        Raises
        ------
        ArgumentError
            If a step cannot be done with this batch, or ``seconds`` do not suffice for five blocks of steps.

        Notes
        -----
        A step is forward, loss, zero_grad and backward; the optimizer, which no monitor slows down, is left out. Both
        kinds of step run in eager torch: that a model without hooks may train in compiled code is not counted.
        """
        from hotloop.insight.monitoring.cost import measure_cost

        if self._hooks is not None:
            self._hooks.remove()
        try:
            return measure_cost(self._model, MonitorHooks(self._model, *self._what), (x, y, loss), seconds)
        finally:
            if self._hooks is not None:
                self._hooks.attach()

    def to_json(self) -> dict[str, Any]:
        """Return the records as JSON objects, arrays, strings, numbers and nulls."""
        return {"every": self.every, "records": [record.to_json() for record in self.records]}

    def __str__(self) -> str:
        from hotloop.insight.monitoring.text import as_text

        return as_text(self.records)

    def __repr__(self) -> str:
        return f"<Monitor of {type(self._model).__name__}, {len(self.records)} records>"


def _check(model: object, every: object) -> None:
    import torch

    if not isinstance(model, torch.nn.Module):
        raise ArgumentError(f"the model must be a torch.nn.Module, not {type(model).__name__}")
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise ArgumentError(f"every is {every!r}; it must be a whole number from 1 on", do="write every=100")
