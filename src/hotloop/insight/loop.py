"""A training loop that can be started anew as often as measuring asks: what explanations and claims are about.

::

    loop = loop_of_table("iris")                      the lesson
    loop = loop_of_module(model, n_features=4)        a network of the person's, on rows drawn at random
    loop = Loop("mine", model, X, y, loss, optimizer, epochs=..., batch_size=...)

    session = loop.session(engine="eager")            fresh copies of model and optimizer each time
    session.advance(100, None)
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hotloop.engines.interface import Engine, Session
from hotloop.engines.losses import loss_name
from hotloop.errors import ArgumentError
from hotloop.insight.explanation import Subject
from hotloop.sentence import Sentence
from hotloop.training.settings import Settings

if TYPE_CHECKING:
    import torch

    from hotloop.engines.task import Task
    from hotloop.runs import Run
    from hotloop.training.prepare import PreparedModule
    from hotloop.training.recipes import Recipe

__all__ = ["Loop", "loop_of_module", "loop_of_run", "loop_of_table"]

_WITH_ROWS = Sentence("use hotloop.explain(model, X, y, ...)")


@dataclass(frozen=True, eq=False)
class Loop:
    """A model, its rows and how it is trained; copies are trained, never these.

    Parameters
    ----------
    name : str
        Of the table or of the module.
    model : torch.nn.Module
    X, y : arrays or tensors
        As :func:`hotloop.fit` takes them.
    loss : torch loss module or function
    optimizer : torch.optim.Optimizer
        Over the model's parameters.
    epochs : int
        Of the run that is asked about.
    batch_size : int, optional
        None for full batch.
    shuffle : bool, optional
        As in :func:`hotloop.fit`.
    """

    name: str
    model: torch.nn.Module
    X: Any
    y: Any
    loss: Callable[..., Any]
    optimizer: torch.optim.Optimizer
    epochs: int
    batch_size: int | None = None
    shuffle: bool | None = None

    def prepare(self, *, engine: str = "eager", device: str = "cpu", threads: int | None = None) -> PreparedModule:
        """Return a run of fresh copies, checked and ready to start; see :func:`hotloop.fit` for what is raised."""
        from hotloop.training.prepare import prepare

        model, optimizer = self._copies()
        settings = Settings(
            loss=copy.deepcopy(self.loss),
            optimizer=optimizer,
            epochs=self.epochs,
            batch_size=self.batch_size,
            shuffle=self.shuffle,
            device=device,
            engine=engine,
            threads=threads,
            seed=0,
            progress=False,
        )
        return prepare(model.to(device), self.X, self.y, settings)

    def session(
        self, *, engine: str | Engine[Task] = "eager", device: str = "cpu", threads: int | None = None
    ) -> Session:
        """Return fresh copies at step 0 in an engine; ``advance`` does steps without end.

        Parameters
        ----------
        engine : str or Engine
            By name, or one that looks on while it works.
        """
        name = engine if isinstance(engine, str) else "eager"
        prepared = self.prepare(engine=name, device=device, threads=threads)
        return (prepared.engine if isinstance(engine, str) else engine).prepare(prepared.task)

    def without_hooks(self) -> Loop:
        """Return the loop without the hooks of its model; itself where there are none."""
        tables = [table for module in self.model.modules() for table in _hook_tables(module)]
        if not any(tables):
            return self
        model, optimizer = self._copies()
        for module in model.modules():
            for table in _hook_tables(module):
                table.clear()
        return replace(self, model=model, optimizer=optimizer)

    def _copies(self) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        """Return copies of model and optimizer that belong together."""
        memo: dict[int, Any] = {}
        model = copy.deepcopy(self.model, memo)
        # What torch copies of an optimizer is what it would save: attributes of the person's own class are not.
        optimizer = copy.copy(self.optimizer)
        vars(optimizer).update(copy.deepcopy(vars(self.optimizer), memo))
        return model, optimizer

    @property
    def rows(self) -> int:
        """Training rows."""
        return len(self.X)

    @property
    def rows_of_a_step(self) -> int:
        """Rows of a step."""
        return min(self.batch_size or self.rows, self.rows)

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.epochs * math.ceil(self.rows / self.rows_of_a_step)

    @property
    def subject(self) -> Subject:
        """What is looked at, as plain data."""
        from hotloop.capture import from_module

        network = from_module(self.model)
        return Subject(
            name=self.name,
            network=type(self.model).__name__ if network is None else str(network),
            n_weights=sum(parameter.numel() for parameter in self.model.parameters() if parameter.requires_grad),
            rows=self.rows,
            features=int(np.prod(np.shape(self.X)[1:])),
            batch_size=self.rows_of_a_step,
            steps=self.steps,
            optimizer=type(self.optimizer).__name__,
            loss=loss_name(self.loss),
        )


def loop_of_table(table: str, recipe: Recipe | None = None, *, target: str | None = None) -> Loop:
    """Return the loop that ``hotloop train TABLE`` runs, as a torch module.

    Parameters
    ----------
    table : str
        "iris" or a file.
    recipe : Recipe, optional
        The table's own by default.
    target : str, optional
        Column to predict; the last by default.

    Raises
    ------
    TableError, ArgumentError
        If it cannot be used so.
    """
    from hotloop import tables
    from hotloop.training.recipes import find_recipe
    from hotloop.training.train_table import prepare_table_training

    loaded = tables.read(table)
    training = prepare_table_training(loaded, recipe or find_recipe(None, table), target=target)
    model, loss, optimizer = training.in_torch()
    data, chosen = training.prepared, training.recipe
    return Loop(loaded.name, model, data.X_train, data.y_train, loss, optimizer, chosen.epochs, chosen.batch_size)


def loop_of_module(
    name: str, model: torch.nn.Module, *, rows: int, features: int | None = None, batch_size: int | None = None
) -> Loop:
    """Return a loop over rows drawn at random: how long a step takes does not depend on what is in them.

    Parameters
    ----------
    name : str
    model : torch.nn.Module
        Takes rows of ``features`` numbers; several outputs are taken for classes, one for a number.
    rows : int
    features : int, optional
        By default what the model's first linear layer takes.
    batch_size : int, optional
        None for full batch.

    Raises
    ------
    ArgumentError
        If the number of features cannot be told, or the model does not take such rows.
    """
    import torch

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ArgumentError(Sentence("{name} has no weights to train", name=name))
    n_features = _features(model) if features is None else features
    if n_features is None:
        raise ArgumentError(
            Sentence("cannot tell how many features {name} takes", name=name), do=Sentence("say it: features=4")
        )
    if n_features < 1:
        raise ArgumentError(Sentence("a row of {n} numbers is none", n=n_features))
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(rows, n_features, generator=generator, dtype=trained[0].dtype)
    try:
        with torch.no_grad():
            output = copy.deepcopy(model)(X[: min(rows, 4)])
    except Exception as error:  # whatever the person's own code raises
        raise ArgumentError(
            Sentence("{name} does not take {rows} rows of {n} numbers", name=name, rows=min(rows, 4), n=n_features),
            why=(str(error) or type(error).__name__).splitlines()[0],
            do=Sentence("give another number of features or rows, or use hotloop.explain(model, X, y, ...)"),
        ) from None
    if not isinstance(output, torch.Tensor) or output.ndim > 2:
        raise ArgumentError(f"{name} gives no row of numbers for a row", do="use a model with one output tensor")
    loss: torch.nn.Module
    if output.ndim == 2 and output.shape[1] > 1:
        y, loss = torch.randint(output.shape[1], (rows,), generator=generator), torch.nn.CrossEntropyLoss()
    else:
        y, loss = torch.randn(rows, *output.shape[1:], generator=generator, dtype=X.dtype), torch.nn.MSELoss()
    optimizer = torch.optim.SGD(trained, lr=0.01)
    return Loop(name, model, X, y, loss, optimizer, epochs=1000, batch_size=batch_size)


def loop_of_run(run: Run, model: torch.nn.Module | None = None) -> Loop:
    """Return a loop like the one that made a run, over rows drawn at random.

    Parameters
    ----------
    run : Run
    model : torch.nn.Module, optional
        What was trained; needed where the run does not hold its layers.

    Raises
    ------
    ArgumentError
        If the module, its loss or its optimizer cannot be rebuilt from what the run holds.
    """
    import torch

    from hotloop.capture import to_module

    if model is None:
        if run.network is None:
            raise ArgumentError(f"only its own code can rebuild {run.module_name}", do="call run.explain(model)")
        model = to_module(run.network, run.weights)
    if _features(model) is None:
        raise ArgumentError(Sentence("cannot tell how many features {name} takes", name=run.module_name), do=_WITH_ROWS)
    settings = run.settings
    rows, batch_size = int(str(settings["rows"])), int(str(settings["batch_size"]))
    like = loop_of_module(run.module_name, model, rows=rows, batch_size=None if batch_size >= rows else batch_size)
    names = str(settings["loss"]), str(settings["optimizer"])
    kinds = getattr(torch.nn, names[0], None), getattr(torch.optim, names[1], None)
    if not (isinstance(kinds[0], type) and isinstance(kinds[1], type)):
        raise ArgumentError(f"{' and '.join(names)} cannot be rebuilt by name", do=_WITH_ROWS)
    accepted = inspect.signature(kinds[1]).parameters
    given = {
        name.removeprefix("optimizer_"): tuple(value) if isinstance(value, list) else value
        for name, value in settings.items()
        if name.removeprefix("optimizer_") in accepted and name.startswith("optimizer_")
    }
    loss, y = kinds[0](), like.y
    if names[0] != loss_name(like.loss):
        # As many numbers as the model gives, between 0 and 1: what every other loss takes.
        with torch.no_grad():
            y = torch.rand_like(copy.deepcopy(model)(like.X))
    return replace(
        like,
        y=y,
        loss=loss,
        optimizer=kinds[1](like.optimizer.param_groups[0]["params"], **given),
        epochs=run.epochs,
        shuffle=bool(settings["shuffle"]),
    )


def _hook_tables(module: torch.nn.Module) -> list[dict[int, Any]]:
    """Return the tables in which a module keeps hooks around its call."""
    names = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    return [getattr(module, name) for name in names]


def _features(model: torch.nn.Module) -> int | None:
    """Return what the first linear layer takes; None where there is none."""
    for module in model.modules():
        if isinstance(n_in := getattr(module, "in_features", None), int):
            return n_in
    return None
