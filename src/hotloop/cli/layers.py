"""``hotloop layers``: what is compiled, and what eager torch is for."""

from __future__ import annotations

from collections.abc import Iterable
from json import dumps

from hotloop.capture.supported import ACTIVATIONS, FUNCTIONS, LAYERS, LOSSES, OPTIMIZERS
from hotloop.language import Sentence, _, pad, shown, wrap

__all__ = ["layers"]

_LABEL_WIDTH = 12
_LINE_WIDTH = 96
_LABELS = {
    "layers": Sentence("layers"),
    "activations": Sentence("activations"),
    "functions": Sentence("functions"),
    "losses": Sentence("losses"),
    "optimizers": Sentence("optimizers"),
}


def layers(*, json: bool = False) -> None:
    """Show which layers, functions, losses and optimizers are compiled.

    Parameters
    ----------
    json
        Print JSON for programs.
    """
    print(dumps(_document(), indent=2) if json else _render())


def _render() -> str:
    about = _("Compiled are models made of these, in float32 or float64; everything else runs in eager torch.")
    lines = [*wrap(about, _LINE_WIDTH + 8), ""]
    for kind, names in _document().items():
        lines += _row(_LABELS[kind], ", ".join(map(shown, names)))
    exceptions = _("hooks, buffers, masks of dropout, control flow that depends on numbers in tensors")
    return "\n".join([*lines, "", *_row(Sentence("not covered"), exceptions)])


def _document() -> dict[str, list[str]]:
    """What is covered, by kind."""
    return {
        "layers": [_with_note(row.module, row.note) for row in LAYERS],
        "activations": [_call(row.module, row.defaults) for row in ACTIVATIONS],
        "functions": [*(row.note for row in FUNCTIONS), Sentence("and the activations as functions and methods")],
        "losses": [_call(row.module, row.defaults) for row in LOSSES],
        "optimizers": [_call(row.name, row.settings) for row in OPTIMIZERS],
    }


def _with_note(module: str, note: str) -> str:
    return Sentence("{module} ({note})", module=module, note=note) if note else module


def _call(name: str, settings: Iterable[str]) -> str:
    inside = ", ".join(settings)
    return f"{name}({inside})" if inside else name


def _row(label: str, text: str) -> list[str]:
    indent = " " * (2 + _LABEL_WIDTH + 1)
    return wrap(text, _LINE_WIDTH, first=f"  {pad(shown(label), _LABEL_WIDTH)} ", rest=indent)
