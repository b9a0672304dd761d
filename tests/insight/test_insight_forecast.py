"""Forecasts: exact by hand on synthetic machines, and never less for more work."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_passports import SPREAD, synthetic_cpu, synthetic_gpu, torch_costs

from hotloop.insight.forecasting.forecast import (
    eager_us,
    forecast_eager,
    forecast_eager_gpu,
    forecast_native,
    host_us,
    native_prepare_s,
    operations_us,
)
from hotloop.insight.forecasting.native_counts import native_counts
from hotloop.insight.forecasting.work import Work
from hotloop.insight.machines.size_table import SizeTable
from hotloop.program.network import Network


def work_of(*widths, activation="relu", loss="mse", optimizer="sgd", rows=100, gathers=False):
    network = Network.mlp(widths[0], widths[1:-1], widths[-1], activation)
    return Work.of_network(network, loss, optimizer, rows, gathers=gathers)


def test_issuing_is_counted_by_operation():
    costs = torch_costs(host_us=10.0)
    # A step, two linear layers, an activation.
    assert host_us(work_of(4, 10, 3), costs) == 40.0
    # And cross entropy; Adam once, and for each of four tensors; picking rows.
    assert host_us(work_of(4, 10, 3, loss="ce"), costs) == 50.0
    assert host_us(work_of(4, 10, 3, optimizer="adam"), costs) == 90.0
    assert host_us(work_of(4, 10, 3, gathers=True), costs) == 50.0


def test_operations_are_counted_by_size():
    costs = torch_costs(us_per_million=100.0)
    work = work_of(100, 100, 100, rows=1000)
    # Per million of products, elements, weights: two layers of 10; relu 0.1; loss 0.1; two optimizer tensors of 0.01.
    assert operations_us(work, costs) == pytest.approx(100 * (20 + 0.1 + 0.1 + 0.02))
    gathering = replace(work, gathers=True)
    assert operations_us(gathering, costs) - operations_us(work, costs) == pytest.approx(100 * 0.1)


def test_a_device_works_while_the_host_issues():
    costs = torch_costs(host_us=10.0, us_per_million=100.0)
    small, large = work_of(10, 10, 10, rows=10), work_of(1000, 1000, 1000, rows=1000)
    for work in (small, large):
        both = host_us(work, costs), operations_us(work, costs)
        assert eager_us(work, costs, overlaps=False) == pytest.approx(sum(both))
        assert eager_us(work, costs, overlaps=True) == max(both)
    assert eager_us(small, costs, overlaps=True) == host_us(small, costs)
    assert eager_us(large, costs, overlaps=True) == operations_us(large, costs)


def test_the_lesson_in_vector_operations():
    work = work_of(4, 10, 3, loss="ce", rows=120)
    counts = native_counts(work.program, 120, gathers=False, lanes=16, cache_bytes=1 << 20)
    blocks = 8
    # Forward through both layers, and back through the second; gradients of both.
    assert counts["product"] == blocks * (4 * 10 + 10 * 3 + 3 * 10)
    assert counts["gradient"] == blocks * (4 * 10 + 10 * 3)
    assert counts["step"] == 1
    assert counts["special"] == blocks * 3 * 16  # an exponential for each class
    assert counts["streamed"] == counts["gathered"] == counts["ordered"] == 0
    assert counts["arithmetic"] > blocks * 10
    shuffled = native_counts(work.program, 120, gathers=True, lanes=16, cache_bytes=1 << 20)
    assert shuffled["gathered"] == 120 * 4
    assert shuffled["ordered"] == 120


def test_what_no_cache_holds_is_streamed():
    work = work_of(16, 512, 512, 1, rows=64)
    small_cache = native_counts(work.program, 64, gathers=False, lanes=16, cache_bytes=1 << 16)
    large_cache = native_counts(work.program, 64, gathers=False, lanes=16, cache_bytes=1 << 24)
    assert small_cache["streamed"] > 1000
    assert large_cache["streamed"] == 0
    assert {**small_cache, "streamed": 0.0} == large_cache


def test_bounds_are_those_of_the_calibration():
    cpu = synthetic_cpu()
    for forecast in (forecast_native(work_of(4, 10, 3), cpu), forecast_eager(work_of(4, 10, 3), cpu)):
        assert forecast.low == pytest.approx(SPREAD.low * forecast.value)
        assert forecast.high == pytest.approx(SPREAD.high * forecast.value)
        assert forecast.contains(forecast.value)


def test_threads_that_were_measured():
    cpu, work = synthetic_cpu(), work_of(1000, 1000, 1000, rows=1000)
    assert forecast_eager(work, cpu, 4).value < forecast_eager(work, cpu, 1).value
    assert forecast_eager(work, cpu, None) == forecast_eager(work, cpu, 4)
    with pytest.raises(KeyError):
        forecast_eager(work, cpu, 3)
    with pytest.raises(KeyError):
        forecast_native(work, synthetic_cpu(native=None))


def test_compiling_takes_longer_for_more_code():
    costs = synthetic_cpu().native
    assert 0 < native_prepare_s(work_of(4, 8, 1), costs) < native_prepare_s(work_of(4, 64, 64, 64, 1), costs)


def test_a_table_between_and_beyond_its_points():
    table = SizeTable(((10, 1000), (10, 1000)), (1.0, 10.0, 10.0, 100.0))
    assert table.at(10, 10) == pytest.approx(1.0)
    assert table.at(100, 10) == pytest.approx(10**0.5)
    assert table.at(100, 100) == pytest.approx(10.0)
    assert table.at(4000, 1000) == pytest.approx(400.0)
    assert table.at(4000, 2000) == pytest.approx(800.0)
    assert table.at(1, 1) == pytest.approx(1.0)
    assert SizeTable(((8,),), (3.0,)).at(16) == pytest.approx(6.0)
    assert SizeTable(((8, 16),), (0.0, 5.0)).at(8) < 0.01


SIZES = st.integers(2, 3000)


@settings(max_examples=30)
@given(
    hidden=st.lists(SIZES, min_size=1, max_size=3),
    rows=st.integers(1, 50_000),
    more=st.integers(1, 50_000),
    loss=st.sampled_from(("ce", "mse", "bce")),
    optimizer=st.sampled_from(("sgd", "adam")),
    activation=st.sampled_from(("relu", "tanh", "gelu", "softplus", "identity")),
    gathers=st.booleans(),
)
def test_more_rows_and_layers_never_take_less(hidden, rows, more, loss, optimizer, activation, gathers):
    kind = {"activation": activation, "loss": loss, "optimizer": optimizer, "gathers": gathers}
    work = work_of(7, *hidden, 3, rows=rows, **kind)
    longer = replace(work, batch_rows=rows + more)
    deeper = work_of(7, *hidden, hidden[-1], 3, rows=rows, **kind)
    cpu, gpu = synthetic_cpu(), synthetic_gpu()
    for forecast in (forecast_native, forecast_eager, lambda w, p: forecast_eager_gpu(w, gpu)):
        own = forecast(work, cpu)
        assert 0 < own.low <= own.value <= own.high
        assert forecast(longer, cpu).value >= own.value * (1 - 1e-9)
        assert forecast(deeper, cpu).value >= own.value * (1 - 1e-9)


@settings(max_examples=20)
@given(width=st.integers(2, 2000), wider=st.integers(1, 2000), rows=st.integers(1, 10_000))
def test_wider_layers_never_take_less(width, wider, rows):
    cpu = synthetic_cpu()
    narrow, wide = (work_of(9, each, each, 2, rows=rows) for each in (width, width + wider))
    for forecast in (forecast_native, forecast_eager):
        assert forecast(wide, cpu).value >= forecast(narrow, cpu).value * (1 - 1e-9)
