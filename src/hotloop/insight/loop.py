"""A training loop that can be started anew as often as measuring asks: what explanations and claims are about.

::

    loop = loop_of_table("iris")                      the lesson
    loop = loop_of_module(model, n_features=4)        a network of the person's, on rows drawn at random
    loop = loop_of_run(run)                           in loop_of_run.py: a run once more, from what it holds
    loop = Loop("mine", model, X, y, loss, optimizer, epochs=..., batch_size=...)

    session = loop.session(engine="eager")            fresh copies of model and optimizer each time
    session.advance(100, None)
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hotloop.capture.loss_parts import loss_name
from hotloop.engines.epoch import Epoch
from hotloop.engines.interface import Engine, Session
from hotloop.errors import ArgumentError
from hotloop.insight.explanation import Subject
from hotloop.sentence import Sentence
from hotloop.training.settings import Settings

if TYPE_CHECKING:
    import torch

    from hotloop.engines.task import Task
    from hotloop.training.prepare import PreparedModule
    from hotloop.training.recipes import Recipe

__all__ = ["Loop", "loop_of_module", "loop_of_table"]


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
        As in :func:`hotloop.fit`, like those that follow.
    drop_last : bool
    sample_weight : array of shape (rows,), optional
    clip_grad_norm : float, optional
    threads : int, optional
        Those that are used where no number is asked for.
    notes : tuple of str
        What the loop leaves out of the run that is asked about, a sentence each.
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
    drop_last: bool = False
    sample_weight: Any = None
    clip_grad_norm: float | None = None
    threads: int | None = None
    notes: tuple[str, ...] = ()

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
            drop_last=self.drop_last,
            sample_weight=self.sample_weight,
            clip_grad_norm=self.clip_grad_norm,
            device=device,
            engine=engine,
            threads=self.threads if threads is None else threads,
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
        return self.epochs * Epoch(self.rows, self.rows_of_a_step, self.drop_last).n_steps

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
    n_features = _features(name, model) if features is None else features
    if n_features < 1:
        raise ArgumentError(Sentence("a row of {n} numbers is none", n=n_features))
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(rows, n_features, generator=generator, dtype=trained[0].dtype)
    try:
        with torch.no_grad():
            output = copy.deepcopy(model)(X[: min(rows, 4)])
    except Exception as error:  # whatever the person's own code raises
        if refused := _other_rows(name, model):
            raise refused from None
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


def _hook_tables(module: torch.nn.Module) -> list[dict[int, Any]]:
    """Return the tables in which a module keeps hooks around its call."""
    names = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    return [getattr(module, name) for name in names]


def _features(name: str, model: torch.nn.Module) -> int:
    """Return what the first linear layer takes."""
    for module in model.modules():
        if isinstance(n_in := getattr(module, "in_features", None), int):
            return n_in
    if refused := _other_rows(name, model):
        raise refused
    raise ArgumentError(
        Sentence("cannot tell how many features {name} takes", name=name), do=Sentence("say it: features=4")
    )


def _other_rows(name: str, model: torch.nn.Module) -> ArgumentError | None:
    """Return the refusal of a model whose first layer takes something else than a row of numbers; None if it does not.

    How large images are, how long texts and sequences, no layer says, and times depend on it: it is not guessed.
    """
    import torch
    from torch.nn.modules.conv import _ConvNd

    takes: tuple[tuple[Any, Sentence], ...] = (
        (_ConvNd, Sentence("images or signals")),
        ((torch.nn.Embedding, torch.nn.EmbeddingBag), Sentence("whole numbers to look up")),
        ((torch.nn.RNNBase, torch.nn.MultiheadAttention), Sentence("sequences")),
    )
    first = next((module for module in model.modules() if module._parameters), model)
    for kinds, what in takes:
        if isinstance(first, kinds):
            return ArgumentError(
                Sentence("{name} takes {what}, not rows of numbers", name=name, what=what),
                why=Sentence(
                    "its first layer is {kind}, which does not say what shape a row has", kind=type(first).__name__
                ),
                do=Sentence("give some of your own: {call}", call="hotloop.explain(model, X, y, ...)"),
            )
    return None
