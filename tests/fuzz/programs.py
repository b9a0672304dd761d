"""Random training tasks: a case is plain data that prints whole, and ``build`` makes torch's objects of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from hypothesis import strategies as st

from hotloop.capture.supported import ACTIVATIONS, LOSSES

__all__ = ["Built", "Case", "build", "cases"]

SHAPES = ("sequential", "residual", "concatenated", "shared", "gated")
Settings = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Case:
    """One training task.

    Parameters
    ----------
    n_features : int
    widths : tuple of (int, bool)
        Of each linear layer, the last one's included: its outputs, and whether it has a bias.
    activations : tuple of (str, settings)
        Between the layers: a class of ``torch.nn``.
    shape : str
        How the layers are put together: one of ``SHAPES``.
    frozen : tuple of int
        Parameters, modulo their number, that are not trained; the first one always is.
    loss, loss_settings
        A class of ``torch.nn``; "class_weight" and "pos_weight" stand for tensors.
    target : str
        "labels", "ignored labels", "probabilities" or "numbers".
    optimizer : str
    groups : tuple of settings
        One or two parameter groups.
    schedule : bool
        Whether learning rates change from epoch to epoch.
    clip : float, optional
    weighted : bool
    rows, batch_size, drop_last, shuffle
    validation_rows : int
    dtype : str
    scale : float
        Of the features: what lies far from 1 overflows sooner.
    level : str, optional
        Processor level to compile for; None: this machine's.
    seed : int
        Of weights, data and row order.
    """

    n_features: int = 4
    widths: tuple[tuple[int, bool], ...] = ((5, True), (3, True))
    activations: tuple[tuple[str, Settings], ...] = (("ReLU", ()),)
    shape: str = "sequential"
    frozen: tuple[int, ...] = ()
    loss: str = "MSELoss"
    loss_settings: Settings = ()
    target: str = "numbers"
    optimizer: str = "SGD"
    groups: tuple[Settings, ...] = ((("lr", 0.01),),)
    schedule: bool = False
    clip: float | None = None
    weighted: bool = False
    rows: int = 20
    batch_size: int | None = None
    drop_last: bool = False
    shuffle: bool = True
    validation_rows: int = 0
    dtype: str = "float64"
    scale: float = 1.0
    level: str | None = None
    seed: int = 0

    def __str__(self) -> str:
        plain = Case()
        own = {name: value for name, value in vars(self).items() if value != getattr(plain, name)}
        return f"Case({', '.join(f'{name}={value!r}' for name, value in own.items())})"


@dataclass
class Built:
    """A case as torch's objects."""

    model: torch.nn.Module
    loss: torch.nn.Module
    optimizer: torch.optim.Optimizer
    X: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor | None
    X_val: torch.Tensor | None
    y_val: torch.Tensor | None

    def schedule(self) -> Any:
        """Return a schedule for the optimizer."""
        return torch.optim.lr_scheduler.StepLR(self.optimizer, 1, 0.5)


# -- networks ---------------------------------------------------------------------------------------------------------


class Residual(torch.nn.Module):
    """Layers whose input is added to their output."""

    def __init__(self, layers, activations):
        super().__init__()
        self.first, self.last = layers[0], layers[-1]
        self.blocks = torch.nn.ModuleList(layers[1:-1])
        self.activations = torch.nn.ModuleList(activations)

    def forward(self, x):
        x = self.first(x)
        for number, block in enumerate(self.blocks):
            x = x + self.activations[number](block(x))
        return self.last(self.activations[-1](x))


class Concatenated(torch.nn.Module):
    """Two branches and the features themselves, side by side."""

    def __init__(self, layers, activations):
        super().__init__()
        self.left, self.right, self.last = layers
        self.activation = activations[0]

    def forward(self, x):
        return self.last(torch.cat([self.activation(self.left(x)), x, self.right(x)], dim=1))


class Shared(torch.nn.Module):
    """One square layer, used twice."""

    def __init__(self, layers, activations):
        super().__init__()
        self.first, self.twice, self.last = layers
        self.activation = activations[0]

    def forward(self, x):
        x = self.activation(self.twice(self.first(x)))
        return self.last(self.activation(self.twice(x)))


class Gated(torch.nn.Module):
    """The product of two branches, and a parameter of its own for each feature."""

    def __init__(self, layers, activations):
        super().__init__()
        self.left, self.right, self.last = layers
        self.activation = activations[0]
        self.scale = torch.nn.Parameter(torch.linspace(0.5, 1.5, layers[0].out_features))

    def forward(self, x):
        x = self.left(x) * self.activation(self.right(x)) - self.scale
        return self.last(x)


_MODULES = {"residual": Residual, "concatenated": Concatenated, "shared": Shared, "gated": Gated}


