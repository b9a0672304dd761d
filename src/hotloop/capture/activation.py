"""The settings of an activation, as the program takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hotloop.capture.refusal import NotCaptured
from hotloop.capture.supported import Activation

__all__ = ["read_activation"]


def read_activation(
    where: str, row: Activation, settings: Mapping[str, Any], in_place: bool
) -> tuple[str, tuple[tuple[str, float], ...]]:
    """Return the settings of an ``activation`` node: the program's name, and what differs from its defaults.

    Raises
    ------
    NotCaptured
        If a setting is not covered.
    """
    if row.module == "GELU":
        kinds = {"none": "gelu", "tanh": "gelu_tanh"}
        if settings["approximate"] not in kinds:
            raise NotCaptured(where, f"approximate is {settings['approximate']!r}", 'use "none" or "tanh"')
        return kinds[settings["approximate"]], ()
    for name, value in settings.items():
        if type(value) not in (int, float):
            raise NotCaptured(where, f"{name} is {value!r}, not a plain number", "use a float")
        if in_place and value < 0:
            raise NotCaptured(where, f"torch has no gradient of it in place with {name} below 0", "use inplace=False")
    return row.program, tuple((name, float(value)) for name, value in settings.items() if value != row.defaults[name])
