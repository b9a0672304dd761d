"""``hotloop layers``: what is compiled, and what eager torch is for."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from json import dumps

from hotloop.capture.supported import ACTIVATIONS, FUNCTIONS, LAYERS, LOSSES, OPTIMIZERS

__all__ = ["layers"]

_LABEL_WIDTH = 12
_LINE_WIDTH = 96


def layers(*, json: bool = False) -> None:
    """Show which layers, functions, losses and optimizers are compiled.

    Parameters
    ----------
    json
        Print JSON for programs.
    """
    print(dumps(_document(), indent=2) if json else _render())


def _render() -> str:
    lines = ["Compiled are models made of these, in float32 or float64; everything else runs in eager torch.", ""]
    for label, names in _document().items():
        lines += _row(label, ", ".join(names))
    lines += [
        "",
        *_row("not covered", "hooks, buffers, masks of dropout, control flow that depends on numbers in tensors"),
    ]
    return "\n".join(lines)


def _document() -> dict[str, list[str]]:
    """What is covered, by kind."""
    return {
        "layers": [f"{row.module} ({row.note})" if row.note else row.module for row in LAYERS],
        "activations": [_call(row.module, row.defaults) for row in ACTIVATIONS],
        "functions": [*(row.note for row in FUNCTIONS), "and the activations as functions and methods"],
        "losses": [_call(row.module, row.defaults) for row in LOSSES],
        "optimizers": [_call(row.name, row.settings) for row in OPTIMIZERS],
    }


def _call(name: str, settings: Iterable[str]) -> str:
    inside = ", ".join(settings)
    return f"{name}({inside})" if inside else name


def _row(label: str, text: str) -> list[str]:
    indent = " " * (2 + _LABEL_WIDTH + 1)
    return textwrap.wrap(text, _LINE_WIDTH, initial_indent=f"  {label:<{_LABEL_WIDTH}} ", subsequent_indent=indent)