def _network(case: Case) -> torch.nn.Module:
    n_in, sizes = case.n_features, [width for width, _ in case.widths]
    if case.shape == "sequential":
        inward = [n_in, *sizes[:-1]]
        outward = sizes
    elif case.shape == "residual":
        hidden = sizes[0]
        inward, outward = [n_in, *[hidden] * (len(sizes) - 1)], [*[hidden] * (len(sizes) - 1), sizes[-1]]
    elif case.shape == "concatenated":
        inward, outward = [n_in, n_in, n_in + sizes[0] + sizes[1]], sizes
    elif case.shape == "shared":
        inward, outward = [n_in, sizes[0], sizes[0]], [sizes[0], sizes[0], sizes[2]]
    else:
        inward, outward = [n_in, n_in, sizes[0]], [sizes[0], sizes[0], sizes[2]]
    layers = [torch.nn.Linear(a, b, bias=bias) for a, b, (_, bias) in zip(inward, outward, case.widths, strict=True)]
    activations = [getattr(torch.nn, name)(**dict(settings)) for name, settings in case.activations]
    if case.shape != "sequential":
        return _MODULES[case.shape](layers, activations)
    chain: list[torch.nn.Module] = [layers[0]]
    for activation, layer in zip(activations, layers[1:], strict=True):
        chain += [activation, layer]
    return torch.nn.Sequential(*chain)


