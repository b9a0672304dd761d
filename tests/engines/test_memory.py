"""Memory is estimated before training; a step that does not fit is done in slices with the same result."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn, optim

import hotloop
from hotloop.engines import memory


def data(n_rows=64):
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, 3, (n_rows,), generator=generator)
    return torch.randn(n_rows, 20, generator=generator) + y[:, None], y


def build(*extra):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(20, 300), nn.ReLU(), *extra, nn.Linear(300, 3))


def train(model, loss=None, **settings):
    settings = {"epochs": 4, "seed": 3, "engine": "eager", **settings}
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return hotloop.fit(model, *data(), loss=loss or nn.CrossEntropyLoss(), optimizer=optimizer, **settings)


def limit(monkeypatch, n_bytes):
    monkeypatch.setattr(memory, "free_memory_bytes", lambda device: n_bytes)


LOSSES = {
    "plain": nn.CrossEntropyLoss(),
    "weighted": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 4.0, 0.5]), label_smoothing=0.1, ignore_index=1),
    "sum": nn.CrossEntropyLoss(reduction="sum"),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("settings", [{}, {"batch_size": 30}, {"sample_weight": torch.linspace(0, 1, 64)}])
def test_slices_give_what_the_whole_gives(monkeypatch, name, settings):
    expected, sliced = build(nn.Dropout(0.3)), build(nn.Dropout(0.3))
    whole = train(expected, LOSSES[name], **settings)
    assert whole.notes == ()
    # Enough for the weights and copies (150 kB here), not for all activations (about 300 kB).
    limit(monkeypatch, 250_000)
    run = train(sliced, LOSSES[name], **settings)
    assert "slices" in " ".join(run.notes)
    np.testing.assert_allclose(run.losses, whole.losses, rtol=2e-5)
    for ours, theirs in zip(sliced.parameters(), expected.parameters(), strict=True):
        # Rounding of sums grows with the gradients, and those of a sum are 64 times those of a mean.
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-6 if name != "sum" else 1e-4)


@pytest.mark.parametrize(
    ("extra", "loss", "reason"),
    [
        ([nn.BatchNorm1d(300)], None, "mixes the rows"),
        ([], lambda output, y: output.square().mean(), "not one that can be done in slices"),
    ],
)
def test_what_slices_would_change_is_refused(monkeypatch, extra, loss, reason):
    limit(monkeypatch, 250_000)
    with pytest.raises(hotloop.OutOfMemoryError, match=reason) as raised:
        train(build(*extra), loss)
    assert "needs about" in raised.value.one_line
    assert isinstance(raised.value, MemoryError)


def test_weights_alone_too_large_is_refused(monkeypatch):
    limit(monkeypatch, 50_000)
    with pytest.raises(hotloop.OutOfMemoryError, match="alone"):
        train(build())


class Limited(nn.Module):
    """Runs out of memory above some rows, as a device does: in the middle of the forward pass."""

    def __init__(self, rows, error):
        super().__init__()
        self.inner, self.rows, self.error = build(), rows, error

    def forward(self, x):
        output = self.inner(x)
        if len(x) > self.rows and self.training:
            raise self.error
        return output


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_running_out_during_a_step_is_recovered_from(error):
    expected, limited = Limited(64, error), Limited(17, error)
    whole, run = train(expected), train(limited)
    assert "4 slices" in " ".join(run.notes)
    np.testing.assert_allclose(run.losses, whole.losses, rtol=2e-5)
    for ours, theirs in zip(limited.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-6)


def test_not_even_one_row_fits():
    with pytest.raises(hotloop.OutOfMemoryError, match="not even one row"):
        train(Limited(0, torch.OutOfMemoryError("CUDA out of memory.")))


def test_other_errors_pass_through():
    with pytest.raises(RuntimeError, match="something else"):
        train(Limited(1, RuntimeError("something else")))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_estimate_is_near_the_measured_peak():
    """Peak resident memory of a wide network's training, in a fresh process, against the estimate."""
    code = """
import pathlib, psutil, torch, hotloop
from torch import nn, optim
torch.manual_seed(0)
width, n_rows = 1024, 12000
model = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 10))
X, y = torch.randn(n_rows, 64), torch.randint(0, 10, (n_rows,))
from hotloop.engines import memory
estimated = []
original = memory.estimate
memory.estimate = lambda task: estimated.append(original(task)) or estimated[0]
small = nn.Linear(64, 10)
adam = optim.Adam(small.parameters())
hotloop.fit(small, X[:50], y[:50], loss=nn.CrossEntropyLoss(), optimizer=adam, epochs=2, engine="eager")
estimated.clear()
before = psutil.Process().memory_info().rss
adam = optim.Adam(model.parameters())
hotloop.fit(model, X, y, loss=nn.CrossEntropyLoss(), optimizer=adam, epochs=2, engine="eager")
status = pathlib.Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) * 1024 - before
print(estimated[0].total() / peak)
"""
    # Measuring coverage takes memory too. VmHWM, because ru_maxrss begins with what the parent process had.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert 0.75 < float(done.stdout) < 1.3, done.stdout
