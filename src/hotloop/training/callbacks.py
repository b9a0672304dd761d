"""Functions of the user's that run at declared epochs during training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotloop.errors import ArgumentError

if TYPE_CHECKING:
    import torch

__all__ = ["Moment", "callback"]


@dataclass(frozen=True, eq=False)
class Moment:
    """What a callback is given: where training stands at the end of an epoch.

    Parameters
    ----------
    epoch : int
        Epochs completed (1-based).
    loss : float
        The loss of this epoch, as a record would hold it.
    validation_loss : float or None
        The latest validation loss, where there is one.
    model, optimizer
        Those given to ``fit``; a callback may read and change them. Compiled training leaves no gradients in them, and
        where more is changed than numbers, such as layers, hooks or what is trained, training goes on in eager torch.
        None where there are none, in ``hotloop train``.
    """

    epoch: int
    loss: float
    validation_loss: float | None
    model: torch.nn.Module
    optimizer: torch.optim.Optimizer


def callback(every: int = 1) -> Callable[[Callable[[Moment], Any]], Callable[[Moment], Any]]:
    """Declare after which epochs a function runs: ``every``, twice ``every``, and so on.

    A function without this declaration runs after each epoch. Engines compute the epochs between two callbacks in
    one go, so a rarely called function costs little.

    Examples
    --------
    >>> @hotloop.callback(every=1000)
    ... def show(moment):
    ...     print(moment.epoch, moment.loss)
    >>> hotloop.fit(..., callbacks=[show])
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise ArgumentError(f"every is {every!r}; it must be a whole number from 1 on", do="write @callback(every=100)")

    return lambda function: _Declared(function, every)


@dataclass(frozen=True)
class _Declared:
    """A function with its interval; methods and partials, which take no attributes, included."""

    function: Callable[[Moment], Any]
    every: int

    def __call__(self, moment: Moment) -> Any:
        return self.function(moment)
