"""Explanations: put together from real measurements in little time, and advice from made-up ones."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math

import pytest
import torch
from synthetic_passports import synthetic_gpu

import hotloop
from hotloop.errors import ArgumentError
from hotloop.insight import explain as explaining
from hotloop.insight.advice import advise
from hotloop.insight.explanation import Forecast, Ladder, Ledger, LedgerLine, Rung, Subject
from hotloop.insight.forecasting.work import work_of_task
from hotloop.insight.interval import Interval
from hotloop.insight.loop import Loop, loop_of_module, loop_of_table
from hotloop.insight.step import ladder as ladders
from hotloop.insight.step.bare_loop import BareLoop
from hotloop.insight.step.floor import floor_of, program_flop


def mlp(*widths, activation=torch.nn.ReLU, batch_size=None, loss=None, optimizer=None, rows=60):
    torch.manual_seed(0)
    layers = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [torch.nn.Linear(n_in, n_out), activation()]
    model = torch.nn.Sequential(*layers[:-1])
    X, loss = torch.randn(rows, widths[0]), loss or torch.nn.CrossEntropyLoss()
    y = (
        torch.randint(widths[-1], (rows,))
        if isinstance(loss, torch.nn.CrossEntropyLoss)
        else torch.randn(rows, widths[-1])
    )
    build = optimizer or (lambda parameters: torch.optim.SGD(parameters, lr=0.01))
    return Loop("mlp", model, X, y, loss, build(model.parameters()), 10, batch_size)


def test_the_lesson_is_explained(quick):
    stages = []
    answer = explaining.explain_loop(loop_of_table("iris"), budget_s=0.2, say=stages.append)
    assert stages == ["machine", "ledger", "ladder", "engines"]
    assert answer.subject == Subject("iris", "4-10-3", 83, 120, 4, 120, 20_000, "SGD", "CrossEntropyLoss")
    assert [rung.name for rung in answer.ladder.rungs] == [
        "eager",
        "no modules",
        "no autograd",
        "no optimizer",
        "no python",
        "native",
    ]
    # Machine code is far below whatever runs operation by operation, on any machine.
    times = {rung.name: rung.us.value for rung in answer.ladder.rungs}
    assert times["native"] * 10 < times["eager"]
    assert answer.floor.us < times["native"]
    assert {line.name for line in answer.ledger.lines} >= {"forward", "loss", "backward", "optimizer", "record"}
    measured = {(one.engine, one.threads): one.measured_us for one in answer.forecasts}
    assert measured["native", 1] is not None
    assert measured["eager", 1] is not None
    assert answer.break_even is None
    assert any(one.about == "engine" for one in answer.advice)
    plain = json.loads(json.dumps(answer.to_json()))
    assert plain["ledger"]["wall_us"]["value"] == answer.ledger.wall_us.value
    text = str(answer)
    assert "iris: 4-10-3" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "<svg" in answer._repr_html_() or "<table" in answer._repr_html_()


def test_a_gpu_that_is_elsewhere_is_forecast(quick):
    answer = explaining.explain_loop(mlp(8, 16, 3), budget_s=0.1, elsewhere=[synthetic_gpu()])
    there = next(one for one in answer.forecasts if one.device != "cpu")
    assert there.machine
    assert there.measured_us is None
    assert answer.break_even is not None
    assert any(one.about == "device" for one in answer.advice)
    assert f"{there.forecast_us.value:,.0f}"[:3] in str(answer)


def test_copies_are_explained_and_the_model_stays(quick):
    loop = mlp(4, 6, 3)
    before = {name: value.clone() for name, value in loop.model.state_dict().items()}
    answer = hotloop.explain(
        loop.model, loop.X, loop.y, loss=loop.loss, optimizer=loop.optimizer, epochs=7, budget_s=0.1
    )
    assert answer.subject.steps == 7
    for name, value in loop.model.state_dict().items():
        assert torch.equal(value, before[name])
    assert not loop.optimizer.state_dict()["state"]


def test_what_cannot_be_compiled_or_taken_apart_is_explained_too(quick):
    class Gated(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = torch.nn.Linear(5, 3), torch.nn.Linear(5, 3)

        def forward(self, x):
            return self.a(x) if x.sum() > 0 else self.b(x)

    answer = explaining.explain_loop(loop_of_module("gated", Gated(), rows=30), budget_s=0.1)
    assert [rung.name for rung in answer.ladder.rungs] == ["eager"]
    assert len(answer.ladder.left_out) == 1
    assert "Left out" in str(answer)


@pytest.mark.parametrize("hooked", [False, True])
def test_hooks_are_a_rung_of_their_own(hooked):
    loop = mlp(4, 6, 3)
    calls = []
    if hooked:
        loop.model[0].register_forward_hook(lambda *given: calls.append(1))
    arms, _left_out = ladders.rungs_of(loop)
    assert ("no hooks" in [arm.name for arm in arms]) == hooked
    for arm in arms[1:]:
        arm.run(3)
    assert not calls
    arms[0].run(3)
    assert len(calls) == 3 * hooked
    assert len(loop.model[0]._forward_hooks) == hooked


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.parametrize("batches", [{}, {"batch_size": 7}, {"batch_size": 7, "shuffle": False, "drop_last": True}])
@pytest.mark.parametrize("activation", [torch.nn.ReLU, torch.nn.Tanh, torch.nn.Sigmoid, torch.nn.Identity])
@pytest.mark.parametrize("loss", [torch.nn.CrossEntropyLoss(), torch.nn.MSELoss()])
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_every_rung_trains_the_same(batches, activation, loss, optimizer):
    """Whatever was removed, the weights after some steps are those of the eager engine, within rounding."""
    loop = dataclasses.replace(mlp(5, 9, 6, 3, activation=activation, loss=loss, optimizer=optimizer), **batches)
    eager = loop.session()
    eager.advance(20, None)
    expected = list(eager.state().model.values())
    forms = ["without_modules", "without_autograd", "without_optimizer", "without_python"]
    for form in forms:
        bare = BareLoop(loop)
        if form == "without_python":
            bare.without_optimizer(without_python=True)(20)
        else:
            getattr(bare, form)()(20)
        found = [value for pair in zip(bare._weights, bare._biases, strict=True) for value in pair]
        for value, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(value.detach(), wanted, rtol=2e-4, atol=2e-5, msg=form)


@pytest.mark.parametrize(
    ("loop", "said"),
    [
        (mlp(4, 6, 3, activation=torch.nn.GELU), "relu"),
        (mlp(4, 6, 3, loss=torch.nn.CrossEntropyLoss(label_smoothing=0.1)), "CrossEntropyLoss"),
        (mlp(4, 6, 3, loss=torch.nn.L1Loss()), "CrossEntropyLoss"),
        (mlp(4, 6, 3, optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9)), "plain SGD"),
        (mlp(4, 6, 3, optimizer=lambda parameters: torch.optim.RMSprop(parameters)), "plain SGD"),
        (dataclasses.replace(mlp(4, 6, 3), clip_grad_norm=1.0), "without clipping"),
        (dataclasses.replace(mlp(4, 6, 3), sample_weight=torch.ones(60)), "weights of rows"),
    ],
)
def test_why_a_loop_is_not_taken_apart(loop, said):
    assert said in BareLoop.refusal(loop)


def test_a_chain_is_found_in_models_of_any_class(quick):
    class Written(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = torch.nn.Linear(4, 6), torch.nn.Linear(6, 3)

        def forward(self, x):
            return self.last(torch.tanh(self.first(x)))

    loop = loop_of_module("written", Written(), rows=30)
    assert BareLoop.refusal(loop) is None
    answer = explaining.explain_loop(loop, budget_s=0.1)
    names = ["eager", "no modules", "no autograd", "no optimizer", "no python", "native"]
    assert [rung.name for rung in answer.ladder.rungs] == names
    model = Written()
    model.first.bias.requires_grad_(False)
    assert "more than linear layers" in BareLoop.refusal(loop_of_module("frozen", model, rows=30))


def test_no_step_is_done_sooner_than_the_floor():
    loop = mlp(4, 10, 3, rows=120)
    task = loop.prepare().task
    program = work_of_task(task).program
    slow = hotloop.hardware.Measured("1 core", gflop_per_s=1.0, bandwidth_gb_per_s=1.0)
    assert floor_of(task, program, slow, cache_bytes=1, done_in_us=0.5).us == pytest.approx(0.5)
    assert floor_of(task, program, slow, cache_bytes=1, done_in_us=1e6).gflop_per_s == 1.0


def test_the_floor_counts_every_operation():
    loop = mlp(4, 10, 3, rows=120)
    task = loop.prepare().task
    program = work_of_task(task).program
    products = 120 * 2 * (4 * 10 + 10 * 3) + 120 * 2 * (10 * 3) + 120 * 2 * (4 * 10 + 10 * 3)
    # Products, and a tenth or two more for the rest.
    assert products < program_flop(program, 120) < 1.4 * products
    core = hotloop.hardware.Measured("1 core", gflop_per_s=100.0, bandwidth_gb_per_s=10.0)
    small = floor_of(task, program, core, cache_bytes=1 << 20)
    assert small.traffic_us == 0
    assert small.us == pytest.approx(program_flop(program, 120) / 1e5)
    far = floor_of(task, program, core, cache_bytes=1)
    assert far.traffic_bytes == pytest.approx(120 * (4 * 4 + 8) + 2 * 4 * 83)


def interval(us):
    return Interval(0.9 * us, us, 1.1 * us)


def ledger(wall_us, refusal=None, **lines_us):
    lines = tuple(LedgerLine(name, interval(us), us / wall_us) for name, us in lines_us.items())
    nothing = Interval(0, 0, 0)
    return Ledger("eager", "cpu", 1, lines, interval(wall_us), nothing, nothing, refusal)


def way(engine, us, threads=1, device="cpu", **more):
    measured = None if us is None else interval(us)
    return Forecast(engine, device, more.pop("machine", None), threads, interval(us or 1.0), measured, **more)


SUBJECT = Subject("iris", "4-10-3", 83, 120, 4, 120, 20_000, "SGD", "CrossEntropyLoss")


def said(*ways, on=None, **lines):
    ladder = Ladder((Rung("eager", interval(130.0), interval(0.0)),))
    found = advise(SUBJECT, on or ledger(130.0, **lines), ladder, ways, None)
    return {one.about: one for one in found}


def test_advice_names_the_faster_engine_and_what_it_saves():
    advice = said(way("native", 0.65, prepare_s=0.1))["engine"]
    assert advice.figure == pytest.approx(200)
    assert "200 times less" in advice.sentence
    # 20,000 steps of 129.35 us each, less a tenth of a second of compiling.
    assert "2.49 s less" in advice.sentence


def test_compiling_that_does_not_pay_is_not_advised():
    # A minute of compiling, 129.35 us saved a step.
    assert (
        "pays from 463,858 steps on, and this run has 20,000"
        in said(way("native", 0.65, prepare_s=60.0))["engine"].sentence
    )
    assert "engine" not in said(way("native", 125.0))


def test_threads_whose_intervals_overlap_are_not_advised_on():
    assert "threads" not in said(way("eager", 130.0), way("eager", 155.0, threads=2))


def test_what_cannot_be_explained_is_told():
    loop, lbfgs = mlp(4, 6, 3), mlp(4, 6, 3, optimizer=torch.optim.LBFGS)
    with pytest.raises(hotloop.UnsupportedError, match="LBFGS"):
        explaining.explain_loop(lbfgs)
    with pytest.raises(ArgumentError, match="budget_s"):
        explaining.explain_loop(loop, budget_s=0)
    frozen, linear = torch.nn.Linear(4, 3).requires_grad_(False), torch.nn.Linear(4, 3)
    with pytest.raises(ArgumentError, match="no weights to train"):
        loop_of_module("frozen", frozen, rows=5)
    with pytest.raises(ArgumentError, match="is none"):
        loop_of_module("none", linear, rows=5, features=0)


def test_the_floor_does_not_multiply_what_is_looked_up():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.EmbeddingBag(1000, 8), torch.nn.Linear(8, 3))
    X, y, optimizer = torch.randint(1000, (20, 5)), torch.randint(3, (20,)), torch.optim.SGD(model.parameters(), lr=0.1)
    task = Loop("words", model, X, y, torch.nn.CrossEntropyLoss(), optimizer, 10).prepare().task
    core = hotloop.hardware.Measured("1 core", gflop_per_s=100.0, bandwidth_gb_per_s=10.0)
    assert floor_of(task, None, core, cache_bytes=1 << 20).flop == 6 * 20 * (8 * 3 + 3)


def test_the_floor_counts_convolutions_where_they_are_done_and_numbers_as_long_as_they_are():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv1d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(24, 3))
    model, X = model.double(), torch.randn(20, 1, 8, dtype=torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    task = Loop("wave", model, X, torch.randint(3, (20,)), torch.nn.CrossEntropyLoss(), optimizer, 10).prepare().task
    core = hotloop.hardware.Measured("1 core", gflop_per_s=100.0, bandwidth_gb_per_s=10.0)
    floor = floor_of(task, None, core, cache_bytes=1)
    # Each of the convolution's 12 weights is used at 6 places.
    assert floor.flop == 6 * 20 * (12 * 6 + 24 * 3)
    assert floor.traffic_bytes == 20 * (8 * 8 + 8) + 2 * 8 * (12 + 4 + 24 * 3 + 3)


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (torch.nn.Conv2d(1, 2, 3), "takes images or signals, not rows of numbers"),
        (torch.nn.EmbeddingBag(9, 4), "takes whole numbers to look up"),
        (torch.nn.LSTM(4, 3), "takes sequences"),
    ],
    ids=lambda given: type(given).__name__,
)
@pytest.mark.parametrize("rest", [[], [torch.nn.Linear(4, 3)]])
def test_a_model_of_other_rows_is_told_why_and_what_to_do(first, said, rest):
    model = torch.nn.Sequential(first, *rest)
    with pytest.raises(ArgumentError, match=f"{said}(?s:.*)is {type(first).__name__}(?s:.*)hotloop.explain"):
        loop_of_module("net", model, rows=5)


def test_a_convolution_over_rows_of_numbers_is_taken():
    class Signals(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = torch.nn.Conv1d(1, 2, 3), torch.nn.Linear(2 * 6, 3)

        def forward(self, x):
            return self.last(self.first(x[:, None]).flatten(1))

    assert loop_of_module("signals", Signals(), rows=5, features=8).X.shape == (5, 8)


def test_double_precision_is_explained(quick):
    loop = loop_of_module("double", torch.nn.Sequential(torch.nn.Linear(4, 3)).double(), rows=20)
    assert loop.X.dtype == torch.float64
    answer = explaining.explain_loop(loop, budget_s=0.1)
    assert "native" in [rung.name for rung in answer.ladder.rungs]


@pytest.mark.parametrize("error", [KeyError("w"), RuntimeError(), ZeroDivisionError("two\nlines")])
def test_a_model_that_raises_is_refused(error):
    class Raises(torch.nn.Linear):
        def forward(self, x):
            raise error

    with pytest.raises(ArgumentError, match="raises does not take 4 rows of 3 numbers"):
        loop_of_module("raises", Raises(3, 2), rows=5)


def test_hooks_are_named_as_what_stands_in_the_way(quick):
    loop = mlp(4, 6, 3)
    loop.model[0].register_forward_hook(lambda *given: None)
    answer = explaining.explain_loop(dataclasses.replace(loop, X=loop.X.tolist(), y=loop.y.tolist()), budget_s=0.1)
    (advice,) = [one for one in answer.advice if one.about == "engine"]
    assert "Remove the hooks: then the loop compiles" in advice.sentence
    assert "hook" in advice.sentence
    assert all(one.measured_us is not None for one in answer.forecasts if one.engine == "eager")
    assert "eager, cpu, 1 thread" in str(answer)


def test_advice_on_threads_rests_on_both_measurements():
    assert "set_num_threads(1)" in said(way("eager", 130.0), way("eager", 400.0, threads=2))["threads"].sentence
    assert "use all 2 threads" in said(way("eager", 130.0), way("eager", 70.0, threads=2))["threads"].sentence
    assert "threads" not in said(way("eager", 130.0), way("eager", 125.0, threads=2))
    assert "threads" not in said(way("eager", 130.0), way("eager", None, threads=2))


def test_advice_on_devices():
    slow = Forecast("eager", "cuda", "some GPU", None, interval(500.0), None)
    fast = Forecast("eager", "cuda", "some GPU", None, interval(20.0), None)
    assert (
        "Stay on the CPU: on some GPU a step takes 500 us, 3.8 times as long (forecast)"
        in said(way("eager", 130.0), slow)["device"].sentence
    )
    assert "Use some GPU" in said(way("eager", 130.0), fast)["device"].sentence


def test_advice_on_recording_and_gathering():
    assert "if you like" in said(record=0.5)["record_every"].sentence
    assert "less often" in said(record=20.0)["record_every"].sentence
    assert said(gather=60.0)["batch_size"].figure == pytest.approx(100 * 60 / 130)
    assert "batch_size" not in said(gather=5.0)


def test_no_advice_rests_on_lines_that_were_refused():
    assert not said(on=ledger(130.0, "too restless", record=20.0, gather=60.0))


def test_advice_on_engines_rests_on_what_was_measured_beside_the_engine():
    """Not on a ledger, whose wall time a restless machine may have tripled."""
    refused = ledger(390.0, "too restless")
    advice = said(way("native", 0.65, prepare_s=0.1), on=refused)["engine"]
    assert advice == said(way("native", 0.65, prepare_s=0.1))["engine"]
    assert advice.figure == pytest.approx(200)
    assert said(way("native", None, unavailable="a layer"), on=refused)["engine"].figure == 130.0
    assert "engine" not in said(way("native", 125.0), on=refused)


def test_nothing_to_change_is_said():
    (only,) = said(way("eager", 130.0)).values()
    assert only.about == "nothing"
    assert math.isfinite(only.figure)
    # Where nothing was tried, nothing is said.
    assert not said()
