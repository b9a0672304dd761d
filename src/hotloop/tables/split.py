"""Which rows train, validate and test.

Unstratified, the rows and their order are those of scikit-learn's ``train_test_split(random_state=seed)``:
one permutation, the test rows first. Stratified, the same permutation is dealt out class by class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotloop.errors import TableError
from hotloop.sentence import Sentence

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Split", "split_rows"]


@dataclass(frozen=True, eq=False)
class Split:
    """Row positions of the three parts, disjoint, together all rows.

    Parameters
    ----------
    train, validation, test : int64 arrays
        In the order in which the rows are to be used.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def split_rows(
    n_rows: int,
    *,
    test_size: float,
    validation_size: float,
    seed: int,
    classes: NDArray[np.int64] | None = None,
) -> Split:
    """Split rows at random, the same way for the same seed on every machine.

    Parameters
    ----------
    n_rows : int
        How many there are.
    test_size : float
        The part of all rows that tests, in [0, 1); rounded up to whole rows.
    validation_size : float
        The part of the remaining rows that validates, likewise.
    seed : int
        Of ``numpy.random.RandomState``, whose permutations NumPy has frozen.
    classes : int64 array of shape (n_rows,), optional
        Class codes from 0 to stratify by: every class then has its share in each part within one row, and
        at least one training row. Where classes are too rare for that, the test part is smaller.

    Raises
    ------
    TableError
        When no row is left to train with.
    """
    rest, test = _take(np.arange(n_rows), test_size, seed, classes)
    train, validation = _take(rest, validation_size, seed, classes)
    if not len(train):
        raise TableError(
            Sentence(
                "too few rows: with {n_rows:,} of them that have a target, the split leaves none to train with",
                n_rows=n_rows,
            ),
            do=Sentence("Use a smaller test or validation part, or more rows"),
        )
    return Split(train, validation, test)


def _take(
    rows: NDArray[np.int64], size: float, seed: int, classes: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Shuffle ``rows`` and take a part of them away; return the rest and the part."""
    n_part = math.ceil(size * len(rows))
    if not n_part:
        return rows, rows[:0]
    # In place, and equal to rows[RandomState(seed).permutation(len(rows))].
    np.random.RandomState(seed).shuffle(rows)
    if classes is None:
        return rows[n_part:], rows[:n_part]
    chosen = _stratified(classes[rows], n_part)
    return rows[~chosen], rows[chosen]


def _stratified(classes: NDArray[np.int64], n_part: int) -> NDArray[np.bool_]:
    """Mark the first rows of each class, as many as are its share of ``n_part``."""
    counts = np.bincount(classes)
    shares = _shares(counts, n_part)
    # A stable sort lists the rows of each class in their present order; a row's rank is its place there.
    order = np.argsort(classes, kind="stable")
    rank = np.empty(len(classes), np.int64)
    rank[order] = np.arange(len(classes)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen: NDArray[np.bool_] = rank < shares[classes]
    return chosen


def _shares(counts: NDArray[np.int64], n_part: int) -> NDArray[np.int64]:
    """Divide ``n_part`` rows among the classes by largest remainder, leaving each a row to train with."""
    quota = counts * (n_part / counts.sum())
    most = np.minimum(np.ceil(quota).astype(np.int64), np.maximum(counts - 1, 0))
    shares = np.minimum(np.floor(quota).astype(np.int64), most)
    by_remainder = np.argsort(-(quota - shares), kind="stable")
    open_classes = by_remainder[(shares < most)[by_remainder]]
    shares[open_classes[: n_part - int(shares.sum())]] += 1
    return np.asarray(shares)
