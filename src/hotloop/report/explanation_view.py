"""What the page and the notebook say about an explanation, in words and formatted numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from hotloop.insight.explanation import BreakEven, Explanation, Floor, Forecast, Ladder, Ledger, Subject
from hotloop.insight.interval import Interval
from hotloop.language import _, shown
from hotloop.report.bars import (
    forecast_bar,
    forecast_scale,
    ladder_bar,
    ladder_scale,
    ledger_bar,
    ledger_scale,
)
from hotloop.report.break_even_map import is_inside, is_uncertain
from hotloop.report.labels import condition_label, ledger_label, rung_label
from hotloop.report.numbers import count, decimals_of, duration, fixed, percent, short, significant
from hotloop.report.run_view import Figure
from hotloop.report.svg import shortened

__all__ = [
    "Row",
    "conclusion",
    "conditions",
    "explanation_figures",
    "explanation_headline",
    "floor_sentence",
    "forecast_rows",
    "ladder_rows",
    "ledger_caption",
    "ledger_rows",
    "map_sentence",
    "map_table",
    "subject_sentence",
]

_NAME, _REASON = 80, 400  # signs shown of a name and of a sentence
_NEAR_THE_FLOOR = 1.5  # times the floor


@dataclass(frozen=True)
class Row:
    """A row of a table of bars.

    Parameters
    ----------
    kind : str
        "part", "residual", "total", "observer", "rung", "floor" or "forecast".
    label : str
    bar : Markup
    value, bounds : str
    more : tuple of str
        Further cells.
    width_percent : float
        Length of the bar as a share of the longest, for those who can draw no picture.
    """

    kind: str
    label: str
    bar: Markup
    value: str = ""
    bounds: str = ""
    more: tuple[str, ...] = ()
    width_percent: float = 0.0


def explanation_headline(answer: Explanation) -> str:
    """Say how long a step takes and how far that is from what it needs."""
    wall, floor = answer.ledger.wall_us.value, answer.floor
    if not floor.us > 0 or not wall > 0:
        return _("A step takes {wall} µs.").format(wall=significant(wall))
    needs = _("arithmetic needs") if floor.arithmetic_us >= floor.traffic_us else _("moving its data needs")
    times = wall / floor.us
    verdict = _("near the floor") if times < _NEAR_THE_FLOOR else _("{times} times above the floor")
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
    sentence = _(
        "{name}: {network}, {weights} weights; {rows} rows of {features} features, {batch} of them a step; {how}."
    )
    return sentence.format(
        name=shortened(subject.name, _NAME),
        network=shortened(subject.network, _NAME),
        weights=count(subject.n_weights),
        rows=count(subject.rows),
        features=count(subject.features),
        batch=count(subject.batch_size),
        how=", ".join(shortened(name, _NAME) for name in (subject.optimizer, subject.loss)),
    )


def explanation_figures(answer: Explanation) -> list[Figure]:
    """Return the numbers that stand out."""
    wall = answer.ledger.wall_us
    figures = [
        Figure(_("a step"), f"{significant(wall.value)} µs", _written(wall)[1]),
        Figure(_("floor"), f"{significant(answer.floor.us, 2)} µs", _("on this machine, one core")),
    ]
    if answer.floor.us > 0:
        figures.append(Figure(_("above the floor"), f"{significant(wall.value / answer.floor.us, 2)} ×"))
    engine = shortened(answer.ledger.engine, _NAME)
    whole = _("{steps} steps of engine {engine}").format(steps=count(answer.subject.steps), engine=engine)
    figures.append(Figure(_("the whole run"), duration(1e-6 * wall.value * answer.subject.steps), whole))
    return figures


def ledger_rows(ledger: Ledger) -> list[Row]:
    """Return the waterfall: the lines, what they leave unexplained, the step, and beside it what observing cost."""
    scale, wall = ledger_scale(ledger), ledger.wall_us
    decimals = decimals_of([*(line.us for line in ledger.lines), wall])

    def row(kind: str, label: str, us: Interval, start_us: float, share: float | None) -> Row:
        bar = ledger_bar(scale, start_us, us, kind)
        shares = "" if share is None else percent(share)
        width = 100 * min(1.0, max(0.0, us.value / wall.value)) if wall.value > 0 else 0.0
        return Row(kind, label, bar, fixed(us.value, decimals), _bounds(us, decimals), (shares,), width)

    rows, start_us = [], 0.0
    for line in ledger.lines:
        rows.append(row("part", shortened(ledger_label(line.name), _NAME), line.us, start_us, line.share))
        start_us += line.us.value
    share = ledger.residual_us.value / wall.value if wall.value else None
    rows.append(row("residual", _("not explained"), ledger.residual_us, start_us, share))
    rows.append(row("total", _("a step, timed from outside"), wall, 0.0, 1.0))
    rows.append(row("observer", _("added by observing, not in a step"), ledger.observer_us, wall.value, None))
    return rows


def ladder_rows(ladder: Ladder) -> list[Row]:
    """Return the rungs from the whole step down, each with what removing a cost saved."""
    scale = ladder_scale(ladder)
    rows = []
    for index, rung in enumerate(ladder.rungs):
        kind = "floor" if rung.name == "floor" else "rung"
        bar = ladder_bar(scale, rung.us, kind)
        saved = ("", "") if index == 0 else _written(rung.saved_us)
        rows.append(Row(kind, shortened(rung_label(rung.name), _NAME), bar, *_written(rung.us), saved))
    return rows


def forecast_rows(forecasts: tuple[Forecast, ...]) -> list[Row]:
    """Return each engine and device with its forecast, what was measured, and how far these are apart."""
    scale = forecast_scale(forecasts)
    return [
        Row(
            "forecast",
            shortened(one.engine, _NAME),
            forecast_bar(scale, one),
            _place(one),
            shortened(shown(one.unavailable or ""), _REASON),
            _compared(one),
        )
        for one in forecasts
    ]


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
        (shortened(condition_label(name), _NAME), shortened(value, _REASON))
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


def map_table(answer: BreakEven) -> Iterator[tuple[str, list[str]]]:
    """Yield each number of rows, and the ratios with their bounds at each width; undecided ones end in "?"."""
    for rows, ratios in zip(answer.rows, answer.ratio, strict=True):
        cells = [
            f"{significant(ratio.value, 2)} ({significant(ratio.low, 2)} – {significant(ratio.high, 2)})"
            + (" ?" if is_uncertain(ratio) else "")
            for ratio in ratios
        ]
        yield count(rows), cells


def _place(forecast: Forecast) -> str:
    threads = forecast.threads
    words = [shortened(forecast.device, _NAME)]
    if threads is not None:
        words.append(_("1 thread") if threads == 1 else _("{threads} threads").format(threads=threads))
    if forecast.machine is not None:
        words.append(shortened(forecast.machine, _NAME))
    return ", ".join(words)


def _compared(forecast: Forecast) -> tuple[str, ...]:
    error = forecast.error
    return (
        *(("", "") if forecast.forecast_us is None else _written(forecast.forecast_us)),
        *(("", "") if forecast.measured_us is None else _written(forecast.measured_us)),
        "" if error is None else f"{'+' if error > 0 else ''}{percent(error)}",
        duration(forecast.prepare_s) if forecast.prepare_s else "",
    )


def _bounds(us: Interval, decimals: int) -> str:
    return f"{fixed(us.low, decimals)} – {fixed(us.high, decimals)}"


def _written(us: Interval) -> tuple[str, str]:
    """Return a figure and its bounds with the digits that the interval leaves."""
    if not us.half_width > 0:
        return significant(us.value), ""
    decimals = decimals_of([us], digits=2, most=6)
    return fixed(us.value, decimals), _bounds(us, decimals)
