"""Memory that ends in the optimizer, in validation or in a copy of the weights; and what the estimate counts."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn, optim

import hotloop
from hotloop.engines.eager import EagerSession
from hotloop.engines.probe import probe

OUT = torch.OutOfMemoryError("CUDA out of memory.")


def data(n_rows=64):
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, 3, (n_rows,), generator=generator)
    return torch.randn(n_rows, 20, generator=generator) + y[:, None], y


def build():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 3))


class Full(optim.Adam):
    """Has no room for its state at one call, after it has changed a weight."""

    failing_at = 0

    def step(self, closure=None):
        self.failing_at -= 1
        if self.failing_at == 0:
            with torch.no_grad():
                self.param_groups[0]["params"][0].add_(1)
            raise OUT
        return super().step(closure)


def train(model, optimizer, **settings):
    settings = {"epochs": 6, "seed": 3, "engine": "eager", **settings}
    return hotloop.fit(model, *data(), loss=nn.CrossEntropyLoss(), optimizer=optimizer, **settings)


def test_no_room_for_the_optimizer_s_state_is_one_clear_error():
    model = build()
    optimizer = Full(model.parameters())
    optimizer.failing_at = 1
    with pytest.raises(hotloop.OutOfMemoryError, match="besides its activations does not fit into the memory of cpu"):
        train(model, optimizer)


@pytest.mark.parametrize("call", [1, 4])
def test_no_room_for_it_on_a_device_goes_on_on_the_cpu(monkeypatch, call):
    # To the loop "cpu:0" is a device other than "cpu"; to torch it is the same.
    monkeypatch.setattr("hotloop.training.prepare.choose_device", lambda *arguments: ("cpu:0", "asked for"))
    expected, model = build(), build()
    train(expected, optim.Adam(expected.parameters()))
    optimizer = Full(model.parameters())
    optimizer.failing_at = call
    run = train(model, optimizer)
    assert run.device == "cpu"
    assert "went on on the CPU" in " ".join(run.notes)
    for ours, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_no_room_for_a_gathered_batch_is_one_clear_error(monkeypatch):
    def gathering(self, epoch, steps):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")
        yield

    monkeypatch.setattr(EagerSession, "_batches_of", gathering)
    model = build()
    with pytest.raises(hotloop.OutOfMemoryError, match="you tried to allocate 1 bytes") as raised:
        train(model, optim.Adam(model.parameters()), batch_size=8)
    assert raised.value.one_line.count("\n") == 0


class NoValidation(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = build()

    def forward(self, x):
        if len(x) != 4 and not self.training:
            raise OUT
        return self.inner(x)


def test_no_room_for_validation_is_one_clear_error_and_leaves_the_mode():
    model = NoValidation()
    X, y = data()
    with pytest.raises(hotloop.OutOfMemoryError, match="validation rows do not fit") as raised:
        train(model, optim.Adam(model.parameters()), X_val=X[:10], y_val=y[:10])
    assert "Use fewer validation rows." in raised.value.one_line
    assert "device=" not in raised.value.one_line
    assert model.training


def test_no_room_for_a_copy_of_the_weights_is_one_clear_error(monkeypatch):
    def clone(value):
        raise OUT

    monkeypatch.setattr("hotloop.engines.eager.clone", clone)
    model = build()
    with pytest.raises(hotloop.OutOfMemoryError, match="a copy of the weights does not fit"):
        train(model, optim.Adam(model.parameters()))


def test_the_probe_weighs_dropout_masks_and_leaves_nothing_behind():
    model = nn.Sequential(nn.Linear(20, 100), nn.ReLU(), nn.Dropout(0.5), nn.Linear(100, 3))
    state = torch.get_rng_state()
    X, _ = data()
    weighed = probe(model, X)
    # What ReLU and the last layer keep, and between them the mask.
    assert weighed.saved_bytes_per_row == 3 * 400
    assert weighed.mask_units_per_row == 100
    np.testing.assert_array_equal(weighed.output, model.eval()(X[:4]).detach())
    assert probe(model, X).saved_bytes_per_row == 400
    assert torch.equal(state, torch.get_rng_state())


NETWORKS = {
    "dropout": "nn.Linear(64, 1024), nn.ReLU(), nn.Dropout(0.3), nn.Linear(1024, 1024), nn.Dropout(0.3), "
    "nn.Linear(1024, 10)",
    "classes": "nn.Linear(64, 8), nn.Linear(8, 20_000)",
    "shuffled": "nn.Linear(20_000, 4), nn.Linear(4, 10)",
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_estimate_is_near_the_measured_peak(name):
    """Peak resident memory of training, in a fresh process, against the estimate."""
    code = f"""
import pathlib, psutil, torch, hotloop
from torch import nn, optim
from hotloop.engines import memory
model = nn.Sequential({NETWORKS[name]})
n_rows = {12_000 if name == "dropout" else 3000}
X, y = torch.randn(n_rows, model[0].in_features), torch.randint(0, 10, (n_rows,))
original = memory.estimate
def estimate(task):
    global estimated, before
    estimated = original(task)
    # The peak begins anew here.
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = psutil.Process().memory_info().rss
    return estimated
def fit(model, X, y, **settings):
    optimizer = optim.Adam(model.parameters())
    settings = {{"engine": "eager", "threads": 1, "epochs": 3, **settings}}
    hotloop.fit(model, X, y, loss=nn.CrossEntropyLoss(), optimizer=optimizer, **settings)
memory.estimate = estimate
fit(nn.Sequential(nn.Linear(64, 10), nn.Dropout(0.1)), torch.randn(50, 64), y[:50], batch_size=10)
fit(model, X, y, **({{"batch_size": 2000}} if {name!r} == "shuffled" else {{}}))
status = pathlib.Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) * 1024 - before
print(estimated.total() / peak)
"""
    # Measuring coverage takes memory too.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert 0.8 < float(done.stdout) < 1.25, done.stdout
