"""A benchmark's picture: its figures handed to ``report/`` as plain data."""

from __future__ import annotations

from hotloop.bench.result import Benchmark, WorkloadResult
from hotloop.bench.run_workload import OURS
from hotloop.bench.table import machine_line
from hotloop.language import Sentence
from hotloop.report import step_times
from hotloop.report.step_times import Bar, Panel

__all__ = ["panels", "to_png"]


def to_png(benchmark: Benchmark) -> bytes:
    """Return the picture of all workloads as PNG; raises OutputError where matplotlib cannot be used."""
    return step_times.to_png(panels(benchmark), list(benchmark.about), machine_line(benchmark))


def panels(benchmark: Benchmark) -> list[Panel]:
    """Return a panel for each workload: median, shortest and longest round of each contender."""
    return [_panel(workload) for workload in benchmark.workloads]


def _panel(workload: WorkloadResult) -> Panel:
    bars = [
        Bar(timing.name, timing.median_us, timing.least_us, max(timing.us_per_step), timing.name == OURS)
        for timing in workload.contenders
    ]
    title = Sentence("{name}  {origin}", name=workload.name, origin=workload.origin)
    return Panel(title, workload.description, bars, workload.floor_us)
