"""A loss of torch's as plain data and back: what torch would be told to build it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from hotloop.capture.loss_parts import LossParts, defaults_of

if TYPE_CHECKING:
    import torch

__all__ = ["loss_of_settings", "loss_settings"]

_TENSORS = ("weight", "pos_weight")
_PLAIN = (bool, int, float, str, type(None))


def loss_settings(loss: LossParts) -> dict[str, object]:
    """Return all settings of a loss by their names in torch, tensors as lists.

    Empty where name and settings do not make the loss: it is somebody's own, has hooks, or was given other objects.
    """
    if loss.kind is None or loss.altered or loss.fixes_tensor:
        return {}
    known = defaults_of(loss.kind)
    return _as_data({**known, **loss.settings}) if loss.settings.keys() <= known.keys() else {}


def loss_of_settings(name: str, settings: Mapping[str, Any], dtype: torch.dtype) -> Callable[..., Any]:
    """Return the loss of which :func:`loss_settings` gave the settings.

    Parameters
    ----------
    name : str
        As :func:`hotloop.capture.loss_parts.loss_name` has it.
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


def _as_data(settings: Mapping[str, Any]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in settings.items():
        if type(value) not in _PLAIN:
            value = value.tolist() if hasattr(value, "tolist") else value
            if not isinstance(value, (*_PLAIN, list)):
                return {}
        found[name] = value
    return found
