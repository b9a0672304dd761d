"""``hotloop claim``: is it true that ...? An experiment with a verdict."""

from __future__ import annotations

import json as json_module
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from hotloop.cli.duration import seconds_of
from hotloop.cli.out_file import check_out
from hotloop.errors import ArgumentError
from hotloop.language import _
from hotloop.language.one_line import one_line

if TYPE_CHECKING:
    from hotloop.insight.claims.evidence import Evidence
    from hotloop.insight.claims.ruling import Ruling

__all__ = ["claim"]

_LEAST_BUDGET_S = 5.0
_BETWEEN_LINES_S = 5.0


def claim(
    name: str | None = None,
    subject: str | None = None,
    /,
    *,
    budget: str = "30s",
    seed: int = 0,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    judge: Path | None = None,
    json: bool = False,
) -> None:
    """Test what people say about training by measuring it; without a name, list the claims.

    Parameters
    ----------
    name
        Of the claim, such as recording.
    subject
        iris (default), a .csv, .tsv or .parquet file, or model.py:NAME, which is executed.
    budget
        How long it may take: 30s, 2m.
    seed
        Of the order in which things are measured.
    out
        File for the raw measurements.
    judge
        Judge measurements that --out has saved once again.
    json
        Print JSON for programs.
    """
    began_s = time.monotonic()
    if judge is not None:
        if name is not None or out is not None:
            raise ArgumentError(_("--judge takes neither a claim nor --out"), do=_("give the file alone"))
        _show(_judged(judge), json)
    elif name is None:
        print(json_module.dumps(_listed(), indent=2) if json else _list())
    else:
        _show(
            _measured(name, subject or "iris", seconds_of(budget, "--budget", _LEAST_BUDGET_S), seed, out, began_s),
            json,
        )


def _measured(name: str, subject: str, budget_s: float, seed: int, out: Path | None, began_s: float) -> Ruling:
    from hotloop.insight.claims import find_claim

    asked = find_claim(name)
    check_out(out)
    text = _("Measuring '{name}' on {subject} for {seconds:g} s ...")
    print(one_line(text.format(name=name, subject=subject, seconds=budget_s)), file=sys.stderr, flush=True)
    from hotloop.cli.claim_process import START
    from hotloop.insight.claims.bench import FreshProcesses
    from hotloop.insight.claims.court import Sitting, measure, rule
    from hotloop.insight.fork_server import ForkServer

    progress = _Progress()
    sitting = Sitting(budget_s, seed, progress.show, _keep_what_there_is(out), began_s=began_s)
    with ForkServer(START) as server:
        try:
            evidence = measure(asked, FreshProcesses(server, subject), sitting)
        finally:
            progress.end()
    if out is not None:
        _save(evidence, out)
    return rule(evidence)


class _Progress:
    """One line that changes on a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        self._lasting = not sys.stderr.isatty()
        self._shown_s = time.monotonic()
        self._width = 0

    def show(self, text: str) -> None:
        if not self._lasting:
            print(f"\r{text:<{self._width}}", end="", file=sys.stderr, flush=True)
            self._width = len(text)
        elif time.monotonic() - self._shown_s > _BETWEEN_LINES_S:
            self._shown_s = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._width:
            print(f"\r{'':<{self._width}}\r", end="", file=sys.stderr, flush=True)


def _keep_what_there_is(out: Path | None) -> Callable[[Evidence], object]:
    def keep(evidence: Evidence) -> None:
        if out is not None and evidence.measured:
            _save(evidence, out)

    return keep


def _save(evidence: Evidence, out: Path) -> None:
    from hotloop.files import write_atomically

    write_atomically(out, evidence.to_bytes())
    text = _("The measurements are in {path}: hotloop claim --judge {path}")
    print(one_line(text.format(path=out)), file=sys.stderr, flush=True)


def _judged(path: Path) -> Ruling:
    from hotloop.insight.claims.court import rule
    from hotloop.insight.claims.evidence import read_evidence

    return rule(read_evidence(path))


def _show(ruling: Ruling, json: bool) -> None:
    print(json_module.dumps(ruling.to_json(), indent=2) if json else str(ruling), flush=True)


def _listed() -> list[dict[str, str]]:
    from hotloop.insight.claims import CLAIMS

    return [{"name": each.name, "belief": each.belief()} for each in CLAIMS.values()]


def _list() -> str:
    lines = [_("What people say; hotloop claim NAME [TABLE or model.py:NAME] measures whether it is true:"), ""]
    for each in _listed():
        lines += textwrap.wrap(each["belief"], 96, initial_indent=f"  {each['name']:<12}", subsequent_indent=" " * 14)
    return "\n".join(lines)
