"""What ``model.forward(x)`` leaves out, and what runs either way: sentences about one model and one call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hotloop.insight.call.describe import hook_name
from hotloop.insight.call.instrument import is_compiled
from hotloop.insight.call.trace import Difference, Step, Way
from hotloop.language import _

if TYPE_CHECKING:
    import torch

__all__ = ["copied", "differences"]

_MOST_NAMES = 5


def differences(
    model: torch.nn.Module, call: Way, forward: Way, outputs: tuple[Any, Any] | None
) -> tuple[Difference, ...]:
    """Compare the two ways.

    Parameters
    ----------
    call, forward : Way
        ``model(x)`` and ``model.forward(x)``.
    outputs : pair, or None
        What they returned; None where one raised.
    """
    lost = list(_lost(model, call))
    if not lost and not call.raised and not _own_call(model):
        sentence = _(
            "Nothing today: no hooks on the model itself or on all modules, and it is not compiled. The day someone "
            "adds a hook, model.forward(x) will pass it by without a word."
        )
        lost = [Difference("nothing", False, sentence)]
    return (*lost, *_output(outputs), *_either_way(model, call, forward), *_unseen(model))


def _lost(model: torch.nn.Module, call: Way) -> Iterable[Difference]:
    own = [step for step in call.steps if step.module == "" and step.depth == 1]
    texts = {
        "pre-hook": ("pre-hooks", _("The model's pre-hooks do not run: {names}.")),
        "forward hook": ("forward hooks", _("The model's forward hooks do not run: {names}.")),
        "backward input set-up": (
            "backward hooks",
            _("The model's backward hooks are not set up, so that loss.backward() will not call them: {names}."),
        ),
        "legacy backward hook": (
            "legacy backward hooks",
            _("The model's old-style backward hooks are not set up: loss.backward() will not call {names}."),
        ),
    }
    if model._compiled_call_impl is not None:
        sentence = _("The compiled form is not used: model.forward(x) runs the module's own Python, in eager torch.")
        yield Difference("compiled", True, sentence)
        names = _registered(model)
        if names:
            text = _("The model's hooks, compiled or not, do not run: {names}.")
            yield Difference("hooks", True, text.format(names=_listed(names)))
    for kind, (key, text) in texts.items():
        steps = [step for step in own if step.kind == kind]
        if steps:
            yield Difference(key, True, text.format(names=_listed(_named(step) for step in steps)))
    of_all = [step for step in own if step.kind.startswith("global")]
    if of_all:
        text = _("Hooks of all modules do not run for the model itself, only for the modules within it: {names}.")
        yield Difference("global hooks", True, text.format(names=_listed(_named(step) for step in of_all)))


def _registered(model: torch.nn.Module) -> list[str]:
    tables = (model._forward_pre_hooks, model._forward_hooks, model._backward_pre_hooks, model._backward_hooks)
    return [hook_name(hook) for table in tables for hook in table.values()]


def _named(step: Step) -> str:
    name = ", ".join(step.hooks)
    if not step.replaced:
        return name
    what = _("replaces the arguments") if step.kind.endswith("pre-hook") else _("replaces the output")
    return f"{name} ({what})"


def _output(outputs: tuple[Any, Any] | None) -> Iterable[Difference]:
    if outputs is None:
        return
    same = _same_values(*outputs)
    if same is False:
        yield Difference("output", True, _("The two ways gave different results for the same input."))
    elif same:
        yield Difference("output", False, _("The two ways gave the same result, number for number."))


def _same_values(one: Any, other: Any) -> bool | None:
    """Whether two outputs hold the same numbers; None where that cannot be told."""
    import torch

    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())
    if isinstance(one, dict):
        one, other = (list(one), *one.values()), (list(other), *other.values())
    if isinstance(one, tuple | list):
        parts = [_same_values(*pair) for pair in zip(one, other, strict=False)]
        return False if len(one) != len(other) or False in parts else (None if None in parts else True)
    return bool(one == other) if isinstance(one, str | int | float | bool | None) else None


def copied(output: Any) -> Any:
    """Return a copy of an output that later calls, which may write into its tensors, do not change."""
    import torch

    if isinstance(output, torch.Tensor):
        return output.detach().clone()
    if type(output) is dict:
        return {key: copied(value) for key, value in output.items()}
    return type(output)(copied(value) for value in output) if type(output) in (tuple, list) else output


def _either_way(model: torch.nn.Module, call: Way, forward: Way) -> Iterable[Difference]:
    calls = [step for step in forward.steps if step.kind in ("call", "compiled call") and step.module]
    if calls:
        hooks = sum(step.kind.endswith("hook") for step in forward.steps)
        text = _(
            "Calls of the modules within the model: {calls}, each through __call__ either way; hooks that they ran: "
            "{hooks}."
        )
        yield Difference("children", False, text.format(calls=len(calls), hooks=hooks))
    tensors = _hooked_tensors(model)
    if tensors:
        text = _("Hooks on parameters fire in loss.backward() either way, since they belong to the tensors: {names}.")
        yield Difference("tensor hooks", False, text.format(names=_listed(tensors)))
    direct = [step for step in call.steps if step.direct]
    for step in direct[:_MOST_NAMES]:
        text = _("The model itself calls {module}.forward(...): hooks of '{module}' never run there.")
        yield Difference("direct", False, text.format(module=step.module or "self"))


def _hooked_tensors(model: torch.nn.Module) -> list[str]:
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks
    ]


def _unseen(model: torch.nn.Module) -> Iterable[Difference]:
    if _own_call(model) and not is_compiled(model):
        text = _("{model} has a __call__ of its own, which decides what of torch's __call__ runs.")
        yield Difference("own call", False, text.format(model=type(model).__name__))
    for path, module in model.named_modules():
        hidden = _hides(module)
        if hidden and any(True for _child in module.children()):
            yield Difference("unseen", False, hidden.format(name=path or type(module).__name__))
    for one, another in _shared(model)[:_MOST_NAMES]:
        text = _("'{one}' and '{another}' are one module; its steps are shown as '{one}'.")
        yield Difference("shared", False, text.format(one=one, another=another))


def _hides(module: torch.nn.Module) -> str | None:
    """Return why the modules within a module are not in the trace."""
    import torch

    if is_compiled(module):
        return _("'{name}' is compiled: what it contains runs as one, and its hooks only as they were compiled.")
    if isinstance(module, torch.jit.ScriptModule):
        return _("'{name}' is TorchScript: what it contains runs outside of Python, and is not seen.")
    return None


def _own_call(model: torch.nn.Module) -> bool:
    import torch

    return type(model).__call__ is not torch.nn.Module.__call__


def _shared(model: torch.nn.Module) -> list[tuple[str, str]]:
    first: dict[int, str] = {}
    pairs = []
    for path, module in model.named_modules(remove_duplicate=False):
        if first.setdefault(id(module), path) != path:
            pairs.append((first[id(module)], path))
    return pairs


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = [_("and {n} more").format(n=len(names) - _MOST_NAMES)] if len(names) > _MOST_NAMES else []
    return ", ".join([*names[:_MOST_NAMES], *more])
