"""A small run to save, load and draw."""

from __future__ import annotations

import numpy as np
import pytest

from hotloop.program.network import Network
from hotloop.runs import Run


@pytest.fixture
def network():
    return Network.mlp(4, (5,), 3)


@pytest.fixture
def make_run(network):
    """Return a function that makes a run of ``network``, any field of it replaced."""

    def make(**replaced):
        fields = {
            "losses": np.array([1.5, 0.75, 0.1 + 0.2]),
            "recorded_at": np.array([1, 2, 3]),
            "validation_losses": np.array([]),
            "validated_at": np.array([], dtype=np.int64),
            "epochs": 3,
            "best_epoch": None,
            "duration_s": 0.25,
            "prepare_s": 0.0,
            "engine": "eager",
            "device": "cpu",
            "why": "it is the only engine",
            "stopped": "finished",
            "stopped_why": "all epochs were trained",
            "seed": 7,
            "notes": ("labels were taken as int64",),
            "settings": {"loss": "CrossEntropyLoss", "batch_size": None, "lr": np.float64(0.01)},
            "network": network,
            "weights": network.initialise(0),
            "metrics": {"test_accuracy": 0.9},
            "module_name": "Sequential",
        }
        return Run(**(fields | replaced))

    return make
