"""The claim that list.append gets slow as the list grows."""

from __future__ import annotations

from functools import partial

import numpy as np

from hotloop.insight.claims.claim import Asked, Claim, Experiment, Workbench
from hotloop.insight.claims.comparing import belief_costs, not_tried
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.figures import figure, us
from hotloop.insight.measure import Arm, Measurements, difference, level
from hotloop.insight.verdict import Verdict, judge, narrow_enough
from hotloop.language import _

__all__ = ["CLAIM", "EXPERIMENT", "LENGTHS", "append_us", "asked_of_append"]

LENGTHS = (10, 1_000, 100_000, 1_000_000)
# A thousandth of a training step of 100 us.
_THRESHOLD_US = 0.1


def _arms(workbench: Workbench) -> list[Arm]:
    return [Arm(f"at {length:,}", partial(_append, [0.5] * length, length)) for length in LENGTHS]


def _append(values: list[float], length: int, n: int) -> None:
    append = values.append
    for _step in range(n):
        append(0.5)
    # What growing took is in the time, so is shrinking again; both are shared by all n.
    del values[length:]


def _longest() -> str:
    return f"at {LENGTHS[-1]:,}"


EXPERIMENT = Experiment(
    "append",
    _arms,
    sample_s=0.002,
    narrow=narrow_enough(lambda measured: difference(measured, _longest()), _THRESHOLD_US),
)


def append_us(measured: Measurements) -> float:
    """Return what an append takes at the shortest length, microseconds."""
    return float(np.median(measured.per_block_us()[:, 0]))


def asked_of_append(evidence: Evidence, sentences: dict[Verdict, str]) -> Asked:
    """Return the question whether an append takes longer at a million than at ten.

    Parameters
    ----------
    evidence : Evidence
        With the measurements of :data:`EXPERIMENT`.
    sentences : dict of str by Verdict
        ``{short}`` and ``{long}`` are put in: what an append takes at either end.
    """
    question = _("Does appending take longer at a million entries than at ten?")
    if EXPERIMENT.name not in evidence.measured:
        return not_tried(evidence, EXPERIMENT.name, "append", question)
    measured = evidence.measured[EXPERIMENT.name]
    grown = difference(measured, _longest())
    short, long = level(measured, measured.names[0]).interval(), level(measured, _longest()).interval()
    written = {"short": us(short), "long": us(long), "threshold": figure(_THRESHOLD_US)}
    return Asked(
        "append",
        question,
        {verdict: text.format(**written) for verdict, text in sentences.items()},
        judge(grown, _THRESHOLD_US, measured),
        grown.interval(),
        _THRESHOLD_US,
        "us",
    )


def _ask(evidence: Evidence) -> list[Asked]:
    sentences = {
        Verdict.COSTS: _("An append takes {short} at 10 entries and {long} at 1,000,000."),
        Verdict.SAVES: _("An append takes {short} at 10 entries and even less, {long}, at 1,000,000."),
        Verdict.EQUIVALENT: _(
            "An append takes {short} at 10 entries and {long} at 1,000,000: the same within {threshold} us, a "
            "thousandth of a training step of 100 us."
        ),
    }
    return [asked_of_append(evidence, sentences)]


CLAIM = Claim(
    name="append",
    belief=lambda: _("Appending to a list gets slower as the list grows."),
    prediction=lambda: _(
        "A list grows by an eighth each time it is full, so that an append takes constant time on average "
        "(CPython, Objects/listobject.c)."
    ),
    experiments=(EXPERIMENT,),
    ask=_ask,
    conclude=belief_costs("append"),
)
