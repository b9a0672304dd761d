"""A model tried out: recorded once each way, and both ways repeated."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hotloop.insight.call.describe import described_exception
from hotloop.insight.call.differences import copied
from hotloop.insight.call.instrument import instrumented
from hotloop.insight.call.recorder import Recorder
from hotloop.insight.call.timing import FEWEST_CALLS, silent, time_in_turn
from hotloop.insight.call.trace import Timing, Way
from hotloop.insight.monitoring.paused_clock import PausedClock
from hotloop.insight.preserve import can_be_preserved, preserved
from hotloop.language import _

if TYPE_CHECKING:
    import torch

__all__ = ["Trial"]

_MOST_SAMPLES = 300


class Trial:
    """A model and what it is called with."""

    def __init__(self, model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]):
        self._model, self._args, self._kwargs = model, args, kwargs

    def record(self, expression: str) -> tuple[Way, Any]:
        """Call the model once, and return what happened and what came out."""
        recorder = Recorder(_about(self._model), values=True)
        raised, output = None, None
        # What a lazy module makes in its first call cannot be unmade.
        keeping = preserved(self._model) if can_be_preserved(self._model) else contextlib.nullcontext()
        with keeping, instrumented(self._model, recorder):
            try:
                output = copied(self._way(expression)(*self._args, **self._kwargs))
            except Exception as error:
                raised = described_exception(error)
        return Way(expression, recorder.steps, raised), output

    def time(self, call: Way, forward: Way, measure_s: float) -> tuple[Timing | None, str | None, Way]:
        """Repeat both ways; return their times, why there are none, and the steps with their median times."""
        recorded = _RecordedCalls(self._model, self._args, self._kwargs, call)
        try:
            untimed = self._untimed(call, forward, measure_s)
            if untimed:
                return None, untimed, call
            with preserved(self._model), silent():
                timing = time_in_turn(
                    self._repeat("model(x)"),
                    self._repeat("model.forward(x)"),
                    recorded.repeat,
                    measure_s=measure_s,
                    clock=recorded.clock,
                )
        except Exception as error:
            return None, _("a repeated call raised {error}").format(error=described_exception(error)), call
        slow = _("measure_s was too short for it") if timing is None else None
        return timing, slow, _with_medians(call, recorded.samples)

    def _untimed(self, call: Way, forward: Way, measure_s: float) -> str | None:
        if not measure_s:
            return _("measure_s is 0")
        if call.raised or forward.raised:
            return _("the call raised an exception")
        took_s = sum(step.us for step in call.steps if not step.parent) / 1e6
        if took_s * FEWEST_CALLS > measure_s:
            # The first call may have been slow because it was the first.
            took_s = self._once_more_s()
        needed_s = took_s * FEWEST_CALLS
        if needed_s <= measure_s:
            return None
        return _("a call takes so long that measure_s = {needed:.2g} would be needed").format(needed=2 * needed_s)

    def _once_more_s(self) -> float:
        with preserved(self._model), silent():
            began_s = time.perf_counter()
            self._model(*self._args, **self._kwargs)
            return time.perf_counter() - began_s

    def _way(self, expression: str) -> Callable[..., Any]:
        return self._model if expression == "model(x)" else self._model.forward

    def _repeat(self, expression: str) -> Callable[[int], None]:
        model, args, kwargs = self._model, self._args, self._kwargs

        def call(n: int) -> None:
            for _time in range(n):
                model(*args, **kwargs)

        def forward(n: int) -> None:
            for _time in range(n):
                model.forward(*args, **kwargs)

        return call if expression == "model(x)" else forward


class _RecordedCalls:
    """Calls of a model while it is recorded; the clock stands still while recorders are put in and taken out."""

    def __init__(self, model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], once: Way):
        self.samples: list[list[tuple[float, float]]] = []
        self._model, self._args, self._kwargs = model, args, kwargs
        self._recorder, self._keys = Recorder(_about(model), values=False), _keys(once)
        self.clock = PausedClock()

    def repeat(self, n: int) -> None:
        """Call the model ``n`` times."""
        with contextlib.ExitStack() as stack:
            with self.clock.pause():
                stack.enter_context(instrumented(self._model, self._recorder))
            for _time in range(n):
                self._recorder.forget()
                self._model(*self._args, **self._kwargs)
            with self.clock.pause():
                stack.close()
                if len(self.samples) < _MOST_SAMPLES and self._recorder.keys == self._keys:
                    self.samples.append(self._recorder.times_us)


def _keys(way: Way) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(step.kind, step.module, step.hooks) for step in way.steps]


def _with_medians(way: Way, samples: list[list[tuple[float, float]]]) -> Way:
    if not samples:
        return way
    medians = np.median(np.array(samples), axis=0)
    steps = (
        replace(step, us=float(us), own_us=float(own_us)) for step, (us, own_us) in zip(way.steps, medians, strict=True)
    )
    return replace(way, steps=tuple(steps))


def _about(model: torch.nn.Module) -> Callable[[torch.nn.Module], dict[str, Any]]:
    """Return a function that tells of a module what a step shows about it."""
    paths = {id(module): path for path, module in model.named_modules()}
    known: dict[int, dict[str, Any]] = {}

    def about(module: torch.nn.Module) -> dict[str, Any]:
        if id(module) not in known:
            known[id(module)] = {
                "module": paths.get(id(module), "?"),
                "module_class": type(module).__name__,
                "parameters": _count(module.parameters()),
                "own_parameters": _count(module.parameters(recurse=False)),
                "device": _device(module),
            }
        return known[id(module)]

    return about


def _count(parameters: Iterable[torch.nn.Parameter]) -> int:
    from torch.nn.parameter import is_lazy

    return sum(parameter.numel() for parameter in parameters if not is_lazy(parameter))


def _device(module: torch.nn.Module) -> str | None:
    devices = {str(parameter.device) for parameter in module.parameters()}
    return devices.pop() if len(devices) == 1 else None
