"""What a claim is: a belief, experiments, and how their measurements answer it. A declaration of a page.

::

    CLAIM = Claim(
        name="forward",
        belief=lambda: _("model.forward(x) is faster than model(x)."),
        prediction=lambda: _("..."),                    what is known before measuring, with its source
        experiments=(Experiment("call", arms),),        arms of a loop, compared by insight/measure.py
        ask=ask,                                        measurements -> questions with findings and sentences
        conclude=belief_saves("call"),                  answers -> what becomes of the belief
    )

Texts are functions, since the reader's language is known only when they are shown. ``ask`` and ``conclude`` see nothing
but measurements and facts, so that what was saved can be judged again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from hotloop.insight.interval import Interval
from hotloop.insight.measure import Arm, Measurements
from hotloop.insight.verdict import Finding, Verdict

if TYPE_CHECKING:
    from hotloop.insight.claims.evidence import Evidence
    from hotloop.insight.loop import Loop

__all__ = ["Answer", "Asked", "Claim", "Conclusion", "Experiment", "Sentences", "Standing", "Workbench"]


@dataclass(frozen=True, eq=False)
class Workbench:
    """What arms are made from.

    Parameters
    ----------
    loop : Loop
    figures : dict of float
        Where arms put what they found out while they were made, such as how long compiling took; in its unit by name.
    afterwards : ExitStack
        Where arms put what must be closed or put back after the block.
    """

    loop: Loop
    figures: dict[str, float] = field(default_factory=dict)
    afterwards: ExitStack = field(default_factory=ExitStack)


def _nothing(loop: Loop) -> None:
    """Return None: there is nothing that it needs."""


def _never(measurements: Measurements) -> bool:
    return False


@dataclass(frozen=True)
class Experiment:
    """Arms of one loop that are compared with each other.

    Parameters
    ----------
    name : str
    arms : function of a Workbench
        Returns the arms; the first is the base. Called once for each block.
    share : float
        Of the budget, in proportion to those of the claim's other experiments.
    rounds : int
        How often a block runs each arm.
    sample_s : float
        About how long each run should take. Many short ones are better than few long ones: within a round of some
        milliseconds a restless machine treats all arms alike.
    narrow : function of Measurements
        Whether the intervals are narrow enough to stop; see :func:`hotloop.insight.measure.collect`.
    needs : function of a Loop
        Returns why it cannot be tried here, or None.
    waits : bool
        Whether more than one processor works or something is waited for, so that only time on the wall counts it all.
        Else it is the thread's own time that is measured, which other processes do not lengthen.
    fresh : bool
        Each block in a process of its own. False where making the arms takes long: then all blocks share one.
    """

    name: str
    arms: Callable[[Workbench], Sequence[Arm]]
    share: float = 1.0
    rounds: int = 15
    sample_s: float = 0.002
    narrow: Callable[[Measurements], bool] = _never
    needs: Callable[[Loop], str | None] = _nothing
    waits: bool = False
    fresh: bool = True


Sentences = Mapping[Verdict, str]
"""For each verdict that an answer may have, its sentence; those for "cannot tell" and "void" need not be given."""


@dataclass(frozen=True)
class Asked:
    """A question, before it is known how many others were asked.

    Parameters
    ----------
    key : str
    question : str
    sentences : Sentences or str
        A string where it could not be tried: then why.
    finding : Finding, optional
        None where it could not be tried.
    effect : Interval, optional
        What was found, for people: in ``unit``.
    threshold : float
        The smallest effect that counts, in ``unit``.
    unit : str
        "us", "us a record", "%", "times".
    """

    key: str
    question: str
    sentences: Sentences | str
    finding: Finding | None = None
    effect: Interval | None = None
    threshold: float = 0.0
    unit: str = ""


@dataclass(frozen=True)
class Answer:
    """A question answered.

    Parameters
    ----------
    key, question, sentence : str
    verdict : Verdict or None
        None where it could not be tried.
    effect : Interval or None
        With 95 % confidence, in ``unit``.
    threshold : float
    unit : str
    p : float
        Of the verdict, as if all questions of the claim had been one (Holm).
    n_blocks, more_blocks : int
        Measured, and what would probably be needed besides to settle it.
    """

    key: str
    question: str
    sentence: str
    verdict: Verdict | None
    effect: Interval | None
    threshold: float
    unit: str
    p: float
    n_blocks: int
    more_blocks: int


class Standing(StrEnum):
    """What becomes of a belief."""

    HOLDS = "holds here"
    FAILS = "does not hold here"
    CANNOT_TELL = "cannot tell"
    VOID = "void"
    NOT_TRIED = "could not be tried"


@dataclass(frozen=True)
class Conclusion:
    """What becomes of a belief, and the sentence that says so with figures."""

    standing: Standing
    sentence: str


@dataclass(frozen=True)
class Claim:
    """A belief that can be measured.

    Parameters
    ----------
    name : str
    belief : function
        Returns the sentence that people say.
    prediction : function
        Returns what is to be expected, and by which source.
    experiments : tuple of Experiment
    ask : function of Evidence
        Returns the questions, in the order in which they are shown.
    conclude : function of answers by their keys
    """

    name: str
    belief: Callable[[], str]
    prediction: Callable[[], str]
    experiments: tuple[Experiment, ...]
    ask: Callable[[Evidence], list[Asked]]
    conclude: Callable[[Mapping[str, Answer]], Conclusion]

    def experiment(self, name: str) -> Experiment:
        """Return one of its experiments."""
        return {experiment.name: experiment for experiment in self.experiments}[name]
