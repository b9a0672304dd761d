"""Whether modules and parameters do what their classes say, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from hotloop.capture.refusal import NotCaptured
from hotloop.errors import ArgumentError

if TYPE_CHECKING:
    import torch

__all__ = ["alteration", "check_no_global_hooks", "check_parameters", "is_compiled", "is_untouched", "rewiring"]


def alteration(module: torch.nn.Module) -> tuple[str, str] | None:
    """Return how an instance differs from its class, and what to do about it; None if it does not."""
    if is_compiled(module):
        return "it is compiled by torch.compile", "give hotloop the module as it was before"
    return rewiring(module)


def is_compiled(module: torch.nn.Module) -> bool:
    """Whether torch.compile stands behind a module, or around one."""
    own = module.__dict__
    return own.get("_compiled_call_impl") is not None or "_orig_mod" in own["_modules"]


def rewiring(module: torch.nn.Module) -> tuple[str, str] | None:
    """Return how an instance computes, or reports, something else than its class does; None if it does not."""
    own = module.__dict__
    if own["_forward_hooks"] or own["_forward_pre_hooks"] or own["_backward_hooks"] or own["_backward_pre_hooks"]:
        return "it has hooks, which are to run at each step", "remove them"
    if "forward" in own:
        return "its forward has been replaced", "write a class with that forward"
    if "parametrizations" in own["_modules"]:
        return "it has parametrizations", "call torch.nn.utils.parametrize.remove_parametrizations"
    return None


# What a module has none of, unless somebody has added some.
_MOSTLY_EMPTY = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_buffers",
)
# Children that stand for something else than a part of the module.
_STAND_INS = frozenset({"parametrizations", "_orig_mod"})


def is_untouched(module: torch.nn.Module, is_container: bool) -> bool:
    """Whether an instance is as its class makes it, its state nothing but parameters and a container's children.

    Most modules are.
    """
    own = module.__dict__
    if any(map(own.__getitem__, _MOSTLY_EMPTY)) or "forward" in own or "_compiled_call_impl" in own:
        return False
    children = own["_modules"]
    return not children or (is_container and _STAND_INS.isdisjoint(children))


def check_no_global_hooks() -> None:
    """Raise if hooks are registered for all modules."""
    import torch

    module = torch.nn.modules.module
    forward = module._global_forward_hooks or module._global_forward_pre_hooks
    if forward or module._global_backward_hooks or module._global_backward_pre_hooks:
        raise NotCaptured("this process", "hooks for all modules are to run at each step", "remove them")


def check_parameters(model: torch.nn.Module, parameters: Sequence[torch.nn.Parameter]) -> str:
    """Return the element that all parameters have.

    Raises
    ------
    NotCaptured
        If one is no plain tensor of that element, has hooks, or shares memory with another.
    ArgumentError
        If one has no memory.
    """
    import torch

    elements = {torch.float32: "f32", torch.float64: "f64"}
    plain, strided, element = torch.nn.Parameter, torch.strided, None
    places: list[tuple[int, int, int]] = []
    for parameter in parameters:
        own = elements.get(parameter.dtype)
        element = element or own
        if type(parameter) is not plain or parameter.layout is not strided or parameter.is_meta:
            _refuse(model, parameter, "it is no plain parameter with its own numbers", "use an nn.Parameter")
        if own is None or own != element:
            _refuse(model, parameter, f"it is {parameter.dtype}", "make all parameters float32, or all float64")
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
            _refuse(model, parameter, "it has hooks, which are to run at each step", "remove them")
        n_bytes = parameter.nbytes
        if not n_bytes:
            _refuse(model, parameter, "it holds no numbers", "leave the layer out")
        start = parameter.data_ptr()
        if not start:
            # torch itself crashes on it.
            raise ArgumentError(f"the parameter '{_name(model, parameter)}' has no memory", do="load its numbers first")
        if parameter.is_neg():
            _refuse(model, parameter, "it is a view that negates its numbers", "use parameter.resolve_neg()")
        if not parameter.is_contiguous():
            n_bytes = _extent_bytes(parameter)
        places.append((start, start + n_bytes, len(places)))
    places.sort()
    for (_, stop, _), (start, _, index) in itertools.pairwise(places):
        if start < stop:
            parameter = parameters[index]
            _refuse(model, parameter, "it shares memory with another parameter", "use one parameter in both places")
    return element or "f32"


def _extent_bytes(parameter: torch.nn.Parameter) -> int:
    last = sum((size - 1) * stride for size, stride in zip(parameter.shape, parameter.stride(), strict=True))
    return (last + 1) * parameter.element_size()


def _refuse(model: torch.nn.Module, parameter: torch.nn.Parameter, why: str, instead: str) -> NoReturn:
    raise NotCaptured(f"the parameter '{_name(model, parameter)}'", why, instead)


def _name(model: torch.nn.Module, parameter: torch.nn.Parameter) -> str:
    return next((name for name, own in model.named_parameters() if own is parameter), "?")
