"""Networks that random ones do not come to: values used twice, joined again, tied, and parameters of odd shapes."""

from __future__ import annotations

import programs
import pytest
import torch
from compare import check, levels_here
from programs import Case
from torch import nn
from torch.nn import functional as F


class Odd(nn.Module):
    """Layers a, b, c; parameters v, u; and a forward of its own."""

    def __init__(self, forward, a=None, b=None, c=None, v=None, u=None):
        super().__init__()
        self.own = forward
        for name, sizes in {"a": a, "b": b, "c": c}.items():
            if sizes is not None:
                setattr(self, name, nn.Linear(*sizes))
        for name, shape in {"v": v, "u": u}.items():
            if shape is not None:
                setattr(self, name, nn.Parameter(torch.randn(shape) * 0.5 + 1.0))

    def forward(self, x):
        return self.own(self, x)


def _twice(m, x):
    h = m.a(x)
    return m.c(torch.cat([h, h], 1))


def _again(m, x):
    h = torch.relu(m.a(x))
    return m.c(torch.cat([torch.cat([h, x], 1), torch.relu(h), m.b(x)], 1))


def _dense(m, x):
    x = torch.cat([x, torch.relu(m.a(x))], 1)
    return m.c(torch.cat([x, torch.relu(m.b(x))], 1))


def _polynomial(m, x):
    h = m.a(x * x)
    return m.c(h * h + h - h * 0.5)


def _itself(m, x):
    h = m.a(x)
    return m.c(h - torch.relu(h) - (-h))


def _same_relu(m, x):
    h = m.a(x)
    return m.c(torch.relu(h) + m.b(torch.relu(h)))


NETWORKS = {
    "one layer three times": (
        lambda m, x: m.c(m.b(torch.relu(m.b(torch.relu(m.b(m.a(x))))))),
        {"a": (4, 5), "b": (5, 5), "c": (5, 3)},
    ),
    "one layer on the features and behind itself": (
        lambda m, x: m.c(m.b(torch.relu(m.b(x)))),
        {"b": (4, 4), "c": (4, 3)},
    ),
    "a parameter that is scale and offset": (lambda m, x: m.c((x * m.v + m.v) * m.v), {"c": (4, 3), "v": 4}),
    "a scale at the end": (lambda m, x: m.c(x) * m.v, {"c": (4, 3), "v": 3}),
    "a value joined to itself": (_twice, {"a": (4, 5), "c": (10, 3)}),
    "joined, and joined again": (_again, {"a": (4, 5), "b": (4, 2), "c": (16, 3)}),
    "joined values at the end": (lambda m, x: torch.cat([m.a(x), m.b(x)], 1), {"a": (4, 1), "b": (4, 2)}),
    "an activation of joined values": (
        lambda m, x: m.c(torch.relu(torch.cat([m.a(x), m.b(x)], 1))),
        {"a": (4, 11), "b": (4, 12), "c": (23, 3)},
    ),
    "many joined columns": (
        lambda m, x: m.c(torch.cat([m.a(x), x, torch.tanh(m.b(x))], 1)),
        {"a": (4, 33), "b": (4, 40), "c": (77, 3)},
    ),
    "everything joined to everything": (_dense, {"a": (4, 6), "b": (10, 6), "c": (16, 3)}),
    "squares": (_polynomial, {"a": (4, 5), "c": (5, 3)}),
    "an activation of the features": (lambda m, x: m.c(torch.relu(x)), {"c": (4, 3)}),
    "the features added": (lambda m, x: m.c(x + torch.relu(m.a(x))), {"a": (4, 4), "c": (4, 3)}),
    "a bias used elsewhere": (
        lambda m, x: m.c(torch.relu(F.linear(x, m.a.weight, m.v)) + m.v),
        {"a": (4, 5), "c": (5, 3), "v": 5},
    ),
    "a square matrix both ways round": (
        lambda m, x: m.c(F.linear(torch.tanh(F.linear(x, m.v)) @ m.v, m.v)),
        {"c": (4, 3), "v": (4, 4)},
    ),
    "a single number": (lambda m, x: m.c(x * m.v) * m.v + m.v, {"c": (4, 3), "v": ()}),
    "divided by a parameter": (lambda m, x: m.c(x) / m.v - m.u, {"c": (4, 3), "v": 3, "u": ()}),
    "a number divided": (lambda m, x: m.c(1.0 / (2.0 + torch.sigmoid(m.a(x)))), {"a": (4, 5), "c": (5, 3)}),
    "a parameter less the features": (lambda m, x: m.c(m.v - x), {"c": (4, 3), "v": 4}),
    "a layer that is not used": (lambda m, x: m.c(x), {"a": (4, 5), "c": (4, 3)}),
    "less itself": (_itself, {"a": (4, 5), "c": (5, 3)}),
    "one activation written twice": (_same_relu, {"a": (4, 5), "b": (5, 5), "c": (5, 3)}),
}
CASES = (
    Case(validation_rows=5),
    Case(optimizer="Adam", dtype="float32", batch_size=7, clip=0.5, weighted=True, validation_rows=9, level="sse"),
)


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "case", [CASES[0], pytest.param(CASES[1], marks=pytest.mark.slow)], ids=["plain", "with everything"]
)
@pytest.mark.parametrize(("forward", "parts"), NETWORKS.values(), ids=NETWORKS)
def test_odd_networks(monkeypatch, forward, parts, case):
    if case.level is not None and case.level not in levels_here():
        pytest.skip(f"this machine does not run {case.level}")
    monkeypatch.setattr(programs, "_network", lambda case: Odd(forward, **parts))
    check(case)
