"""What a training run leaves behind: its result as data, saved, loaded, and used to predict."""

from __future__ import annotations

from hotloop.runs.load import load
from hotloop.runs.prediction import Prediction
from hotloop.runs.predictor import Predictor
from hotloop.runs.run import Run

__all__ = ["Prediction", "Predictor", "Run", "load"]
