"""The claim that a DataLoader is free on a table in memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from hotloop.insight.claims.claim import Asked, Claim, Experiment, Workbench
from hotloop.insight.claims.comparing import Wording, belief_same, compare, narrow_ratio
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.steps import Steps
from hotloop.insight.measure import Arm
from hotloop.language import _

__all__ = ["CLAIM"]

_SLICES, _LOADER = "indexing tensors", "DataLoader"


def _arms(workbench: Workbench) -> list[Arm]:
    import torch

    steps = Steps(workbench.loop)
    X, y = (torch.cat(parts) for parts in zip(*steps.batches, strict=True))
    size = workbench.loop.rows_of_a_step
    return [
        Arm(_SLICES, partial(_train, steps, _indexed(X, y, size))),
        Arm(_LOADER, partial(_train, steps, _loaded(X, y, size))),
    ]


def _train(steps: Steps, batches: Iterator[Any], n: int) -> None:
    for _step in range(n):
        x, y = next(batches)
        steps.update(steps.criterion(steps.model(x), y))


def _indexed(X: Any, y: Any, size: int) -> Iterator[Any]:
    """Yield shuffled batches for ever, picked from tensors."""
    import torch

    while True:
        order = torch.randperm(len(X))
        for start in range(0, len(X), size):
            at = order[start : start + size]
            yield X[at], y[at]


def _loaded(X: Any, y: Any, size: int) -> Iterator[Any]:
    """Yield the same from a DataLoader as tutorials write it."""
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(X, y), batch_size=size, shuffle=True)
    while True:
        yield from loader


def _ask(evidence: Evidence) -> list[Asked]:
    rows = evidence.facts.subject.batch_size
    wording = Wording(
        _("Does a DataLoader make a step longer than indexing the same tensors?"),
        costs=_("A step with a DataLoader takes longer: {change} ({us}). It fetches the {rows} rows one by one."),
        saves=_("A step with a DataLoader is faster: {change} ({us})."),
        equivalent=_("A step with a DataLoader takes the same within {threshold}: {change} ({us})."),
    )
    named = Wording(wording.question, wording.costs.replace("{rows}", str(rows)), wording.saves, wording.equivalent)
    return [compare(evidence, "loader", _LOADER, named, key="loader")]


CLAIM = Claim(
    name="dataloader",
    belief=lambda: _("A DataLoader is free on a table in memory."),
    prediction=lambda: _(
        "A DataLoader takes rows one by one and stacks them again: reported 3 to 124 times slower than indexing "
        "(pytorch#106704, #154318)."
    ),
    experiments=(Experiment("loader", _arms, narrow=narrow_ratio(_LOADER)),),
    ask=_ask,
    conclude=belief_same("loader"),
)
