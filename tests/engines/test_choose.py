"""Which device and how many threads: decided by the task and the machine alone, and said in a clause."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hotloop.capture.model_parts import ModelParts
from hotloop.engines import choose
from hotloop.errors import UnsupportedError


def choose_device(name, model, batch_size):
    parts = ModelParts.of(model)
    return choose.choose_device(name, parts, choose.model_flop(parts, batch_size))


def mlp(width):
    return nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Linear(width, 3))


@pytest.mark.parametrize(
    ("accelerator", "width", "batch_size", "device"),
    [(None, 5000, 5000, "cpu"), ("cuda", 10, 120, "cpu"), ("cuda", 2000, 1000, "cuda"), ("mps", 2000, 1000, "mps")],
)
def test_auto_takes_an_accelerator_where_a_step_is_enough_work(monkeypatch, accelerator, width, batch_size, device):
    monkeypatch.setattr(choose, "available_accelerator", lambda: accelerator)
    chosen, why = choose_device("auto", mlp(width), batch_size)
    assert chosen == device
    assert why.startswith(f"{device}, since ")


def test_convolutions_are_taken_for_enough_work(monkeypatch):
    monkeypatch.setattr(choose, "available_accelerator", lambda: "cuda")
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
    assert choose_device("auto", model, 1)[0] == "cuda"


def test_a_device_asked_for_is_taken(monkeypatch):
    assert choose_device("cpu", mlp(3), 1) == ("cpu", "cpu was asked for")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1", mlp(3), 1)[0] == "cuda:1"
    with pytest.raises(choose.DeviceError, match="sees 2"):
        choose_device("cuda:2", mlp(3), 1)


def test_threads():
    small, large = (choose.model_flop(ModelParts.of(mlp(width)), 120) for width in (10, 5000))
    assert choose.choose_threads(None, small) == 1
    assert choose.choose_threads(None, large) is None
    assert choose.choose_threads(3, small) == 3


class _Engine:
    def __init__(self, name, refused=None):
        self.name, self._refused = name, refused

    def refusal(self, task):
        return self._refused


def test_auto_takes_the_first_engine_that_does_not_refuse(monkeypatch):
    refused = UnsupportedError("cannot compile 'norm' (BatchNorm1d)", why="there is no rule for it")
    choosy, easy = _Engine("choosy", refused), _Engine("eager")
    monkeypatch.setattr(choose, "ENGINES", {"choosy": choosy, "eager": easy})
    engine, why = choose.choose_engine("auto", None)
    assert engine is easy
    assert why == "eager, since choosy cannot compile 'norm' (BatchNorm1d): there is no rule for it"
    refused.instead = "leave it out"
    assert choose.choose_engine("auto", None)[1].endswith("there is no rule for it; instead, leave it out")
    assert choose.choose_engine("eager", None) == (easy, "eager was asked for")
    monkeypatch.setattr(choose, "ENGINES", {"choosy": _Engine("choosy"), "eager": easy})
    assert choose.choose_engine("auto", None)[1] == "choosy, the fastest engine, can compile all of it"


def test_a_named_engine_that_refuses_says_why(monkeypatch):
    refused = UnsupportedError("cannot compile 'norm' (BatchNorm1d)", why="there is no rule for it")
    monkeypatch.setattr(choose, "ENGINES", {"native": _Engine("native", refused)})
    with pytest.raises(UnsupportedError, match="cannot compile 'norm'"):
        choose.choose_engine("native", None)
