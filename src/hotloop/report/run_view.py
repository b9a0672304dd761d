"""What the page and the notebook say about a run, in words and formatted numbers; templates only arrange it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotloop.language import _, shown
from hotloop.program.network import Linear, Network
from hotloop.report.labels import metric_label
from hotloop.report.numbers import count, duration, significant
from hotloop.report.series import best_validation
from hotloop.report.svg import shortened

if TYPE_CHECKING:
    from hotloop.runs import Run

__all__ = ["Figure", "layers", "run_facts", "run_figures", "run_headline", "run_reason", "run_subject", "settings"]

_LAYERS_SHOWN = 60
_NAME, _VALUE = 80, 400  # signs shown of a name in a sentence, and of a setting


@dataclass(frozen=True)
class Figure:
    """A number that stands out: what it is, and a word on it."""

    label: str
    value: str
    note: str = ""


def run_subject(run: Run) -> str:
    """Name what was trained."""
    name = str(run.network) if run.network is not None else run.module_name
    return shortened(name, _NAME) or _("A network")


def run_headline(run: Run) -> str:
    """Say in a sentence what was trained, for how long, and where the loss ended."""
    known = {
        "patience": _("{network} stopped after {epochs} epochs in {time}, when validation no longer improved"),
        "interrupted": _("{network} was interrupted after {epochs} epochs and {time}"),
        "diverged": _("{network} diverged: the loss was no finite number after {epochs} epochs and {time}"),
    }
    sentence = known.get(run.stopped, _("{network} was trained for {epochs} epochs in {time}"))
    said = sentence.format(network=run_subject(run), epochs=count(run.epochs), time=duration(run.duration_s))
    if not math.isfinite(run.final_loss):
        return _("{sentence}.").format(sentence=said)
    return _("{sentence}; the loss ended at {loss}.").format(sentence=said, loss=significant(run.final_loss))


def run_reason(run: Run) -> str:
    """Say what ran it where, and why these."""
    engine, device = shortened(run.engine, _NAME), shortened(run.device, _NAME)
    if not run.why:
        return _("Engine {engine} on {device}.").format(engine=engine, device=device)
    why = shortened(shown(run.why), _VALUE).rstrip(".")
    return _("Engine {engine} on {device}: {why}.").format(engine=engine, device=device, why=why)


def run_figures(run: Run) -> list[Figure]:
    """Return the numbers that a person looks for first."""
    figures = [Figure(_("final loss"), significant(run.final_loss, 4), _("training"))]
    if best := best_validation(run):
        epoch = _("epoch {epoch}").format(epoch=count(best[0]))
        figures.append(Figure(_("best validation loss"), significant(best[1], 4), epoch))
    figures += [
        Figure(shortened(metric_label(name), _NAME), significant(value, 4)) for name, value in run.metrics.items()
    ]
    figures.append(Figure(_("training time"), duration(run.duration_s), _per_epoch(run)))
    return figures


def run_facts(run: Run) -> list[tuple[str, str]]:
    """Return what else is known of the run, as terms and what they are."""
    facts = [
        (_("preparation"), duration(run.prepare_s) if run.prepare_s else ""),
        (_("ended"), shown(run.stopped_why) or run.stopped),
        (_("target"), "" if run.schema is None else run.schema.target),
        (_("seed"), str(run.seed)),
        (_("started"), run.started_at or ""),
    ]
    return [(term, value) for term, value in facts if value]


def layers(run: Run) -> tuple[list[tuple[str, str, str]], int]:
    """Return name, shape and number of weights of each layer or parameter, and how many are left out."""
    rows = _of_network(run.network) if run.network is not None else _of_weights(run.weights)
    return rows[:_LAYERS_SHOWN], max(0, len(rows) - _LAYERS_SHOWN)


def settings(run: Run) -> list[tuple[str, str]]:
    """Return the settings, by name, as text; names are those of ``run.json``."""
    return [
        (shortened(name.replace("_", " "), _NAME), _as_text(value)) for name, value in run.to_json()["settings"].items()
    ]


def _per_epoch(run: Run) -> str:
    if run.epochs < 1:
        return ""
    return _("{time} an epoch").format(time=duration(run.duration_s / run.epochs))


def _of_network(network: Network) -> list[tuple[str, str, str]]:
    rows = []
    for layer in network.layers:
        if isinstance(layer, Linear):
            n_weights = layer.n_in * layer.n_out + layer.n_out
            rows.append((_("linear"), f"{layer.n_in:,} → {layer.n_out:,}", count(n_weights)))
        else:
            rows.append((layer.name, "", ""))
    return rows


def _of_weights(weights: dict[str, Any]) -> list[tuple[str, str, str]]:
    rows = []
    for name, value in weights.items():
        shape = tuple(int(size) for size in value.shape)
        rows.append((name, " × ".join(f"{size:,}" for size in shape), count(math.prod(shape))))
    return rows


def _as_text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int | float):
        return f"{value:,}"
    return shortened(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _VALUE)
