"""An explanation as text for a terminal: what takes the time, how far that is from the limit, what to change."""

from __future__ import annotations

from collections.abc import Iterator

from hotloop.insight.explanation import Explanation, Forecast, Ladder, Ledger, LedgerLine
from hotloop.insight.interval import Interval
from hotloop.language import _, display_width, n_, pad, shown, wrap
from hotloop.report.explanation_view import conclusion, explanation_headline, subject_sentence
from hotloop.report.labels import ledger_label, rung_label

__all__ = ["explanation_text"]

_BAR = 24
_LABEL = 34
_LEAST_SHARE = 0.0005


def explanation_text(answer: Explanation, columns: int = 100) -> str:
    """Return the explanation in lines of at most so many columns.

    Parameters
    ----------
    answer : Explanation
    columns : int
        Of the terminal, 60 at least.
    """
    columns = max(columns, 60)
    lines = [*_wrapped(subject_sentence(answer.subject), columns), ""]
    lines += _wrapped(explanation_headline(answer), columns)
    if said := conclusion(answer.ledger):
        lines += _wrapped(said, columns)
    lines += ["", *_ledger(answer.ledger, columns)]
    lines += ["", *_ladder(answer.ladder, answer.floor.us, columns)]
    if answer.forecasts:
        lines += ["", *_forecasts(answer.forecasts)]
    lines += ["", _("What to change")]
    for number, one in enumerate(answer.advice, 1):
        lines += wrap(shown(one.sentence), columns, first=f"  {number} ", rest="    ")
    for note in answer.notes:
        lines += ["", *_wrapped(shown(note), columns)]
    # The ledger names the threads.
    told = [shown(value) for name, value in answer.conditions.items() if name != "threads"]
    lines += ["", *_wrapped(", ".join(told), columns)]
    return "\n".join(lines)


def _wrapped(text: str, columns: int) -> list[str]:
    # The micro sign, and the Greek letter that Chinese code pages have in its place.
    return wrap(text.replace("\u00b5", "u").replace("\u03bc", "u"), columns)


def _ledger(ledger: Ledger, columns: int) -> Iterator[str]:
    threads = n_("{n} thread", "{n} threads", ledger.threads).format(n=ledger.threads)
    title = _("A step in eager torch, us") + f", {threads}"
    yield f"{pad(title, _LABEL)}{pad('', 9, right=True)}  {pad(_('95 % interval'), 17)}{pad(_('share'), 8, right=True)}"
    for line in sorted(ledger.lines, key=lambda line: -line.us.value):
        if line.share > _LEAST_SHARE:
            yield _line(line, columns)
    yield _row(_("not explained"), ledger.residual_us, f"{ledger.residual_us.value / ledger.wall_us.value:8.1%}")
    yield _row(_("a step, timed from outside"), ledger.wall_us, f"{1:8.0%}")
    yield _row(_("added by watching, left out"), ledger.observer_us)
    if ledger.refusal is not None:
        yield from wrap(_("No conclusion: {why}.").format(why=shown(ledger.refusal)), columns, first="  ", rest="  ")


def _line(line: LedgerLine, columns: int) -> str:
    bar = "#" * round(_BAR * max(line.share, 0.0))
    return f"{_row(ledger_label(line.name), line.us, f'{line.share:8.1%}')}  {bar}"[:columns].rstrip()


def _row(label: str, us: Interval, more: str = "") -> str:
    return f"{pad(f'  {label}', _LABEL)}{_figure(us.value):>9}  {pad(_bounds(us), 17)}{more}".rstrip()


def _ladder(ladder: Ladder, floor_us: float, columns: int) -> Iterator[str]:
    title = _("The same step with one cost after the other removed, us")
    yield f"{title}{pad(_('saving'), max(0, _LABEL + 36 - display_width(title)), right=True)}"
    for place, rung in enumerate(ladder.rungs):
        yield _row(rung_label(rung.name), rung.us, f"{_figure(rung.saved_us.value):>8}" if place else "")
    yield f"{pad('  ' + _('floor: arithmetic and memory alone'), _LABEL)}{_figure(floor_us):>9}"
    for reason in ladder.left_out:
        yield from wrap(_("Left out: {why}.").format(why=shown(reason)), columns, first="  ", rest="  ")


def _forecasts(forecasts: tuple[Forecast, ...]) -> Iterator[str]:
    head = [pad(text, width, right=True) for text, width in ((_("forecast"), 9), (_("measured"), 11), (_("error"), 8))]
    yield f"{pad(_('Engines, us a step'), _LABEL)}{''.join(head)}"
    for one in forecasts:
        yield f"{pad('  ' + _way(one), _LABEL)}{_compared(one)}"


def _way(one: Forecast) -> str:
    threads = (
        "" if one.threads is None else _("1 thread") if one.threads == 1 else _("{n} threads").format(n=one.threads)
    )
    return ", ".join(part for part in (one.engine, one.device, threads, one.machine) if part)


def _compared(one: Forecast) -> str:
    if one.unavailable is not None:
        return f"  {shown(one.unavailable)}"
    forecast = "-" if one.forecast_us is None else _figure(one.forecast_us.value)
    measured = "-" if one.measured_us is None else _figure(one.measured_us.value)
    error = "" if one.error is None else f"{one.error:+8.0%}"
    return f"{forecast:>9}{measured:>11}{error}"


def _bounds(us: Interval) -> str:
    return f"({_figure(us.low)} .. {_figure(us.high)})"


def _figure(us: float) -> str:
    """Return microseconds with three significant digits, in ASCII."""
    if abs(us) >= 1000:
        return f"{us:,.0f}"
    decimals = 0 if abs(us) >= 100 else 1 if abs(us) >= 10 else 2
    return f"{us:.{decimals}f}"
