"""Train small PyTorch networks on tables, and see where the time goes.

The public names; each is imported when it is first used, so that ``import hotloop`` takes milliseconds.

==================  =============================================================================================
name                what it is
==================  =============================================================================================
fit                 train a ``torch.nn.Module`` in place
Run                 what a training run did: plain data that can be drawn and saved
load                a saved run as a predictor
callback, Moment    functions that run at declared epochs during training
explain             where the time of a training loop goes, how far that is from the limit, what to change
trace_call          what ``model(x)`` does, step by step, and what ``model.forward(x)`` leaves out
monitor             gradient norms, activations and dead units while a model trains
tables              a file or frame -> arrays and a schema
hardware            what machine this is
errors              everything hotloop raises
==================  =============================================================================================
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from hotloop.errors import (
    ArgumentError,
    DeviceError,
    HotloopError,
    Interrupted,
    OutOfMemoryError,
    OutputError,
    SavedRunError,
    TableError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from hotloop import hardware, tables
    from hotloop.insight.call.trace_call import trace_call
    from hotloop.insight.explain import explain
    from hotloop.insight.monitoring.monitor import monitor
    from hotloop.runs.load import load
    from hotloop.runs.prediction import Prediction
    from hotloop.runs.predictor import Predictor
    from hotloop.runs.run import Run
    from hotloop.training.callbacks import Moment, callback
    from hotloop.training.fit import fit

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "DeviceError",
    "HotloopError",
    "Interrupted",
    "Moment",
    "OutOfMemoryError",
    "OutputError",
    "Prediction",
    "Predictor",
    "Run",
    "SavedRunError",
    "TableError",
    "UnsupportedError",
    "__version__",
    "callback",
    "explain",
    "fit",
    "hardware",
    "load",
    "monitor",
    "tables",
    "trace_call",
]

_HOMES = {
    "Moment": "hotloop.training.callbacks",
    "Prediction": "hotloop.runs",
    "Predictor": "hotloop.runs",
    "Run": "hotloop.runs",
    "callback": "hotloop.training.callbacks",
    "explain": "hotloop.insight.explain",
    "fit": "hotloop.training.fit",
    "load": "hotloop.runs",
    "monitor": "hotloop.insight.monitoring.monitor",
    "trace_call": "hotloop.insight.call.trace_call",
}


def __getattr__(name: str) -> object:
    if name in ("hardware", "tables"):
        return importlib.import_module(f"hotloop.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'hotloop' has no attribute {name!r}")
    # Kept, so that it is looked up here once.
    found = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
