"""What a training step will take, from its work and a machine's passport.

::

    eager on a CPU     operations issued x their cost  +  what they do, by their sizes
    eager on a GPU     the longer of the two, since the device works while the host issues
    native             vector instructions of each kind x their cost

Each forecast is multiplied by how calibration networks came out on that machine, and its bounds are theirs: they hold
four of five networks.
"""

from __future__ import annotations

from hotloop.insight.forecasting.native_counts import native_us
from hotloop.insight.forecasting.work import Work
from hotloop.insight.interval import Interval
from hotloop.insight.machines.passport import NativeCosts, Passport, TorchCosts

__all__ = [
    "eager_us",
    "forecast_eager",
    "forecast_eager_gpu",
    "forecast_native",
    "host_counts",
    "host_us",
    "native_prepare_s",
    "operations_us",
]


def forecast_eager(work: Work, passport: Passport, threads: int | None = 1) -> Interval:
    """Return the forecast of a step in eager torch on a CPU, in microseconds.

    Parameters
    ----------
    work : Work
    passport : Passport
        Of a CPU.
    threads : int, optional
        One of the numbers that were measured; None is the largest of these.

    Raises
    ------
    KeyError
        If that number of threads was not measured.
    """
    costs = _costs_of(passport, threads)
    return costs.spread.around(eager_us(work, costs, overlaps=False))


def forecast_eager_gpu(work: Work, passport: Passport) -> Interval:
    """Return the forecast of a step in eager torch on the GPU of a passport, in microseconds."""
    costs = passport.torch[0]
    return costs.spread.around(eager_us(work, costs, overlaps=True))


def forecast_native(work: Work, passport: Passport) -> Interval:
    """Return the forecast of a compiled step on the CPU of a passport, in microseconds.

    Raises
    ------
    KeyError
        If the passport has no native engine.
    """
    if passport.native is None:
        raise KeyError("the passport has no native engine")
    us = native_us(work.program, work.batch_rows, passport.native, gathers=work.gathers)
    return passport.native.spread.around(us)


def native_prepare_s(work: Work, costs: NativeCosts) -> float:
    """Return what compiling takes where the code is not kept yet, in seconds; good to a factor of two."""
    from hotloop.compiler.code_size import estimated_instructions

    return costs.compile_us_per_instruction * estimated_instructions(work.program) / 1e6


def eager_us(work: Work, costs: TorchCosts, *, overlaps: bool) -> float:
    """Return what a step takes by these costs alone; ``overlaps`` where a device works while the host issues."""
    host, operations = host_us(work, costs), operations_us(work, costs)
    return max(host, operations) if overlaps else host + operations


def host_counts(work: Work) -> dict[str, float]:
    """Return how many times a step pays each of :data:`hotloop.insight.machines.passport.HOST_COSTS`."""
    is_adam = work.optimizer == "adam"
    return {
        "step": 1.0,
        "linear": float(len(work.linears)),
        "activation": float(len(work.activations)),
        "cross entropy": float(work.loss == "ce"),
        "binary cross entropy": float(work.loss == "bce"),
        "adam": float(is_adam),
        "adam tensor": float(is_adam * 2 * len(work.linears)),
        "gather": float(work.gathers),
        "order of a row": float(work.gathers * work.batch_rows),
    }


def host_us(work: Work, costs: TorchCosts) -> float:
    """Return what issuing the operations of a step takes."""
    return sum(count * costs.host_us[name] for name, count in host_counts(work).items())


def operations_us(work: Work, costs: TorchCosts) -> float:
    """Return what the operations of a step take beyond being issued."""
    tables, rows = costs.tables, work.batch_rows
    total = tables[f"loss {work.loss}"].at(rows, work.n_outputs)
    for place, (n_in, n_out) in enumerate(work.linears):
        total += tables["linear" if place else "first linear"].at(rows, n_in, n_out)
        total += tables[f"optimizer {work.optimizer}"].at(n_in * n_out)
    for name, features in work.activations:
        total += tables.get(f"activation {name}", tables["activation tanh"]).at(rows * features)
    if work.gathers:
        total += tables["gather"].at(rows, work.n_inputs)
    return total


def _costs_of(passport: Passport, threads: int | None) -> TorchCosts:
    if threads is None:
        return passport.torch[-1]
    found = next((costs for costs in passport.torch if costs.threads == threads), None)
    if found is None:
        raise KeyError(f"{threads} threads were not measured")
    return found
