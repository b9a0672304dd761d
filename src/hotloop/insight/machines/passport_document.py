"""Passports as JSON documents: written, and read with every field checked."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from hotloop.errors import HotloopError, SavedRunError
from hotloop.files import unseal
from hotloop.insight.machines.passport import (
    HOST_COSTS,
    TABLES,
    VECTOR_COSTS,
    AcceleratorCosts,
    NativeCosts,
    Passport,
    Spread,
    TorchCosts,
)
from hotloop.insight.machines.size_table import SizeTable
from hotloop.sentence import Sentence

__all__ = ["FORMAT", "from_document", "read_passport", "to_document"]

FORMAT = "hotloop passport 1"

_MOST_BYTES = 1 << 20
_MOST_POINTS = 10_000
_LARGEST = 1e15
_ANOTHER = Sentence("Write it anew on that machine: hotloop devices --passport FILE")


def to_document(passport: Passport) -> dict[str, object]:
    """Return the passport as JSON has it."""
    return {"format": FORMAT, **asdict(passport)}


def read_passport(path: str | os.PathLike[str]) -> Passport:
    """Return the passport in a file; see :func:`hotloop.insight.machines.passport.load_passport`."""
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SavedRunError(f"cannot read the passport '{name}'", why=reason) from None
    try:
        if len(data) > _MOST_BYTES:
            raise SavedRunError("too large", why="it is larger than any passport")
        return from_document(unseal(data, name))
    except HotloopError as error:
        what = Sentence("'{name}' is no passport of a machine", name=name)
        raise SavedRunError(what, why=error.why or "", do=_ANOTHER) from None


def from_document(document: object) -> Passport:
    """Return the passport that :func:`to_document` wrote.

    Raises
    ------
    SavedRunError
        If the document is anything else.
    """
    passport = _object(document, ("format", *Passport.__dataclass_fields__))
    if passport["format"] != FORMAT:
        _refuse(f"its format is {passport['format']!r}, not {FORMAT!r}")
    device = passport["device"]
    if device not in ("cpu", "cuda"):
        _refuse(f"its device is {device!r}")
    torch = tuple(map(_torch, _list(passport["torch"], "torch", most=16)))
    if not torch and device == "cuda":
        _refuse("it says nothing about torch")
    return Passport(
        name=_text(passport["name"], "name"),
        device=device,
        machine=_texts(passport["machine"], "machine"),
        versions=_texts(passport["versions"], "versions"),
        measured_on=_text(passport["measured_on"], "measured_on"),
        took_s=_number(passport["took_s"], "took_s", least=0.0),
        torch=torch,
        native=_optional(_native, passport["native"]),
        accelerator=_optional(_accelerator, passport["accelerator"]),
        notes=tuple(_text(note, "notes") for note in _list(passport["notes"], "notes", most=32)),
    )


def _torch(value: object) -> TorchCosts:
    costs = _object(value, TorchCosts.__dataclass_fields__)
    host = _object(costs["host_us"], HOST_COSTS)
    tables = _object(costs["tables"], TABLES)
    return TorchCosts(
        threads=None if costs["threads"] is None else _integer(costs["threads"], "threads", most=1 << 16),
        host_us={name: _number(host[name], name, least=0.0) for name in HOST_COSTS},
        tables={name: _table(tables[name], name, n_axes) for name, n_axes in TABLES.items()},
        spread=_spread(costs["spread"]),
    )


def _table(value: object, name: str, n_axes: int) -> SizeTable:
    table = _object(value, SizeTable.__dataclass_fields__)
    axes = [_list(axis, name, most=64) for axis in _list(table["axes"], name, most=3)]
    sizes = tuple(tuple(_integer(size, name, most=1 << 48) for size in axis) for axis in axes)
    if len(sizes) != n_axes or any(not axis or list(axis) != sorted(set(axis)) for axis in sizes):
        _refuse(f"the axes of '{name}' are not {n_axes} of ascending sizes")
    us = _list(table["us"], name, most=_MOST_POINTS)
    if len(us) != math.prod(map(len, sizes)):
        _refuse(f"'{name}' has {len(us)} times for a grid of {math.prod(map(len, sizes))}")
    return SizeTable(sizes, tuple(_number(each, name, least=0.0) for each in us))


def _native(value: object) -> NativeCosts:
    costs = _object(value, NativeCosts.__dataclass_fields__)
    ns = _object(costs["ns"], VECTOR_COSTS)
    return NativeCosts(
        lanes=_integer(costs["lanes"], "lanes", most=4096),
        cache_bytes=_integer(costs["cache_bytes"], "cache_bytes", most=1 << 40),
        ns={name: _number(ns[name], name, least=0.0) for name in VECTOR_COSTS},
        compile_us_per_instruction=_number(
            costs["compile_us_per_instruction"], "compile_us_per_instruction", least=0.0
        ),
        spread=_spread(costs["spread"]),
    )


def _accelerator(value: object) -> AcceleratorCosts:
    costs = _object(value, AcceleratorCosts.__dataclass_fields__)
    may_miss = ("graph_kernel_us", "graph_launch_us")
    return AcceleratorCosts(
        **{
            name: None if each is None and name in may_miss else _number(each, name, least=0.0)
            for name, each in costs.items()
        }  # type: ignore[arg-type]
    )


def _spread(value: object) -> Spread:
    spread = _object(value, Spread.__dataclass_fields__)
    low, middle, high = (_number(spread[name], name, least=1e-6) for name in ("low", "middle", "high"))
    if not low <= middle <= high:
        _refuse("the bounds of a spread are not in order")
    return Spread(low, middle, high, _integer(spread["networks"], "networks", least=0, most=1 << 20))


def _optional(read: Callable[[object], Any], value: object) -> Any:
    return None if value is None else read(value)


def _object(value: object, names: Iterable[str]) -> Mapping[str, Any]:
    names = set(names)
    if not isinstance(value, dict):
        _refuse(f"an object is needed, not {_shown(value)}")
    if set(value) != names:
        _refuse(f"fields missing or unknown: {', '.join(sorted(map(str, set(value) ^ names)))[:200]}")
    return value


def _list(value: object, name: str, *, most: int) -> list[Any]:
    if not isinstance(value, list | tuple) or len(value) > most:
        _refuse(f"'{name}' is {_shown(value)}")
    return list(value)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        _refuse(f"'{name}' is {_shown(value)}")
    return value


def _texts(value: object, name: str) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > 64:
        _refuse(f"'{name}' is {_shown(value)}")
    return {_text(key, name): _text(each, name) for key, each in value.items()}


def _number(value: object, name: str, *, least: float) -> float:
    # bool is an int to Python, but not to us; a whole number may be larger than any float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= _LARGEST:
        _refuse(f"'{name}' is {_shown(value)}")
    return float(value)


def _integer(value: object, name: str, *, most: int, least: int = 1) -> int:
    if type(value) is not int or not least <= value <= most:
        _refuse(f"'{name}' is {_shown(value)}")
    return value


def _refuse(reason: str) -> NoReturn:
    raise SavedRunError("the passport is damaged", why=reason)


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
