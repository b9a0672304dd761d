"""Types: an element and named axes.

::

    type  ::= element "[" axis ("," axis)* "]"          f32[rows, hidden=10]
    axis  ::= "rows" | name "=" size

Axes are told apart by name, not by place: an elementwise op takes any operands whose axes are among those of its
result, and a contraction sums over an axis both operands have. So there are no transposes and no broadcasting rules.
The number of rows is known at run time only; every other size is part of the program.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

__all__ = ["ROWS", "Axis", "Type"]


@dataclass(frozen=True)
class Axis:
    """One axis; ``size`` is None for the rows."""

    name: str
    size: int | None

    def __str__(self) -> str:
        return self.name if self.size is None else f"{self.name}={self.size}"


ROWS = Axis("rows", None)


@dataclass(frozen=True)
class Type:
    """An element, "f32", "f64", "i64" or "bool", and the axes, outermost first."""

    element: str
    axes: tuple[Axis, ...] = ()

    @property
    def has_rows(self) -> bool:
        """Whether there is a value for each row."""
        return ROWS in self.axes

    @cached_property
    def features(self) -> tuple[Axis, ...]:
        """The axes other than rows."""
        return tuple(axis for axis in self.axes if axis != ROWS)

    @cached_property
    def n_features(self) -> int:
        """Elements of one row, or of the whole where there are no rows."""
        count = 1
        for axis in self.features:
            count *= axis.size or 0
        return count

    def axis(self, name: str) -> Axis:
        """Return the axis of that name; KeyError if there is none."""
        for axis in self.axes:
            if axis.name == name:
                return axis
        raise KeyError(name)

    def without(self, *names: str) -> Type:
        """Return the type that is left when these axes are summed away."""
        return Type(self.element, tuple(axis for axis in self.axes if axis.name not in names))

    def of(self, element: str) -> Type:
        """Return the same axes with another element."""
        return Type(element, self.axes)

    def __str__(self) -> str:
        return f"{self.element}[{', '.join(map(str, self.axes))}]"
