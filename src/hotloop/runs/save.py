"""A run as a directory: what JSON, CSV and safetensors can hold, published whole.

::

    run.json              settings, versions, device, durations, and the checksums of the files below (sealed)
    network.json          layers or names of parameters, and the table's schema (sealed)
    weights.safetensors   the state dict
    losses.csv            epoch,loss and, with validation, validation_loss
    loss.png, report.html the curve and the page, where asked for; drawn once all the others are there
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hotloop import __version__
from hotloop.files import publish_directory, seal
from hotloop.runs.weights import describe, encode

if TYPE_CHECKING:
    from hotloop.runs.run import Run

__all__ = ["FORMAT", "LOSSES_OF_LOGITS", "losses_csv", "save_run"]

FORMAT = 1
"""Version of both JSON documents; readers refuse a newer one."""

LOSSES_OF_LOGITS = ("CrossEntropyLoss", "NLLLoss", "cross_entropy", "nll_loss")
"""Losses by which the outputs of a network, one for each class, become probabilities through softmax."""


def save_run(run: Run, path: Path) -> Path:
    """Write ``run`` as a new directory and return its path.

    Parameters
    ----------
    path : Path
        The directory wanted; "-2", "-3", ... is appended where it is taken.

    Raises
    ------
    OutputError
        The directory cannot be written; nothing is left half written.
    """
    weights = encode(run.weights)
    files = {
        "network.json": seal(_network_document(run, weights)),
        "weights.safetensors": weights,
        "losses.csv": losses_csv(run),
    }
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}

    def run_json(final: Path) -> bytes:
        return seal({"format": FORMAT, **run.to_json(final), "versions": _versions(), "files": digests})

    return publish_directory(path.parent, path.name, {**files, "run.json": run_json})


def losses_csv(run: Run) -> bytes:
    """Return the losses by epoch as CSV; a cell is empty where nothing was recorded at that epoch."""
    losses = dict(zip(run.recorded_at.tolist(), run.losses.tolist(), strict=True))
    if not len(run.validated_at):
        return "".join(["epoch,loss\n", *(f"{epoch},{loss!r}\n" for epoch, loss in losses.items())]).encode()
    validation = dict(zip(run.validated_at.tolist(), run.validation_losses.tolist(), strict=True))
    rows = (
        f"{epoch},{_cell(losses, epoch)},{_cell(validation, epoch)}\n"
        for epoch in sorted(losses.keys() | validation.keys())
    )
    return "".join(["epoch,loss,validation_loss\n", *rows]).encode()


def _cell(values: Mapping[int, float], epoch: int) -> str:
    return repr(values[epoch]) if epoch in values else ""


def _network_document(run: Run, weights: bytes) -> dict[str, object]:
    if run.network is None:
        network: dict[str, object] = {"kind": "module", "module": run.module_name}
    else:
        shapes = {name: tuple(value.shape) for name, value in run.weights.items()}
        assert shapes == run.network.parameter_shapes, "the weights are not those of the network"
        network = {"kind": "layers", "layers": run.network.to_json()}
    return {
        "format": FORMAT,
        **network,
        "task": _task(run),
        "parameters": describe(run.weights),
        "schema": None if run.schema is None else run.schema.to_json(),
        "weights": {"sha256": hashlib.sha256(weights).hexdigest(), "size_bytes": len(weights)},
    }


def _task(run: Run) -> str:
    """Say what the outputs mean: the table's schema knows, or else the loss, where its outputs are logits."""
    if run.schema is not None:
        return run.schema.task
    return "classification" if run.settings.get("loss") in LOSSES_OF_LOGITS else "regression"


def _versions() -> dict[str, str]:
    """Versions of what took part: a library that was not even imported had no influence."""
    optional: tuple[str, ...] = ("torch", "llvmlite")
    loaded = {name: str(sys.modules[name].__version__) for name in optional if name in sys.modules}
    return {
        "hotloop": __version__,
        "numpy": np.__version__,
        **loaded,
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "system": sys.platform,
    }
