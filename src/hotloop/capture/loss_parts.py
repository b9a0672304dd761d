"""What a loss is made of, read once: whose class or function it is, with which settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from hotloop.capture.unaltered import alteration

if TYPE_CHECKING:
    import torch

__all__ = ["LossParts", "defaults_of", "loss_name"]

# torch's old names for ``reduction``: what they say is in there.
_OLD_NAMES = ("size_average", "reduce")
_MAY_DO_MORE = "a subclass of functools.partial may do more", "use functools.partial itself"


@dataclass(eq=False)
class LossParts:
    """What a loss is made of, as it is now.

    Parameters
    ----------
    name : str
        Of its class or function.
    kind : class or function, optional
        The loss class of ``torch.nn``, or the function of ``torch.nn.functional``, that it is. None for any other, and
        for a loss that does not keep its settings where torch puts them.
    settings : mapping
        By torch's names: all of a class; of a function those that a partial fixes.
    is_partial, fixes_tensor : bool
        Whether it is a partial of the function; and whether that fixes more than settings.
    altered : tuple of (str, str), optional
        How it may do other things than the class or function does, and what to do about that.
    """

    name: str
    kind: Callable[..., Any] | None
    settings: Mapping[str, Any]
    is_partial: bool = False
    fixes_tensor: bool = False
    altered: tuple[str, str] | None = None

    @classmethod
    def of(cls, loss: Callable[..., Any]) -> LossParts:
        """Return the parts of a loss."""
        import torch

        if isinstance(loss, torch.nn.Module):
            kind = type(loss)
            name, base = kind.__name__, torch.nn.modules.loss._Loss
            if kind is getattr(torch.nn, name, None) and issubclass(kind, base):
                known = defaults_of(kind)
                settings = _kept(loss, known)
                if len(settings) == len(known):
                    return cls(name, kind, settings, altered=alteration(loss))
            return cls(name, None, {})
        name = loss_name(loss)
        if not isinstance(loss, partial):
            return cls(name, _if_torchs(loss, name), {})
        altered = None if type(loss) is partial else _MAY_DO_MORE
        function = _if_torchs(loss.func, name)
        return cls(name, function, loss.keywords, is_partial=True, fixes_tensor=bool(loss.args), altered=altered)

    @property
    def described(self) -> str:
        """How sentences name it."""
        return f"partial of {self.name}" if self.is_partial else self.name


def loss_name(loss: Callable[..., Any]) -> str:
    """Return the name of a loss: its class, or its function's name."""
    import torch

    if isinstance(loss, torch.nn.Module):
        return type(loss).__name__
    if isinstance(loss, partial):
        return loss_name(loss.func)
    return str(getattr(loss, "__name__", type(loss).__name__))


@cache
def defaults_of(kind: Callable[..., Any]) -> Mapping[str, object]:
    """Return the settings that a loss class or function of torch's takes, with what they are by default."""
    return {
        parameter.name: parameter.default
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.default is not parameter.empty and parameter.name not in _OLD_NAMES
    }


def _if_torchs(function: Callable[..., Any], name: str) -> Callable[..., Any] | None:
    import torch

    return function if function is getattr(torch.nn.functional, name, None) else None


def _kept(loss: torch.nn.Module, names: Mapping[str, object]) -> dict[str, Any]:
    """Return those of the attributes and buffers that one of torch's losses has."""
    # Sooner done than asking the module, which looks for attributes everywhere else first.
    own, buffers = loss.__dict__, loss._buffers
    return {name: own[name] if name in own else buffers[name] for name in names if name in own or name in buffers}
