"""``hotloop explain``: where the time of a training run goes, how far that is from the limit, what to change."""

from __future__ import annotations

import contextlib
import shutil
import sys
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from hotloop.cli.duration import seconds_of
from hotloop.cli.out_file import check_out
from hotloop.cli.recipe_options import override, widths, with_optional
from hotloop.errors import ArgumentError
from hotloop.language import Sentence, _
from hotloop.language.one_line import one_line

if TYPE_CHECKING:
    from hotloop.insight.loop import Loop
    from hotloop.insight.machines.passport import Passport

__all__ = ["explain"]

_TRAINING = Parameter(group=Group("Training", sort_key=1))
_MODEL = Parameter(group=Group("A model in a file", sort_key=2))
_OUTPUT = Parameter(group=Group("Measuring and output", sort_key=3))

_LEAST_BUDGET_S = 2.0
_LEAST_COLUMNS, _MOST_COLUMNS = 60, 110
_ROWS = 1000


def explain(
    subject: str,
    /,
    *,
    target: Annotated[str | None, _TRAINING] = None,
    recipe: Annotated[str | None, _TRAINING] = None,
    hidden: Annotated[str | None, _TRAINING] = None,
    activation: Annotated[str | None, _TRAINING] = None,
    optimizer: Annotated[str | None, _TRAINING] = None,
    batch_size: Annotated[str | None, _TRAINING] = None,
    rows: Annotated[int | None, _MODEL] = None,
    features: Annotated[int | None, _MODEL, Parameter(name="--input")] = None,
    machine: Annotated[tuple[Path, ...], _OUTPUT] = (),
    budget: Annotated[str, _OUTPUT] = "15s",
    out: Annotated[Path | None, _OUTPUT, Parameter(name=("--out", "-o"))] = None,
    json: Annotated[bool, _OUTPUT] = False,
) -> None:
    """Explain where the time of training goes, how far that is from the limit, and what to change.

    Parameters
    ----------
    subject
        iris, a .csv, .tsv or .parquet file, or model.py:NAME, which is executed.
    target
        Column to predict; the last by default.
    recipe
        lesson (default for iris) or tabular.
    hidden
        Widths of the hidden layers: 64,64 or none.
    activation
        relu, tanh, gelu, silu, elu, ...
    optimizer
        sgd, adam, adamw or rmsprop.
    batch_size
        Rows of an update, or full.
    rows
        Rows to train the model on, drawn at random: 1000 by default.
    features
        Features of a row; by default what the model's first linear layer takes.
    machine
        Passport of another machine, to see what it would give; can be repeated.
    budget
        How long measuring may take: 15s, 1m.
    out
        File for the page, such as report.html.
    json
        Print JSON for programs.
    """
    from hotloop.cli.python_file import is_python_file

    budget_s = seconds_of(budget, "--budget", _LEAST_BUDGET_S)
    check_out(out)
    elsewhere = _passports(machine)
    if not json:
        _say(_("Explaining {subject}: this takes about {seconds:.0f} s ...").format(subject=subject, seconds=budget_s))
    if is_python_file(subject):
        if any(option is not None for option in (target, recipe, hidden, activation, optimizer)):
            raise ArgumentError(Sentence("a model in a file takes --rows, --input and --batch-size, no other settings"))
        loop = _loop_of_file(subject, rows, features, batch_size)
    else:
        if rows is not None or features is not None:
            raise ArgumentError(Sentence("--rows and --input are for a model in a file; a table has its own"))
        loop = _loop_of_table(subject, recipe, target, batch_size, hidden, activation, optimizer)
    from hotloop.insight.explain import explain_loop

    stages = _stages()
    # What the person's code prints must not mix with what programs read.
    with contextlib.redirect_stdout(sys.stderr):
        answer = explain_loop(
            loop, budget_s=budget_s, elsewhere=elsewhere, say=lambda stage: None if json else _say(stages[stage])
        )
    if out is not None:
        answer.report(out)
    if json:
        print(dumps(answer.to_json(), indent=2))
        return
    from hotloop.report.explanation_text import explanation_text

    columns = min(max(shutil.get_terminal_size((100, 24)).columns, _LEAST_COLUMNS), _MOST_COLUMNS)
    print(explanation_text(answer, columns))
    if out is not None:
        print(_("The page is {path}.").format(path=out))


def _stages() -> dict[str, str]:
    return {
        "machine": _("  what this machine reaches"),
        "ledger": _("  where a step's time goes"),
        "ladder": _("  what each convenience costs"),
        "engines": _("  what each engine takes"),
    }


def _say(text: str) -> None:
    print(one_line(text) if not text.startswith(" ") else text, file=sys.stderr, flush=True)


def _passports(files: tuple[Path, ...]) -> tuple[Passport, ...]:
    from hotloop.insight.machines.passport import load_passport

    return tuple(load_passport(file) for file in files)


def _loop_of_table(
    table: str,
    recipe: str | None,
    target: str | None,
    batch_size: str | None,
    hidden: str | None,
    activation: str | None,
    optimizer: str | None,
) -> Loop:
    from hotloop.insight.loop import loop_of_table
    from hotloop.training.recipes import find_recipe

    given = {"hidden": widths(hidden), "activation": activation, "optimizer": optimizer}
    chosen = with_optional(override(find_recipe(recipe, table), **given), batch_size, None)
    return loop_of_table(table, chosen, target=target)


def _loop_of_file(subject: str, rows: int | None, features: int | None, batch_size: str | None) -> Loop:
    from hotloop.cli.python_file import load_module
    from hotloop.insight.loop import loop_of_module

    n_rows = _ROWS if rows is None else rows
    if n_rows < 1:
        raise ArgumentError(Sentence("--rows is {rows}; it must be 1 or more", rows=n_rows))
    with contextlib.redirect_stdout(sys.stderr):
        model = load_module(subject)
        size = None if batch_size in (None, "full") else _whole(batch_size or "")
        return loop_of_module(subject, model, rows=n_rows, features=features, batch_size=size)


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentError(Sentence("--batch-size takes whole numbers from 1 on, not {text!r}", text=text))
    return int(text)
