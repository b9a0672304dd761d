"""Which engine, device and how many threads run a task, and why, in a clause each.

The choice depends on the task and the machine alone, never on timings or caches: the same call chooses the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from hotloop.capture.model_parts import ModelParts
from hotloop.engines.eager import EagerEngine
from hotloop.engines.interface import Engine
from hotloop.engines.native import NativeEngine
from hotloop.engines.step_size import FLOP_WORTH_A_SECOND_THREAD, step_flop, why_too_small
from hotloop.engines.task import Task
from hotloop.errors import ArgumentError, DeviceError, UnsupportedError, nearest
from hotloop.hardware import available_accelerator
from hotloop.sentence import Sentence, clauses

__all__ = [
    "ENGINES",
    "ENGINE_NAMES",
    "check_engine_name",
    "choose_device",
    "choose_engine",
    "choose_threads",
    "model_flop",
]

ENGINES: Mapping[str, Engine[Task]] = {"native": NativeEngine(), "eager": EagerEngine()}
"""Fastest first: ``auto`` takes the first that does not refuse."""

ENGINE_NAMES = ("auto", "eager", "native", "graph")
"""What ``engine=`` takes. Names without an engine yet are refused as not built, not as unknown."""

_DENSE_LAYERS_ONLY = ("Linear", "Bilinear", "Embedding", "EmbeddingBag")


def check_engine_name(name: str) -> None:
    """Raise the error for an engine that does not exist.

    Raises
    ------
    ArgumentError
        If nothing has that name.
    UnsupportedError
        If the engine is planned but not built.
    """
    if name not in ENGINE_NAMES:
        raise ArgumentError(
            Sentence("unknown engine {name!r}.{near}", name=name, near=nearest(str(name), ENGINE_NAMES)),
            do=Sentence("use {names}", names=", ".join(("auto", *ENGINES))),
        )
    if name != "auto" and name not in ENGINES:
        raise UnsupportedError(
            Sentence("engine {name!r} cannot run this task", name=name),
            why=Sentence("this version has no such engine"),
            do=Sentence("use {setting}", setting='engine="eager"'),
        )


def choose_engine(name: str, task: Task) -> tuple[Engine[Task], str]:
    """Return the engine for a task and the reason.

    Raises
    ------
    UnsupportedError
        If the engine asked for cannot run the task.
    """
    check_engine_name(name)
    if name != "auto":
        engine = ENGINES[name]
        if refused := engine.refusal(task):
            raise refused
        return engine, Sentence("{name} was asked for", name=name)
    refusals: list[str] = []
    for engine in ENGINES.values():
        refused = engine.refusal(task)
        if refused is None:
            chosen = _fastest(engine.name)
            if refusals:
                chosen = Sentence("{name}, since {refusals}", name=engine.name, refusals=clauses(*refusals))
            return engine, chosen
        refusals.append(_why_not(engine.name, refused))
    raise AssertionError("eager refuses nothing")


def _why_not(name: str, refused: UnsupportedError) -> Sentence:
    why_not = Sentence("{name} {what}: {why}", name=name, what=refused.what, why=refused.why)
    instead = getattr(refused, "instead", None)
    return why_not if instead is None else Sentence("{why_not}; instead, {do}", why_not=why_not, do=instead)


@cache
def _fastest(name: str) -> Sentence:
    return Sentence("{name}, the fastest engine, can compile all of it", name=name)


def choose_device(name: str, model: ModelParts, flop: float | None) -> tuple[str, str]:
    """Return the device to train on, as torch names it, and the reason.

    Parameters
    ----------
    name : str
        "auto", or a device by torch's name: "cpu", "cuda", "cuda:1", "mps", "xpu".
    model : ModelParts
    flop : float, optional
        Floating point operations of a step, if :func:`model_flop` can tell.

    Raises
    ------
    ArgumentError
        If there is no such kind of device.
    DeviceError
        If this machine, or this torch, lacks the device.
    """
    if name != "auto":
        return _named_device(name), Sentence("{name} was asked for", name=name)
    first = model.parameters[0]
    if not first.is_cpu:
        return str(first.device), Sentence("{device}, since the model is there", device=first.device)
    if why := why_too_small(flop):
        return "cpu", why
    accelerator = available_accelerator()
    if accelerator is None:
        return "cpu", Sentence("cpu, since torch sees no GPU here")
    return accelerator, Sentence("{device}, since a step is enough work to occupy it", device=accelerator)


def choose_threads(threads: int | None, flop: float | None) -> int | None:
    """Return the number of CPU threads for a task, or None for torch's own number.

    A number asked for is taken; without one, a step that is too small to be shared gets one thread.
    """
    if threads is None and flop is not None and flop < FLOP_WORTH_A_SECOND_THREAD:
        return 1
    return threads


def _named_device(name: str) -> str:
    import torch

    try:
        device = torch.device(name)
    except RuntimeError:
        raise ArgumentError(
            Sentence("{name!r} is not a device", name=name),
            do=Sentence("use {first} or {last}", first="auto, cpu, cuda, cuda:1, mps", last="xpu"),
        ) from None
    if device.type not in ("cpu", "cuda", "mps", "xpu"):
        raise ArgumentError(
            Sentence("{name!r} is not a device hotloop trains on", name=name),
            do=Sentence("use {first} or {last}", first="auto, cpu, cuda, mps", last="xpu"),
        )
    if device.type == "cpu":
        return "cpu"
    backend = getattr(torch, device.type)
    if not backend.is_available():
        raise DeviceError(
            Sentence("there is no device {name!r} here", name=name),
            why=Sentence("torch {version} sees none", version=torch.__version__),
            do=Sentence("use {first} or {last}", first='device="cpu"', last='device="auto"'),
            see="hotloop devices",
        )
    if device.index is not None and device.index >= backend.device_count():
        raise DeviceError(
            Sentence("there is no device {name!r} here", name=name),
            why=Sentence("torch sees {n} of the kind", n=backend.device_count()),
        )
    return name


def model_flop(model: ModelParts, batch_size: int) -> float | None:
    """Return the floating point operations of a step of dense layers; None if that cannot be told of the model."""
    # The only layers with parameters that a bare plain model has are dense.
    is_dense = model.plain is not None and model.plain.is_bare
    for module in () if is_dense else model.modules:
        own, name = module._parameters, type(module).__name__
        if own and name not in _DENSE_LAYERS_ONLY and "Norm" not in name and set(own.values()) != {None}:
            return None
    return step_flop(batch_size, sum([parameter.numel() for parameter in model.parameters if parameter.ndim >= 2]))
