"""Optimizers in primitive ops: how one weight changes, given its gradient and what is kept of earlier ones.

An optimizer is two functions. ``update`` writes the change of a weight as a program; ``scalars`` computes in NumPy, for
many steps at once and in float64, the numbers that depend on nothing but the step and the settings: learning rates and
bias corrections. So every setting that is a number is a run-time value: a sweep over learning rates compiles once.

A new optimizer is one class here and one row in ``capture/optimizers.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hotloop.program.build import BlockBuilder, Value, apply
from hotloop.program.program import Update
from hotloop.program.types import Axis, Type

__all__ = ["Adam", "OptimizerRule", "Sgd", "write_update"]

FloatArray = NDArray[np.float64]


class OptimizerRule(ABC):
    """What an optimizer does to one group of weights; settings that change the program are fields."""

    name: str
    slots: tuple[str, ...]

    @property
    @abstractmethod
    def canonical(self) -> OptimizerRule:
        """A rule that writes the same update: what differs between the two is in the scalars alone."""

    @abstractmethod
    def is_steady(self, step: int) -> bool:
        """Whether from this step on the scalars depend on nothing but the learning rate."""

    @abstractmethod
    def scalars(self, lr: FloatArray, step: FloatArray) -> Mapping[str, FloatArray]:
        """Return the numbers of each step.

        Parameters
        ----------
        lr : float64 array of shape (steps,)
        step : float64 array of shape (steps,)
            Updates of this group done before each step: 0 at the very first.

        Returns
        -------
        mapping of float64 arrays of shape (steps,)
            In the order in which ``update`` takes them.
        """

    @abstractmethod
    def update(
        self, w: Value, g: Value, slots: Mapping[str, Value], scalars: Mapping[str, Value]
    ) -> tuple[Value, Mapping[str, Value]]:
        """Return the new weight and the new slots."""


@dataclass(frozen=True)
class Sgd(OptimizerRule):
    """Stochastic gradient descent. Source: ``torch.optim.SGD``; Sutskever et al., ICML 2013, for momentum."""

    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    maximize: bool = False

    name = "sgd"

    @cached_property
    def canonical(self) -> Sgd:
        """The same with momentum and weight decay 1 or 0."""
        return replace(
            self, momentum=float(self.momentum != 0), dampening=0.0, weight_decay=float(self.weight_decay != 0)
        )

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        """The running sum of gradients, where there is momentum."""
        return ("momentum_buffer",) if self.momentum else ()

    def is_steady(self, step: int) -> bool:
        """From the second step on, if there is momentum."""
        return step > 0 or not self.momentum

    def scalars(self, lr: FloatArray, step: FloatArray) -> Mapping[str, FloatArray]:
        """Return lr and, at each step, what is kept of the buffer and taken of the gradient."""
        numbers = {"lr": lr}
        if self.weight_decay:
            numbers["weight_decay"] = np.full_like(lr, self.weight_decay)
        if self.momentum:
            # torch starts the buffer with the first gradient itself, undampened.
            numbers["keep"] = np.where(step == 0, 0.0, self.momentum)
            numbers["take"] = np.where(step == 0, 1.0, 1.0 - self.dampening)
        if self.momentum and self.nesterov:
            numbers["momentum"] = np.full_like(lr, self.momentum)
        return numbers

    def update(
        self, w: Value, g: Value, slots: Mapping[str, Value], scalars: Mapping[str, Value]
    ) -> tuple[Value, Mapping[str, Value]]:
        """W - lr * g, with momentum in place of g where there is some."""
        if self.maximize:
            g = -g
        if self.weight_decay:
            g = g + scalars["weight_decay"] * w
        if not self.momentum:
            return w - scalars["lr"] * g, {}
        buffer = scalars["keep"] * slots["momentum_buffer"] + scalars["take"] * g
        direction = g + scalars["momentum"] * buffer if self.nesterov else buffer
        return w - scalars["lr"] * direction, {"momentum_buffer": buffer}


@dataclass(frozen=True)
class Adam(OptimizerRule):
    """Adam, and AdamW where the decay is decoupled. Source: Kingma, Ba, ICLR 2015; Loshchilov, Hutter, ICLR 2019."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False
    maximize: bool = False
    decoupled: bool = False

    name = "adam"

    @cached_property
    def canonical(self) -> Adam:
        """The same with the usual betas and eps, and weight decay 1 or 0."""
        betas = Adam.betas if self._keeps_most else (0.0, 0.0)
        return replace(self, betas=betas, eps=Adam.eps, weight_decay=float(self.weight_decay != 0))

    @property
    def _keeps_most(self) -> bool:
        # torch.lerp starts from the end that weighs more, so that a weight of 1 gives that end exactly.
        return 1.0 - self.betas[0] < 0.5

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        """Running means of the gradient and of its square, and the largest of the latter for AMSGrad."""
        return ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if self.amsgrad else ()))

    def is_steady(self, step: int) -> bool:
        """Never: the bias corrections change with each step."""
        return False

    def scalars(self, lr: FloatArray, step: FloatArray) -> Mapping[str, FloatArray]:
        """Return step size, bias correction and the constants."""
        beta1, beta2 = self.betas
        count = step + 1
        numbers = {
            "step_size": lr / (1.0 - beta1**count),
            "correction": 1.0 / np.sqrt(1.0 - beta2**count),
            "weight1": np.full_like(lr, 1.0 - beta1 if self._keeps_most else beta1),
            "keep2": np.full_like(lr, beta2),
            "take2": np.full_like(lr, 1.0 - beta2),
            "eps": np.full_like(lr, self.eps),
        }
        if self.weight_decay:
            numbers["decay"] = 1.0 - lr * self.weight_decay if self.decoupled else np.full_like(lr, self.weight_decay)
        return numbers

    def update(
        self, w: Value, g: Value, slots: Mapping[str, Value], scalars: Mapping[str, Value]
    ) -> tuple[Value, Mapping[str, Value]]:
        """W - step_size * mean / (sqrt(mean of squares) * correction + eps)."""
        if self.maximize:
            g = -g
        if self.weight_decay and self.decoupled:
            w = w * scalars["decay"]
        elif self.weight_decay:
            g = g + scalars["decay"] * w
        start, end = (slots["exp_avg"], g) if self._keeps_most else (g, slots["exp_avg"])
        mean = start + scalars["weight1"] * (end - start)
        # As torch multiplies: a square that is too large for float32 may be none when part of it is taken first.
        square = scalars["keep2"] * slots["exp_avg_sq"] + (scalars["take2"] * g) * g
        new = {"exp_avg": mean, "exp_avg_sq": square}
        largest = square
        if self.amsgrad:
            largest = new["max_exp_avg_sq"] = apply("max", slots["max_exp_avg_sq"], square)
        spread = apply("sqrt", largest) * scalars["correction"] + scalars["eps"]
        return w - scalars["step_size"] * (mean / spread), new


def write_update(rule: OptimizerRule, weights: tuple[str, ...], n_weights: int, element: str, clips: bool) -> Update:
    """Write an optimizer's rule as the update of a group of weights.

    Parameters
    ----------
    rule : OptimizerRule
    weights : tuple of str
        Names in the step's block.
    n_weights : int
        Numbers in all of them.
    element : str
        "f32" or "f64".
    clips : bool
        Multiply gradients by the scalar "clip" first.
    """
    block = BlockBuilder(element)
    each, one = Type(element, (Axis("weights", n_weights),)), Type(element)
    w, g = block.input("weight", each, "weight"), block.input("gradient", each, "gradient")
    slots = {name: block.input(name, each, "slot") for name in rule.slots}
    numbers: Any = rule.scalars(np.zeros(1), np.zeros(1))
    scalars = {name: block.input(name, one, "scalar") for name in numbers}
    if clips:
        g = g * block.input("clip", one, "clip")
    new, new_slots = rule.update(w, g, slots, scalars)
    block.output("weight", new)
    for name in rule.slots:
        block.output(name, new_slots[name])
    return Update(rule.name, weights, block.finish())
