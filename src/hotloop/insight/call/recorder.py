"""The steps of a call as they happen: a stack of those under way, and times without the recorder's own work."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hotloop.insight.call.describe import describe_arguments, describe_values, described_exception
from hotloop.insight.call.trace import Step

if TYPE_CHECKING:
    import torch

__all__ = ["Recorder"]

Clock = Callable[[], int]

_CALLS = frozenset({"call", "compiled call", "forward"})
_HOOKS = frozenset({"global pre-hook", "pre-hook", "global forward hook", "forward hook"})


class _Open:
    """A step that may not have ended; becomes a :class:`Step` only when asked for, since making one takes long."""

    __slots__ = (
        "away_ns",
        "began_ns",
        "depth",
        "facts",
        "handled",
        "kind",
        "module",
        "order",
        "parent",
        "us",
        "within_us",
    )

    def __init__(self, kind: str, module: torch.nn.Module, order: int, around: _Open | None, facts: dict[str, Any]):
        self.kind, self.module, self.order, self.facts = kind, module, order, facts
        self.parent = around.order if around else 0
        self.depth: int = around.depth + 1 if around else 0
        self.handled = sys.exception()
        self.began_ns = self.away_ns = 0
        self.us = self.within_us = 0.0
        if kind == "forward":
            facts["direct"] = not (around and around.module is module and around.kind == "call")
        elif kind in _HOOKS:
            facts["after_exception"] = around is not None and self.handled is not around.handled

    @property
    def own_us(self) -> float:
        return max(self.us - self.within_us, 0.0)


class Recorder:
    """Runs steps and keeps what they did.

    Parameters
    ----------
    about : callable
        From a module to the fields of a :class:`Step` that tell about it.
    values : bool
        Whether to describe inputs and outputs, which takes longer than most steps.
    clock : callable, optional
        Nanoseconds.

    Notes
    -----
    Steps in other threads than the one that made the recorder run unrecorded.
    """

    def __init__(
        self, about: Callable[[torch.nn.Module], dict[str, Any]], *, values: bool, clock: Clock = time.perf_counter_ns
    ):
        self.clock = clock
        self._about, self._values = about, values
        self._thread = threading.get_ident()
        self._steps: list[_Open] = []
        self._stack: list[_Open] = []
        self._away_ns = self._arrived_ns = self._ended_ns = 0

    @property
    def listens(self) -> bool:
        """Whether this thread is the one that is recorded."""
        return threading.get_ident() == self._thread

    @property
    def steps(self) -> tuple[Step, ...]:
        """What has happened so far, in the order of the beginnings."""
        return tuple(
            Step(
                order=done.order,
                parent=done.parent,
                depth=done.depth,
                kind=done.kind,
                us=done.us,
                own_us=done.own_us,
                **self._about(done.module),
                **done.facts,
            )
            for done in self._steps
        )

    @property
    def times_us(self) -> list[tuple[float, float]]:
        """Time of each step, with and without the steps within it."""
        return [(done.us, done.own_us) for done in self._steps]

    @property
    def keys(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """What tells steps of two recordings apart."""
        return [(done.kind, self._about(done.module)["module"], done.facts.get("hooks", ())) for done in self._steps]

    def forget(self) -> None:
        """Begin anew."""
        self._steps.clear()

    def amend(self, **facts: Any) -> None:
        """Add what became known of the latest step."""
        self._steps[-1].facts.update(facts)

    def around(self, arrived_ns: int, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do what ends in :meth:`run`; what it takes besides the step itself is charged to no step."""
        self._arrived_ns = arrived_ns
        try:
            return run(*args, **kwargs)
        finally:
            self._away_ns += self.clock() - self._ended_ns

    def note(self, kind: str, module: torch.nn.Module, **facts: Any) -> None:
        """Record something that takes no time worth a figure."""
        began_ns = self.clock()
        self._open(kind, module, facts)
        self._away_ns += self.clock() - began_ns

    def run(
        self,
        kind: str,
        module: torch.nn.Module,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        **facts: Any,
    ) -> Any:
        """Run a step, within :meth:`around`, and return what it returns.

        Parameters
        ----------
        facts
            Further fields of the :class:`Step`.
        """
        arrived_ns = self._arrived_ns
        if self._values and kind in _CALLS:
            facts["inputs"] = describe_arguments(args, kwargs)
        opened = self._open(kind, module, facts)
        self._stack.append(opened)
        opened.began_ns = self.clock()
        self._away_ns += opened.began_ns - arrived_ns
        opened.away_ns = self._away_ns
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            self._end(opened)
            facts["raised"] = described_exception(error)
            raise
        self._end(opened)
        replaced = kind in _HOOKS and result is not None
        if replaced:
            facts["replaced"] = True
        if self._values and (kind in _CALLS or replaced):
            facts["outputs"] = describe_values(result)
        return result

    def _open(self, kind: str, module: torch.nn.Module, facts: dict[str, Any]) -> _Open:
        opened = _Open(kind, module, len(self._steps) + 1, self._stack[-1] if self._stack else None, facts)
        self._steps.append(opened)
        return opened

    def _end(self, opened: _Open) -> None:
        self._ended_ns = self.clock()
        self._stack.pop()
        opened.us = (self._ended_ns - opened.began_ns - (self._away_ns - opened.away_ns)) / 1e3
        if self._stack:
            self._stack[-1].within_us += opened.us
