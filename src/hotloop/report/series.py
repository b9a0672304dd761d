"""What is drawn of a run's losses: the same decisions for pictures and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hotloop.runs import Run

__all__ = [
    "FEWEST_IN_A_BIN",
    "TRAINING_COLOUR",
    "VALIDATION_COLOUR",
    "best_validation",
    "drawn_points",
    "first_bad_epoch",
    "is_drawable",
    "is_logarithmic",
    "thin",
]

# Blue and vermilion stay apart for every kind of colour vision, and in grey. Source: Okabe and Ito (2002).
TRAINING_COLOUR, VALIDATION_COLOUR = "#0072B2", "#D55E00"

LOG_FROM_RATIO = 1000.0  # with more than this between the largest and smallest loss, a linear axis hides the end
LARGEST_DRAWN = 1e100  # no axis reaches further without overflow; also leaves out what is not finite

FEWEST_IN_A_BIN = 3  # with fewer records to each, thinning leaves nothing out


def is_drawable(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which losses an axis can show."""
    return np.asarray(np.abs(losses) < LARGEST_DRAWN)


def is_logarithmic(losses: NDArray[np.float64]) -> bool:
    """Say whether losses span more than three decades, so that a linear axis would hide the end."""
    losses = losses[is_drawable(losses)]
    if not len(losses) or losses.min() <= 1 / LARGEST_DRAWN:
        return False
    return bool(losses.max() > LOG_FROM_RATIO * losses.min())


def drawn_points(
    epochs: NDArray[np.int64], losses: NDArray[np.float64], n_bins: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the points to draw a line through: what is drawable, thinned.

    Parameters
    ----------
    epochs, losses : arrays of shape (n,)
    n_bins : int
        Twice the picture's width in pixels.
    """
    drawable = is_drawable(losses)
    epochs, losses = epochs[drawable], losses[drawable]
    kept = thin(losses, n_bins)
    return epochs[kept], losses[kept]


def best_validation(run: Run) -> tuple[int, float] | None:
    """Return epoch and loss of the best validation, where there is one to show."""
    at = np.flatnonzero(run.validated_at == run.best_epoch)
    if not len(at) or not is_drawable(run.validation_losses[at[:1]])[0]:
        return None
    return int(run.validated_at[at[0]]), float(run.validation_losses[at[0]])


def first_bad_epoch(run: Run) -> int | None:
    """Return the first recorded epoch whose training loss is no finite number."""
    bad = run.recorded_at[~np.isfinite(run.losses)]
    return int(bad[0]) if len(bad) else None


def thin(values: NDArray[np.float64], n_bins: int) -> NDArray[np.int64]:
    """Return the positions that draw the same line: first, last, and each bin's lowest and highest.

    Parameters
    ----------
    values : float64 array of shape (n,)
        Finite.
    n_bins : int
        Twice the picture's width in pixels, so that no peak is lost.

    Returns
    -------
    int64 array, ascending, of at most 2 * n_bins + 2 * n / n_bins + 2 positions
    """
    n_each = len(values) // n_bins
    if n_each < FEWEST_IN_A_BIN:
        return np.arange(len(values))
    n_binned = n_each * (len(values) // n_each)
    bins = values[:n_binned].reshape(-1, n_each)
    starts = np.arange(0, n_binned, n_each)
    rest = np.arange(n_binned, len(values))
    ends = [0, len(values) - 1]
    return np.unique(np.concatenate([starts + bins.argmin(axis=1), starts + bins.argmax(axis=1), rest, ends]))
