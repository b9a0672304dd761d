"""Between ``nn.Module`` and the layer spec, both ways."""

from hotloop.capture.sequential import from_module, to_module

__all__ = ["from_module", "to_module"]
