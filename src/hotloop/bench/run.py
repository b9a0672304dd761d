"""All workloads, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from hotloop.bench.cold_caches import cold_caches
from hotloop.bench.conditions import conditions, load, measure_peaks
from hotloop.bench.contender import Contender
from hotloop.bench.result import Benchmark, WorkloadResult
from hotloop.bench.run_workload import Plan, run_workload
from hotloop.bench.workloads import Workload
from hotloop.hardware import describe
from hotloop.language import _

__all__ = ["run"]


def run(
    workloads: Sequence[Workload],
    contenders: Sequence[Contender],
    plan: Plan,
    on_result: Callable[[Benchmark, WorkloadResult], None] = lambda so_far, newest: None,
) -> Benchmark:
    """Measure every workload, and before each the machine's arithmetic peak.

    Parameters
    ----------
    workloads, contenders : sequences
    plan : Plan
        Its peaks are raised to what is measured.
    on_result : function
        Called after each workload with all results so far and the newest.
    """
    machine = describe()
    about = {**conditions(machine), "rounds": plan.rounds, "seconds": plan.seconds}
    loads, results = [load()], list[WorkloadResult]()
    who = {contender.name: contender.about for contender in contenders}
    benchmark = Benchmark({**about, "load": loads}, who, ())
    with cold_caches():
        for workload in workloads:
            # Each time anew, and the best so far counts: on a machine that does other work a peak is easily missed.
            plan.tell(_("{workload}: the machine's arithmetic peak").format(workload=workload.name))
            measured = measure_peaks(machine)
            plan = replace(
                plan, peaks={threads: max(peak, plan.peaks.get(threads, 0)) for threads, peak in measured.items()}
            )
            results.append(run_workload(workload, contenders, plan))
            loads.append(load())
            benchmark = Benchmark({**about, "load": list(loads)}, who, tuple(results))
            on_result(benchmark, results[-1])
    return benchmark
