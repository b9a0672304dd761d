from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hotloop.bench.contender import Trained
from hotloop.bench.workloads import Workload, find_workload


@pytest.fixture(scope="session")
def tiny_classes() -> Workload:
    """Three classes, 50 rows in batches of 16: the last of an epoch has 2."""
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(50, 4)).astype(np.float32), rng.integers(0, 3, 50)
    return replace(
        find_workload("W5"), name="T1", widths=(4, 6, 3), batch_size=16, rows=lambda: (X, y), compared_epochs=5
    )


@pytest.fixture(scope="session")
def tiny_numbers() -> Workload:
    """Two numbers, full batch, tanh, Adam."""
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(40, 3)).astype(np.float32), rng.normal(size=(40, 2)).astype(np.float32)
    return replace(find_workload("W2"), name="T2", widths=(3, 5, 2), rows=lambda: (X, y), compared_epochs=20)


class Scripted:
    """A contender whose trainings take as long as is written here, per step, one after the other."""

    def __init__(self, name, us=(10.0,), prepare_s=0.0, loss=1.0, threads=1, missing=None, fails_at=None):
        self.name, self.threads, self.about, self.missing = name, threads, name, missing
        self.us, self.prepare_s, self.loss, self.fails_at = us, prepare_s, loss, fails_at
        self.prepared, self.trained = [], 0

    def absent(self, workload):
        return self.missing

    def prepare(self, workload, epochs, seed):
        self.prepared.append((epochs, seed))

        def train():
            if self.fails_at is not None and self.trained >= self.fails_at:
                raise RuntimeError(f"{self.name} fell over\nat once")
            us = self.us[self.trained % len(self.us)]
            self.trained += 1
            seconds = us * 1e-6 * epochs * len(workload.batch_sizes)
            return Trained(seconds, self.prepare_s, np.full(epochs, self.loss))

        return train


@pytest.fixture
def scripted():
    return Scripted
