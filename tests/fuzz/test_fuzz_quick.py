"""Random training tasks, compiled and compared with eager torch; the same ones each time. ``make fuzz`` tries more."""

from __future__ import annotations

from compare import check, levels_here
from hypothesis import HealthCheck, given, settings
from programs import cases

_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(max_examples=50, derandomize=True, database=None, deadline=None, suppress_health_check=_QUIET)
@given(case=cases(levels=levels_here(), widest=13))
def test_compiled_code_computes_what_torch_computes(case):
    check(case)
