"""The break-even map, and which engine is recommended."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic_passports import synthetic_cpu, synthetic_gpu

from hotloop.insight.forecasting.break_even import ROWS, WIDTHS, break_even_map, quotient
from hotloop.insight.forecasting.recommend import forecasts_for, recommended, scored
from hotloop.insight.forecasting.work import Work, work_of_layers, work_of_task
from hotloop.insight.interval import Interval
from hotloop.program.network import Network
from hotloop.training.prepare import prepare
from hotloop.training.settings import Settings

LESSON = Work.of_network(Network.mlp(4, (10,), 3), "ce", "sgd", 120)


def test_the_map_covers_rows_and_widths():
    found = break_even_map(LESSON, synthetic_cpu(), synthetic_gpu())
    assert (found.rows, found.widths) == (ROWS, WIDTHS)
    assert (ROWS[0], ROWS[-1], WIDTHS[0], WIDTHS[-1]) == (8, 65536, 8, 4096)
    assert [len(line) for line in found.ratio] == [len(WIDTHS)] * len(ROWS)
    assert found.here == (120.0, pytest.approx(10.0))
    assert (found.cpu, found.gpu) == ("Synthetic CPU", "Synthetic GPU")
    assert (found.engine_cpu, found.engine_gpu) == ("native", "eager")
    for line in found.ratio:
        for each in line:
            assert 0 < each.low < each.value < each.high


def test_a_gpu_is_worth_it_for_much_work_only():
    found = break_even_map(LESSON, synthetic_cpu(), synthetic_gpu())
    assert found.ratio[0][0].high < 1 < found.ratio[-1][-1].low
    diagonal = [found.ratio[k][k].value for k in range(len(WIDTHS))]
    assert diagonal == sorted(diagonal)


def test_the_map_against_forecasts_by_hand():
    cpu, gpu = synthetic_cpu(native=None), synthetic_gpu()
    found = break_even_map(LESSON, cpu, gpu, rows=(64, 256), widths=(32,))
    assert found.engine_cpu == "eager"
    for rows, line in zip((64, 256), found.ratio, strict=True):
        forecasts = forecasts_for(LESSON.of_size(rows, 32), [cpu], [gpu])
        eager = min(each.forecast_us.value for each in forecasts if each.engine == "eager" and each.device == "cpu")
        on_gpu = next(each.forecast_us.value for each in forecasts if each.device == "cuda")
        assert line[0].value == pytest.approx(eager / on_gpu)


def test_no_map_without_a_hidden_layer():
    work = Work.of_network(Network.mlp(4, (), 3), "ce", "sgd", 120)
    assert break_even_map(work, synthetic_cpu(), synthetic_gpu()) is None


def test_the_ratio_of_two_forecasts():
    ratio = quotient(Interval(5.0, 10.0, 20.0), Interval(2.0, 2.0, 2.0))
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((2.5, 5.0, 10.0))
    both = quotient(Interval(5.0, 10.0, 20.0), Interval(1.0, 2.0, 4.0))
    assert both.value == 5.0
    assert both.high == pytest.approx(5 * 2 ** (2**0.5))
    assert both.low == pytest.approx(5 / 2 ** (2**0.5))


def test_each_engine_and_device_has_a_forecast():
    forecasts = forecasts_for(LESSON, [synthetic_cpu()], [synthetic_gpu()])
    ways = [(each.engine, each.device, each.machine, each.threads) for each in forecasts]
    assert ways == [
        ("native", "cpu", None, 1),
        ("eager", "cpu", None, 1),
        ("eager", "cpu", None, 4),
        ("eager", "cuda", "Synthetic GPU", None),
    ]
    assert all(each.forecast_us.value > 0 and each.measured_us is None and each.error is None for each in forecasts)
    assert forecasts[0].prepare_s > 0 == forecasts[1].prepare_s


def test_machines_of_one_name_can_be_told_apart():
    passports = [synthetic_gpu(), synthetic_cpu(), synthetic_gpu(), synthetic_gpu(name="Other")]
    names = [each.machine for each in forecasts_for(LESSON, [], passports) if each.device == "cuda"]
    assert names == ["Synthetic GPU (1)", "Synthetic GPU (2)", "Other"]
    assert {each.machine for each in forecasts_for(LESSON, [], passports[1:2])} == {"Synthetic CPU"}


def test_the_fastest_that_is_here_is_recommended():
    forecasts = forecasts_for(LESSON, [synthetic_cpu()], [synthetic_gpu()])
    assert recommended(forecasts).engine == "native"
    # For a single step compiling does not pay.
    assert recommended(forecasts, steps=1).engine == "eager"
    assert recommended(forecasts, steps=10**9).engine == "native"
    assert recommended(forecasts[3:]) is None
    large = LESSON.of_size(65536, 4096)
    assert recommended(forecasts_for(large, [synthetic_cpu(), synthetic_gpu()])).device == "cuda"


def test_an_engine_that_refuses_says_why():
    refused = replace(LESSON, refusal="hooks are registered")
    native = forecasts_for(refused, [synthetic_cpu()])[0]
    assert (native.forecast_us, native.unavailable) == (None, "hooks are registered")
    elsewhere = forecasts_for(LESSON, [synthetic_cpu(native=None)])
    assert elsewhere[0].unavailable
    assert recommended(elsewhere).engine == "eager"


def test_forecasts_are_scored():
    forecasts = forecasts_for(LESSON, [synthetic_cpu()], [synthetic_gpu()])
    native_us = forecasts[0].forecast_us.value
    measured = {("native", "cpu", 1): Interval(native_us, 2 * native_us, 3 * native_us)}
    after = scored(forecasts, measured)
    assert after[0].error == pytest.approx(-0.5)
    assert [each.error for each in after[1:]] == [None] * 3
    # What was measured counts from then on.
    slow = scored(forecasts, {("native", "cpu", 1): Interval(1e9, 1e9, 1e9)})
    assert recommended(slow).engine == "eager"


def task_of(model, loss, y, **settings):
    X = torch.rand(40, 6)
    optimizer = torch.optim.Adam(model.parameters())
    return prepare(model, X, y, Settings(loss=loss, optimizer=optimizer, epochs=1, device="cpu", **settings)).task


def test_work_of_a_sequential_model():
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.GELU(), torch.nn.Linear(8, 3))
    task = task_of(model, torch.nn.CrossEntropyLoss(), torch.randint(0, 3, (40,)), batch_size=16)
    work = work_of_task(task)
    spec = Work.of_network(Network.mlp(6, (8,), 3, "gelu"), "ce", "adam", 16, gathers=True)
    assert replace(work, captured=None) == spec
    assert work.program.text == spec.program.text
    assert work.n_weights == 6 * 8 + 8 + 8 * 3 + 3
    assert work.flop == 16 * (4 * 6 * 8 + 6 * 8 * 3)


class Residual(torch.nn.Module):
    """Capture follows it, a layer spec does not hold it."""

    def __init__(self):
        super().__init__()
        self.first, self.middle, self.last = torch.nn.Linear(6, 8), torch.nn.Linear(8, 8), torch.nn.Linear(8, 1)

    def forward(self, x):
        x = torch.tanh(self.first(x))
        return self.last(x + torch.relu(self.middle(x)))


def test_work_of_a_model_that_is_no_sequence():
    work = work_of_task(task_of(Residual(), torch.nn.MSELoss(), torch.rand(40, 1)))
    assert work.linears == ((6, 8), (8, 8), (8, 1))
    assert work.activations == (("tanh", 8), ("relu", 8))
    assert (work.loss, work.optimizer, work.batch_rows, work.gathers) == ("mse", "adam", 40, False)
    assert forecasts_for(work, [synthetic_cpu()])[0].forecast_us.value > 0


def test_work_of_a_model_with_a_hook_is_not_for_compiled_code():
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    model[0].register_forward_hook(lambda *_: None)
    task = task_of(model, torch.nn.MSELoss(), torch.rand(40, 1))
    assert work_of_task(task) is None or work_of_task(task).refusal


def test_a_task_for_a_gpu_is_forecast_for_the_cpu_too():
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    task = replace(task_of(model, torch.nn.MSELoss(), torch.rand(40, 1)), device="cuda", findings={})
    work = work_of_task(task)
    assert work.refusal is None
    assert work.linears == ((6, 8), (8, 1))
    assert task.findings == {}


def test_work_of_layers_equals_that_of_the_module():
    from hotloop.compiler.compiled import Rows
    from hotloop.engines.layers_task import LayersTask
    from hotloop.program.optimizers import Sgd

    network = Network.mlp(4, (10,), 3)
    X, y = np.zeros((120, 4), np.float32), np.zeros(120, np.int64)
    task = LayersTask(
        network=network,
        weights=network.initialise(0),
        output="classification",
        class_weight=None,
        rule=Sgd(),
        learning_rate=0.01,
        training=Rows(X, y),
        validation=None,
        batch_size=120,
        shuffle=False,
        drop_last=False,
        seed=0,
    )
    assert work_of_layers(task) == LESSON
    assert "contract" in work_of_layers(task).program.text
