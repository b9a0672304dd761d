"""What random programs have found, each as its smallest case."""

from __future__ import annotations

import pytest
from compare import check
from programs import Case

FINDINGS = {
    "a comparison is used after the first sums over rows": Case(weighted=True),
    "a scheduler is not told that the optimizer was stepped": Case(schedule=True),
    "the label that is ignored is a class": Case(
        loss="CrossEntropyLoss", loss_settings=(("ignore_index", 0),), target="ignored labels"
    ),
    "a square overflows before its share is taken": Case(
        dtype="float32", optimizer="Adam", loss="HuberLoss", loss_settings=(("reduction", "sum"),), scale=1e18, rows=30
    ),
    "columns side by side are few": Case(
        n_features=1, widths=((1, True), (1, True), (1, True)), shape="concatenated", validation_rows=3
    ),
    "an ignored label that is a class, with all that a loss can have": Case(
        loss="CrossEntropyLoss",
        loss_settings=(("ignore_index", 0), ("class_weight", True), ("label_smoothing", 0.1)),
        target="ignored labels",
        weighted=True,
        dtype="float32",
    ),
}


@pytest.mark.parametrize("case", FINDINGS.values(), ids=FINDINGS)
def test_what_random_programs_have_found(case):
    check(case)
