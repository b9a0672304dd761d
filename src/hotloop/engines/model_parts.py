"""A model's modules, parameters and buffers, from one walk through it: torch's own lists take a walk each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

__all__ = ["ModelParts"]

_Tensor = TypeVar("_Tensor", bound="torch.Tensor")


@dataclass(frozen=True, eq=False)
class ModelParts:
    """What a model is made of, as it is now.

    Parameters
    ----------
    modules : tuple of torch.nn.Module
        The model itself first; each once, like everything here.
    parameters : tuple of torch.nn.Parameter
        In the order of ``model.parameters()``, as the modules are in that of ``model.modules()``.
    buffers : tuple of tensors
    """

    modules: tuple[torch.nn.Module, ...]
    parameters: tuple[torch.nn.Parameter, ...]
    buffers: tuple[torch.Tensor, ...]

    @classmethod
    def of(cls, model: torch.nn.Module) -> ModelParts:
        """Return the parts of a model."""
        modules = _modules_of(model)
        parameters = _each(module._parameters for module in modules)
        return cls(modules, parameters, _each(module._buffers for module in modules))

    @property
    def dtype(self) -> torch.dtype:
        """That of the first parameter that holds real numbers."""
        import torch

        return next((own.dtype for own in self.parameters if own.dtype.is_floating_point), torch.float32)


def _modules_of(model: torch.nn.Module) -> tuple[torch.nn.Module, ...]:
    found: dict[int, torch.nn.Module] = {}
    waiting = [model]
    while waiting:
        module = waiting.pop()
        if id(module) not in found:
            found[id(module)] = module
            waiting += [child for child in reversed(module._modules.values()) if child is not None]
    return tuple(found.values())


def _each(tables: Iterable[Mapping[str, _Tensor | None]]) -> tuple[_Tensor, ...]:
    found = {id(tensor): tensor for table in tables for tensor in table.values() if tensor is not None}
    return tuple(found.values())
