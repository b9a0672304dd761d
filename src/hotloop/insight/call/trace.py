"""One call of a model as plain data: pages draw it, JSON holds it, tests read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hotloop.insight.interval import Interval

__all__ = ["CallTrace", "Difference", "Step", "Timing", "Value", "Way"]


@dataclass(frozen=True)
class Value:
    """Something that goes into a step or comes out of it.

    Parameters
    ----------
    name : str
        Where it stands: "x", "args[0]", "output", "output['logits']".
    type : str
        Its class.
    shape : tuple of int, or None
        None for what is no tensor, as are the next two.
    dtype, device : str or None
    """

    name: str
    type: str
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    device: str | None = None


@dataclass(frozen=True)
class Step:
    """One thing that a call did.

    Parameters
    ----------
    order : int
        When it began, counted from 1.
    parent : int
        ``order`` of the step within which it happened; 0 at the top.
    depth : int
        Steps that it happened within.
    kind : str
        "call", "compiled call", "collect backward pre-hooks", "collect backward hooks", "global pre-hook", "pre-hook",
        "backward input set-up", "forward", "global forward hook", "forward hook", "backward output set-up" or
        "legacy backward hook".
    module : str
        Path of the module, "" for the model itself.
    module_class : str
    hooks : tuple of str
        The hook that ran, or the backward hooks that were collected or set up, by the names of their functions.
    where : str or None
        File and line of the hook that ran.
    inputs, outputs : tuple of Value
        Empty for steps that take or give no values of the model's.
    replaced : bool
        Whether a hook gave something back, which then took the place of the arguments or of the output.
    always_call : bool
        Whether it is a hook that runs upon an exception too.
    after_exception : bool
        Whether it ran because of one.
    attached : bool
        False for a backward set-up that found nothing that needs a gradient: without inputs that do, full backward
        hooks fire with the gradient of the output alone; without outputs that do, never.
    direct : bool
        Whether a forward was called as ``module.forward(...)``, past ``__call__``.
    raised : str or None
        The exception that it ended in.
    parameters, own_parameters : int
        Numbers in the parameters of the module with its children, and without.
    device : str or None
        Of the module's parameters; None where there are none, or several.
    us : float
        From its beginning to its end.
    own_us : float
        The same without the steps within it.
    """

    order: int
    parent: int
    depth: int
    kind: str
    module: str
    module_class: str
    hooks: tuple[str, ...] = ()
    where: str | None = None
    inputs: tuple[Value, ...] = ()
    outputs: tuple[Value, ...] = ()
    replaced: bool = False
    always_call: bool = False
    after_exception: bool = False
    attached: bool = True
    direct: bool = False
    raised: str | None = None
    parameters: int = 0
    own_parameters: int = 0
    device: str | None = None
    us: float = 0.0
    own_us: float = 0.0


@dataclass(frozen=True)
class Way:
    """One way to call a model, and what it did.

    Parameters
    ----------
    expression : str
        "model(x)" or "model.forward(x)".
    steps : tuple of Step
        In the order in which they began.
    raised : str or None
        The exception that the call ended in.
    """

    expression: str
    steps: tuple[Step, ...]
    raised: str | None = None


@dataclass(frozen=True)
class Difference:
    """What differs, or does not, between ``model(x)`` and ``model.forward(x)``, in a sentence about this model.

    Parameters
    ----------
    key : str
        "pre-hooks", "forward hooks", "hooks", "backward hooks", "legacy backward hooks", "global hooks", "compiled",
        "nothing", "output", "children", "direct", "tensor hooks", "shared", "own call" or "unseen".
    lost : bool
        Whether ``model.forward(x)`` leaves it out.
    sentence : str
        In the reader's language.
    """

    key: str
    lost: bool
    sentence: str


@dataclass(frozen=True)
class Timing:
    """``model(x)``, ``model.forward(x)`` and the recorded ``model(x)``, called in turn.

    Parameters
    ----------
    call_ns, forward_ns : Interval
        Nanoseconds a call.
    difference_ns : Interval
        What ``model(x)`` takes longer, from the differences within the blocks.
    observer_ns : Interval
        What recording adds to ``model(x)``; the times of the steps are free of most of it.
    restless : bool
        Whether ``model(x)`` differed from itself, so that nothing can be concluded from this timing.
    blocks : int
        Each holds all three, in random order.
    calls : int
        Of ``model(x)``, over all blocks.
    """

    call_ns: Interval
    forward_ns: Interval
    difference_ns: Interval
    observer_ns: Interval
    restless: bool
    blocks: int
    calls: int


@dataclass(frozen=True)
class CallTrace:
    """Everything that one call of a model did, and what ``model.forward(x)`` would have left out.

    Parameters
    ----------
    model : str
        Class of the model.
    training : bool
        Whether it was in training mode.
    gradients : bool
        Whether gradients were switched on.
    call, forward : Way
    differences : tuple of Difference
    timing : Timing or None
        None where nothing was measured: ``untimed`` says why.
    untimed : str or None
    torch_version : str
    """

    model: str
    training: bool
    gradients: bool
    call: Way
    forward: Way
    differences: tuple[Difference, ...]
    timing: Timing | None
    untimed: str | None
    torch_version: str

    def to_json(self) -> dict[str, Any]:
        """Return the trace as JSON objects, arrays, strings, numbers and nulls; units are in the names."""
        plain: dict[str, Any] = asdict(self, dict_factory=_with_lists)
        return plain

    def __str__(self) -> str:
        from hotloop.insight.call.text import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from hotloop.insight.call.html import as_html

        return as_html(self)


def _with_lists(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: _as_list(value) for name, value in fields}


def _as_list(value: Any) -> Any:
    return [_as_list(item) for item in value] if isinstance(value, tuple) else value
