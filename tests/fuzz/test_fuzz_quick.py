"""Random training tasks, compiled and compared with eager torch; the same ones each time. ``make fuzz`` tries more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from compare import check, check_fit, levels_here
from hypothesis import HealthCheck, given, settings
from programs import Case, cases

_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@pytest.mark.slow
@pytest.mark.no_cover
@settings(max_examples=50, derandomize=True, database=None, suppress_health_check=_QUIET)
@given(case=cases(levels=levels_here(), widest=13))
def test_compiled_code_computes_what_torch_computes(case):
    check(case)


# Smooth enough that differences do not grow in 200 epochs.
_LONG = Case(activations=(("Tanh", ()),), loss="HuberLoss", rows=33, validation_rows=7)
_ADAM = (("lr", 0.003), ("weight_decay", 0.01))


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.parametrize(
    "case",
    [
        replace(_LONG, groups=((("lr", 0.02), ("momentum", 0.9)),), batch_size=10),
        replace(_LONG, optimizer="AdamW", groups=(_ADAM, (*_ADAM, ("amsgrad", True))), batch_size=16, clip=1.0),
        replace(_LONG, optimizer="Adam", groups=(_ADAM,), weighted=True),
    ],
    ids=["SGD", "AdamW", "Adam"],
)
def test_a_hundred_epochs_and_then_a_hundred_with_another_engine(case):
    check_fit(case, epochs=100, numbers=True)
