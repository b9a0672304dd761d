"""Models and hooks of unusual making."""

from __future__ import annotations

import operator
import threading

import pytest
import torch

import hotloop


def kinds(trace):
    return [step.kind for step in trace.call.steps]


def test_a_wrapper_of_torch_compile_is_one_step():
    # The shape of what torch.compile(model) returns, without waiting for a compiler.
    class Optimized(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self._orig_mod = model

        def forward(self, x):
            return self._orig_mod(x)

    model = torch.nn.Sequential(Optimized(torch.nn.Sequential(torch.nn.Linear(2, 2))), torch.nn.ReLU())
    trace = hotloop.trace_call(model, torch.ones(1, 2), measure_s=0)
    assert [(step.kind, step.module) for step in trace.call.steps] == [
        ("call", ""),
        ("forward", ""),
        ("compiled call", "0"),
        ("call", "1"),
        ("forward", "1"),
    ]
    assert "unseen" in [difference.key for difference in trace.differences]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_torchs_own_compiled_models_are_one_step():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    x = torch.ones(1, 2)
    expected = model(x)
    wrapped = torch.compile(model, backend="eager")
    assert kinds(hotloop.trace_call(wrapped, x, measure_s=0)) == ["compiled call"]
    model.compile(backend="eager")
    assert kinds(hotloop.trace_call(model, x, measure_s=0)) == ["compiled call"]
    assert torch.equal(model(x), expected)


def test_a_forward_that_was_replaced_on_the_instance_is_kept():
    model = torch.nn.Linear(2, 2)
    model.forward = lambda x: x + 1
    own = model.forward
    trace = hotloop.trace_call(model, torch.ones(1, 2), measure_s=0)
    assert kinds(trace) == ["call", "forward"]
    assert model.forward is own


def test_a_class_with_its_own_call_impl_runs_it():
    class Own(torch.nn.Linear):
        def _call_impl(self, *args, **kwargs):
            return self.forward(*args, **kwargs) * 3

    model = Own(2, 2)
    trace = hotloop.trace_call(model, torch.ones(1, 2), measure_s=0)
    assert kinds(trace) == ["call", "forward"]
    assert "output" in [difference.key for difference in trace.differences if difference.lost]


def test_hooks_without_python_code_have_a_name_and_no_place():
    model = torch.nn.Identity()
    model.register_forward_pre_hook(operator.itemgetter)
    steps = hotloop.trace_call(model, 5, measure_s=0).call.steps
    assert [(step.hooks, step.where) for step in steps if step.kind == "pre-hook"] == [(("itemgetter",), None)]


def test_an_exception_that_cannot_be_shown_is_still_named():
    class Mute(Exception):
        def __str__(self):
            raise ValueError("no words")

    class Raises(torch.nn.Module):
        def forward(self, x):
            raise Mute

    assert hotloop.trace_call(Raises(), 1).call.raised == "Mute"


def test_a_model_that_fails_the_second_time_is_shown_without_times():
    calls = []

    class Once(torch.nn.Module):
        def forward(self, x):
            calls.append(1)
            if len(calls) > 2:
                raise RuntimeError("only twice")
            return x

    trace = hotloop.trace_call(Once(), torch.ones(1), measure_s=0.05)
    assert trace.timing is None
    assert trace.untimed == "a repeated call raised RuntimeError: only twice"
    assert trace.call.raised is None


def test_a_trace_within_a_trace_leaves_nothing_behind():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    inner = []

    def traces(module, args):
        if not inner:
            inner.append(None)
            inner[0] = hotloop.trace_call(model, torch.ones(1, 2), measure_s=0)

    model.register_forward_pre_hook(traces)
    former = [dict(vars(module)) for module in model.modules()]
    hotloop.trace_call(model, torch.ones(1, 2), measure_s=0)
    assert kinds(inner[0]) == ["call", "pre-hook", "forward", "call", "forward"]
    assert [dict(vars(module)) for module in model.modules()] == former
    assert list(model._forward_pre_hooks.values()) == [traces]


def test_threads_that_trace_one_model_leave_nothing_behind():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    model.register_forward_hook(lambda module, args, output: None)
    former = [dict(vars(module)) for module in model.modules()]
    hooks = list(model._forward_hooks.values())
    found = []

    def trace():
        for _ in range(10):
            found.append(kinds(hotloop.trace_call(model, torch.ones(1, 2), measure_s=0)))

    threads = [threading.Thread(target=trace) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [["call", "forward", "call", "forward", "call", "forward", "forward hook"]] * 40
    assert [dict(vars(module)) for module in model.modules()] == former
    assert list(model._forward_hooks.values()) == hooks


def test_outputs_of_any_kind_are_compared():
    class Dictionary(torch.nn.Module):
        def forward(self, x):
            return {"a": x, "b": [x, (x * float("nan"), "text", None)]}

    keys = [difference.key for difference in hotloop.trace_call(Dictionary(), torch.ones(2), measure_s=0).differences]
    assert "output" in keys

    class Opaque(torch.nn.Module):
        def forward(self, x):
            return object()

    keys = [difference.key for difference in hotloop.trace_call(Opaque(), torch.ones(2), measure_s=0).differences]
    assert "output" not in keys
