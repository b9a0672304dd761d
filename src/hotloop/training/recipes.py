"""Settings that ``hotloop train`` starts from: the lesson's, and sensible ones for any table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotloop.errors import ArgumentError, nearest
from hotloop.program.optimizers import Adam, OptimizerRule, Sgd
from hotloop.sentence import Sentence

if TYPE_CHECKING:
    import torch

__all__ = ["OPTIMIZERS", "RECIPES", "Recipe", "find_recipe"]

OPTIMIZERS: Mapping[str, str] = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop"}
"""Names on the command line -> classes in torch.optim."""


@dataclass(frozen=True)
class Recipe:
    """How a table is split and scaled, and how which network is trained on it.

    Parameters
    ----------
    name : str
    hidden : tuple of int
        Widths of the hidden layers.
    activation : str
        Between layers; a name in ``program.network.ACTIVATIONS``.
    optimizer : str
        A name in :data:`OPTIMIZERS`.
    learning_rate, weight_decay : float
    epochs : int
    batch_size : int, optional
        Rows of an update; None for all of them.
    scaling : str
        "minmax", "standard" or "none".
    test_size, validation_size : float
        Share of the rows kept for the test, and share of the remaining ones kept for validation.
    patience : int, optional
        Epochs without a better validation loss after which training stops.
    stratify : bool, optional
        Keep the classes' shares in each part; None lets the table decide.
    balanced : bool
        Weight the classes so that each counts the same in all.
    print_every : int
        Epochs between two lines.
    """

    name: str
    hidden: tuple[int, ...]
    activation: str
    optimizer: str
    learning_rate: float
    weight_decay: float
    epochs: int
    batch_size: int | None
    scaling: str
    test_size: float
    validation_size: float
    patience: int | None
    stratify: bool | None
    balanced: bool
    print_every: int

    def rule(self) -> OptimizerRule | None:
        """Return the optimizer as a rule that can be compiled, or None where there is none for it.

        Raises
        ------
        ArgumentError
            If there is no optimizer of that name, or its settings make no sense.
        """
        self._check_optimizer()
        if self.optimizer == "sgd":
            return Sgd(weight_decay=self.weight_decay)
        if self.optimizer in ("adam", "adamw"):
            return Adam(weight_decay=self.weight_decay, decoupled=self.optimizer == "adamw")
        return None

    def build_optimizer(self, parameters: object) -> torch.optim.Optimizer:
        """Return torch's optimizer over these parameters.

        Raises
        ------
        ArgumentError
            If there is no optimizer of that name, or its settings make no sense.
        """
        self._check_optimizer()
        import torch

        build = getattr(torch.optim, OPTIMIZERS[self.optimizer])
        try:
            built: torch.optim.Optimizer = build(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)
        except ValueError as error:
            raise ArgumentError(
                Sentence("{name} cannot be used so", name=OPTIMIZERS[self.optimizer]), why=str(error)
            ) from None
        return built

    def _check_optimizer(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ArgumentError(
                Sentence(
                    "unknown optimizer {name!r}.{near}", name=self.optimizer, near=nearest(self.optimizer, OPTIMIZERS)
                ),
                do=Sentence("use one of {listed}", listed=", ".join(OPTIMIZERS)),
            )
        sizes = {Sentence("learning rate"): self.learning_rate, Sentence("weight decay"): self.weight_decay}
        for name, value in sizes.items():
            if not 0 <= value < math.inf:
                raise ArgumentError(
                    Sentence("the {name} is {value:g}; it must be a number from 0 on", name=name, value=value)
                )


RECIPES: Mapping[str, Recipe] = {
    "lesson": Recipe(
        name="lesson",
        hidden=(10,),
        activation="relu",
        optimizer="sgd",
        learning_rate=0.01,
        weight_decay=0.0,
        epochs=20_000,
        batch_size=None,
        scaling="minmax",
        test_size=0.2,
        validation_size=0.0,
        patience=None,
        stratify=False,
        balanced=False,
        print_every=1000,
    ),
    "tabular": Recipe(
        name="tabular",
        hidden=(64, 64),
        activation="relu",
        optimizer="adam",
        learning_rate=1e-3,
        weight_decay=0.0,
        epochs=200,
        batch_size=128,
        scaling="standard",
        test_size=0.2,
        validation_size=0.15,
        patience=20,
        stratify=None,
        balanced=False,
        print_every=10,
    ),
}
"""By name: ``lesson`` is the default for iris, ``tabular`` for every other table."""


def find_recipe(name: str | None, table_name: str) -> Recipe:
    """Return a recipe by its name, or without one the default for a table.

    Raises
    ------
    ArgumentError
        If there is no recipe of that name.
    """
    if name is None:
        return RECIPES["lesson" if table_name == "iris" else "tabular"]
    if name not in RECIPES:
        raise ArgumentError(
            Sentence("unknown recipe {name!r}.{near}", name=name, near=nearest(name, RECIPES)),
            do=Sentence("use {names}", names=" or ".join(RECIPES)),
        )
    return RECIPES[name]
