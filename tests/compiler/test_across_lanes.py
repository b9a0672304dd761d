"""Sums and transposes across lanes, on lanes that are Python lists."""

from __future__ import annotations

import pytest

from hotloop.compiler.across_lanes import sums_across, transpose


class Listed:
    """What ``across_lanes`` needs of ``Lanes``; a register is a list."""

    def __init__(self, width, size_bytes):
        self.width, self.size_bytes = width, size_bytes

    def shuffle(self, a, b, places):
        both = [*a, *([None] * self.width if b == "poison" else b)]
        return [None if place < 0 else both[place] for place in places]

    def add(self, a, b):
        return [None if x is None or y is None else x + y for x, y in zip(a, b, strict=True)]


EACH = pytest.mark.parametrize(("width", "size_bytes"), [(1, 8), (4, 4), (8, 4), (16, 4), (2, 8), (4, 8), (8, 8)])


@EACH
def test_transpose(width, size_bytes):
    rows = [[(row, column) for column in range(width)] for row in range(width)]
    columns = [[(row, column) for row in range(width)] for column in range(width)]
    assert transpose(Listed(width, size_bytes), rows) == columns


@EACH
def test_sums(width, size_bytes):
    if width == 1:
        return
    for n in range(1, width + 1):
        vectors = [[100 * number + lane**2 for lane in range(width)] for number in range(n)]
        total = sums_across(Listed(width, size_bytes), vectors)
        assert total[:n] == [sum(vector) for vector in vectors]
