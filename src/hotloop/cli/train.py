"""``hotloop train``: a table in, a trained and saved network out."""

from __future__ import annotations

import json as json_module
import math
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from hotloop.cli.error_line import error_line
from hotloop.cli.recipe_options import override, widths, with_optional
from hotloop.cli.run_place import RunPlace, run_place
from hotloop.cli.stopping import stop_at_once, stop_at_whole_steps
from hotloop.errors import ArgumentError, Interrupted, OutputError
from hotloop.language import Sentence, _, n_, pad, shown
from hotloop.language.one_line import one_line
from hotloop.training.recipes import find_recipe

if TYPE_CHECKING:
    from hotloop.runs import Run
    from hotloop.tables import Table
    from hotloop.training.callbacks import Moment
    from hotloop.training.recipes import Recipe
    from hotloop.training.train_table import TableTraining

__all__ = ["train"]

_DATA = Parameter(group=Group("Data", sort_key=1))
_TRAINING = Parameter(group=Group("Training", sort_key=2))
_DRAWN = ("loss.png", "report.html")
_OUTPUT = Parameter(group=Group("Output", sort_key=3))


def train(
    table: str,
    /,
    *,
    target: Annotated[str | None, _DATA] = None,
    task: Annotated[Literal["auto", "classification", "regression"], _DATA] = "auto",
    ignore: Annotated[tuple[str, ...], _DATA] = (),
    scaling: Annotated[Literal["minmax", "standard", "none"] | None, _DATA] = None,
    test_size: Annotated[float | None, _DATA] = None,
    validation_size: Annotated[float | None, _DATA] = None,
    stratify: Annotated[bool | None, _DATA, Parameter(negative="--no-stratify")] = None,
    split_seed: Annotated[int, _DATA] = 42,
    recipe: Annotated[str | None, _TRAINING] = None,
    hidden: Annotated[str | None, _TRAINING] = None,
    activation: Annotated[str | None, _TRAINING] = None,
    optimizer: Annotated[str | None, _TRAINING] = None,
    learning_rate: Annotated[float | None, _TRAINING, Parameter(name=("--learning-rate", "--lr"))] = None,
    weight_decay: Annotated[float | None, _TRAINING] = None,
    epochs: Annotated[int | None, _TRAINING] = None,
    batch_size: Annotated[str | None, _TRAINING] = None,
    class_weight: Annotated[Literal["balanced", "none"] | None, _TRAINING] = None,
    patience: Annotated[int | None, _TRAINING] = None,
    seed: Annotated[int, _TRAINING] = 0,
    device: Annotated[str, _TRAINING] = "auto",
    engine: Annotated[str, _TRAINING] = "auto",
    threads: Annotated[int | None, _TRAINING] = None,
    record_every: Annotated[int, _OUTPUT] = 1,
    print_every: Annotated[int | None, _OUTPUT] = None,
    out: Annotated[Path | None, _OUTPUT, Parameter(name=("--out", "-o"))] = None,
    no_plot: Annotated[bool, _OUTPUT] = False,
    resume: Annotated[bool, _OUTPUT] = False,
    json: Annotated[bool, _OUTPUT] = False,
) -> None:
    """Train a network on a table. Options left out come from the recipe.

    Parameters
    ----------
    table
        A .csv, .tsv or .parquet file, or "iris".
    target
        Column to predict; the last by default.
    task
        classification or regression; guessed by default.
    ignore
        Column to leave out; can be repeated.
    scaling
        Of the features: minmax, standard or none.
    test_size
        Share of the rows kept for the test.
    validation_size
        Share of the other rows kept for validation.
    stratify
        Keep the classes' shares in each part.
    split_seed
        Of the split into parts: 42 by default.
    recipe
        lesson (default for iris) or tabular.
    hidden
        Widths of the hidden layers: 64,64 or none.
    activation
        relu, tanh, gelu, silu, elu, ...
    optimizer
        sgd, adam, adamw or rmsprop.
    learning_rate
        Size of a step.
    weight_decay
        Pull of the weights towards 0.
    epochs
        Passes over the rows.
    batch_size
        Rows of an update, or full.
    class_weight
        balanced: rare classes count more; or none.
    patience
        Stop after so many epochs without a better validation loss; 0: never.
    seed
        Of first weights and row order: 0 by default.
    device
        auto, cpu, cuda, cuda:1, mps or xpu.
    engine
        auto or eager.
    threads
        CPU threads.
    record_every
        Epochs between two recorded losses.
    print_every
        Epochs between two lines; 0 prints none.
    out
        Directory to save to: runs/NAME by default.
    no_plot
        Draw no loss curve, write no report.
    resume
        Go on with an interrupted run.
    json
        Print the run as JSON and nothing else.
    """
    from hotloop import tables
    from hotloop.files import check_writable
    from hotloop.training.train_table import prepare_table_training

    chosen = override(
        find_recipe(recipe, table),
        hidden=widths(hidden),
        activation=activation,
        optimizer=optimizer,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        epochs=epochs,
        scaling=scaling,
        test_size=test_size,
        validation_size=validation_size,
        stratify=stratify,
        print_every=print_every,
        balanced=None if class_weight is None else class_weight == "balanced",
    )
    chosen = with_optional(chosen, batch_size, patience)
    if chosen.print_every < 0:
        raise ArgumentError(
            Sentence("{option} is {value}; it must be 0 or more", option="--print-every", value=chosen.print_every)
        )
    for option, size in (("--learning-rate", chosen.learning_rate), ("--weight-decay", chosen.weight_decay)):
        if not math.isfinite(size):
            raise ArgumentError(Sentence("{option} is {value}; it must be a finite number", option=option, value=size))
    loaded = tables.read(table)
    wanted = _named_directory(out) if out is not None else Path("runs") / _safe_name(loaded.name)
    check_writable(wanted.parent)
    training = prepare_table_training(
        loaded, chosen, target=target, task=task, split_seed=split_seed, seed=seed, ignore=ignore
    )
    console = _Console(quiet=json, epochs=chosen.epochs)
    with run_place(wanted, resume) as place:
        console.describe(loaded, training)
        run = _train(training, place, console, device=device, engine=engine, threads=threads, record_every=record_every)
        saved = run.save(place.directory)
        place.checkpoint.unlink(missing_ok=True)
    # The run is safe before matplotlib and Jinja2, which a machine may have in any state, have their turn.
    failures = {} if no_plot else _draw(run, saved)
    drawn = [] if no_plot else [name for name in _DRAWN if name not in failures]
    console.finish(run, training, saved, drawn)
    if run.stopped == "diverged":
        _complain(_("{what}. Try a smaller --learning-rate.").format(what=shown(run.stopped_why)))
    for name, failure in failures.items():
        text = _("the run is saved in {saved}, its {name} is not: {why}")
        _complain(text.format(saved=saved, name=name, why=failure))
    if failures or run.stopped == "diverged":
        raise SystemExit(1)


