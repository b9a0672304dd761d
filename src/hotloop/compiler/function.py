"""A function under construction: its lanes, its arguments, and where things are."""

from __future__ import annotations

from dataclasses import dataclass

from hotloop.compiler.lanes import Lanes
from hotloop.compiler.layout import Layout, StepPlaces, argument
from hotloop.compiler.plan import BlockPlan

__all__ = ["Feature", "Function", "Module"]


@dataclass(frozen=True)
class Feature:
    """A place along an axis: a constant, or one more than a loop's index."""

    constant: int
    index: str | None = None

    def plus(self, constant: int) -> Feature:
        """Return the place so many further."""
        return Feature(self.constant + constant, self.index)


@dataclass(frozen=True)
class Module:
    """What all functions of one compiled program share.

    Parameters
    ----------
    element : str
        "f32" or "f64".
    width : int
        Lanes.
    layout : Layout
    attributes : str
        Of LLVM functions, from the target.
    lookup : str
        As for :class:`Lanes`, from the target.
    """

    element: str
    width: int
    layout: Layout
    attributes: str
    lookup: str


class Function:
    """One LLVM function while it is written.

    Parameters
    ----------
    module : Module
    name : str
    parameters : str
        As IR writes them; the first is always ``ptr %arguments``.
    is_public : bool
        Whether Python calls it.
    """

    def __init__(self, module: Module, name: str, parameters: str, *, is_public: bool = False):
        self.module = module
        self.lanes = Lanes(module.element, module.width, lookup=module.lookup)
        self.single = self.lanes.of_width(1)
        self.vector_bytes = self.lanes.width * self.lanes.size_bytes
        linkage = "" if is_public else "internal "
        self._opening = f"define {linkage}void @{name}({parameters}) {module.attributes} {{"
        self._pointers: dict[tuple[str, str, int], str] = {}

    def pointer(self, name: str) -> str:
        """Load a pointer among the arguments; do it before any loop."""
        return self.lanes.register(f"load ptr, ptr {self._word(name)}")

    def count(self, name: str) -> str:
        """Load a count among the arguments."""
        return self.lanes.register(f"load i64, ptr {self._word(name)}")

    def _word(self, name: str) -> str:
        return self.lanes.offset("%arguments", argument(name))

    def at(self, pointer: str, feature: Feature, stride_bytes: int, offset_bytes: int = 0) -> str:
        """Return the pointer to a feature: ``pointer + feature * stride + offset``."""
        offset_bytes += feature.constant * stride_bytes
        if feature.index is not None:
            key = (pointer, feature.index, stride_bytes)
            # An index is known in its loop only, and so is what is computed from it: no key outlives its loop's index.
            if key not in self._pointers:
                scaled = self.lanes.int_mul(feature.index, stride_bytes)
                self._pointers[key] = self.lanes.offset(pointer, scaled)
            pointer = self._pointers[key]
        return self.lanes.offset(pointer, offset_bytes)

    def text(self) -> str:
        """Return the function's IR."""
        return "\n".join([self._opening, "entry:", *self.lanes.lines, "  ret void", "}", ""])


def frame_bytes(plan: BlockPlan, vector_bytes: int) -> int:
    """Return the size of a frame: no multiple of a page, which would let all frames fall into the same cache sets."""
    size = plan.frame_features * vector_bytes
    return size + vector_bytes if size % 4096 == 0 else size


def step_places(plan: BlockPlan, module: Module) -> StepPlaces:
    """Return the places of a block's values that do not outlive a step."""
    return StepPlaces.of(plan.block, module.layout, module.width)
