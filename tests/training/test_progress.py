"""The progress bar: where there is no terminal there is none, and nobody minds."""

from __future__ import annotations

import io
import sys

import pytest
import torch
from torch import nn, optim

import hotloop
from hotloop.training import progress


class OnlyWritten:
    def write(self, text):
        raise AssertionError("nothing is to be shown")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, OnlyWritten(), closed()], ids=["none", "no isatty", "closed"])
@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize("wanted", ["auto", True])
def test_streams_that_are_no_terminal(monkeypatch, name, stream, wanted):
    monkeypatch.setattr(progress, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(progress, "_REFRESH_S", 0.0)
    monkeypatch.setattr(sys, name, stream)
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    X, y = torch.zeros(8, 2), torch.zeros(8, 1)
    run = hotloop.fit(model, X, y, loss=nn.MSELoss(), optimizer=optimizer, epochs=5, progress=wanted)
    assert run.epochs == 5
