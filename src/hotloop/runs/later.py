"""Fields that are worked out when they are first read: of many a run nobody asks for all it knows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Later"]

Value = TypeVar("Value")

_lock = threading.RLock()


class Later(Generic[Value]):
    """A field of a dataclass that may be given as a function of nothing, called when the field is first read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Value:
        if instance is None:  # what dataclasses ask for the field's default
            raise AttributeError(self._name)
        value = instance.__dict__[self._name]
        if callable(value):
            with _lock:  # all threads get the same object
                value = instance.__dict__[self._name]
                if callable(value):
                    value = instance.__dict__[self._name] = value()
        return value  # type: ignore[no-any-return]

    def __set__(self, instance: Any, value: Value | Callable[[], Value]) -> None:
        instance.__dict__[self._name] = value
