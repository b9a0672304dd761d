"""What is shown and kept: a table of 100 columns, Markdown, JSON, a picture."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from hotloop.bench.figures import count, interval, seconds, share, three_figures
from hotloop.bench.picture import panels, to_png
from hotloop.bench.result import Absent, Benchmark, Timing, WorkloadResult
from hotloop.bench.table import contenders, document, legend, render
from hotloop.insight.interval import Interval
from hotloop.report import step_times

CONDITIONS = {
    "cpu": "A Processor",
    "microarchitecture": None,
    "simd": "AVX2",
    "threads": 2,
    "hotloop": "0.1.0",
    "torch": "2.13.0",
    "jax": None,
    "date": "2026-01-02",
    "rounds": 3,
    "seconds": 0.2,
    "load": [None, 1.5, 2.0],
}


def timing(name, us, **changes):
    values = {
        "threads": 1,
        "us_per_step": us,
        "steps": 100,
        "rows_per_step": 120.0,
        "peak_share": 0.4,
        "ratio": None if name == "hotloop" else Interval(31_234.5, 34_567.8, 37_891.2),
        "prepare_s": 0.0,
        "pays_after_steps": 0,
        "deviation": 0.0,
        "compared_epochs": 20,
    }
    return Timing(name=name, **{**values, **changes})


@pytest.fixture
def result():
    return WorkloadResult(
        name="W1",
        origin="the lesson",
        description="4-10-3 ReLU, 120 rows, full batch, SGD 0.01, cross entropy",
        flop_per_step=40_800.0,
        floor_us=0.17,
        again=Interval(0.98, 1.0, 1.02),
        contenders=(
            timing("hotloop", (0.5, 0.42, 0.43), prepare_s=0.117, pays_after_steps=981, deviation=3.4e-7),
            timing("eager", (119.0, 131.0, 140.0), peak_share=1.4e-3),
            timing("eager-threads", (266_000.0, 297_000.0), peak_share=5e-6, threads=192),
            timing("torch-compile", (150.0, 151.0), prepare_s=31.4, pays_after_steps=None, deviation=math.nan),
        ),
        absent=(Absent("jax", "JAX is not installed: " + "pip install 'hotloop[bench]' " * 5),),
    )


@pytest.fixture
def benchmark_of(result):
    return Benchmark(CONDITIONS, {"hotloop": "compiled", "eager": "a long sentence " * 9}, (result,))


def test_a_table_is_plain_and_at_most_100_columns_wide(result, benchmark_of):
    lines = render(result).splitlines()
    texts = [*lines, *legend().splitlines(), *contenders(benchmark_of).splitlines()]
    assert all(len(line) <= 100 and line.isascii() for line in texts)
    ours, eager, threads, compiled = lines[3:7]
    assert ours.split() == ["hotloop", "1", "0.420", "0.430", "-", "279", "M", "40", "%", "0.12", "981", "3e-07"]
    assert eager.split()[:5] == ["eager", "1", "119", "131", "34,600"]
    assert "(31,200-37,900)" in threads
    assert "<0.01 %" in threads
    assert compiled.split()[-4:] == ["%", "31", "never", "nan"]
    assert lines[7].startswith("jax           JAX is not installed")
    assert lines[8].startswith(" " * 14)
    assert lines[-2:] == [
        "arithmetic alone, at the peak of one core (240 GFLOP/s): 0.170 us a step",
        "hotloop against itself: 1.00 (0.980-1.02); 1 where nothing disturbs the machine",
    ]


def test_where_eager_was_not_measured_nothing_is_said_about_paying(result):
    alone = replace(result, contenders=result.contenders[:1])
    assert render(alone).splitlines()[3].split()[-3:] == ["0.12", "-", "3e-07"]


def test_columns_stand_under_their_heads(result):
    lines = render(result).splitlines()
    ends = [lines[2].index(head) + len(head) for head in ("us", "hotloop's", "a second", "peak", "after")]
    for line in lines[3:7]:
        assert all(line[end - 1] != " " for end in ends)
        assert all(line[end] == " " for end in ends)


def test_markdown(benchmark_of):
    text = document(benchmark_of)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 4
    assert len({row.count("|") for row in rows}) == 1
    assert "A Processor AVX2, 2 threads, hotloop 0.1.0, torch 2.13.0, 2026-01-02" in text
    assert "1.5 to 2" in text
    assert "* jax: JAX is not installed" in text
    assert "* hotloop: compiled" in text


def test_json_holds_raw_times_and_no_nan(benchmark_of):
    data = json.loads(json.dumps(benchmark_of.to_json(), allow_nan=False))
    assert data["conditions"]["load"] == [None, 1.5, 2.0]
    (workload,) = data["workloads"]
    ours, eager, _, compiled = workload["contenders"]
    assert ours["us_per_step"] == [0.5, 0.42, 0.43]
    assert (ours["least_us"], ours["median_us"]) == (0.42, 0.43)
    assert eager["ratio"] == {"low": 31_234.5, "value": 34_567.8, "high": 37_891.2}
    assert compiled["deviation"] is None
    assert workload["absent"][0]["name"] == "jax"


def test_the_picture_has_a_bar_for_each_and_a_panel_for_each(benchmark_of):
    shown = panels(benchmark_of)
    names = ["hotloop", "eager", "nobody", "eager-threads", "torch-compile"]
    figure = step_times.draw([shown[0], step_times.Panel("W2", "", shown[0].bars[:1], None)], names, "conditions")
    first, second = figure.axes
    assert first.get_xscale() == "log"
    assert [tick.get_text() for tick in first.get_yticklabels()] == [bar.name for bar in shown[0].bars]
    assert [patch.get_x() + patch.get_width() for patch in first.patches] == pytest.approx([0.43, 131, 281_500, 150.5])
    assert len({patch.get_facecolor() for patch in first.patches}) == 2
    assert first.get_xlim() == second.get_xlim()
    assert first.get_xlim()[0] < 0.17
    assert [text.get_text() for text in second.texts].count("not measured") == 3
    assert to_png(benchmark_of).startswith(b"\x89PNG")


def test_a_picture_of_nothing(result):
    empty = step_times.Panel("W1 $x$ <b>", "nobody", [], None)
    assert step_times.to_png([empty], ["jax"], "$y").startswith(b"\x89PNG")


def test_figures():
    assert [three_figures(value) for value in (0.6432, 11, 99.96, 279.4, 12_345, 0)] == [
        *("0.643", "11.0", "100", "279", "12,300", "0")
    ]
    assert three_figures(math.nan) == "nan"
    assert [count(value) for value in (812, 81_234, 187e6, 2e9)] == ["812", "81.2 k", "187 M", "2 G"]
    assert [share(value) for value in (None, 0.314, 0.0014, 1e-6)] == ["-", "31 %", "0.14 %", "<0.01 %"]
    assert [seconds(value) for value in (0, 0.117, 31.4)] == ["-", "0.12", "31"]
    assert interval(Interval(1, 2, 3)) == "2.00 (1.00-3.00)"
