"""Names that stand in results as keys, in the reader's words; what has no label is shown as it is."""

from __future__ import annotations

from hotloop.language import _

__all__ = ["condition_label", "ledger_label", "metric_label", "rung_label", "unit_label"]


def ledger_label(name: str) -> str:
    """Say what a line of the ledger is."""
    known = {
        "gather": _("gather rows"),
        "forward": _("forward"),
        "loss": _("loss"),
        "zero_grad": _("clear gradients"),
        "backward": _("backward"),
        "clip": _("clip gradients"),
        "optimizer": _("optimizer"),
        "record": _("record the loss"),
        "python": _("Python loop"),
        "dispatch": _("dispatch"),
        "kernels": _("kernels"),
        "transfer": _("transfer"),
        "waiting": _("waiting"),
    }
    return known.get(name, name)


def rung_label(name: str) -> str:
    """Say what is left of the step on a rung."""
    known = {
        "eager": _("eager torch, as written"),
        "no hooks": _("without hooks"),
        "no modules": _("without Module calls"),
        "no autograd": _("without autograd"),
        "no optimizer": _("without the optimizer"),
        "no python": _("without Python"),
        "native": _("compiled to machine code"),
        "floor": _("floor: arithmetic and memory alone"),
    }
    return known.get(name, name)


def metric_label(name: str) -> str:
    """Say what a metric is."""
    known = {"test_accuracy": _("test accuracy"), "test_rmse": _("test RMSE"), "test_r2": _("test R²")}
    return known.get(name, name.replace("_", " "))


def unit_label(unit: str) -> str:
    """Say the unit of a figure that advice rests on."""
    known = {"times": _("times"), "us a step": _("µs a step"), "s": _("s"), "%": "%"}
    return known.get(unit, unit)


def condition_label(name: str) -> str:
    """Say what a condition is."""
    known = {
        "machine": _("machine"),
        "date": _("date"),
        "system": _("system"),
        "threads": _("threads"),
        "versions": _("versions"),
        "load": _("load"),
        "speed": _("speed"),
        "machine's figures": _("machine's figures"),
    }
    return known.get(name, name.replace("_", " "))
