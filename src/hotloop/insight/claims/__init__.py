"""A court for beliefs about training: each is measured on one loop, and judged by its measurements alone.

::

    beliefs/       one file of a page for each: its experiments, its questions, its sentences
    claim.py       what a claim is
    bench.py       where blocks are run: fresh processes (process.py), or this one; facts.py: what is known beforehand
    court.py       measures within a budget, then judges: measure, rule, judge_claim
    evidence.py    raw measurements, saved and judged again
    ruling.py      the answer as plain data; text.py shows it
    steps.py, comparing.py, figures.py, undecided.py    what beliefs are written with

A new claim is a file in ``beliefs/`` and a row in :data:`CLAIMS`.
"""

from __future__ import annotations

from collections.abc import Mapping

from hotloop.errors import ArgumentError, nearest
from hotloop.insight.claims.beliefs import (
    append,
    autocast,
    compiling,
    dataloader,
    denormals,
    detach,
    float64,
    forward,
    fused,
    garbage,
    gpu,
    printing,
    recording,
    threads,
    zero_grad,
)
from hotloop.insight.claims.claim import Claim
from hotloop.sentence import Sentence

__all__ = ["CLAIMS", "find_claim"]

CLAIMS: Mapping[str, Claim] = {
    claim.name: claim
    for claim in (
        recording.CLAIM,
        printing.CLAIM,
        append.CLAIM,
        detach.CLAIM,
        forward.CLAIM,
        threads.CLAIM,
        compiling.CLAIM,
        gpu.CLAIM,
        dataloader.CLAIM,
        fused.CLAIM,
        zero_grad.CLAIM,
        float64.CLAIM,
        autocast.CLAIM,
        denormals.CLAIM,
        garbage.CLAIM,
    )
}
"""By name, in the order in which they are listed."""


def find_claim(name: str) -> Claim:
    """Return the claim of a name.

    Raises
    ------
    ArgumentError
        If there is none.
    """
    if name not in CLAIMS:
        raise ArgumentError(
            Sentence("no claim is called {name!r}.{near}", name=name, near=nearest(name, CLAIMS)),
            do=Sentence("use one of {names}", names=", ".join(CLAIMS)),
        )
    return CLAIMS[name]
