"""``hotloop.trace_call``: what one call of a model does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hotloop.errors import ArgumentError
from hotloop.insight.call.differences import differences
from hotloop.insight.call.trace import CallTrace
from hotloop.insight.call.trial import Trial

if TYPE_CHECKING:
    import torch

__all__ = ["trace_call"]


def trace_call(model: torch.nn.Module, /, *args: Any, measure_s: float = 0.5, **kwargs: Any) -> CallTrace:
    """Record every step of ``model(*args, **kwargs)``, and of ``model.forward(*args, **kwargs)`` beside it.

    The real call runs, with recorders in the place of the hooks and methods that it meets. A call that raises is
    recorded up to its end; the trace then holds the exception.

    Parameters
    ----------
    model : torch.nn.Module
        Taken as it is: in the mode, on the device and with the hooks that it has.
    args, kwargs
        What to call it with.
    measure_s : float
        How long to repeat the two ways in turn, after recording each once; 0 leaves that out. The times of the steps
        are then medians over the repeated calls. Hooks run each time, and what they print is dropped.

    Returns
    -------
    CallTrace
        Plain data; ``print`` shows it.

    Notes
    -----
    The model is left as it was before: numbers in parameters, buffers such as the statistics of batch normalisation,
    gradients, attributes, hooks, training modes and the random generators. What your own code does outside the model
    stays, such as numbers that a hook appends to a list. A model whose parameters are made by its first call is left as
    one call leaves it.

    Modules that are not registered in the model, in a Python list for instance, are not seen. On a GPU, times are those
    until the call returns, not until the GPU has finished.
    """
    _check(model, measure_s)
    trial = Trial(model, args, kwargs)
    call, output = trial.record("model(x)")
    forward, forward_output = trial.record("model.forward(x)")
    raised = call.raised is not None or forward.raised is not None
    timing, untimed, call = trial.time(call, forward, measure_s)
    import torch

    return CallTrace(
        model=type(model).__name__,
        training=model.training,
        gradients=torch.is_grad_enabled(),
        call=call,
        forward=forward,
        differences=differences(model, call, forward, None if raised else (output, forward_output)),
        timing=timing,
        untimed=untimed,
        torch_version=str(torch.__version__),
    )


def _check(model: object, measure_s: float) -> None:
    import torch

    if not isinstance(model, torch.nn.Module):
        kind = "the class itself; give an instance of it" if isinstance(model, type) else type(model).__name__
        raise ArgumentError(f"the model must be a torch.nn.Module, not {kind}")
    if isinstance(measure_s, bool) or not isinstance(measure_s, int | float) or not 0 <= measure_s < math.inf:
        raise ArgumentError(f"measure_s is {measure_s!r}; it must be a number of seconds, or 0")
