"""A call trace as a table for notebooks; every text in it is escaped."""

from __future__ import annotations

from html import escape

from hotloop.insight.call.steps_in_words import note_on, origins, title_of
from hotloop.insight.call.text import heading, timing_sentences
from hotloop.insight.call.trace import CallTrace, Step, Value
from hotloop.language import _

__all__ = ["as_html"]

_MOST_ROWS = 200


def as_html(trace: CallTrace) -> str:
    """Return the trace as HTML without scripts or styles of its own."""
    titles = ("", trace.call.expression, _("in -> out"), _("params"), "us", _("own us"))
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    raised_in = origins(trace.call.steps)
    rows = "".join(_row(step, step.order in raised_in) for step in trace.call.steps[:_MOST_ROWS])
    left_out = len(trace.call.steps) - _MOST_ROWS
    more = f"<p>{escape(_('{n} more steps').format(n=left_out))}</p>" if left_out > 0 else ""
    raised = f"<p><b>{escape(trace.call.raised)}</b></p>" if trace.call.raised else ""
    return (
        f"<p>{escape(heading(trace))}</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"{more}{raised}<p><b>{escape(_('model.forward(x) instead of model(x)'))}</b></p><ul>{_sentences(trace)}</ul>"
    )


def _row(step: Step, is_origin: bool) -> str:
    note = note_on(step, is_origin)
    label = f"{title_of(step)} ({note})" if note else title_of(step)
    shapes = f"{_shape(step.inputs)} -> {_shape(step.outputs)}" if step.inputs or step.outputs else ""
    count = f"{step.parameters:,}" if step.kind in ("call", "compiled call") and step.parameters else ""
    cells = (str(step.order), None, shapes, count, f"{step.us:,.1f}", f"{step.own_us:,.1f}")
    indented = f'<td style="text-align:left;padding-left:{step.depth + 0.5}em">{escape(label)}</td>'
    return f"<tr>{''.join(indented if cell is None else f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _shape(values: tuple[Value, ...]) -> str:
    return ", ".join(value.type if value.shape is None else str(value.shape) for value in values)


def _sentences(trace: CallTrace) -> str:
    lost = [(_("lost"), difference.sentence) for difference in trace.differences if difference.lost]
    kept = [(None, difference.sentence) for difference in trace.differences if not difference.lost]
    timed = [(None, sentence) for sentence in timing_sentences(trace)]
    return "".join(
        f"<li>{f'<b>{escape(label)}</b>: ' if label else ''}{escape(sentence)}</li>"
        for label, sentence in (*lost, *kept, *timed)
    )
