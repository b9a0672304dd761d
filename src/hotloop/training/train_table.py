"""``hotloop train`` as a function: a table and a recipe in, a run with metrics out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hotloop.engines.step_size import step_flop, why_too_small
from hotloop.errors import ArgumentError, OutOfMemoryError, UnsupportedError
from hotloop.program import Network
from hotloop.runs import Run
from hotloop.sentence import Sentence
from hotloop.training.callbacks import Moment
from hotloop.training.metrics import accuracy, r2, rmse
from hotloop.training.recipes import Recipe
from hotloop.training.settings import RunSettings

if TYPE_CHECKING:
    import torch

    from hotloop.engines.layers_task import LayersTask
    from hotloop.program.optimizers import OptimizerRule
    from hotloop.tables import PreparedTable, Schema, Table
    from hotloop.training.prepare_layers import PreparedLayers
    from hotloop.training.prepared import Prepared

__all__ = ["TableTraining", "prepare_table_training"]

# So little need not be asked for.
_ALWAYS_FREE_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class TableTraining:
    """A table split, scaled and given a network: ready to train.

    Parameters
    ----------
    prepared : PreparedTable
    network : Network
    recipe : Recipe
    seed : int
        Of the first weights and of the row order.
    """

    prepared: PreparedTable
    network: Network
    recipe: Recipe
    seed: int

    @property
    def schema(self) -> Schema:
        """How raw columns become features."""
        return self.prepared.schema

    def run(
        self,
        *,
        device: str = "auto",
        engine: str = "auto",
        threads: int | None = None,
        record_every: int = 1,
        progress: bool = True,
        checkpoint: Path | None = None,
        on_start: Callable[[str, str], None] = lambda why_device, why_engine: None,
        callbacks: Sequence[Callable[[Moment], Any]] = (),
    ) -> Run:
        """Train the network and measure it on the test rows.

        Parameters
        ----------
        device, engine, threads, record_every, progress, checkpoint, callbacks
            As in :func:`hotloop.fit`.
        on_start : callable
            Called before the first step with a clause about the device and one about the engine.

        Returns
        -------
        Run
            With the table's schema and the test rows' metrics.
        """
        data = self.prepared
        self._check_memory()
        settings = self._settings(
            record_every=record_every,
            device=device,
            engine=engine,
            threads=threads,
            progress=progress,
            callbacks=callbacks,
            checkpoint=checkpoint,
        )
        ready = self._without_torch(settings) or self._with_torch(settings)
        on_start(ready.why_device, ready.why_engine)
        run = ready.run()
        metrics, metrics_notes = self._metrics(run)
        return dataclasses.replace(
            run,
            schema=self.schema,
            metrics=metrics,
            notes=(*data.notes, *run.notes, *metrics_notes),
            settings={**run.settings, **self._table_settings()},
        )

    def layers_task(self) -> LayersTask:
        """Return the task that the native engine would compile.

        Raises
        ------
        UnsupportedError
            If it cannot be compiled.
        """
        rule = self.recipe.rule()
        if rule is None:
            raise UnsupportedError(
                Sentence("the optimizer {name} is not compiled", name=self.recipe.optimizer),
                do=Sentence("use {first} or {last}", first="sgd, adam", last="adamw"),
                see="hotloop layers",
            )
        self._check_memory()
        return self._layers(rule, self._settings(), why_device="nothing is run").task

    def _settings(self, **given: Any) -> RunSettings:
        """Return the settings that table and recipe decide, and others."""
        data, recipe = self.prepared, self.recipe
        validates = len(data.X_validation) > 0
        return RunSettings(
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            X_val=data.X_validation if validates else None,
            y_val=data.y_validation if validates else None,
            patience=recipe.patience if validates else None,
            seed=self.seed,
            **given,
        )

    def _check_memory(self) -> None:
        """Raise before first weights are drawn that no memory could hold, in NumPy and in torch."""
        need = 2 * 4 * self.network.n_parameters
        if need < _ALWAYS_FREE_BYTES:
            return
        from hotloop.hardware import free_memory_bytes

        free = free_memory_bytes("cpu")
        if free is not None and need > free:
            raise OutOfMemoryError(
                Sentence("a network {network} has {n:,} parameters", network=self.network, n=self.network.n_parameters),
                why=Sentence(
                    "drawing them takes {need:,.0f} GB, and {free:,.0f} GB are free", need=need / 1e9, free=free / 1e9
                ),
                do=Sentence("make the hidden layers narrower"),
            )

    def _without_torch(self, settings: RunSettings) -> Prepared[Any] | None:
        """Return the run of the native engine on the CPU, or None where something else is asked for or needed."""
        rule = self.recipe.rule()
        if settings.engine not in ("auto", "native") or rule is None or (why_device := self._why_cpu(settings)) is None:
            return None
        try:
            return self._layers(rule, settings, why_device)
        except UnsupportedError:
            if settings.engine == "native":
                raise
            return None

    def _layers(self, rule: OptimizerRule, settings: RunSettings, why_device: str) -> PreparedLayers:
        from hotloop.training.prepare_layers import prepare_layers

        class_weight = self._class_weight()
        return prepare_layers(
            self.network,
            self.prepared.X_train,
            self.prepared.y_train,
            settings,
            output="regression" if self.prepared.class_counts is None else "classification",
            class_weight=None if class_weight is None else class_weight.astype(np.float32),
            rule=rule,
            learning_rate=self.recipe.learning_rate,
            why_device=why_device,
        )

    def _why_cpu(self, settings: RunSettings) -> str | None:
        """Return why to train on the CPU, in a clause, or None where torch must be asked which devices there are."""
        if settings.device != "auto":
            return Sentence("{name} was asked for", name="cpu") if settings.device == "cpu" else None
        n_rows = len(self.prepared.X_train)
        n_weights = sum(math.prod(shape) for shape in self.network.parameter_shapes.values() if len(shape) > 1)
        batch_size = self.recipe.batch_size or n_rows
        if too_small := why_too_small(step_flop(min(batch_size, n_rows), n_weights)):
            return too_small
        from hotloop.hardware import may_have_accelerator

        return None if may_have_accelerator() else Sentence("cpu, since there is no GPU here that torch could use")

    def _with_torch(self, settings: RunSettings) -> Prepared[Any]:
        """Return the run of the same layers as a torch module."""
        from hotloop.training.prepare import prepare
        from hotloop.training.settings import Settings

        model, loss, optimizer = self.in_torch()
        of_torch = Settings(**vars(settings), loss=loss, optimizer=optimizer)
        return prepare(model, self.prepared.X_train, self.prepared.y_train, of_torch)

    def in_torch(self) -> tuple[torch.nn.Module, torch.nn.Module, torch.optim.Optimizer]:
        """Return the network with its first weights as a torch module, the loss, and the optimizer."""
        from hotloop.capture import to_module

        self._check_memory()
        model = to_module(self.network, self.network.initialise(self.seed))
        return model, self._loss(), self.recipe.build_optimizer(model.parameters())

    def _class_weight(self) -> NDArray[np.float64] | None:
        """Return what each class weighs, so that all weigh the same together; None where they are not balanced."""
        counts = self.prepared.class_counts
        if counts is None or not self.recipe.balanced:
            return None
        return np.asarray(counts.sum() / (len(counts) * counts))

    def _loss(self) -> Any:
        import torch

        if self.prepared.class_counts is None:
            return torch.nn.MSELoss()
        weight = self._class_weight()
        return torch.nn.CrossEntropyLoss(weight=None if weight is None else torch.tensor(weight, dtype=torch.float32))

    def _metrics(self, run: Run) -> tuple[dict[str, float], tuple[str, ...]]:
        """Return how good the run is on the test rows, and a note on what cannot be said."""
        data = self.prepared
        if not len(data.X_test):
            return {}, ()
        output = self.network.forward(run.weights, data.X_test)
        if self.schema.task == "classification":
            labels: Any = data.y_test
            return {"test_accuracy": accuracy(labels, output.argmax(axis=1))}, ()
        values, predicted = self.schema.undo_target(data.y_test), self.schema.undo_target(output)
        values, predicted = np.ravel(values), np.ravel(predicted)
        error, explained = rmse(values, predicted), r2(values, predicted)
        if explained is None:
            return {"test_rmse": error}, (Sentence("R2 is not defined: the target is the same in every test row."),)
        return {"test_r2": explained, "test_rmse": error}, ()

    def _table_settings(self) -> dict[str, object]:
        data, recipe = self.prepared, self.recipe
        return {
            "recipe": recipe.name,
            "target": self.schema.target,
            "hidden": list(recipe.hidden),
            "activation": recipe.activation,
            "scaling": recipe.scaling,
            "class_weight": "balanced" if recipe.balanced else None,
            "rows_train": len(data.X_train),
            "rows_validation": len(data.X_validation),
            "rows_test": len(data.X_test),
        }


def prepare_table_training(
    table: Table,
    recipe: Recipe,
    *,
    target: str | None = None,
    task: str = "auto",
    split_seed: int = 42,
    seed: int = 0,
    ignore: Sequence[str] = (),
) -> TableTraining:
    """Split and scale a table and lay out the network for it.

    Parameters
    ----------
    table : Table
    recipe : Recipe
    target : str, optional
        Column to predict; the last by default.
    task : str
        "auto", "classification" or "regression".
    split_seed, seed : int
        Of the split, and of weights and row order.
    ignore : sequence of str
        Columns to leave out.

    Raises
    ------
    ArgumentError
        If a setting makes no sense.
    TableError
        If the table cannot be used.
    """
    from hotloop.tables import prepare

    if recipe.balanced and task == "regression":
        raise ArgumentError(Sentence("class weights are for classes, and this is a regression"))
    if recipe.patience is not None and not recipe.validation_size:
        raise ArgumentError(
            Sentence("patience needs validation rows, and this recipe keeps none"),
            do=Sentence("give {setting}", setting="validation_size=0.2"),
        )
    prepared = prepare(
        table,
        target=target,
        task=task,  # type: ignore[arg-type]
        test_size=recipe.test_size,
        validation_size=recipe.validation_size,
        split_seed=split_seed,
        stratify=recipe.stratify,
        scaling=recipe.scaling,  # type: ignore[arg-type]
        ignore=ignore,
    )
    if recipe.balanced and prepared.schema.task == "regression":
        raise ArgumentError(
            Sentence("class weights are for classes, and this is a regression"),
            do=Sentence("use {setting}", setting='task="classification"'),
        )
    schema = prepared.schema
    network = Network.mlp(schema.n_features, recipe.hidden, schema.n_outputs, recipe.activation)
    return TableTraining(prepared, network, recipe, seed)