def _train(training: TableTraining, place: RunPlace, console: _Console, **settings: Any) -> Run:
    """Train; say how to go on where that is interrupted."""

    def start(why_device: str, why_engine: str) -> None:
        console.start(why_device, why_engine)
        stop_at_whole_steps()

    try:
        return training.run(
            **settings,
            progress=console.shows_progress,
            checkpoint=place.checkpoint,
            on_start=start,
            callbacks=console.callbacks(training.recipe.print_every),
        )
    except Interrupted as interruption:
        # On a full disk there may be none.
        how = _("interrupted after epoch {epoch}. Its state could not be saved.")
        if place.checkpoint.exists():
            how = _(
                "interrupted after epoch {epoch}. The state is in {checkpoint}; "
                "the same command with {options} goes on."
            )
        epoch, options = interruption.run.epochs, place.how_to_resume
        _complain(how.format(epoch=epoch, checkpoint=place.checkpoint, options=options))
        raise
    finally:
        stop_at_once()


def _draw(run: Run, saved: Path) -> dict[str, str]:
    """Draw picture and page into a saved run; return by name why one failed."""
    failures = {}
    for name in _DRAWN:
        try:
            run.report(saved / name) if name.endswith(".html") else run.plot(saved / name)
        except OutputError as error:
            failures[name] = error_line(error)
    return failures


def _complain(text: str) -> None:
    print(f"hotloop: {one_line(text)}", file=sys.stderr)


