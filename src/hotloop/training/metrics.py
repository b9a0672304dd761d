"""How good predictions are on rows that were not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["accuracy", "r2", "rmse"]


def accuracy(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Return the share of labels that were predicted; both of shape (rows,)."""
    return float(np.mean(labels == predicted))


def rmse(values: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Return the root of the mean squared error, in the unit of the values; both of shape (rows,)."""
    return float(np.sqrt(np.mean((values - predicted) ** 2)))


def r2(values: NDArray[Any], predicted: NDArray[Any]) -> float | None:
    """Return the coefficient of determination; 1 is perfect, 0 no better than the mean; both of shape (rows,).

    None where it is not defined: without any spread in the values.
    """
    spread = float(np.sum((values - np.mean(values)) ** 2))
    return None if spread == 0 else 1 - float(np.sum((values - predicted) ** 2)) / spread
