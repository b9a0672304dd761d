"""A ruling as one screen of plain text."""

from __future__ import annotations

from hotloop.insight.claims.claim import Answer
from hotloop.insight.claims.figures import figure
from hotloop.insight.claims.ruling import Ruling, Table
from hotloop.language import _, pad, wrap

__all__ = ["as_text"]

_LINE_WIDTH = 96
_LABEL_WIDTH = 11


def as_text(ruling: Ruling) -> str:
    """Return the ruling as plain text for people, in lines of at most 96 characters."""
    lines = [
        *_labelled(_("belief"), f'"{ruling.belief}"'),
        *_labelled(_("expected"), ruling.prediction),
        *_labelled(_("verdict"), _verdict(ruling)),
        "",
    ]
    for answer in ruling.answers:
        lines += _answered(answer)
    lines += ["", *(line for table in ruling.tables for line in _table(table))]
    return "\n".join([*lines, "", *_labelled(_("conditions"), _conditions(ruling))])


def _verdict(ruling: Ruling) -> str:
    standing = _standing(ruling)
    # What could not be tried says so itself.
    return ruling.sentence if ruling.sentence.startswith(standing) else f"{standing}{_('. ')}{ruling.sentence}"


def _standing(ruling: Ruling) -> str:
    words = {
        "holds here": _("Holds here"),
        "does not hold here": _("Does not hold here"),
        "cannot tell": _("Cannot tell"),
        "void": _("Void"),
        "could not be tried": _("Could not be tried"),
    }
    return words[ruling.standing.value]


def _labelled(label: str, text: str) -> list[str]:
    return wrap(text, _LINE_WIDTH, first=pad(label, _LABEL_WIDTH), rest=" " * _LABEL_WIDTH)


def _answered(answer: Answer) -> list[str]:
    lines = wrap(answer.question, _LINE_WIDTH, first="- ", rest="  ")
    return lines + wrap(answer.sentence, _LINE_WIDTH, first="    ", rest="    ")


def _table(table: Table) -> list[str]:
    calm = _("A/A agrees") if table.calm else _("A/A differs: void")
    unit = _("us of its thread's time") if table.own_time else _("us on the wall")
    head = _("{name}: {n} blocks, {calm}; {unit}, median (minimum):")
    arms = [f"{arm.name} {figure(arm.median_us, 3)} ({figure(arm.least_us, 3)})" for arm in table.arms]
    text = f"{head.format(name=table.experiment, n=table.n_blocks, calm=calm, unit=unit)} {'; '.join(arms)}"
    return wrap(text, _LINE_WIDTH, first="", rest="  ")


def _conditions(ruling: Ruling) -> str:
    subject, conditions = ruling.facts.subject, ruling.conditions
    text = _(
        "{name} ({network}), {rows} rows a step, {optimizer}, {steps} steps in all; {threads} of torch's threads; "
        "{processor}, torch {torch}, Python {python}, {date}; took {took:.0f} s of {budget:g} s"
    )
    return text.format(
        name=subject.name,
        network=subject.network,
        rows=subject.batch_size,
        optimizer=subject.optimizer,
        steps=f"{subject.steps:,}",
        threads=ruling.facts.threads,
        took=ruling.took_s,
        budget=ruling.budget_s,
        **{key: conditions.get(key, _("unknown")) for key in ("processor", "torch", "python", "date")},
    )
