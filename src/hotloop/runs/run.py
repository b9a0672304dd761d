"""The result of a training run: plain data that reports read and files hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hotloop.errors import ArgumentError, OutputError
from hotloop.files import as_path, write_atomically
from hotloop.language import Sentence, _, pad, shown, translated
from hotloop.program.network import Network
from hotloop.runs.json_values import to_json_value
from hotloop.runs.later import Later
from hotloop.runs.save import save_run

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from hotloop.insight.explanation import Explanation
    from hotloop.tables import Schema

__all__ = ["Run"]

# How runs end and what they are measured by, as people read it; the data has the keys.
_IN_WORDS = (
    Sentence("finished"),
    Sentence("patience"),
    Sentence("interrupted"),
    Sentence("diverged"),
    Sentence("test accuracy"),
    Sentence("test rmse"),
    Sentence("test r2"),
)


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """What a training run did and where it ended.

    Parameters
    ----------
    losses, recorded_at : float64 and int64 arrays of shape (records,)
        The training loss, and the epochs (1-based) it belongs to.
    validation_losses, validated_at : float64 and int64 arrays of shape (validations,)
        The same on the validation rows; empty without any.
    epochs : int
        Epochs completed.
    best_epoch : int or None
        The epoch with the best validation loss; with patience, the weights are those of this epoch.
    duration_s, prepare_s : float
        The training loop alone; capture and compilation before it.
    engine, device, why : str
        What ran it, where, and the reason for that choice in one sentence.
    stopped, stopped_why : str
        "finished", "patience", "interrupted" or "diverged"; and a sentence about it.
    seed : int
        What row order and dropout masks were drawn from; 0 where nothing is drawn.
    notes : tuple of str
        What a person should know: conversions, missing classes, settings replaced.
    network : Network or None
        The layers; None for a module that only its own code can rebuild.
    settings : dict
        Loss, optimizer, batch size and the like, as JSON can hold them.
    weights : dict of arrays or CPU tensors
        The state dict at the end, by name.
    schema : Schema or None
        How raw columns become features and outputs become answers, where it was trained on a table.
    metrics : dict of float
        "test_accuracy", or "test_rmse" and, where the test rows' targets differ, "test_r2".
    module_name : str
        The class of the module that was trained.
    started_at : str or None
        Date and time in ISO 8601.
    """

    losses: NDArray[np.float64]
    recorded_at: NDArray[np.int64]
    validation_losses: NDArray[np.float64]
    validated_at: NDArray[np.int64]
    epochs: int
    best_epoch: int | None
    duration_s: float
    prepare_s: float
    engine: str
    device: str
    why: str
    stopped: str
    stopped_why: str
    seed: int
    notes: tuple[str, ...]
    network: Network | None
    settings: Later[dict[str, object]] = Later()
    weights: Later[dict[str, Any]] = Later()
    schema: Schema | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    module_name: str = ""
    started_at: str | None = None

    @property
    def final_loss(self) -> float:
        """The last loss recorded; NaN where there is none."""
        return float(self.losses[-1]) if len(self.losses) else float("nan")

    def plot(self, path: str | os.PathLike[str] | None = None) -> Path | Figure:
        """Draw the loss over the epochs.

        Parameters
        ----------
        path : path, optional
            Where to write the picture; its ending tells the format (png, svg, pdf).

        Returns
        -------
        The path written, or without one the matplotlib Figure.

        Raises
        ------
        ArgumentError
            The ending is no picture format, or ``path`` is no path.
        OutputError
            The file cannot be written, or matplotlib cannot be used.
        """
        from hotloop.report.loss_curve import FORMATS, draw, render

        if path is None:
            return draw(self)
        path = as_path(path)
        image_format = path.suffix.lower().removeprefix(".")
        if image_format not in FORMATS:
            raise ArgumentError(
                Sentence("cannot draw to '{path}'", path=path),
                do=Sentence("End the name in .{listed}.", listed=", .".join(FORMATS)),
            )
        return write_atomically(path, render(self, image_format))

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write this run as a page: one HTML file that needs nothing else, neither a network nor scripts.

        Returns
        -------
        The path written.

        Raises
        ------
        ArgumentError
            ``path`` is no path.
        OutputError
            The file cannot be written, or Jinja2 cannot be used.
        """
        from hotloop.report.page import render_run

        path = as_path(path)
        return write_atomically(path, render_run(self).encode())

    def _repr_html_(self) -> str:
        from hotloop.report.fragment import run_fragment

        return run_fragment(self)

    def explain(
        self,
        model: torch.nn.Module | None = None,
        *,
        loss: Callable[..., Any] | None = None,
        budget_s: float = 15.0,
    ) -> Explanation:
        """Explain where the time of a run like this one goes on this machine, and what to change.

        The network is trained again, for a moment, on rows drawn at random: times do not depend on what is in them.

        Parameters
        ----------
        model : torch.nn.Module, optional
            What was trained, to be copied; needed where the run does not hold its layers (``run.network`` is None).
        loss : torch loss module or function, optional
            What it was trained by; needed where that is none of torch's.
        budget_s : float
            How long measuring may take.

        Raises
        ------
        ArgumentError
            The module given has other weights than the run, or module, loss or optimizer cannot be rebuilt from what
            the run holds.
        """
        from hotloop.insight.explain import explain_loop
        from hotloop.insight.loop_of_run import loop_of_run

        return explain_loop(loop_of_run(self, model, loss), budget_s=budget_s)

    def save(self, path: str | os.PathLike[str], *, plot: bool = False) -> Path:
        """Save this run as a new directory ``path``, or ``path-2``, ... where that is taken.

        Parameters
        ----------
        plot : bool
            Draw ``loss.png`` into it as well, once the run is safe.

        Returns
        -------
        The directory that was written; ``hotloop.load`` reads it.

        Raises
        ------
        ArgumentError
            ``path`` is no path, or names no new directory.
        OutputError
            It cannot be written, or a weight is not a plain array; nothing is left half written. Or the run is saved
            and only the picture is missing, which the error then says.
        """
        saved = save_run(self, as_path(path))
        if plot:
            try:
                self.plot(saved / "loss.png")
            except OutputError as error:
                what = Sentence(
                    "the run is saved in '{directory}', but not its picture: {what}", directory=saved, what=error.what
                )
                raise OutputError(what, why=error.why, do=error.do) from error
        return saved

    def __getstate__(self) -> dict[str, Any]:
        # Functions that have not been called cannot be pickled.
        return {**vars(self), "settings": self.settings, "weights": self.weights}

    def to_json(self, path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
        """Return what ``run.json`` holds about this run; what is not finite is None."""
        return {
            "engine": self.engine,
            "device": self.device,
            "why": self.why,
            "epochs": int(self.epochs),
            "duration_s": to_json_value(self.duration_s),
            "prepare_s": to_json_value(self.prepare_s),
            "final_loss": to_json_value(self.final_loss),
            "metrics": to_json_value(self.metrics),
            "path": None if path is None else os.fspath(path),
            "started_at": self.started_at,
            "stopped": self.stopped,
            "stopped_why": self.stopped_why,
            "best_epoch": to_json_value(self.best_epoch),
            "best_validation_loss": to_json_value(self._best_validation_loss()),
            "seed": int(self.seed),
            "notes": list(self.notes),
            "settings": to_json_value(self.settings),
            "module_name": self.module_name,
        }

    def __str__(self) -> str:
        lines = [
            (_("epochs"), _("{n:,} ({why})").format(n=self.epochs, why=shown(self.stopped_why or self.stopped))),
            (_("loss"), f"{self.final_loss:.6g}"),
            (_("validation"), self._validation_text()),
            (_("time"), self._time_text()),
            (_("engine"), _("{engine} on {device}").format(engine=self.engine, device=self.device)),
            (_("why"), shown(self.why)),
            *((translated(name.replace("_", " ")), f"{value:.6g}") for name, value in self.metrics.items()),
            *((_("note"), shown(note)) for note in self.notes),
        ]
        title = _("Run, {stopped}").format(stopped=translated(self.stopped))
        return "\n".join([title, *(f"  {pad(name, 13)} {text}" for name, text in lines if text)])

    __repr__ = __str__

    def _best_validation_loss(self) -> float | None:
        best = self.validation_losses[self.validated_at == self.best_epoch]
        return float(best[0]) if len(best) else None

    def _time_text(self) -> str:
        text = _("{seconds:.3g} s, after {prepare:.3g} s of preparation")
        return text.format(seconds=self.duration_s, prepare=self.prepare_s)

    def _validation_text(self) -> str:
        best_loss = self._best_validation_loss()
        if best_loss is not None:
            return _("{loss:.6g} at epoch {epoch:,}, the best").format(loss=best_loss, epoch=self.best_epoch)
        return f"{self.validation_losses[-1]:.6g}" if len(self.validation_losses) else ""
