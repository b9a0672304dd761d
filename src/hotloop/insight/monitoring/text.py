"""The latest record of a monitor as text of 80 columns."""

from __future__ import annotations

from hotloop.insight.monitoring.records import MonitorRecord
from hotloop.language import _

__all__ = ["as_text"]

_NAME, _FIGURE = 26, 9
_MOST_ROWS = 30


def as_text(records: list[MonitorRecord]) -> str:
    """Return the latest record, and how many there are."""
    if not records:
        return _("No records yet.")
    latest = records[-1]
    return "\n".join([_heading(records), *_activations(latest), *_gradients(latest)])


def _heading(records: list[MonitorRecord]) -> str:
    latest = records[-1]
    parts = [
        _("record {n}").format(n=len(records)),
        _("epoch {epoch:,}").format(epoch=latest.epoch) if latest.epoch is not None else "",
        _("loss {loss:.6g}").format(loss=latest.loss) if latest.loss is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def _activations(record: MonitorRecord) -> list[str]:
    names = [*record.activations, *(name for name in record.dead_units if name not in record.activations)]
    if not names:
        return []
    titles = (_("mean"), _("std"), _("min"), _("max"), _("zeros"))
    lines = ["", _row(_("output of"), *titles, _("dead"))]
    for name in names[:_MOST_ROWS]:
        seen, dead = record.activations.get(name), record.dead_units.get(name)
        figures = [_figure(n) for n in (seen.mean, seen.std, seen.least, seen.largest)] if seen else [""] * 4
        share = f"{seen.zeros:.1%}" if seen else ""
        lines.append(_row(name or _("model"), *figures, share, f"{dead.dead}/{dead.units}" if dead else ""))
    return [*lines, *_left_out(len(names))]


def _gradients(record: MonitorRecord) -> list[str]:
    if not record.gradients:
        return []
    lines = ["", _row(_("gradient of"), _("last norm"), _("mean"), _("max"))]
    for name, norms in list(record.gradients.items())[:_MOST_ROWS]:
        lines.append(_row(name, *(_figure(n) for n in (norms.last, norms.mean, norms.largest))))
    return [*lines, *_left_out(len(record.gradients))]


def _left_out(n: int) -> list[str]:
    return [_("and {n} more").format(n=n - _MOST_ROWS)] if n > _MOST_ROWS else []


def _row(name: str, *figures: str) -> str:
    shown = name if len(name) <= _NAME else ".." + name[2 - _NAME :]
    return (f"{shown:<{_NAME}}" + "".join(f"{figure:>{_FIGURE}}" for figure in figures)).rstrip()


def _figure(value: float) -> str:
    return f"{value:.3g}"
