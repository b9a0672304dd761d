"""Sums across the lanes of many vectors at once, and transposes: a target's business, here for SIMD vectors.

Adding up one vector takes log2(lanes) shuffles and additions. Adding up as many vectors as there are lanes takes little
more than one shuffle pair and one addition each: two vectors are folded into one that holds half sums of both, then
two of those, and in the end lane i of a single vector is the sum of vector i.

::

    x0 x1 x2 x3   y0 y1 y2 y3          fold:  x0+x2  y0+y2  x1+x3  y1+y3
    z0 z1 z2 z3   w0 w1 w2 w3   ->     fold:  sum x  sum y  sum z  sum w
"""

from __future__ import annotations

from collections.abc import Sequence

from hotloop.compiler.lanes import Lanes

__all__ = ["sum_across", "sums_across", "transpose"]

_Places = tuple[list[int], list[int]]


def sums_across(lanes: Lanes, vectors: Sequence[str]) -> str:
    """Return a vector whose lane i is the sum of vector i; lanes without a vector hold anything.

    Parameters
    ----------
    lanes : Lanes
    vectors : sequence of registers
        At most one for each lane.
    """
    level: list[str | None] = [*vectors, *[None] * (lanes.width - len(vectors))]
    for first, second in _folds(lanes.width, 16 // lanes.size_bytes):
        level = [_fold(lanes, level[at], level[at + 1], first, second) for at in range(0, len(level), 2)]
    assert level[0] is not None, "sums of at least one vector"
    return level[0]


def sum_across(lanes: Lanes, vector: str) -> str:
    """Return the sum of a vector's lanes as a single number."""
    if lanes.width == 1:
        return vector
    return lanes.register(f"extractelement {lanes.real} {sums_across(lanes, [vector])}, i64 0")


def transpose(lanes: Lanes, vectors: Sequence[str]) -> list[str]:
    """Return vectors whose lane i is what lane j of vector i was: as many vectors as there are lanes.

    The steps are those of ``sums_across``, but both halves are kept instead of added up; vector j is then at the place
    whose bits are those of j in reverse order, within 128 bits and among them.
    """
    width = lanes.width
    if width == 1:
        return list(vectors)
    result = list(vectors)
    for step, (first, second) in enumerate(_folds(width, 16 // lanes.size_bytes)):
        distance = 1 << step
        for at in range(width):
            if not at & distance:
                a, b = result[at], result[at | distance]
                result[at], result[at | distance] = lanes.shuffle(a, b, first), lanes.shuffle(a, b, second)
    in_128_bits = 16 // lanes.size_bytes
    groups = width // in_128_bits
    within, among = (_bits_reversed(count) for count in (in_128_bits, groups))
    return [result[among[group] * in_128_bits + within[at]] for group in range(groups) for at in range(in_128_bits)]


def _bits_reversed(count: int) -> list[int]:
    """Return the numbers below a power of two, each with its bits in reverse order."""
    order = [0]
    while len(order) < count:
        order = [2 * number for number in order] + [2 * number + 1 for number in order]
    return order


def _fold(lanes: Lanes, x: str | None, y: str | None, first: list[int], second: list[int]) -> str | None:
    if x is None:
        return None
    if y is None:
        width = lanes.width
        first, second = ([-1 if place >= width else place for place in places] for places in (first, second))
    other = y or "poison"
    return lanes.add(lanes.shuffle(x, other, first), lanes.shuffle(x, other, second))


def _folds(width: int, in_128_bits: int) -> list[_Places]:
    """Return for each fold which places of (x, y) are added: patterns that are one instruction on x86.

    First within 128 bits (unpack low and high), then 128 bits at a time.
    """
    folds: list[_Places] = []
    groups = width // in_128_bits
    if in_128_bits == 4:
        low = [place for g in range(0, width, 4) for place in (g, width + g, g + 1, width + g + 1)]
        high = [place for g in range(0, width, 4) for place in (g + 2, width + g + 2, g + 3, width + g + 3)]
        folds.append((low, high))
        low = [place for g in range(0, width, 4) for place in (g, g + 1, width + g, width + g + 1)]
        high = [place for g in range(0, width, 4) for place in (g + 2, g + 3, width + g + 2, width + g + 3)]
        folds.append((low, high))
    else:
        folds.append(
            (
                [place for g in range(0, width, 2) for place in (g, width + g)],
                [place for g in range(0, width, 2) for place in (g + 1, width + g + 1)],
            )
        )
    if groups == 4:
        folds.append((_of_groups([0, 1, 4, 5], in_128_bits), _of_groups([2, 3, 6, 7], in_128_bits)))
        folds.append((_of_groups([0, 2, 4, 6], in_128_bits), _of_groups([1, 3, 5, 7], in_128_bits)))
    elif groups == 2:
        folds.append((_of_groups([0, 2], in_128_bits), _of_groups([1, 3], in_128_bits)))
    return folds


def _of_groups(groups: list[int], size: int) -> list[int]:
    return [group * size + place for group in groups for place in range(size)]
