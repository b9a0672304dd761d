"""What random programs have found, each as its smallest case."""

from __future__ import annotations

import pytest
from compare import check
from programs import Case

FINDINGS = {
    "a comparison is used after the first sums over rows": Case(weighted=True),
    "a scheduler is not told that the optimizer was stepped": Case(schedule=True),
}


@pytest.mark.parametrize("case", FINDINGS.values(), ids=FINDINGS)
def test_what_random_programs_have_found(case):
    check(case)
