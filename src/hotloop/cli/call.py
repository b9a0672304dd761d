"""``hotloop call``: what ``model(x)`` does, step by step, and what ``model.forward(x)`` leaves out."""

from __future__ import annotations

import contextlib
import shutil
import sys
from json import dumps
from typing import TYPE_CHECKING

from hotloop.errors import HotloopError
from hotloop.language import _
from hotloop.language.one_line import one_line

if TYPE_CHECKING:
    import torch

    from hotloop.insight.call.trace import CallTrace

__all__ = ["call"]

_WIDEST = 110


def call(model: str, /, *, input: str | None = None, batch: int = 8, json: bool = False) -> None:
    """Show what model(x) does step by step, and what model.forward(x) would leave out.

    Parameters
    ----------
    model
        FILE.py:NAME; NAME is a class of nn.Module built without arguments, an instance, or a function returning one.
        The file is executed.
    input
        Shape of one row: 4, or 3,32,32. By default guessed from the first layer.
    batch
        Rows of the input.
    json
        Print JSON for programs.
    """
    from hotloop.cli.example_input import example_input
    from hotloop.cli.python_file import load_module

    if not json:
        print(_("Calling {model} ...").format(model=one_line(model)), file=sys.stderr, flush=True)
    # What the person's code prints must not mix with what programs read.
    with contextlib.redirect_stdout(sys.stderr):
        built = load_module(model)
        x = example_input(built, input, batch)
        trace = _traced(built, x)
    print(dumps(trace.to_json(), indent=2) if json else _shown(trace), flush=True)
    if trace.call.raised:
        shape = ",".join(map(str, x.shape))
        raise HotloopError(
            _("model(x) raised {error}").format(error=trace.call.raised),
            why=_("the input had the shape {shape}, with its rows").format(shape=shape),
            do=_("give the shape of one row: --input 4 or --input 3,32,32") if input is None else None,
        )


def _traced(model: torch.nn.Module, x: torch.Tensor) -> CallTrace:
    from hotloop.insight.call.trace_call import trace_call

    return trace_call(model, x, measure_s=1.0)


def _shown(trace: CallTrace) -> str:
    from hotloop.insight.call.text import as_text

    columns = min(shutil.get_terminal_size().columns, _WIDEST)
    # Other code pages draw box characters two cells wide, or not at all.
    box = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return as_text(trace, box=box, columns=columns)