class _Console:
    """What a person sees while a network trains; with ``quiet`` only the JSON at the end."""

    def __init__(self, quiet: bool, epochs: int):
        self._quiet, self._epochs = quiet, epochs

    @property
    def shows_progress(self) -> bool:
        """Whether a bar may be shown."""
        return not self._quiet

    def describe(self, table: Table, training: TableTraining) -> None:
        """Say what will be trained on what."""
        data, schema, recipe = training.prepared, training.schema, training.recipe
        parts = [_("{n:,} rows to train on").format(n=len(data.X_train))]
        if len(data.X_validation):
            parts.append(_("{n:,} to validate").format(n=len(data.X_validation)))
        parts.append(_("{n:,} to test").format(n=len(data.X_test)))
        classes = _("{n} classes").format(n=schema.n_outputs)
        content = _("{name}: {rows}, {features} -> {target} ({answer})").format(
            name=table.name,
            rows=n_("{n:,} row", "{n:,} rows", table.n_rows).format(n=table.n_rows),
            features=n_("{n} feature", "{n} features", schema.n_features).format(n=schema.n_features),
            target=schema.target,
            answer=classes if schema.task == "classification" else _("numbers"),
        )
        self._line(_("table"), content)
        self._line(_("rows"), _(", ").join(parts))
        for note in data.notes:
            self._line(_("note"), shown(note))
        network = _("{network}, {n:,} parameters").format(network=training.network, n=training.network.n_parameters)
        self._line(_("network"), network)
        self._line(_("recipe"), _recipe_text(recipe))

    def start(self, why_device: str, why_engine: str) -> None:
        """Say where training happens, and what runs it."""
        self._line(_("device"), shown(why_device))
        self._line(_("engine"), shown(why_engine))

    def callbacks(self, print_every: int) -> list[Callable[[Moment], Any]]:
        """Return the callback that prints a line every so many epochs."""
        if self._quiet or not print_every:
            return []
        from hotloop.training.callbacks import callback

        return [callback(every=print_every)(self._print_epoch)]

    def finish(self, run: Run, training: TableTraining, saved: Path, drawn: list[str]) -> None:
        """Say how it ended."""
        if self._quiet:
            print(json_module.dumps(run.to_json(saved), indent=2))
            return
        per_epoch_us = 1e6 * run.duration_s / max(run.epochs, 1)
        time = n_(
            "{seconds:.2f} s for {n:,} epoch ({us} us an epoch)",
            "{seconds:.2f} s for {n:,} epochs ({us} us an epoch)",
            run.epochs,
        )
        us = f"{per_epoch_us:,.0f}" if per_epoch_us >= 100 else f"{per_epoch_us:.2g}"
        self._line(_("time"), time.format(seconds=run.duration_s, n=run.epochs, us=us))
        if run.stopped == "patience":
            self._line(_("stopped"), shown(run.stopped_why))
        for note in run.notes[len(training.prepared.notes) :]:
            self._line(_("note"), shown(note))
        self._line(_("test"), _metrics_text(run, len(training.prepared.X_test)))
        where = _("{saved}, with {drawn}") if drawn else "{saved}"
        self._line(_("saved"), where.format(saved=saved, drawn=_(" and ").join(drawn)))

    def _print_epoch(self, moment: Moment) -> None:
        text = _("epoch {epoch} of {epochs:,}  loss {loss:.4f}")
        if moment.validation_loss is not None:
            text = _("epoch {epoch} of {epochs:,}  loss {loss:.4f}  validation {validation:.4f}")
        epoch = f"{moment.epoch:>{len(f'{self._epochs:,}')},}"
        line = text.format(epoch=epoch, epochs=self._epochs, loss=moment.loss, validation=moment.validation_loss)
        print(line, flush=True)

    def _line(self, label: str, text: str) -> None:
        if not self._quiet:
            print(f"{pad(label, 8)} {one_line(text)}", flush=True)


def _recipe_text(recipe: Recipe) -> str:
    batch = _("full batch")
    if recipe.batch_size is not None:
        batch = _("batches of {n}").format(n=recipe.batch_size)
    epochs = n_("{n:,} epoch", "{n:,} epochs", recipe.epochs).format(n=recipe.epochs)
    text = _("{name}: {optimizer}, learning rate {rate:g}, {batch}, {epochs}")
    return text.format(
        name=recipe.name, optimizer=recipe.optimizer, rate=recipe.learning_rate, batch=batch, epochs=epochs
    )


def _metrics_text(run: Run, n_test: int) -> str:
    if "test_accuracy" in run.metrics:
        share = run.metrics["test_accuracy"]
        text = _("accuracy {share:.4f} ({right:,} of {n:,} rows)")
        return text.format(share=share, right=round(share * n_test), n=n_test)
    if "test_rmse" in run.metrics:
        text = _("RMSE {rmse:.4g} on {n:,} rows")
        if "test_r2" in run.metrics:
            text = _("R2 {r2:.4f}, RMSE {rmse:.4g} on {n:,} rows")
        return text.format(r2=run.metrics.get("test_r2"), rmse=run.metrics["test_rmse"], n=n_test)
    return _("no rows were kept for a test")


def _safe_name(name: str) -> str:
    # Names of files end at 255 bytes, and UTF-8 takes up to four for a letter.
    return re.sub(r"[^\w.-]+", "_", name).strip("._")[:50] or "table"


def _named_directory(out: Path) -> Path:
    # Room for "-2" and ".checkpoint", and for what a lock adds, in the 255 bytes that a name may have.
    if not out.name or out.name == ".." or len(os.fsencode(out.name)) > 230:
        raise ArgumentError(
            Sentence("--out is '{path}', which names no directory for a run", path=out),
            do=Sentence("give one like {example}", example="runs/mine"),
        )
    return out
