"""Options that change a recipe, as ``hotloop train`` and ``hotloop ir`` take them."""

from __future__ import annotations

import dataclasses

from hotloop.errors import ArgumentError
from hotloop.language import Sentence
from hotloop.training.recipes import Recipe

__all__ = ["override", "widths", "with_optional"]


def override(recipe: Recipe, **given: object) -> Recipe:
    """Return the recipe with what was given in place of its own."""
    return dataclasses.replace(recipe, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def with_optional(recipe: Recipe, batch_size: str | None, patience: int | None) -> Recipe:
    """Return the recipe with settings for which None is a value of its own."""
    if batch_size is not None:
        recipe = dataclasses.replace(
            recipe, batch_size=None if batch_size == "full" else _count(batch_size, "--batch-size")
        )
    if patience is not None and patience < 0:
        raise ArgumentError(Sentence("{option} is {value}; it must be 0 or more", option="--patience", value=patience))
    if patience is not None:
        recipe = dataclasses.replace(recipe, patience=patience or None)
    return recipe


def widths(text: str | None) -> tuple[int, ...] | None:
    """Return the widths of the hidden layers: "64,64", or "none"."""
    if text is None:
        return None
    return () if text == "none" else tuple(_count(width, "--hidden") for width in text.split(","))


def _count(text: str, option: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise ArgumentError(
            Sentence("{option} takes whole numbers from 1 on, not {given!r}", option=option, given=text)
        )
    return int(text)
