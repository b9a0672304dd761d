"""When training has gone wrong: which weight is no longer finite, and the sentence that says so."""

from __future__ import annotations

from typing import Any

from hotloop.engines.interface import Session

__all__ = ["FiniteWeights", "describe_divergence"]


class FiniteWeights:
    """The weights and buffers that were finite when training began, and should stay so.

    Parameters
    ----------
    session : Session
        Before its first step. What is not finite there, such as a mask of -inf, says nothing about training.
    """

    def __init__(self, session: Session):
        self._exempt = set(_not_finite(session))

    def first_lost(self, session: Session) -> str | None:
        """Return the name of the first that holds NaN or infinity now, or None."""
        return next((name for name in _not_finite(session) if name not in self._exempt), None)


def describe_divergence(bad_step: int, steps_per_epoch: int, loss: float | None, culprit: str | None) -> str:
    """Return what went wrong, as a sentence.

    Parameters
    ----------
    bad_step : int
        0-based; the step whose loss was not finite, or before which weights were found that are not.
    steps_per_epoch : int
    loss : float, optional
        None where the weights were looked at before a loss showed it.
    culprit : str, optional
        The first weight that was not finite before that step.
    """
    kept = "the weights before that update are kept"
    if loss is None:
        epoch = (bad_step - 1) // steps_per_epoch + 1
        return f"'{culprit}' is no longer finite after an update of epoch {epoch}; {kept}"
    became = f"the loss became {'NaN' if loss != loss else 'infinite'} in epoch {bad_step // steps_per_epoch + 1}"
    reason = f"'{culprit}' was no longer finite" if culprit else "the weights, still finite, were too large"
    return f"{became}: {reason} after the update before it; {kept}"


def _not_finite(session: Session) -> list[str]:
    weights = session.state(weights_only=True).model
    return [name for name, value in weights.items() if not _is_finite(value)]


def _is_finite(value: Any) -> bool:
    """Whether all is finite; whole numbers, and what is no tensor at all, always are."""
    import torch

    return not (isinstance(value, torch.Tensor) and value.is_floating_point()) or bool(value.isfinite().all())
