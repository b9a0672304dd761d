"""A loss of torch's as plain data and back: what torch would be told to build it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from hotloop.capture.losses import settings_of
from hotloop.capture.unaltered import alteration
from hotloop.engines.losses import loss_name

if TYPE_CHECKING:
    import torch

__all__ = ["loss_of_settings", "loss_settings"]

# torch's old names for ``reduction``: what they say is in there.
_OLD_NAMES = ("size_average", "reduce")
_TENSORS = ("weight", "pos_weight")
_PLAIN = (bool, int, float, str, type(None))


def loss_settings(loss: Callable[..., Any]) -> dict[str, object]:
    """Return all settings of a loss by their names in torch, tensors as lists.

    Empty where name and settings do not make the loss: it is somebody's own, has hooks, or was given other objects.
    """
    import torch

    name = loss_name(loss)
    if isinstance(loss, torch.nn.modules.loss._Loss):
        kind: Any = type(loss)
        if kind is not getattr(torch.nn, name, None) or alteration(loss):
            return {}
        known = _defaults(kind)
        own = settings_of(loss, known)
        # A setting that is not kept under its name is no plain data either.
        return _as_data(own) if len(own) == len(known) else {}
    function, given = (loss.func, loss.keywords) if isinstance(loss, partial) else (loss, {})
    if function is not getattr(torch.nn.functional, name, None) or (isinstance(loss, partial) and loss.args):
        return {}
    known = _defaults(function)
    return _as_data({**known, **given}) if given.keys() <= known.keys() else {}


def loss_of_settings(name: str, settings: Mapping[str, Any], dtype: torch.dtype) -> Callable[..., Any]:
    """Return the loss of which :func:`loss_settings` gave the settings.

    Parameters
    ----------
    name : str
        As :func:`hotloop.engines.losses.loss_name` has it.
    settings : mapping
        Some may be missing: they are torch's defaults.
    dtype : torch.dtype
        Of its tensors.
    """
    import torch

    own = {
        key: torch.tensor(value, dtype=dtype) if key in _TENSORS and value is not None else value
        for key, value in settings.items()
    }
    if (kind := getattr(torch.nn, name, None)) is not None:
        loss: Callable[..., Any] = kind(**own)
        return loss
    return partial(getattr(torch.nn.functional, name), **own)


@cache
def _defaults(kind: Callable[..., Any]) -> Mapping[str, object]:
    """Return the settings that a class or function of torch's takes, with what they are by default."""
    return {
        parameter.name: parameter.default
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.default is not parameter.empty and parameter.name not in _OLD_NAMES
    }


def _as_data(settings: Mapping[str, Any]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in settings.items():
        if type(value) not in _PLAIN:
            value = value.tolist() if hasattr(value, "tolist") else value
            if not isinstance(value, (*_PLAIN, list)):
                return {}
        found[name] = value
    return found
