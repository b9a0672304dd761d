"""What the page and the notebook say about an explanation, in sentences and figures."""

from __future__ import annotations

from hotloop.insight.explanation import BreakEven, Explanation, Floor, Ledger, Subject
from hotloop.language import _, n_, shown
from hotloop.report.break_even_map import is_inside
from hotloop.report.labels import condition_label, ledger_label
from hotloop.report.numbers import count, duration, percent, short, significant, written
from hotloop.report.run_view import Figure
from hotloop.report.svg import shortened

__all__ = [
    "conclusion",
    "conditions",
    "explanation_figures",
    "explanation_headline",
    "floor_sentence",
    "ledger_caption",
    "map_sentence",
    "subject_sentence",
]

_NAME, _REASON = 80, 400  # signs shown of a name and of a sentence
_NEAR_THE_FLOOR = 1.5  # times the floor


def explanation_headline(answer: Explanation) -> str:
    """Say how long a step takes and how far that is from what it needs."""
    wall, floor = answer.ledger.wall_us.value, answer.floor
    if not floor.us > 0 or not wall > 0:
        return _("A step takes {wall} µs.").format(wall=significant(wall))
    needs = _("arithmetic needs") if floor.arithmetic_us >= floor.traffic_us else _("moving its data needs")
    times = wall / floor.us
    verdict = _("near the floor") if times < _NEAR_THE_FLOOR else _("{times} times the floor")
    return _("A step takes {wall} µs; {needs} {floor} µs: {verdict}.").format(
        wall=significant(wall),
        needs=needs,
        floor=significant(floor.us, 2),
        verdict=verdict.format(times=significant(times, 2)),
    )


def conclusion(ledger: Ledger) -> str:
    """Name the largest part of a step; nothing where no conclusion should be drawn."""
    if ledger.refusal or not ledger.lines:
        return ""
    largest = max(ledger.lines, key=lambda line: line.us.value)
    return _("The largest part is “{part}”: {us} µs, {share} of a step.").format(
        part=shortened(ledger_label(largest.name), _NAME),
        us=significant(largest.us.value),
        share=percent(largest.share),
    )


def subject_sentence(subject: Subject) -> str:
    """Say what was looked at."""
    sentence = _("{name}: {network}, {weights} weights; {rows} of {features}, {batch} of them a step; {how}.")
    rows, features = subject.rows, subject.features
    return sentence.format(
        name=shortened(subject.name, _NAME),
        network=shortened(subject.network, _NAME),
        weights=count(subject.n_weights),
        rows=n_("{n} row", "{n} rows", rows).format(n=count(rows)),
        features=n_("{n} feature", "{n} features", features).format(n=count(features)),
        batch=count(subject.batch_size),
        how=", ".join(shortened(name, _NAME) for name in (subject.optimizer, subject.loss)),
    )


def explanation_figures(answer: Explanation) -> list[Figure]:
    """Return the numbers that stand out."""
    wall = answer.ledger.wall_us
    figures = [
        Figure(_("a step"), f"{significant(wall.value)} µs", written(wall)[1]),
        Figure(_("floor"), f"{significant(answer.floor.us, 2)} µs", _("on this machine, one core")),
    ]
    if answer.floor.us > 0:
        figures.append(Figure(_("against the floor"), f"{significant(wall.value / answer.floor.us, 2)} ×"))
    engine = shortened(answer.ledger.engine, _NAME)
    whole = _("{steps} steps of engine {engine}").format(steps=count(answer.subject.steps), engine=engine)
    figures.append(Figure(_("the whole run"), duration(1e-6 * wall.value * answer.subject.steps), whole))
    return figures


def ledger_caption(ledger: Ledger) -> str:
    """Say whose step it is."""
    threads = _("1 thread") if ledger.threads == 1 else _("{threads} threads").format(threads=ledger.threads)
    sentence = _("A step of engine {engine} on {device}, {threads}. µs a step, each with its interval.")
    return sentence.format(
        engine=shortened(ledger.engine, _NAME), device=shortened(ledger.device, _NAME), threads=threads
    )


def conditions(answer: Explanation) -> list[tuple[str, str]]:
    """Return what the figures hold for, as terms and what they are."""
    return [
        (shortened(condition_label(name), _NAME), shortened(shown(value), _REASON))
        for name, value in answer.conditions.items()
    ]


def floor_sentence(floor: Floor) -> str:
    """Say what the floor is made of."""
    sentence = _(
        "A step does {flop} floating point operations: {arithmetic} µs at {gflop} GFLOP/s. "
        "It moves at least {bytes} bytes: {traffic} µs at {gb} GB/s. The floor is the larger of the two."
    )
    return sentence.format(
        flop=count(floor.flop),
        arithmetic=significant(floor.arithmetic_us),
        gflop=significant(floor.gflop_per_s),
        bytes=count(floor.traffic_bytes),
        traffic=significant(floor.traffic_us),
        gb=significant(floor.gb_per_s),
    )


def map_sentence(answer: BreakEven) -> str:
    """Say what is compared and where the subject stands."""
    compared = _("{gpu} ({engine_gpu}) against {cpu} ({engine_cpu}).").format(
        gpu=shortened(answer.gpu, _NAME),
        engine_gpu=shortened(answer.engine_gpu, _NAME),
        cpu=shortened(answer.cpu, _NAME),
        engine_cpu=shortened(answer.engine_cpu, _NAME),
    )
    rows, width = answer.here
    here = _("You are at {rows} rows and a width of {width}.").format(rows=count(rows), width=short(width))
    inside = is_inside(answer.rows, rows) and is_inside(answer.widths, width)
    return f"{compared} {here}" if inside else f"{compared} {here} {_('That lies beyond the map.')}"
