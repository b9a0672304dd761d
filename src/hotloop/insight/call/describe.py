"""Values, hooks and exceptions in a few words."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hotloop.insight.call.trace import Value

__all__ = ["describe_arguments", "describe_values", "described_exception", "hook_name", "hook_place"]

_MOST_VALUES = 8
_MOST_LEVELS = 3
_MOST_CHARACTERS = 300


def describe_arguments(args: Any, kwargs: Mapping[str, Any]) -> tuple[Value, ...]:
    """Describe what a module is called with."""
    positional = args if isinstance(args, tuple) else (args,)
    named = [(f"args[{position}]", value) for position, value in enumerate(positional)]
    return _first([*named, *kwargs.items()])


def describe_values(output: Any) -> tuple[Value, ...]:
    """Describe what a module gives back: each tensor in tuples, lists and mappings, the first eight of them."""
    return _first([("output", output)])


def _first(named: list[tuple[str, Any]]) -> tuple[Value, ...]:
    found: list[Value] = []
    for name, value in named:
        for described in _values(name, value, _MOST_LEVELS):
            found.append(described)
            if len(found) == _MOST_VALUES:
                return tuple(found)
    return tuple(found)


def _values(name: str, value: Any, levels: int) -> Iterator[Value]:
    if _is_tensor(value):
        yield _tensor(name, value)
    elif levels and type(value) is dict:
        for key, item in value.items():
            yield from _values(f"{name}[{str(key)[:40]!r}]", item, levels - 1)
    elif levels and isinstance(value, tuple | list) and len(value):
        for position, item in enumerate(value):
            yield from _values(f"{name}[{position}]", item, levels - 1)
    else:
        yield Value(name, type(value).__name__)


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _tensor(name: str, value: Any) -> Value:
    dtype = str(value.dtype).removeprefix("torch.")
    try:
        shape = tuple(int(size) for size in value.shape)
    except Exception:  # nested tensors and parameters not yet made have no shape
        shape = None
    return Value(name, type(value).__name__, shape, dtype, str(value.device))


def hook_name(hook: Callable[..., Any]) -> str:
    """Return the name of a hook's function, or of its class where it has none."""
    function = _unwrapped(hook)
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(name).replace("<locals>.", "")[-_MOST_CHARACTERS:]


def hook_place(hook: Callable[..., Any]) -> str | None:
    """Return the file and line of a hook's function; None where it is not written in Python."""
    function = _unwrapped(hook)
    # An object that is called has the code of its class's __call__.
    code = getattr(function, "__code__", None) or getattr(vars(type(function)).get("__call__"), "__code__", None)
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}" if code is not None else None


def _unwrapped(hook: Any) -> Any:
    """Return the function inside partials and bound methods."""
    while isinstance(hook, functools.partial):
        hook = hook.func
    return getattr(hook, "__func__", hook)


def described_exception(error: BaseException) -> str:
    """Return the class and the first line of an exception."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:
        lines = []
    first = f": {lines[0]}" if lines else ""
    return f"{type(error).__name__}{first}"[:_MOST_CHARACTERS]
