"""The progress bar: where there is no terminal there is none, and nobody minds."""

from __future__ import annotations

import io
import sys
import threading

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


class Bar:
    """What rich would draw, kept."""

    def __init__(self):
        self.shown = []

    def start(self):
        pass

    def stop(self):
        self.shown.append("stopped")

    def add_task(self, text, **fields):
        return 0

    def update(self, task, *, completed, **fields):
        self.shown.append(completed)


@pytest.mark.parametrize(
    ("is_terminal", "in_main_thread", "shown"),
    [(True, True, [3, 5, "stopped"]), (False, True, []), (True, False, [])],
    ids=["a terminal", "a pipe", "another thread"],
)
def test_a_bar_is_shown_on_a_terminal_by_the_main_thread(monkeypatch, is_terminal, in_main_thread, shown):
    bar = Bar()
    monkeypatch.setattr(progress, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(progress, "_REFRESH_S", 0.0)
    monkeypatch.setattr(progress, "on_terminal", lambda: is_terminal)
    monkeypatch.setattr(progress, "_rich_bar", lambda: bar)

    def train():
        with progress.ProgressBar(5, wanted=True) as own:
            own.update(3, 0.5)
            own.update(5, 0.4)

    if in_main_thread:
        train()
    else:
        thread = threading.Thread(target=train)
        thread.start()
        thread.join()
    assert bar.shown == shown
