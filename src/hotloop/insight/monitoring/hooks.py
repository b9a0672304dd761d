"""The hooks of a monitor: forward hooks on modules, hooks on parameters that fire when their gradient is complete."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hotloop.insight.monitoring.records import ActivationStatistics, DeadUnits, GradientNorms
from hotloop.insight.monitoring.running_statistics import RunningActivations, RunningActivity, RunningNorms

if TYPE_CHECKING:
    import torch
    from torch.utils.hooks import RemovableHandle

__all__ = ["MonitorHooks"]

_Seen_co = TypeVar("_Seen_co", covariant=True)


class _Running(Protocol[_Seen_co]):
    def taken(self) -> _Seen_co | None: ...


class MonitorHooks:
    """What one monitor hangs into a model, from :meth:`attach` to :meth:`remove`, and what it has seen.

    Parameters
    ----------
    model : torch.nn.Module
    gradients, activations, dead_units : bool
    """

    def __init__(self, model: torch.nn.Module, gradients: bool, activations: bool, dead_units: bool):
        self._handles: list[RemovableHandle] = []
        self._unhooked: list[Any] = []
        self._parameters = _trained(model) if gradients else {}
        self._modules = dict(model.named_modules())
        self._norms = {name: RunningNorms() for name in self._parameters}
        self._activations = {
            path: RunningActivations() for path in self._modules if activations and self._is_leaf(path)
        }
        rectifiers = _rectifiers(model) if dead_units else {}
        self._activity = {path: RunningActivity(axis) for path, axis in rectifiers.items()}
        self._running: tuple[Mapping[str, RunningActivations | RunningActivity], ...] = (
            self._activations,
            self._activity,
        )

    def attach(self) -> None:
        """Put the hooks in."""
        for name, parameter in self._parameters.items():
            tensor: Any = parameter
            if tensor._post_accumulate_grad_hooks is None:
                self._unhooked.append(tensor)
            self._handles.append(tensor.register_post_accumulate_grad_hook(_gradient_hook(self._norms[name])))
        for path, module in self._modules.items():
            seen = [running[path].see for running in self._running if path in running]
            if seen:
                self._handles.append(module.register_forward_hook(_output_hook(module, seen)))

    def remove(self) -> None:
        """Leave the model as it was before."""
        for handle in self._handles:
            handle.remove()
        for parameter in self._unhooked:
            if not parameter._post_accumulate_grad_hooks:
                parameter._post_accumulate_grad_hooks = None
        self._handles, self._unhooked = [], []

    def taken(
        self,
    ) -> tuple[dict[str, GradientNorms], dict[str, ActivationStatistics], dict[str, DeadUnits]]:
        """Return what was seen since it was taken before."""
        return _taken(self._norms), _taken(self._activations), _taken(self._activity)

    def _is_leaf(self, path: str) -> bool:
        return not any(True for _child in self._modules[path].children())


def _trained(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    from torch.nn.parameter import is_lazy

    return {name: one for name, one in model.named_parameters() if one.requires_grad and not is_lazy(one)}


def _rectifiers(model: torch.nn.Module) -> dict[str, int | None]:
    """Return the paths of layers such as ReLU, and the axis of the channels in what has three axes."""
    import torch

    nn = torch.nn
    convolves = any(isinstance(module, nn.Conv1d | nn.ConvTranspose1d) for module in model.modules())
    kinds = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Hardsigmoid)
    return {path: 1 if convolves else None for path, module in model.named_modules() if isinstance(module, kinds)}


def _gradient_hook(norms: RunningNorms) -> Callable[[torch.Tensor], None]:
    def see_gradient(parameter: torch.Tensor) -> None:
        if parameter.grad is not None:
            norms.see(parameter.grad)

    return see_gradient


def _output_hook(
    own: torch.nn.Module, seen: Sequence[Callable[[torch.Tensor], None]]
) -> Callable[[torch.nn.Module, Any, Any], None]:
    """Return a hook on one module; its copies, which get the hook too, do not count."""
    import torch

    def see_output(module: torch.nn.Module, args: Any, output: Any) -> None:
        if module is not own or not torch.is_grad_enabled():
            return
        first = output[0] if isinstance(output, tuple | list) and output else output
        if isinstance(first, torch.Tensor) and first.is_floating_point() and first.numel():
            with torch.no_grad():
                for see in seen:
                    see(first.detach())

    return see_output


def _taken(running: Mapping[str, _Running[_Seen_co]]) -> dict[str, _Seen_co]:
    taken = {name: one.taken() for name, one in running.items()}
    return {name: seen for name, seen in taken.items() if seen is not None}
