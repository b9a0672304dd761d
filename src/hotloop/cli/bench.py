"""``hotloop bench``: training side by side with eager torch, torch.compile, JAX and scikit-learn."""

from __future__ import annotations

import math
import sys
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from hotloop.errors import ArgumentError
from hotloop.language import Sentence, _

if TYPE_CHECKING:
    from hotloop.bench.result import Benchmark, WorkloadResult

__all__ = ["bench"]

_WHO = Parameter(group=Group("Who takes part", sort_key=1))
_HOW = Parameter(group=Group("How long", sort_key=2))
_OUTPUT = Parameter(group=Group("Output", sort_key=3))


def bench(
    *workloads: str,
    only: Annotated[str | None, _WHO] = None,
    also: Annotated[str | None, _WHO] = None,
    without: Annotated[str | None, _WHO] = None,
    rounds: Annotated[int, _HOW] = 7,
    seconds: Annotated[float, _HOW] = 0.2,
    out: Annotated[Path | None, _OUTPUT] = None,
    json: Annotated[bool, _OUTPUT] = False,
) -> None:
    """Train side by side with eager torch, torch.compile, JAX and scikit-learn.

    Parameters
    ----------
    workloads
        Among W1, W2, W3a, W3b, W4, W5, W6, W7 and W9; all by default.
    only
        These contenders alone: hotloop,eager,jax.
    also
        These as well: torch-compile, which is left out by default since it compiles for 15 s and more.
    without
        Not these: eager-threads,eager-fused,jax,jax-given,scikit-learn.
    rounds
        How often each contender trains, in turn with the others.
    seconds
        About how long each training lasts.
    out
        Folder for bench.json, bench.md and bench.png.
    json
        Print JSON for programs.
    """
    if rounds < 2 or rounds > 10_000:
        raise ArgumentError(Sentence("--rounds {rounds} is not from 2 to 10000", rounds=rounds))
    if not (math.isfinite(seconds) and 0 < seconds <= 3600):
        raise ArgumentError(Sentence("--seconds {seconds} is not between 0 and 3600", seconds=seconds))
    from hotloop.bench.workloads import NAMES, find_workload

    chosen = list(dict.fromkeys(map(find_workload, workloads or NAMES)))
    from hotloop.bench.contenders import choose

    contenders = choose(_names(only), _names(without), _names(also))
    if out is not None:
        _make_folder(out)
    from hotloop.bench.run import run
    from hotloop.bench.run_workload import Plan

    plan = Plan(rounds=rounds, seconds=seconds, tell=_tell)
    benchmark = run(chosen, contenders, plan, lambda so_far, newest: _show(so_far, newest, out, json))
    if json:
        print(dumps(benchmark.to_json(), indent=2))
    else:
        _conclude(benchmark, out)


def _names(option: str | None) -> list[str]:
    return [name.strip() for name in (option or "").split(",") if name.strip()]


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _show(so_far: Benchmark, newest: WorkloadResult, out: Path | None, json: bool) -> None:
    """Print the newest result, and keep what there is so far: an interruption loses one workload at most."""
    from hotloop.bench.table import render

    if not json:
        print(render(newest) + "\n", flush=True)
    if out is not None:
        _write(so_far, out)


def _conclude(benchmark: Benchmark, out: Path | None) -> None:
    from hotloop.bench.table import conditions_line, contenders, legend

    print(contenders(benchmark) + "\n\n" + legend())
    print("\n" + conditions_line(benchmark))
    if out is not None:
        print(_("written: {names} in {folder}").format(names="bench.json, bench.md, bench.png", folder=out))


def _make_folder(out: Path) -> None:
    from hotloop.errors import OutputError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            Sentence("cannot make the folder {folder}", folder=out), why=error.strerror or str(error)
        ) from error


def _write(benchmark: Benchmark, out: Path) -> None:
    from hotloop.bench.picture import to_png
    from hotloop.bench.table import document
    from hotloop.files import write_atomically

    write_atomically(out / "bench.json", (dumps(benchmark.to_json(), indent=2) + "\n").encode())
    write_atomically(out / "bench.md", document(benchmark).encode())
    write_atomically(out / "bench.png", to_png(benchmark))
