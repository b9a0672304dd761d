"""Measured microseconds over a grid of sizes, and what lies between."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import product

__all__ = ["SizeTable"]

# Logarithms are taken; what is measured as nothing is this little.
_LEAST_US = 1e-3


@dataclass(frozen=True)
class SizeTable:
    """Time of an operation by its sizes.

    Parameters
    ----------
    axes : tuple of tuple of int
        Ascending sizes along each axis, such as rows, inputs and outputs.
    us : tuple of float
        Microseconds at each point of the grid, the last axis running fastest.
    """

    axes: tuple[tuple[int, ...], ...]
    us: tuple[float, ...]

    def at(self, *sizes: float) -> float:
        """Return the microseconds at these sizes.

        Between the points the logarithm of the time is linear in the logarithms of the sizes. Beyond the largest size
        the time grows in proportion, below the smallest it stays: work can be small, but not smaller than nothing.
        """
        places = [_place(axis, size) for axis, size in zip(self.axes, sizes, strict=True)]
        logarithm = 0.0
        for corner in product((0, 1), repeat=len(places)):
            share, index = 1.0, 0
            for upper, axis, (left, part) in zip(corner, self.axes, places, strict=True):
                share *= part if upper else 1.0 - part
                index = index * len(axis) + min(left + upper, len(axis) - 1)
            if share:
                logarithm += share * math.log(max(self.us[index], _LEAST_US))
        beyond = math.prod(max(size / axis[-1], 1.0) for axis, size in zip(self.axes, sizes, strict=True))
        return math.exp(logarithm) * beyond

    def less(self, us: float) -> SizeTable:
        """Return the table of what goes beyond so many microseconds."""
        return SizeTable(self.axes, tuple(each - us for each in self.us))

    def times(self, factor: float) -> SizeTable:
        """Return the table of an operation that takes longer by a factor at all sizes."""
        return SizeTable(self.axes, tuple(factor * each for each in self.us))


def _place(axis: tuple[int, ...], size: float) -> tuple[int, float]:
    """Return the point to the left of a size, and how far the size is on the way to the next, by logarithms."""
    if size <= axis[0]:
        return 0, 0.0
    if size >= axis[-1]:
        return len(axis) - 1, 0.0
    left = bisect_right(axis, size) - 1
    return left, math.log(size / axis[left]) / math.log(axis[left + 1] / axis[left])
