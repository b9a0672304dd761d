"""Training: from a model, rows and settings to a trained model and the run it took."""

from __future__ import annotations

from hotloop.training.callbacks import Moment, callback
from hotloop.training.fit import fit

__all__ = ["Moment", "callback", "fit"]
