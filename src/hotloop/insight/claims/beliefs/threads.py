"""The claim that more threads make this model train faster."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hotloop.insight.claims.claim import Answer, Asked, Claim, Conclusion, Experiment, Standing, Workbench
from hotloop.insight.claims.comparing import Wording, belief_saves, compare, not_tried
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.facts import usable_threads
from hotloop.insight.claims.steps import Steps
from hotloop.insight.measure import Arm
from hotloop.language import _, n_
from hotloop.sentence import Sentence

if TYPE_CHECKING:
    from hotloop.insight.loop import Loop

__all__ = ["CLAIM", "arm_name"]


def arm_name(n: int) -> str:
    """Return the name of the arm with so many threads."""
    return f"{n} thread{'s' if n > 1 else ''}"


def _arms(workbench: Workbench) -> list[Arm]:
    import torch

    steps = Steps(workbench.loop)
    workbench.afterwards.callback(torch.set_num_threads, torch.get_num_threads())
    counts = sorted({1, 2, usable_threads()})
    return [Arm(arm_name(n), steps.run, n, before=partial(torch.set_num_threads, n)) for n in counts]


def _needs(loop: Loop) -> str | None:
    return None if usable_threads() > 1 else Sentence("this process may use one core only")


def _ask(evidence: Evidence) -> list[Asked]:
    measured = evidence.measured.get("threads")
    if measured is None:
        return [not_tried(evidence, "threads", "threads", _("Is a step faster with more threads than with 1?"))]
    arms = list(zip(measured.names, measured.levers, strict=True))[1:-1]
    return [compare(evidence, "threads", name, _wording(round(count))) for name, count in reversed(arms)]


def _wording(n: int) -> Wording:
    threads = n_("{n} thread", "{n} threads", n).format(n=n)
    texts = (
        _("Is a step faster with {threads} than with 1?"),
        _("With {threads} a step takes longer than with 1: {change} ({us}). Threads wait for each other."),
        _("With {threads} a step is faster than with 1: {change} ({us})."),
        _("With {threads} a step takes as long as with 1 within {threshold}: {change} ({us})."),
    )
    return Wording(*(text.replace("{threads}", threads) for text in texts))


def _conclude(answers: dict[str, Answer]) -> Conclusion:
    """All threads decide: they are what people mean; the others are told."""
    keys = tuple(answers)
    return belief_saves(keys[0], keys[1:])(answers) if keys else Conclusion(Standing.NOT_TRIED, "")


CLAIM = Claim(
    name="threads",
    belief=lambda: _("More threads make training faster."),
    prediction=lambda: _(
        "A step of less than about a million floating point operations is not worth sharing; where another process "
        "keeps a core busy, threads that wait for each other make it many times slower (pytorch#144633)."
    ),
    # Longer samples: waking the threads up belongs to the first of many steps.
    experiments=(Experiment("threads", _arms, sample_s=0.012, rounds=7, needs=_needs, waits=True),),
    ask=_ask,
    conclude=_conclude,  # type: ignore[arg-type]
)
