"""Whatever operations a forward strings together, in place or not: the program gives torch's numbers."""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F
from capture_cases import LOSSES, OPTIMIZERS, Both
from torch import nn

from hotloop.capture import NotCaptured
from hotloop.program.text import parse_program
from hotloop.program.verify import verify

ACTIVATIONS = (
    F.relu,
    torch.tanh,
    torch.sigmoid,
    F.gelu,
    F.silu,
    lambda x: F.elu(x, 0.7),
    lambda x: F.gelu(x, approximate="tanh"),
    lambda x: F.leaky_relu(x, 0.2),
    lambda x: F.softplus(x, 2.0, 3.0),
    lambda x: x.clone(),
    lambda x: -x,
    lambda x: 1.5 - x,
    lambda x: x / 1.7 + 0.1,
)
IN_PLACE = (
    torch.relu_,
    lambda x: F.elu(x, 0.7, True),
    lambda x: x.tanh_(),
    lambda x: F.silu(x, inplace=True),
    lambda x: x.mul_(1.5),
    lambda x: x.add_(0.5),
    lambda x: x.sub_(x),
)


class Anything(nn.Module):
    """Operations drawn by a seed, on any of the values so far."""

    def __init__(self, seed):
        super().__init__()
        self.linears, self.parts, self.steps, self.widths = nn.ModuleList(), nn.ParameterList(), [], [4]
        draw = random.Random(seed)
        for _ in range(draw.randint(2, 9)):
            kind = draw.choice(["linear", "linear", "again", "turned", "act", "in_place", "both", "join", "vector"])
            self.draw_step(draw, kind, draw.randrange(len(self.widths)))
        self.last = nn.Linear(self.widths[-1] + self.widths[0], 3)

    def draw_step(self, draw, kind, source):
        width = self.widths[source]
        if kind == "linear":
            self.linears.append(nn.Linear(width, draw.randint(1, 5), bias=draw.random() < 0.7))
            self.note(self.linears[-1].out_features, kind, source, len(self.linears) - 1)
        elif kind in ("again", "turned"):
            sides = [(n.in_features, n.out_features)[:: 1 if kind == "again" else -1] for n in self.linears]
            fitting = [(place, out) for place, (into, out) in enumerate(sides) if into == width]
            if fitting:
                place, out = draw.choice(fitting)
                self.note(out, "linear" if kind == "again" else kind, source, place)
        elif kind in ("act", "in_place"):
            self.note(width, kind, source, draw.randrange(len(ACTIVATIONS if kind == "act" else IN_PLACE)))
        elif kind == "both":
            fitting = [place for place, other in enumerate(self.widths) if other == width]
            op = draw.choice([torch.add, torch.sub, torch.mul, torch.Tensor.add_])
            self.note(width, kind, source, draw.choice(fitting), op)
        elif kind == "join":
            others = [draw.randrange(len(self.widths)) for _ in range(draw.randint(1, 2))]
            self.note(width + sum(self.widths[other] for other in others), kind, source, others)
        else:
            self.parts.append(nn.Parameter(torch.rand(width if draw.random() < 0.7 else ()) + 0.5))
            self.note(width, kind, source, len(self.parts) - 1)

    def note(self, width, *step):
        self.steps.append(step)
        self.widths.append(width)

    def forward(self, x):
        values = [x]
        for kind, source, which, *op in self.steps:
            value = values[source]
            if kind == "linear":
                value = self.linears[which](value)
            elif kind == "turned":
                value = F.linear(value, self.linears[which].weight.t())
            elif kind == "act":
                value = ACTIVATIONS[which](value)
            elif kind == "in_place":
                value = IN_PLACE[which](value)
            elif kind == "both":
                value = op[0](value, values[which])
            elif kind == "join":
                value = torch.cat([value, *(values[other] for other in which)], dim=-1)
            else:
                value = value * self.parts[which] + self.parts[which]
            values.append(value)
        return self.last(torch.cat([values[-1], x], 1))


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.parametrize("seed", range(120))
def test_any_model(seed):
    torch.manual_seed(seed)
    draw = random.Random(seed)
    model = Anything(seed).double()
    for parameter in model.parameters():
        parameter.requires_grad_(draw.random() < 0.9)
    model.last.requires_grad_(True)
    loss, kind = LOSSES[draw.choice(list(LOSSES))]
    optimizer = OPTIMIZERS[draw.choice(list(OPTIMIZERS))](model.parameters())
    clip, weighted = draw.choice([None, 0.5]), draw.random() < 0.3
    try:
        both = Both(model, loss(), optimizer, kind, clip, weighted, has_validation=True)
    except NotCaptured as refusal:
        assert "changes the rows it is given" in refusal.why  # noqa: PT017
        return
    verify(both.program)
    assert parse_program(both.program.text) == both.program
    try:
        both.loss_in_torch().backward()
    except RuntimeError as error:
        # torch refuses some work in place when it is too late; the program computes what was written.
        assert "modified by an inplace operation" in str(error)  # noqa: PT017
        return
    both.check(rtol=1e-10)
