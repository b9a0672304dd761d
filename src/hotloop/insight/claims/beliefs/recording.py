"""The lesson's homework: recording the loss more or less often changed the duration in no clear linear way.

What recording costs is measured with a lever: 0 to 16 records a step make an effect of 0.3 % visible. A step's first
record can cost more than those that follow at once, whose code is still in the caches; a run pays for first ones. What
follows from that is then checked on the real loop, and the four explanations that the lesson offers are tested
(explanations.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import partial

import numpy as np

from hotloop.insight.claims.beliefs import append, explanations
from hotloop.insight.claims.claim import Answer, Asked, Claim, Conclusion, Experiment, Standing, Workbench
from hotloop.insight.claims.comparing import LEAST_COST_US, THRESHOLD, as_change, narrow_ratio, not_tried
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.figures import a_step, figure, percent, seconds, signed_percent, us
from hotloop.insight.claims.steps import Steps
from hotloop.insight.measure import Arm, Measurements, difference, level, linearity, ratio, slope
from hotloop.insight.statistics import Estimate
from hotloop.insight.verdict import INSIDE, Verdict, judge, judge_bends, narrow_enough
from hotloop.language import _

__all__ = ["CLAIM", "LEVELS", "ONE", "record", "record_every"]

LEVELS = (0, 1, 2, 4, 8, 16)
ONE = a_step(1, "record")
"""The arm that does what a loop does which records each step."""

_SELDOM, _ALWAYS = "a record every 100 steps", "a record every step"


def _arms(workbench: Workbench) -> list[Arm]:
    steps = Steps(workbench.loop)
    return [Arm(a_step(m, "record"), partial(record, steps, m), m) for m in LEVELS]


def record(steps: Steps, records: int, n: int) -> list[float]:
    """Do steps, and record the loss so many times after each, as the lesson does."""
    losses: list[float] = []
    for _step in range(n):
        loss = steps.step()
        for _record in range(records):
            losses.append(loss.item())
    return losses


def _real_arms(workbench: Workbench) -> list[Arm]:
    steps = Steps(workbench.loop)
    return [
        Arm(_SELDOM, partial(record_every, steps, 100, itertools.count())),
        Arm(_ALWAYS, partial(record_every, steps, 1, itertools.count())),
    ]


def record_every(steps: Steps, interval: int, epochs: itertools.count[int], n: int) -> list[float]:
    """Do steps, and record the loss of each whose number the interval divides."""
    losses: list[float] = []
    for _step in range(n):
        loss = steps.step()
        if next(epochs) % interval == 0:
            losses.append(loss.item())
    return losses


def _narrow(measured: Measurements) -> bool:
    """A record is known to a tenth, and bends would show."""
    step_us = float(np.median(measured.per_block_us()[:, 0]))
    known = narrow_enough(_each_more, max(_each_more(measured).value, LEAST_COST_US) / 5)(measured)
    widest = max(deviation.half_width for deviation in linearity(measured).deviations)
    return known and widest < THRESHOLD * step_us / 4


def _each_more(measured: Measurements) -> Estimate:
    """Return what each record costs that is not the first of its step, microseconds."""
    return slope(measured, least=1)


def _ask(evidence: Evidence) -> list[Asked]:
    if "records" not in evidence.measured:
        questions = {
            "cost": _("Does recording take time?"),
            "share": _("Does it matter for the duration of a run?"),
            "linear": _("Does the time grow linearly with the number of records?"),
        }
        return [not_tried(evidence, "records", key, question) for key, question in questions.items()]
    return [_cost(evidence), _share(evidence), _linear(evidence), _real(evidence), *explanations.ask(evidence)]


def _cost(evidence: Evidence) -> Asked:
    measured = evidence.measured["records"]
    found = _each_more(measured)
    written = {"us": us(found.interval()), "one": us(difference(measured, ONE).interval())}
    texts = {
        Verdict.COSTS: _("A record (loss.item() and append) takes {one} where a step has one, and {us} for each more."),
        Verdict.SAVES: _("Steps with more records took less time, {us} a record, which nothing explains."),
        Verdict.EQUIVALENT: _("No cost was found: {us} a record, less than calling an empty function."),
    }
    sentences = {verdict: text.format(**written) for verdict, text in texts.items()}
    sentences[Verdict.EQUIVALENT] = texts[Verdict.EQUIVALENT].format(us=us(found.interval(INSIDE)))
    finding = judge(found, LEAST_COST_US, measured)
    return Asked(
        "cost", _("Does recording take time?"), sentences, finding, found.interval(), LEAST_COST_US, _("us a record")
    )


def _share(evidence: Evidence) -> Asked:
    measured, facts = evidence.measured["records"], evidence.facts
    changed = ratio(measured, ONE)
    share, step_us = as_change(changed), level(measured, measured.names[0]).value
    # Steps that record are those that end an epoch.
    per_epoch = facts.subject.steps / facts.epochs
    of_run = share.times(1 / per_epoch)
    run_s = step_us * facts.subject.steps * 1e-6
    written = {
        "step": percent(share),
        "n": f"{facts.epochs:,}",
        "added": seconds(max(difference(measured, ONE).interval().high, 0.0) * facts.epochs * 1e-6),
        "run": seconds(run_s),
        "threshold": f"{THRESHOLD * 100:g} %",
    }
    texts = {
        Verdict.COSTS: _(
            "Recording each step makes it {step} longer: {n} records add up to {added} to a run of {run}."
        ),
        Verdict.SAVES: _("Steps that record were shorter by {step}, which nothing explains."),
        Verdict.EQUIVALENT: _(
            "Hardly: a record is {step} of a step, below {threshold}. {n} records, one each epoch, add {added} at most "
            "to a run of {run}."
        ),
    }
    sentences = {verdict: text.format(**written) for verdict, text in texts.items()}
    inside = {**written, "step": percent(as_change(changed, INSIDE))}
    sentences[Verdict.EQUIVALENT] = texts[Verdict.EQUIVALENT].format(**inside)
    finding = judge(changed, np.log1p(THRESHOLD * per_epoch), measured)
    return Asked(
        "share",
        _("Does it matter for the duration of a run?"),
        sentences,
        finding,
        of_run.times(100),
        100 * THRESHOLD,
        _("% of the run"),
    )


def _linear(evidence: Evidence) -> Asked:
    measured = evidence.measured["records"]
    threshold_us = THRESHOLD * level(measured, measured.names[0]).value
    bent = linearity(measured)
    one, more = difference(measured, ONE), _each_more(measured)
    first = Estimate(one.value - more.value, one.draws - more.draws, one.n_blocks).interval().low
    finding = judge_bends(bent, threshold_us, measured)
    written = {
        "d": figure(bent.largest),
        "levels": ", ".join(map(str, LEVELS)),
        "bend": us(finding.effect),
        "threshold": f"{THRESHOLD * 100:g} %",
        "first": "" if first <= 0 else " " + _("A step's first record takes more than each further one."),
    }
    texts = {
        Verdict.COSTS: _("No: at one of {levels} records a step the time departs from a line by {bend}."),
        Verdict.EQUIVALENT: _(
            "Yes: at {levels} records a step the time lies on a line, within +-{d} us, less than {threshold} of a "
            "step.{first}"
        ),
    }
    sentences = {verdict: text.format(**written) for verdict, text in texts.items()}
    question = _("Does the time grow linearly with the number of records?")
    return Asked("linear", question, sentences, finding, finding.effect, threshold_us, _("us off the line"))


def _real(evidence: Evidence) -> Asked:
    """Check what one record a step predicts against the loop as people write it."""
    question = _("Is what follows from it true of the real loop, recording every step against every 100?")
    if "real" not in evidence.measured:
        return not_tried(evidence, "real", "real", question)
    measured, levered = evidence.measured["real"], evidence.measured["records"]
    found, predicted = ratio(measured, _ALWAYS), ratio(levered, ONE)
    predicted = Estimate(0.99 * predicted.value, 0.99 * predicted.draws, predicted.n_blocks)
    n_blocks = min(found.n_blocks, predicted.n_blocks)
    apart = Estimate(found.value - predicted.value, found.draws - predicted.draws, n_blocks)
    written = {
        "predicted": signed_percent(as_change(predicted)),
        "found": signed_percent(as_change(found)),
        "threshold": f"{THRESHOLD * 100:g} %",
    }
    texts = {
        Verdict.COSTS: _("No: {predicted} was predicted and {found} found, so something else takes time there."),
        Verdict.SAVES: _("No: {predicted} was predicted and {found} found: recording takes less there."),
        Verdict.EQUIVALENT: _(
            "Yes: {predicted} of a step was predicted, {found} was found; they agree within {threshold}."
        ),
    }
    sentences = {verdict: text.format(**written) for verdict, text in texts.items()}
    finding = judge(apart, np.log1p(THRESHOLD), measured)
    unit = _("% off the prediction")
    return Asked("real", question, sentences, finding, as_change(apart).times(100), 100 * THRESHOLD, unit)


def _conclude(answers: Mapping[str, Answer]) -> Conclusion:
    """The belief is that the relation is no line; what the records cost, and what the noise is, belongs to it."""
    linear = answers["linear"]
    standings = {
        Verdict.COSTS: Standing.HOLDS,
        Verdict.EQUIVALENT: Standing.FAILS,
        Verdict.CANNOT_TELL: Standing.CANNOT_TELL,
        Verdict.VOID: Standing.VOID,
    }
    standing = Standing.NOT_TRIED if linear.verdict is None else standings[linear.verdict]
    others = [answers[key] for key in ("share", "noise") if key in answers]
    settled = [answer.sentence for answer in others if answer.verdict in (Verdict.COSTS, Verdict.EQUIVALENT)]
    said = _("Linear? {linear} Does it matter? {others}") if settled else _("Linear? {linear}")
    return Conclusion(standing, said.format(linear=linear.sentence, others=" ".join(settled)))


CLAIM = Claim(
    name="recording",
    belief=lambda: _("Recording the loss more often slows training down, in no clear linear way."),
    prediction=lambda: _(
        "A record costs well under a microsecond on a CPU (aten::_local_scalar_dense 0.45 us, pytorch#74605), so "
        "20,000 records cost about 10 ms, on a straight line; two single runs differ by more. On a GPU a record waits "
        "for the stream, and costs about the time of a step's work plus a latency."
    ),
    experiments=(
        Experiment("records", _arms, share=5.0, rounds=21, sample_s=0.0015, narrow=_narrow),
        Experiment("real", _real_arms, share=1.5, narrow=narrow_ratio(_ALWAYS)),
        *explanations.EXPERIMENTS,
        append.EXPERIMENT,
    ),
    ask=_ask,
    conclude=_conclude,
)
