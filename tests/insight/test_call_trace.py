"""A trace leaves the model as it was, says what is lost, and shows what it costs."""

from __future__ import annotations

import copy
import dataclasses
import json
import random
import re
import threading

import numpy as np
import pytest
import torch

import hotloop
from hotloop.errors import ArgumentError
from hotloop.insight.call.instrument import instrumented
from hotloop.insight.call.recorder import Recorder
from hotloop.insight.call.text import as_text, timing_sentences
from hotloop.insight.call.timing import time_in_turn
from hotloop.insight.call.trace import Timing
from hotloop.insight.interval import Interval


def mlp():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 10), torch.nn.ReLU(), torch.nn.Linear(10, 3))


def about(module):
    return {"module": "", "module_class": type(module).__name__}


class Restless(torch.nn.Module):
    """Changes whatever a forward can change."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(4)
        self.dropout = torch.nn.Dropout()
        self.fc = torch.nn.Linear(4, 2)
        self.register_buffer("rebound", torch.zeros(2))
        self.calls, self.seen, self.cache = 0, [], {}

    def forward(self, x):
        self.calls += 1
        self.seen.append(self.calls)
        self.cache["last"] = x
        self.new = random.random() + np.random.rand()
        self.rebound = self.rebound + 1
        with torch.no_grad():
            self.fc.bias.add_(1)
        self.fc.weight.grad = torch.ones_like(self.fc.weight)
        self.train(not self.training)
        return self.fc(self.dropout(self.norm(x)))


@pytest.mark.parametrize("measure_s", [0, 0.05])
def test_the_model_is_as_before(measure_s):
    model = Restless()
    model.fc.bias.grad = torch.full((2,), 7.0)
    former_buffer, former_seen = model.rebound, model.seen
    expected, attributes = copy.deepcopy(model.state_dict()), list(vars(model))
    generators = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())
    hotloop.trace_call(model, torch.randn(5, 4, generator=torch.Generator().manual_seed(1)), measure_s=measure_s)
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    assert model.rebound is former_buffer
    assert (model.calls, model.seen, model.cache, model.training) == (0, [], {}, True)
    assert model.seen is former_seen
    assert list(vars(model)) == attributes
    assert model.fc.weight.grad is None
    assert model.fc.bias.grad.tolist() == [7.0, 7.0]
    assert torch.equal(torch.get_rng_state(), generators[0])
    assert random.getstate() == generators[1]
    assert (np.random.get_state()[1] == generators[2]).all()


def test_a_graph_that_was_begun_before_can_be_finished():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1))
    x = torch.randn(8, 4)
    loss = model(x).sum()
    hotloop.trace_call(model, x, measure_s=0.05)
    loss.backward()
    assert model[0].weight.grad is not None


def test_a_lazy_model_is_left_as_one_call_leaves_it():
    model = torch.nn.Sequential(torch.nn.LazyLinear(3), torch.nn.ReLU())
    trace = hotloop.trace_call(model, torch.ones(2, 5), measure_s=0)
    assert [step.hooks for step in trace.call.steps if step.kind == "pre-hook"] == [
        ("LazyModuleMixin._infer_parameters",)
    ]
    assert model[0].weight.shape == (3, 5)
    assert model(torch.ones(2, 5)).shape == (2, 3)
    assert not model[0]._forward_pre_hooks


def test_nothing_stays_after_an_exception_or_an_interruption():
    model = mlp()
    model.register_forward_hook(lambda module, args, output: None, always_call=True)
    former = [dict(vars(module)) for module in model.modules()]
    trace = hotloop.trace_call(model, torch.ones(2, 5))
    assert trace.call.raised.startswith("RuntimeError: mat1 and mat2")
    assert [step.after_exception for step in trace.call.steps if step.kind == "forward hook"] == [True]
    assert trace.timing is None
    assert trace.untimed == "the call raised an exception"

    def interrupt(module, args):
        raise KeyboardInterrupt

    handle = model[1].register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        hotloop.trace_call(model, torch.ones(2, 4))
    handle.remove()
    assert [dict(vars(module)) for module in model.modules()] == former


def test_a_copy_made_while_recording_is_a_model_of_its_own():
    model = mlp()
    model.register_forward_hook(lambda module, args, output: output * 2)
    recorder = Recorder(about, values=False)
    with instrumented(model, recorder):
        twin = copy.deepcopy(model)
        recorder.forget()
        with torch.no_grad():
            twin[0].weight.zero_()
            twin[0].bias.zero_()
        output = twin(torch.ones(1, 4))
        assert recorder.steps == ()
    assert torch.equal(output, 2 * twin[2].bias[None])


def test_other_threads_run_unrecorded():
    model = mlp()
    recorder = Recorder(about, values=False)
    with instrumented(model, recorder):
        thread = threading.Thread(target=lambda: model(torch.ones(1, 4)))
        thread.start()
        thread.join()
        assert recorder.steps == ()
        model(torch.ones(1, 4))
    assert len(recorder.steps) == 8


def test_times_leave_out_what_the_recorder_itself_takes():
    # A clock that moves only while a layer computes.
    now = [0]

    class Slow(torch.nn.Module):
        def forward(self, x):
            now[0] += 5_000
            return x

    class Outer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Slow()

        def forward(self, x):
            now[0] += 2_000
            return self.inner(self.inner(x))

    model = Outer()
    recorder = Recorder(about, values=True, clock=lambda: now[0])
    with instrumented(model, recorder):
        model(torch.ones(1))
    assert [(step.kind, step.us, step.own_us) for step in recorder.steps] == [
        ("call", 12, 0),
        ("forward", 12, 2),
        ("call", 5, 0),
        ("forward", 5, 5),
        ("call", 5, 0),
        ("forward", 5, 5),
    ]


def test_describing_values_is_charged_to_no_step():
    # Each look at the clock takes 1 us: what lies between two looks of one step is all that it is charged.
    now = [0]

    def clock():
        now[0] += 1_000
        return now[0]

    model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Identity())
    recorder = Recorder(about, values=True, clock=clock)
    with instrumented(model, recorder):
        model(torch.ones(1))
    assert {step.own_us for step in recorder.steps if not any(s.parent == step.order for s in recorder.steps)} == {1}
    # A step that holds others pays for one look more than it has, whatever the recorder did in between.
    assert max(step.own_us for step in recorder.steps) <= 6


def keys(trace, lost=True):
    return [difference.key for difference in trace.differences if difference.lost == lost]


def test_what_is_lost_is_said_about_this_model():
    def scale(module, args):
        return (args[0] * 2,)

    def watch(module, inputs, outputs):
        return None

    model = mlp()
    model.register_forward_pre_hook(scale)
    model.register_full_backward_hook(watch)
    model[0].register_forward_hook(lambda module, args, output: None)
    model[2].weight.register_hook(lambda gradient: None)
    trace = hotloop.trace_call(model, torch.randn(2, 4), measure_s=0)
    assert keys(trace) == ["pre-hooks", "backward hooks", "output"]
    assert {"children", "tensor hooks"} <= set(keys(trace, lost=False))
    sentences = " ".join(difference.sentence for difference in trace.differences)
    assert "scale (replaces the arguments)" in sentences
    assert "2.weight" in sentences
    assert re.search(r"within the model: 3, .* ran: 1\.", sentences)


def test_what_is_said_to_be_lost_is_what_torch_does():
    fired = []
    model = mlp()
    model.register_full_backward_hook(lambda module, inputs, outputs: fired.append("model"))
    model[2].register_full_backward_hook(lambda module, inputs, outputs: fired.append("child"))
    model[0].weight.register_hook(lambda gradient: fired.append("tensor"))
    x = torch.randn(2, 4, requires_grad=True)
    model.forward(x).sum().backward()
    assert sorted(fired) == ["child", "tensor"]
    fired.clear()
    model(x).sum().backward()
    assert sorted(fired) == ["child", "model", "tensor"]
    trace = hotloop.trace_call(model, x, measure_s=0)
    assert keys(trace) == ["backward hooks"]
    assert "tensor hooks" in keys(trace, lost=False)


def test_a_model_without_hooks_loses_nothing_today():
    trace = hotloop.trace_call(mlp(), torch.randn(2, 4), measure_s=0)
    assert keys(trace) == []
    assert {"nothing", "output", "children"} <= set(keys(trace, lost=False))


def test_a_compiled_model_is_one_step_and_forward_is_not():
    model = mlp()
    model.register_forward_hook(lambda module, args, output: None)
    ran = []

    def compiled(*args):
        ran.append(1)
        return model._call_impl(*args)

    model._compiled_call_impl = compiled
    trace = hotloop.trace_call(model, torch.randn(2, 4), measure_s=0)
    assert [step.kind for step in trace.call.steps] == ["compiled call"]
    assert ran == [1]
    assert keys(trace)[:2] == ["compiled", "hooks"]
    assert "unseen" in keys(trace, lost=False)
    assert model._compiled_call_impl is compiled


def test_recording_adds_no_hooks_that_would_change_what_torch_chooses():
    # In evaluation a transformer layer without hooks runs as one fused function that calls none of its layers.
    model = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    with torch.no_grad():
        fused = hotloop.trace_call(model, torch.ones(2, 3, 8), measure_s=0)
        handle = model.linear1.register_forward_hook(lambda module, args, output: None)
        layers = hotloop.trace_call(model, torch.ones(2, 3, 8), measure_s=0)
        handle.remove()
    assert [step.module for step in fused.call.steps] == ["", ""]
    assert "linear1" in {step.module for step in layers.call.steps}


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_seen_is_said():
    scripted = torch.jit.script(mlp())
    trace = hotloop.trace_call(torch.nn.Sequential(scripted), torch.randn(2, 4), measure_s=0)
    assert "unseen" in keys(trace, lost=False)
    assert {step.module for step in trace.call.steps} == {"", "0"}


def test_shared_modules_direct_calls_and_own_calls_are_pointed_out():
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Linear(2, 2)
            self.b = self.a

        def __call__(self, x):
            return super().__call__(x)

        def forward(self, x):
            return self.b(self.a.forward(x))

    trace = hotloop.trace_call(Own(), torch.ones(1, 2), measure_s=0)
    assert {"shared", "direct", "own call"} <= set(keys(trace, lost=False))
    assert [step.direct for step in trace.call.steps if step.module == "a" and step.kind == "forward"] == [True, False]


def test_the_order_of_repeated_calls_gives_figures_with_intervals():
    model = mlp()
    printed = []
    model.register_forward_hook(lambda module, args, output: printed.append(1))
    trace = hotloop.trace_call(model, torch.randn(8, 4), measure_s=1.0)
    timing = trace.timing
    assert timing is not None, trace.untimed
    for interval in (timing.call_ns, timing.forward_ns, timing.observer_ns, timing.difference_ns):
        assert interval.low <= interval.value <= interval.high
    assert timing.call_ns.value > 0
    assert timing.blocks >= 5
    assert len(printed) > timing.calls


def test_what_hooks_print_is_shown_once_for_each_recording(capsys):
    model = mlp()
    model.register_forward_hook(lambda module, args, output: print("seen"))
    hotloop.trace_call(model, torch.randn(8, 4), measure_s=0.2)
    assert capsys.readouterr().out == "seen\n"


def test_known_times_are_found_by_the_comparison():
    now = [0.0]

    def takes(us):
        def run(n):
            now[0] += n * us * 1e-6

        return run

    timing = time_in_turn(takes(30), takes(28), takes(45), measure_s=1.0, clock=lambda: now[0])
    assert timing.call_ns.value == pytest.approx(30_000)
    assert timing.difference_ns.value == pytest.approx(2_000)
    assert timing.observer_ns.value == pytest.approx(15_000)
    assert timing.difference_ns.low > 0
    assert not timing.restless


@pytest.mark.parametrize(
    ("difference", "restless", "said"),
    [
        (Interval(100, 200, 300), False, "costs 200 ns [100, 300], 2.0% of the call"),
        (Interval(-50, 20, 80), False, "cannot be told"),
        (Interval(-300, -200, -100), False, "model.forward(x) takes longer, by 200 ns [100, 300]"),
        (Interval(100, 200, 300), True, "too restless"),
    ],
)
def test_the_conclusion_is_no_bolder_than_the_interval(difference, restless, said):
    trace = hotloop.trace_call(mlp(), torch.randn(2, 4), measure_s=0)
    level = Interval(9_900, 10_000, 10_100)
    timing = Timing(level, level, difference, level, restless, 10, 100)
    assert said in " ".join(timing_sentences(dataclasses.replace(trace, timing=timing)))


def test_the_text_fits_80_columns_and_a_screen():
    model = torch.nn.Sequential(*(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()) for _ in range(40)))
    trace = hotloop.trace_call(model, torch.randn(2, 4), measure_s=0)
    text = str(trace)
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) <= 55
    deep = mlp()
    deep.register_forward_hook(lambda module, args, output: None, always_call=True)
    for columns in (60, 80, 100):
        lines = as_text(hotloop.trace_call(deep, torch.randn(2, 4), measure_s=0), columns=columns).splitlines()
        assert max(map(len, lines)) <= columns
        assert len(lines) < 24
    as_text(trace, box=False).encode("ascii")


def test_shapes_are_in_the_tree():
    text = str(hotloop.trace_call(mlp(), torch.randn(2, 4), measure_s=0))
    for shape in ("2,4 -> 2,10", "2,10 -> 2,10", "2,10 -> 2,3"):
        assert shape in text
    assert "83 parameters" in text


def test_json_is_plain_and_html_is_escaped():
    class Hostile(torch.nn.Module):
        def forward(self, x):
            return {"<script>": x, "deep": [x, (x, None)]}

    def hook(module, args):
        return None

    hook.__qualname__ = "<img src=x onerror=alert(1)>"
    model = Hostile()
    model.register_forward_pre_hook(hook)
    trace = hotloop.trace_call(model, torch.tensor([float("nan")]), measure_s=0)
    document = json.loads(json.dumps(trace.to_json(), allow_nan=False))
    assert document["call"]["steps"][0]["inputs"][0]["shape"] == [1]
    assert [value["name"] for value in document["call"]["steps"][0]["outputs"]] == [
        "output['<script>']",
        "output['deep'][0]",
        "output['deep'][1][0]",
        "output['deep'][1][1]",
    ]
    page = trace._repr_html_()
    assert "<img" not in page
    assert "<script" not in page


def test_wrong_arguments_are_refused():
    with pytest.raises(ArgumentError, match="the class itself"):
        hotloop.trace_call(torch.nn.ReLU, torch.ones(1))
    with pytest.raises(ArgumentError, match=r"must be a torch.nn.Module, not int"):
        hotloop.trace_call(3)
    with pytest.raises(ArgumentError, match="measure_s"):
        hotloop.trace_call(mlp(), torch.ones(1, 4), measure_s=-1)
