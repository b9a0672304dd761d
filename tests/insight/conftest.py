from __future__ import annotations

import pytest
from synthetic_passports import synthetic_cpu

from hotloop.insight import explain as explaining
from hotloop.insight.measure import Budget


@pytest.fixture
def quick(monkeypatch):
    """A machine whose figures need not be measured, and few blocks."""
    from hotloop.hardware import Measured, measure_cpu

    core = Measured("1 core", gflop_per_s=2000.0, bandwidth_gb_per_s=100.0)
    monkeypatch.setattr(explaining, "passport_here", lambda: synthetic_cpu())
    monkeypatch.setattr(measure_cpu, "measure_cpu", lambda cpu, available_bytes, threads: (core,))
    monkeypatch.setattr(explaining, "_budget", lambda seconds: Budget(seconds, 2, 2))
