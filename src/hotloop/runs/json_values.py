"""Any setting or figure as a value that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

__all__ = ["to_json_value"]


def to_json_value(value: object) -> object:
    """Return ``value`` as JSON has it: arrays as lists, what is not finite as None, the rest as text."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): to_json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_value(item) for item in value]
    return str(value)
