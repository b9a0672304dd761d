"""Notes what stand-ins meet as nodes of a graph, and where in the model it happens.

Imports torch: import this module inside functions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

import torch
from torch.overrides import TorchFunctionMode

from hotloop.capture.functions import handlers
from hotloop.capture.graph import Node, Operand
from hotloop.capture.refusal import NotCaptured
from hotloop.capture.stand_ins import BufferStandIn, RowCount, Rows
from hotloop.capture.supported import ACTIVATIONS, LAYERS

__all__ = ["Follower", "Following", "named"]

_COVERED = {row.module for row in LAYERS} | {row.module for row in ACTIVATIONS}
_SEQUENCES = ("sequences are outside the program's axes", None)
_SOFTMAX = ("losses here take outputs before the softmax", "leave it out and use CrossEntropyLoss")
# Why the commonest layers of torch are not covered, by how their names begin.
_REASONS: dict[str, tuple[str, str | None]] = {
    "BatchNorm": ("it computes statistics over the rows", "leave it out"),
    "LazyBatchNorm": ("it computes statistics over the rows", "leave it out"),
    "Conv": ("images and sequences are outside the program's axes", None),
    "Embedding": ("it looks up rows by number", "give one-hot columns to a Linear"),
    "LSTM": _SEQUENCES,
    "GRU": _SEQUENCES,
    "RNN": _SEQUENCES,
    "Transformer": _SEQUENCES,
    "Softmax": _SOFTMAX,
    "LogSoftmax": _SOFTMAX,
}


class Follower:
    """One pass through a model's forward.

    Parameters
    ----------
    model : torch.nn.Module
        The original, for its name.
    dtype, device
        Of the parameters.
    """

    def __init__(self, model: torch.nn.Module, dtype: torch.dtype, device: torch.device):
        self.nodes: list[Node] = []
        self.refusal: NotCaptured | None = None
        self.row_count = RowCount(self)
        self.model, self.dtype, self.device = model, dtype, device
        self._made: list[Rows] = []
        self._path = [named("", model)]

    @property
    def where(self) -> str:
        """The module whose forward runs."""
        return self._path[-1]

    def refuse(self, why: str, instead: str | None = None) -> NoReturn:
        """Raise NotCaptured; the first refusal counts, even if the model's own code catches it."""
        error = NotCaptured(self.where, why, instead)
        self.refusal = self.refusal or error
        raise error

    def inside(self, path: str, module: torch.nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        """Return a module's forward that tells where it runs."""
        is_covered = type(module).__name__ in _COVERED or not type(module).__module__.startswith("torch.")

        def followed(*args: Any, **kwargs: Any) -> Any:
            self._path.append(named(path, module))
            try:
                if not is_covered:
                    self.refuse(*_reason(module))
                return forward(*args, **kwargs)
            finally:
                self._path.pop()

        return followed

    def add(
        self,
        op: str,
        operands: tuple[Operand, ...],
        width: int,
        settings: tuple[Any, ...] = (),
        changes: Rows | None = None,
    ) -> Rows:
        """Add a node and return its value, which is the tensor that ``changes`` where it works in place."""
        if changes is not None and (changes.is_given or changes.width != width):
            self.refuse("it changes the rows it is given", "use inplace=False")
        self.nodes.append(Node(op, operands, settings))
        if changes is None:
            return self.rows(len(self.nodes), width)
        changes.number = len(self.nodes)
        return changes

    def rows(self, number: int, width: int) -> Rows:
        """Return the stand-in of a value."""
        made = Rows.make(self, number, width)
        self._made.append(made)
        return made

    def check_unchanged(self) -> None:
        """Raise if code that looks past stand-ins, such as a script, has worked in place on one."""
        with torch._C.DisableTorchFunctionSubclass():
            changed = any(made._version for made in self._made)
        if changed:
            self.refuse("it changes a tensor in a way that cannot be followed", "write it with what is covered")

    def meet(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note a call of a function of torch, or of a method by its name."""
        if function is torch._C._set_grad_enabled:
            # What is done while gradients are off is refused, not switching them.
            return function(*args, **kwargs)
        self._check_arguments([*args, *kwargs.values()])
        known = handlers().get(function)
        if known is None:
            self.refuse(f"there is no rule for {_function_name(function)}", "write it with what is covered")
        self._check_surroundings()
        handler, in_place = known
        return handler(self, args, kwargs, in_place)

    def _check_arguments(self, arguments: list[Any]) -> None:
        inside = [item for group in arguments if type(group) in (list, tuple) for item in group]
        tensors = [item for item in (*arguments, *inside) if isinstance(item, torch.Tensor)]
        for tensor in tensors:
            if isinstance(tensor, BufferStandIn):
                self.refuse(f"it uses the buffer '{tensor.buffer_name}'", "make it a number, or leave it out")
        if not tensors or any(getattr(tensor, "follower", None) is not self for tensor in tensors):
            self.refuse(
                "it uses a tensor that is neither its input nor a parameter of the model", "make it an nn.Parameter"
            )

    def _check_surroundings(self) -> None:
        # A Function of its own computes gradients in its own way; only the stack shows that one is running.
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if frame.f_code is torch.autograd.Function.apply.__func__.__code__:  # type: ignore[attr-defined]
                self.refuse("it is computed by an autograd.Function with gradients of its own")
            frame = frame.f_back
        if not torch.is_grad_enabled():
            self.refuse("it switches gradients off", "let all of it have gradients")
        if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            self.refuse("it switches autocast on", "leave autocast out")


class Following(TorchFunctionMode):
    """While it is entered, every function of torch that this thread calls is handed to a follower.

    So tensors of its own are noticed too, wherever a forward takes them from.
    """

    def __init__(self, follower: Follower):
        super().__init__()
        self._follower = follower

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Hand a call over."""
        return self._follower.meet(function, args, kwargs or {})


def named(path: str, module: torch.nn.Module) -> str:
    """Return how messages call a module: ``'encoder.norm' (BatchNorm1d)``."""
    kind = type(module).__name__
    return f"'{path}' ({kind})" if path else f"the model ({kind})"


def _reason(module: torch.nn.Module) -> tuple[str, str | None]:
    name = type(module).__name__
    known = (reason for start, reason in _REASONS.items() if name.startswith(start))
    return next(known, ("there is no rule for it", "write it with what is covered"))


def _function_name(function: Any) -> str:
    """How people call a function of torch: ``batch_norm``, ``Tensor.sum``, ``Tensor.data``."""
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", repr(function))
    if name in ("__get__", "__set__", "__delete__"):
        return f"Tensor.{getattr(owner, '__name__', name)}"
    return f"Tensor.{name}" if hasattr(function, "__objclass__") else name
