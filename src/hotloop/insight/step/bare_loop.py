"""The steps of a loop of dense layers without its modules, without autograd, without its optimizer, without Python.

Each form trains fresh copies, gathers rows as the eager engine does and reads back each loss, so that what differs is
what was removed and nothing else.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from hotloop.capture.graph import Weight
from hotloop.capture.loss_parts import loss_name
from hotloop.capture.modules import read_model
from hotloop.capture.plain import read_plain
from hotloop.engines.threads import torch_threads
from hotloop.errors import HotloopError
from hotloop.insight.loop import Loop
from hotloop.program.random import RowOrders
from hotloop.sentence import Sentence

if TYPE_CHECKING:
    import torch

__all__ = ["BareLoop", "Run"]

Run = Callable[[int], object]
"""Does so many steps."""


class BareLoop:
    """Fresh copies of a loop's parts, taken out of their modules.

    Parameters
    ----------
    loop : Loop
        One that :meth:`refusal` has nothing against.
    threads : int, optional
        Of torch; by default what ``fit`` would choose.
    """

    def __init__(self, loop: Loop, threads: int | None = None):
        self._task = loop.prepare(threads=threads).task
        self._optimizer = self._task.optimizer
        chain = _chain_of(self._task.model, self._task.training.X.shape[1])
        assert chain is not None, "refusal() has looked"
        self._weights, self._biases, self._activation = chain
        self._loss = loss_name(loop.loss)
        self._orders = RowOrders(len(self._task.training), self._task.seed)
        self._is_full_batch = self._task.batch_size >= len(self._task.training) and not self._task.shuffle

    @staticmethod
    def refusal(loop: Loop) -> str | None:
        """Return why a loop cannot be taken apart, or None if it can."""
        from hotloop.insight.step.bare_steps import ACTIVATIONS, LOSSES

        X = loop.prepare().task.training.X
        chain = None if X.ndim != 2 else _chain_of(loop.model, X.shape[1])
        if chain is None:
            return Sentence("the model is more than linear layers with one kind of activation between them")
        if chain.activation not in ACTIVATIONS:
            return Sentence("gradients by hand are written for {names}", names=", ".join(ACTIVATIONS))
        if loss_name(loop.loss) not in LOSSES or not _is_plain(loop.loss):
            return Sentence("gradients by hand are written for {names}", names=", ".join(LOSSES))
        if not _is_plain_optimizer(loop.optimizer):
            return Sentence("updates by hand are written for plain SGD and Adam")
        if loop.sample_weight is not None or loop.clip_grad_norm is not None:
            return Sentence("gradients by hand are written without weights of rows and without clipping")
        return None

    def without_modules(self) -> Run:
        """Return steps that call torch's functions directly."""
        from torch.nn import functional

        functions = {"relu": functional.relu, "tanh": functional.tanh, "sigmoid": functional.sigmoid}
        losses: dict[str, Any] = {"CrossEntropyLoss": functional.cross_entropy, "MSELoss": functional.mse_loss}
        apply, measure_loss, optimizer = functions.get(self._activation), losses[self._loss], self._optimizer
        *hidden, (weight, bias) = zip(self._weights, self._biases, strict=True)

        def step(X: torch.Tensor, y: torch.Tensor) -> float:
            for hidden_weight, hidden_bias in hidden:
                X = functional.linear(X, hidden_weight, hidden_bias)
                if apply is not None:
                    X = apply(X)
            loss = measure_loss(functional.linear(X, weight, bias), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return float(loss.item())

        return self._repeated(step)

    def without_autograd(self) -> Run:
        """Return steps whose gradients are written down."""
        import torch

        from hotloop.insight.step.bare_steps import gradients

        weights, biases = ([parameter.detach() for parameter in own] for own in (self._weights, self._biases))
        parameters, optimizer = (*self._weights, *self._biases), self._optimizer

        def step(X: torch.Tensor, y: torch.Tensor) -> float:
            loss, of_weights, of_biases = gradients(X, y, weights, biases, self._activation, self._loss)
            for parameter, grad in zip(parameters, (*of_weights, *of_biases), strict=True):
                parameter.grad = grad
            optimizer.step()
            return float(loss.item())

        return torch.no_grad()(self._repeated(step))

    def without_optimizer(self, *, without_python: bool = False) -> Run:
        """Return steps of bare tensor operations, called from Python or within TorchScript.

        Raises
        ------
        RuntimeError
            If TorchScript does not take them.
        """
        import torch

        from hotloop.insight.step import bare_steps

        is_adam = isinstance(self._optimizer, torch.optim.Adam)
        epoch: Callable[..., object] = bare_steps.adam_epoch if is_adam else bare_steps.sgd_epoch
        if without_python:
            epoch = _scripted(epoch)
        return torch.no_grad()(self._epochs(epoch, is_adam))

    def _epochs(self, epoch: Callable[..., object], is_adam: bool) -> Run:
        import torch

        task, group = self._task, self._optimizer.param_groups[0]
        weights, biases = ([parameter.detach() for parameter in own] for own in (self._weights, self._biases))
        moments = [[torch.zeros_like(parameter) for parameter in (*weights, *biases)] for _slot in range(2)]
        fixed = (weights, biases, self._activation, self._loss, float(group["lr"]))
        done = 0

        def run(units: int) -> None:
            nonlocal done
            while units:
                steps = units if self._is_full_batch else min(units, task.steps_per_epoch)
                order = self._order(done // task.steps_per_epoch) if task.shuffle else torch.empty(0, dtype=torch.int64)
                more = (*moments, done, *map(float, group["betas"]), float(group["eps"])) if is_adam else ()
                epoch(task.training.X, task.training.y, order, task.batch_size, steps, *fixed, *more)
                done, units = done + steps, units - steps

        return self._with_threads(run)

    def _order(self, epoch: int) -> torch.Tensor:
        import torch

        return torch.from_numpy(self._orders.of(epoch))

    def _repeated(self, step: Callable[[torch.Tensor, torch.Tensor], float]) -> Run:
        batches = self._batches()
        losses: list[float] = []

        def run(units: int) -> None:
            losses.clear()
            for _step in range(units):
                losses.append(step(*next(batches)))

        return self._with_threads(run)

    def _with_threads(self, run: Run) -> Run:
        def with_threads(units: int) -> None:
            with torch_threads(self._task.threads):
                run(units)

        return with_threads

    def _batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        task, rows, epoch = self._task, self._task.training, 0
        while True:
            if self._is_full_batch:
                yield rows.X, rows.y
                continue
            order = self._order(epoch) if task.shuffle else None
            for start, stop in task.epoch.ranges.tolist():
                if order is None:
                    yield rows.X[start:stop], rows.y[start:stop]
                else:
                    at = order[start:stop]
                    yield rows.X.index_select(0, at), rows.y.index_select(0, at)
            epoch += 1


class _Chain(NamedTuple):
    """Linear layers with one kind of activation between them."""

    weights: list[torch.Tensor]
    biases: list[torch.Tensor]
    activation: str


def _chain_of(model: torch.nn.Module, n_features: int) -> _Chain | None:
    """Return what a model of any class computes as a chain, or None where it is something else or not all trained."""
    try:
        read = read_model(model, read_plain(model), n_features, has_validation=False)
    except HotloopError:
        return None
    *inner, last = read.graph.nodes
    kinds, n_layers = set(), 0
    for number, node in enumerate(read.graph.nodes):
        if node.op == "linear":
            parameters = (Weight(2 * n_layers), Weight(2 * n_layers + 1))
            if node.operands != (number, *parameters) or not node.settings[0]:
                return None
            n_layers += 1
        elif node.op == "activation" and node.operands == (number,) and not node.settings[1]:
            kinds.add(node.settings[0])
        else:
            return None
    alternates = all((node.op == "linear") == (place % 2 == 0) for place, node in enumerate(inner))
    is_trained = all(parameter.requires_grad for parameter in read.parameters)
    if last.op != "linear" or len(kinds) > 1 or (kinds and not alternates) or not is_trained:
        return None
    return _Chain(list(read.parameters[::2]), list(read.parameters[1::2]), kinds.pop() if kinds else "identity")


@lru_cache
def _scripted(function: Callable[..., object]) -> Callable[..., object]:
    """Return a function as TorchScript."""
    import torch

    with warnings.catch_warnings():
        # torch would rather have torch.compile, which would change the operations.
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted: Callable[..., object] = torch.jit.script(function)
    return scripted


def _is_plain(loss: Any) -> bool:
    """Whether a loss has torch's default settings."""
    changed = (
        getattr(loss, "weight", None) is not None,
        getattr(loss, "reduction", "mean") != "mean",
        getattr(loss, "label_smoothing", 0.0) != 0.0,
        getattr(loss, "ignore_index", -100) != -100,
    )
    return not any(changed)


def _is_plain_optimizer(optimizer: torch.optim.Optimizer) -> bool:
    import torch

    if type(optimizer) not in (torch.optim.SGD, torch.optim.Adam) or len(optimizer.param_groups) != 1:
        return False
    group = optimizer.param_groups[0]
    settings = ("momentum", "weight_decay", "dampening", "nesterov", "maximize", "amsgrad")
    return not any(group.get(name) for name in settings) and not isinstance(group["lr"], torch.Tensor)
