"""A model's modules, parameters and buffers, from one walk through it: torch's own lists take a walk each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotloop.capture.plain import Plain, read_plain

if TYPE_CHECKING:
    import torch

__all__ = ["ModelParts"]


@dataclass(eq=False)
class ModelParts:
    """What a model is made of, as it is now.

    Parameters
    ----------
    modules : tuple of torch.nn.Module
        The model itself first; each once, like everything here.
    parameters : tuple of torch.nn.Parameter
        In the order of ``model.parameters()``, as the modules are in that of ``model.modules()``.
    buffers : tuple of tensors
    plain : Plain, optional
        The same, where they are layers one after the other.
    """

    modules: tuple[torch.nn.Module, ...]
    parameters: tuple[torch.nn.Parameter, ...]
    buffers: tuple[torch.Tensor, ...]
    plain: Plain | None

    @classmethod
    def of(cls, model: torch.nn.Module) -> ModelParts:
        """Return the parts of a model."""
        plain = read_plain(model)
        if plain is not None and plain.is_bare:
            return cls(plain.modules, plain.parameters, (), plain)
        modules: dict[int, torch.nn.Module] = {}
        parameters: dict[int, torch.nn.Parameter] = {}
        buffers: dict[int, torch.Tensor] = {}
        waiting = [model]
        while waiting:
            module = waiting.pop()
            if id(module) in modules:
                continue
            modules[id(module)] = module
            for parameter in module._parameters.values():
                if parameter is not None:
                    parameters[id(parameter)] = parameter
            for buffer in module._buffers.values():
                if buffer is not None:
                    buffers[id(buffer)] = buffer
            if module._modules:
                waiting += [child for child in reversed(module._modules.values()) if child is not None]
        return cls(tuple(modules.values()), tuple(parameters.values()), tuple(buffers.values()), plain)

    @property
    def dtype(self) -> torch.dtype:
        """That of the first parameter that holds real numbers."""
        import torch

        for own in self.parameters:
            if own.dtype.is_floating_point:
                return own.dtype
        return torch.float32
