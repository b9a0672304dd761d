"""The eager engine on a GPU; needs one. Imports nothing but torch, NumPy, pytest and hotloop.fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn, optim

import hotloop

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")]


def data():
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, 3, (120,), generator=generator)
    return torch.rand(120, 4, generator=generator) + y[:, None], y


def train(device, home="cpu", build=lambda p: optim.Adam(p, lr=0.01), **settings):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Dropout(0.2), nn.Linear(10, 3)).to(home)
    optimizer = build(model.parameters())
    settings = {"epochs": 200, "seed": 1, **settings}
    return (
        model,
        optimizer,
        hotloop.fit(model, *data(), loss=nn.CrossEntropyLoss(), optimizer=optimizer, device=device, **settings),
    )


@pytest.mark.parametrize("settings", [{}, {"batch_size": 32}, {"clip_grad_norm": 0.1}])
def test_the_curve_is_the_cpu_s(settings):
    _, _, expected = train("cpu", **settings)
    model, optimizer, run = train("cuda", **settings)
    np.testing.assert_allclose(run.losses, expected.losses, rtol=1e-4)
    assert {p.device.type for p in model.parameters()} == {"cpu"}
    states = [
        value for state in optimizer.state.values() for value in state.values() if isinstance(value, torch.Tensor)
    ]
    assert {value.device.type for value in states} == {"cpu"}
    assert run.device == "cuda"


def test_a_model_on_the_gpu_stays_there():
    model, _, run = train("auto", home="cuda")
    assert run.device.startswith("cuda")
    assert next(model.parameters()).is_cuda


def test_losses_are_read_once_a_chunk():
    """Within a chunk nothing waits for the GPU; the read-back at its end is the only synchronisation."""
    from hotloop.engines.eager import EagerEngine
    from hotloop.engines.losses import RowLoss
    from hotloop.engines.task import Rows, Task

    X, y = data()
    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    loss = nn.CrossEntropyLoss()
    task = Task(
        model, loss, RowLoss.of(loss), optimizer, Rows(X, y), None, 120, False, False, None, 0, "cuda", None, None
    )
    session = EagerEngine().prepare(task)
    session.advance(3, None)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with pytest.warns(UserWarning, match="synchronizing") as warned:
            session.advance(100, None)
    finally:
        torch.cuda.set_sync_debug_mode("default")
        session.close()
    assert len(warned) <= 2