def build(case: Case) -> Built:
    """Return the case's objects; equal each time it is called."""
    generator = torch.Generator().manual_seed(case.seed)
    dtype = getattr(torch, case.dtype)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(case.seed)
        model = _network(case).to(dtype)
    parameters = list(model.parameters())
    for place in case.frozen:
        if place % len(parameters):
            parameters[place % len(parameters)].requires_grad_(False)
    loss = _loss(case).to(dtype)

    def rows(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        X = torch.randn(count, case.n_features, generator=generator, dtype=torch.float64) * case.scale
        return X.to(dtype), _target(case, count, generator, dtype)

    X, y = rows(case.rows)
    X_val, y_val = rows(case.validation_rows) if case.validation_rows else (None, None)
    weight = None
    if case.weighted:
        weight = (torch.rand(case.rows, generator=generator, dtype=torch.float64) * 2).to(dtype)
        weight[torch.rand(case.rows, generator=generator) < 0.2] = 0.0
        weight[0] = 1.0
    return Built(model, loss, _optimizer(case, parameters), X, y, weight, X_val, y_val)


def _optimizer(case: Case, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    every = len(case.groups)
    groups = [{"params": parameters[place::every], **dict(group)} for place, group in enumerate(case.groups)]
    return getattr(torch.optim, case.optimizer)([group for group in groups if group["params"]])


def _loss(case: Case) -> torch.nn.Module:
    settings = dict(case.loss_settings)
    outputs = case.widths[-1][0]
    if settings.pop("class_weight", False):
        settings["weight"] = torch.linspace(0.5, 2.0, outputs)
    pos_weight = settings.pop("pos_weight", "none")
    if pos_weight != "none":
        settings["pos_weight"] = torch.tensor(1.7) if pos_weight == "one" else torch.linspace(0.5, 3.0, outputs)
    return getattr(torch.nn, case.loss)(**settings)


def _target(case: Case, count: int, generator: torch.Generator, dtype: torch.dtype) -> torch.Tensor:
    outputs = case.widths[-1][0]
    if "labels" in case.target:
        y = torch.randint(0, outputs, (count,), generator=generator)
        if case.target == "ignored labels":
            ignored = dict(case.loss_settings).get("ignore_index", -100)
            y[torch.rand(count, generator=generator) < 0.3] = ignored
        return y
    if case.target == "probabilities":
        raw = torch.rand(count, outputs, generator=generator, dtype=torch.float64) + 0.01
        return (raw / raw.sum(1, keepdim=True)).to(dtype)
    if case.loss == "BCEWithLogitsLoss":
        raw = torch.rand(count, outputs, generator=generator, dtype=torch.float64)
        return torch.where(raw < 0.8, (raw < 0.4).double(), raw).to(dtype)
    return torch.randn(count, outputs, generator=generator, dtype=torch.float64).to(dtype)


# -- strategies -------------------------------------------------------------------------------------------------------

_NUMBERS = {
    "negative_slope": (0.01, 0.3, -0.2, 1.0, 0.0, 2.5),
    "alpha": (1.0, 0.4, 2.0, 0.0, -0.5),
    "beta": (1.0, 0.5, 3.0),
    "threshold": (20.0, 1.0, 0.0),
    "approximate": ("none", "tanh"),
}


@st.composite
def _activation(draw) -> tuple[str, Settings]:
    row = draw(st.sampled_from(ACTIVATIONS))
    settings = [(name, draw(st.sampled_from(_NUMBERS[name]))) for name in row.defaults]
    return row.module, tuple(item for item in settings if item[1] != row.defaults[item[0]])


def _width(widest: int) -> st.SearchStrategy[int]:
    return st.integers(1, widest) | st.integers(1, 9)


@st.composite
def _loss_of(draw) -> tuple[str, Settings, str]:
    name = draw(st.sampled_from([row.module for row in LOSSES]))
    settings: list[tuple[str, Any]] = []
    target = "numbers"
    if name == "CrossEntropyLoss":
        target = draw(st.sampled_from(["labels", "ignored labels", "probabilities"]))
        if draw(st.booleans()):
            settings.append(("class_weight", True))
        if draw(st.booleans()):
            settings.append(("label_smoothing", draw(st.sampled_from([0.1, 0.5, 1.0]))))
        if target == "ignored labels" and draw(st.booleans()):
            settings.append(("ignore_index", 0))
    if name == "BCEWithLogitsLoss":
        settings.append(("pos_weight", draw(st.sampled_from(["none", "one", "each"]))))
    if name == "HuberLoss":
        settings.append(("delta", draw(st.sampled_from([1.0, 0.3, 2.0]))))
    if name == "SmoothL1Loss":
        settings.append(("beta", draw(st.sampled_from([1.0, 0.3, 2.0, 0.0]))))
    if draw(st.integers(0, 3)) == 0:
        settings.append(("reduction", "sum"))
    return name, tuple(settings), target


@st.composite
def _group(draw, optimizer: str) -> Settings:
    settings: list[tuple[str, Any]] = [("lr", draw(st.sampled_from([0.01, 0.001, 0.1])))]
    flag = st.integers(0, 2).map(lambda number: number == 0)
    if draw(flag):
        settings.append(("weight_decay", draw(st.sampled_from([0.1, 0.001]))))
    if draw(flag):
        settings.append(("maximize", True))
    if optimizer == "SGD":
        if draw(st.booleans()):
            settings.append(("momentum", draw(st.sampled_from([0.9, 0.5]))))
            if draw(st.booleans()):
                settings.append(draw(st.sampled_from([("nesterov", True), ("dampening", 0.3)])))
    else:
        if draw(flag):
            settings.append(("amsgrad", True))
        if draw(flag):
            settings.append(("betas", draw(st.sampled_from([(0.5, 0.9), (0.0, 0.99), (0.95, 0.5)]))))
        if draw(flag):
            settings.append(("eps", draw(st.sampled_from([1e-3, 1e-12]))))
        if optimizer == "Adam" and draw(flag):
            settings.append(("decoupled_weight_decay", True))
    return tuple(settings)


@st.composite
def cases(
    draw,
    *,
    levels: tuple[str | None, ...] = (None,),
    shapes: tuple[str, ...] = SHAPES,
    dtype: str | None = None,
    widest: int = 70,
) -> Case:
    """Draw a case.

    Parameters
    ----------
    levels : tuple of str or None
        Processor levels to choose from.
    shapes : tuple of str
        Of networks.
    dtype : str, optional
    widest : int
        Features and layers; what compiles longest.
    """
    shape = draw(st.sampled_from(shapes))
    n_layers = draw(st.integers(*{"sequential": (1, 4), "residual": (2, 4)}.get(shape, (3, 3))))
    widths = tuple((draw(_width(widest)), draw(st.integers(0, 3)) > 0) for _ in range(n_layers))
    n_activations = {"sequential": n_layers - 1, "residual": n_layers - 1}.get(shape, 1)
    activations = tuple(draw(_activation()) for _ in range(n_activations))
    loss, loss_settings, target = draw(_loss_of())
    optimizer = draw(st.sampled_from(["SGD", "Adam", "AdamW"]))
    rows = draw(st.integers(1, 300) | st.integers(1, 40))
    batch_size = draw(st.none() | st.integers(1, rows) | st.integers(1, min(rows, 40)))
    case = Case(
        n_features=draw(_width(widest)),
        widths=widths,
        activations=activations,
        shape=shape,
        frozen=draw(st.just(()) | st.just(()) | st.lists(st.integers(1, 7), max_size=2).map(tuple)),
        loss=loss,
        loss_settings=loss_settings,
        target=target,
        optimizer=optimizer,
        groups=tuple(draw(_group(optimizer)) for _ in range(draw(st.sampled_from([1, 1, 2])))),
        schedule=draw(st.integers(0, 2)) == 0,
        clip=draw(st.sampled_from([None, None, None, 0.05, 1.0, 50.0])),
        weighted=draw(st.integers(0, 3)) == 0,
        rows=rows,
        batch_size=batch_size,
        drop_last=batch_size is not None and draw(st.booleans()),
        shuffle=draw(st.integers(0, 3)) > 0,
        validation_rows=draw(st.sampled_from([0, 0, 1, 7, 33, 150])),
        dtype=dtype or draw(st.sampled_from(["float64", "float32"])),
        scale=draw(st.sampled_from([1.0, 1.0, 1.0, 1.0, 5.0, 1e-3, 1e18])),
        level=draw(st.sampled_from(levels)),
        seed=draw(st.integers(0, 1000)),
    )
    return _plausible(case)


def _plausible(case: Case) -> Case:
    """Leave out what ``fit`` refuses."""
    outputs = case.widths[-1][0]
    if case.target == "ignored labels" and dict(case.loss_settings).get("ignore_index") == 0 and outputs == 1:
        # The only class is the one that is ignored.
        return replace(case, loss_settings=tuple(item for item in case.loss_settings if item[0] != "ignore_index"))
    return case
