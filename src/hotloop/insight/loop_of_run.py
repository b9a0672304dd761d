"""A finished run as a loop again, rebuilt from what the run holds: its settings, its layers, never its rows."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hotloop.capture.model_parts import ModelParts
from hotloop.engines.loss_settings import loss_of_settings
from hotloop.engines.probe import probe
from hotloop.errors import ArgumentError
from hotloop.insight.loop import Loop
from hotloop.runs.weights import differences_of
from hotloop.sentence import Sentence, clauses, counted

if TYPE_CHECKING:
    import torch

    from hotloop.runs import Run

__all__ = ["loop_of_run"]

_NEEDED = {
    "rows",
    "row_shape",
    "row_dtype",
    "target_shape",
    "target_dtype",
    "weighted",
    "drop_last",
    "clip_grad_norm",
    "threads",
}


def loop_of_run(run: Run, model: torch.nn.Module | None = None, loss: Callable[..., Any] | None = None) -> Loop:
    """Return a loop like the one that made a run, over rows drawn at random.

    Parameters
    ----------
    run : Run
    model : torch.nn.Module, optional
        What was trained; needed where the run does not hold its layers.
    loss : torch loss module or function, optional
        What it was trained by; needed where that is none of torch's.

    Raises
    ------
    ArgumentError
        If the module given is not of the run's make, or what the run holds does not suffice to rebuild module, loss or
        optimizer.
    """
    import torch

    if model is None:
        model = _module(run)
    else:
        _check_fits(model, run)
    settings: Mapping[str, Any] = run.settings
    if not settings.keys() >= _NEEDED:
        raise ArgumentError(
            Sentence("the run does not hold all that its step was made of"),
            why=Sentence("an earlier version of hotloop made it"),
            do=Sentence("call {call}", call="hotloop.explain(model, X, y, ...)"),
        )
    X, y = _rows_like(settings, model)
    loop = Loop(
        run.module_name,
        model,
        X,
        y,
        _loss(settings, ModelParts.of(model).dtype) if loss is None else loss,
        _optimizer(settings, model),
        epochs=max(run.epochs, 1),
        batch_size=settings["batch_size"],
        shuffle=settings["shuffle"],
        drop_last=settings["drop_last"],
        sample_weight=torch.ones(len(X)) if settings["weighted"] else None,
        clip_grad_norm=settings["clip_grad_norm"],
        threads=settings["threads"],
    )
    notes = []
    if settings["schedule"] is not None:
        notes.append(_without_schedule(loop, settings))
    if (n_groups := settings.get("optimizer_groups", 1)) > 1:
        notes.append(
            Sentence(
                "The optimizer had {n} groups of parameters; the measured step has one, set like the first.", n=n_groups
            )
        )
    return replace(loop, notes=tuple(notes))


def _module(run: Run) -> torch.nn.Module:
    from hotloop.capture import to_module

    if run.network is None:
        raise ArgumentError(
            Sentence("only its own code can rebuild {name}", name=run.module_name),
            do=Sentence("call {call}", call="run.explain(model)"),
        )
    return to_module(run.network, run.weights)


def _check_fits(model: torch.nn.Module, run: Run) -> None:
    import torch

    if not isinstance(model, torch.nn.Module):
        raise ArgumentError(Sentence("model must be a torch.nn.Module, not {kind}", kind=type(model).__name__))
    if differences := differences_of(run.weights, model.state_dict()):
        raise ArgumentError(
            Sentence("the model is not the one that this run trained"),
            why=clauses(*differences),
            do=Sentence("build it as it was for training"),
        )


def _rows_like(settings: Mapping[str, Any], model: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Return as many rows and targets as the run had, of their shapes and dtypes."""
    import torch

    generator = torch.Generator().manual_seed(0)
    shapes = [(settings["rows"], *settings[name]) for name in ("row_shape", "target_shape")]
    dtypes = [getattr(torch, settings[name]) for name in ("row_dtype", "target_dtype")]
    if dtypes[0].is_floating_point:
        X = torch.randn(shapes[0], generator=generator, dtype=dtypes[0])
    else:
        # Whole numbers are looked up.
        sizes = [getattr(module, "num_embeddings", None) for module in model.modules()]
        X = torch.randint(min((size for size in sizes if size), default=2), shapes[0], generator=generator)
    if dtypes[1].is_floating_point:
        # Between 0 and 1 is what every loss takes.
        return X, torch.rand(shapes[1], generator=generator, dtype=dtypes[1])
    trial = probe(model, X)
    n_classes = 2 if trial is None or trial.output.ndim < 2 else trial.output.shape[1]
    return X, torch.randint(n_classes, shapes[1], generator=generator)


def _loss(settings: Mapping[str, Any], dtype: torch.dtype) -> Callable[..., Any]:
    own = _given(settings, "loss_")
    if not own:
        raise ArgumentError(
            Sentence("the loss {name} cannot be rebuilt from what the run holds", name=settings["loss"]),
            why=Sentence("it is none of torch's own with plain settings"),
            do=Sentence("call {call}", call="run.explain(loss=...)"),
        )
    return loss_of_settings(settings["loss"], own, dtype)


def _optimizer(settings: Mapping[str, Any], model: torch.nn.Module) -> torch.optim.Optimizer:
    import torch

    name = settings["optimizer"]
    kind = getattr(torch.optim, name, None)
    if not isinstance(kind, type) or settings.get("optimizer_module", kind.__module__) != kind.__module__:
        raise ArgumentError(
            Sentence("the optimizer {name} cannot be rebuilt from what the run holds", name=name),
            why=Sentence("it is none of torch's own"),
            do=Sentence("call {call}", call="hotloop.explain(model, X, y, ...)"),
        )
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ArgumentError(Sentence("{name} has no weights to train", name=type(model).__name__))
    # A group also holds what schedules keep there, and what only its own class computes.
    accepted = inspect.signature(kind).parameters
    given = {key: value for key, value in _given(settings, "optimizer_").items() if key in accepted}
    optimizer: torch.optim.Optimizer = kind(trained, **given)
    return optimizer


def _given(settings: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in settings.items() if name.startswith(prefix)}


def _without_schedule(loop: Loop, settings: Mapping[str, Any]) -> Sentence:
    return counted(
        "The learning rate schedule {name} is not part of the measured step: it is stepped once an epoch, which is "
        "once a step here.",
        "The learning rate schedule {name} is not part of the measured step: it is stepped once an epoch, which is "
        "once in {n:,} steps here.",
        loop.steps // loop.epochs,
        name=settings["schedule"],
    )
