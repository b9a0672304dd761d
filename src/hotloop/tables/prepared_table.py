"""What :func:`hotloop.tables.prepare` gives: arrays, and the schema that goes with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotloop.tables.schema import Schema

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Labels = NDArray[np.int64] | NDArray[np.float32]

__all__ = ["PreparedTable"]


@dataclass(frozen=True, eq=False)
class PreparedTable:
    """A table ready for training.

    Parameters
    ----------
    X_train, X_validation, X_test : float32 arrays of shape (rows, n_features)
        Network inputs, C-contiguous; no rows where a part was not asked for.
    y_train, y_validation, y_test : int64 arrays of shape (rows,) or float32 arrays of shape (rows, 1)
        Class codes, or scaled numbers.
    rows_train, rows_validation, rows_test : int64 arrays of shape (rows,)
        The row numbers of the table as read, from 0.
    schema : Schema
        What was fitted to the training rows.
    notes : tuple of str
        What was decided and dropped, as sentences to print.
    class_counts : int64 array of shape (n_classes,), or None
        Training rows of each class; None for regression.
    """

    X_train: NDArray[np.float32]
    X_validation: NDArray[np.float32]
    X_test: NDArray[np.float32]
    y_train: Labels
    y_validation: Labels
    y_test: Labels
    rows_train: NDArray[np.int64]
    rows_validation: NDArray[np.int64]
    rows_test: NDArray[np.int64]
    schema: Schema
    notes: tuple[str, ...]
    class_counts: NDArray[np.int64] | None
