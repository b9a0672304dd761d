"""When training has gone wrong: which weight is no longer finite since when, the way back, and what to say about it."""

from __future__ import annotations

from hotloop.engines.interface import Session
from hotloop.sentence import Sentence, clauses
from hotloop.training.history import History

__all__ = ["FiniteWeights", "WayBack"]

_KEPT = Sentence("the weights before that update are kept")


class FiniteWeights:
    """The weights and buffers that were finite when training began, and should stay so.

    Parameters
    ----------
    session : Session
        Before its first step. What is not finite there, such as a mask of -inf, says nothing about training.
    """

    def __init__(self, session: Session):
        self._exempt = set(session.not_finite())

    def first_lost(self, session: Session) -> str | None:
        """Return the name of the first that holds NaN or infinity now, or None."""
        return next((name for name in session.not_finite() if name not in self._exempt), None)


class WayBack:
    """Leads a session that has diverged back to its last good weights.

    Parameters
    ----------
    history : History
        Its first step stands at good weights.
    finite : FiniteWeights
    steps_per_epoch : int
    """

    def __init__(self, history: History, finite: FiniteWeights, steps_per_epoch: int):
        self._history, self._finite, self._steps_per_epoch = history, finite, steps_per_epoch

    def from_loss(self, bad_step: int, loss: float) -> str:
        """Stand before the update that led to 0-based ``bad_step``, whose loss is not finite; say what happened."""
        became = Sentence("the loss became infinite in epoch {epoch}", epoch=self._epoch_of(bad_step))
        if loss != loss:
            became = Sentence("the loss became NaN in epoch {epoch}", epoch=self._epoch_of(bad_step))
        if bad_step == self._history.first_step:
            self._history.go_to(bad_step)
            return Sentence("{became}, at the first step of this call; the weights are as they were", became=became)
        culprit = self._lost_at(bad_step)
        if self._lost_at(bad_step - 1) is not None:
            return self.from_weights()
        reason = Sentence("the weights, still finite, were too large after the update before it")
        if culprit:
            reason = Sentence("'{name}' was no longer finite after the update before it", name=culprit)
        return clauses(Sentence("{became}: {reason}", became=became, reason=reason), _KEPT)

    def from_weights(self) -> str:
        """Stand before the update that first left a weight that is not finite; say what happened.

        A loss can stay finite meanwhile: a ReLU makes 0 of a bias of -inf. Whatever is lost is lost in all later
        steps, so that the first of them is found by halving.
        """
        found = self._finite.first_lost(self._history.session)
        good, bad = self._history.first_step, self._history.session.step
        culprit = self._lost_at(bad)
        if culprit is None:
            epochs = bad // self._steps_per_epoch
            return Sentence(
                "a callback left '{name}' not finite after epoch {epoch}; the weights before it are kept",
                name=found,
                epoch=epochs,
            )
        while bad - good > 1:
            middle = (good + bad) // 2
            lost = self._lost_at(middle)
            if lost is None:
                good = middle
            else:
                bad, culprit = middle, lost
        self._history.go_to(good)
        lost = Sentence(
            "'{name}' is no longer finite after an update of epoch {epoch}", name=culprit, epoch=self._epoch_of(good)
        )
        return clauses(lost, _KEPT)

    def _lost_at(self, step: int) -> str | None:
        self._history.go_to(step)
        return self._finite.first_lost(self._history.session)

    def _epoch_of(self, step: int) -> int:
        """Return the 1-based epoch to which a 0-based step belongs."""
        return step // self._steps_per_epoch + 1
