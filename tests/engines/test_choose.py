"""Which device and how many threads: decided by the task and the machine alone, and said in a clause."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hotloop.engines import choose


def mlp(width):
    return nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Linear(width, 3))


@pytest.mark.parametrize(
    ("accelerator", "width", "batch_size", "device"),
    [(None, 5000, 5000, "cpu"), ("cuda", 10, 120, "cpu"), ("cuda", 2000, 1000, "cuda"), ("mps", 2000, 1000, "mps")],
)
def test_auto_takes_an_accelerator_where_a_step_is_enough_work(monkeypatch, accelerator, width, batch_size, device):
    monkeypatch.setattr(choose, "available_accelerator", lambda: accelerator)
    chosen, why = choose.choose_device("auto", mlp(width), batch_size)
    assert chosen == device
    assert why.startswith(f"{device}, since ")


def test_convolutions_are_taken_for_enough_work(monkeypatch):
    monkeypatch.setattr(choose, "available_accelerator", lambda: "cuda")
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
    assert choose.choose_device("auto", model, 1)[0] == "cuda"


def test_a_device_asked_for_is_taken(monkeypatch):
    assert choose.choose_device("cpu", mlp(3), 1) == ("cpu", "cpu was asked for")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose.choose_device("cuda:1", mlp(3), 1)[0] == "cuda:1"
    with pytest.raises(choose.DeviceError, match="sees 2"):
        choose.choose_device("cuda:2", mlp(3), 1)


def test_threads():
    assert choose.choose_threads(None, mlp(10), 120) == 1
    assert choose.choose_threads(None, mlp(5000), 120) is None
    assert choose.choose_threads(3, mlp(10), 120) == 3


def test_engines():
    class Refusing:
        name = "choosy"

        def refusal(self, task):
            return "it is Monday"

    assert choose.choose_engine("eager", None)[1] == "eager was asked for"
    engine, why = choose.choose_engine("auto", None)
    assert engine.name == "eager"
    assert "hooks included" in why
    engines = dict(choose.ENGINES)
    try:
        choose.ENGINES = {"choosy": Refusing(), **engines}
        engine, why = choose.choose_engine("auto", None)
        assert (engine.name, why) == ("eager", "choosy cannot: it is Monday")
    finally:
        choose.ENGINES = engines
