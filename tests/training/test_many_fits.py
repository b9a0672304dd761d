"""Many small fits: what a fit costs beyond its steps, counted in calls and operations, which no clock disturbs."""

from __future__ import annotations

import sys
import threading
import time

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import hotloop

# A fit of this kind once took 900 calls of Python functions and some 60 operations of torch.
MOST_CALLS = 340
OPERATIONS = {"aten.detach", "aten.lift_fresh"}


def lesson():
    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3))
    return model, torch.optim.SGD(model.parameters(), lr=0.01)


def fit(lesson_data, epochs=2000):
    model, optimizer = lesson()
    return lambda: hotloop.fit(model, *lesson_data, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=epochs)


@pytest.fixture(autouse=True)
def _compiled_before(lesson_data):
    fit(lesson_data)()


def test_a_fit_calls_few_functions(lesson_data):
    calls, measured = [], fit(lesson_data)

    def note(frame, event, argument):
        if event == "call":
            calls.append(frame.f_code.co_qualname)

    sys.setprofile(note)
    try:
        measured()
    finally:
        sys.setprofile(None)
    assert len(calls) <= MOST_CALLS


def test_a_fit_runs_hardly_any_operation_of_torch(lesson_data):
    class Noted(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.append(str(function.overloadpacket))
            return function(*args, **(kwargs or {}))

    seen, measured = [], fit(lesson_data)
    with Noted():
        measured()
    assert set(seen) <= OPERATIONS
    assert len(seen) <= 8


def test_a_short_fit_is_one_chunk(lesson_data, monkeypatch):
    from hotloop.engines.compiled_steps import CompiledSteps

    advance, chunks = CompiledSteps.advance, []

    def noted(self, step, n_steps, *given):
        chunks.append(n_steps)
        return advance(self, step, n_steps, *given)

    monkeypatch.setattr(CompiledSteps, "advance", noted)
    fit(lesson_data)()
    assert chunks == [2000]


def test_autograd_notices_that_weights_have_changed(lesson_data):
    model, optimizer = lesson()
    X = torch.from_numpy(lesson_data[0])
    saved = model(X).sum()
    versions = [parameter._version for parameter in model.parameters()]
    hotloop.fit(model, *lesson_data, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=2)
    assert all(new._version > old for new, old in zip(model.parameters(), versions, strict=True))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        saved.backward()


def test_weights_that_are_not_contiguous_are_trained_in_place(lesson_data):
    whole = torch.randn(4, 10)
    model, twin = (nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3)) for _ in range(2))
    model[0].weight = nn.Parameter(whole.t())
    twin.load_state_dict(model.state_dict())
    for trained in (model, twin):
        optimizer = torch.optim.SGD(trained.parameters(), lr=0.01)
        hotloop.fit(trained, *lesson_data, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=20)
    assert not model[0].weight.is_contiguous()
    assert model[0].weight.data_ptr() == whole.data_ptr()
    assert torch.equal(model[0].weight, twin[0].weight)


@pytest.mark.timing
def test_many_fits_from_threads_cost_little_beyond_their_steps(lesson_data):
    def took_s(epochs, fits):
        waiting = [fit(lesson_data, epochs) for _ in range(fits)]
        threads = [threading.Thread(target=lambda own=waiting[n::2]: [one() for one in own]) for n in range(2)]
        started_s = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 2 * (time.perf_counter() - started_s) / fits

    steps_s = min((took_s(42_000, 20) - took_s(2000, 100)) / 40_000 for _ in range(5))
    assert min(took_s(2000, 200) for _ in range(5)) - 2000 * steps_s < 0.5e-3
