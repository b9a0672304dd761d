"""The picture of the loss: what it says, and that nothing can keep it from being drawn."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pytest

from hotloop.report.loss_curve import draw, render, to_png
from hotloop.report.series import thin


def run_with(losses, validation=(), best_epoch=None, device="cpu"):
    return SimpleNamespace(
        losses=np.array(losses, dtype=np.float64),
        recorded_at=np.arange(1, len(losses) + 1),
        validation_losses=np.array(validation, dtype=np.float64),
        validated_at=np.arange(1, len(validation) + 1),
        epochs=len(losses),
        best_epoch=best_epoch,
        device=device,
    )


def axes_of(run):
    (axes,) = draw(run).axes
    return axes


def legend_of(axes):
    legend = axes.get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend else None


def test_the_lessons_figure():
    run = run_with([3.0, 2.0, 1.0])
    figure = draw(run)
    (axes,) = figure.axes
    assert tuple(figure.get_size_inches()) == (10, 6)
    assert axes.get_title() == "Training Loss on cpu"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Epoch", "Loss")
    assert axes.xaxis.get_gridlines()[0].get_visible()
    assert axes.yaxis.get_gridlines()[0].get_visible()
    (line,) = axes.lines
    assert line.get_xdata().tolist() == [1, 2, 3]
    assert line.get_ydata().tolist() == [3, 2, 1]
    assert legend_of(axes) is None
    assert axes.get_yscale() == "linear"


def test_validation_has_its_own_line_a_legend_and_the_best_epoch():
    axes = axes_of(run_with([3, 2, 1], [4, 2.5, 3.5], best_epoch=2))
    training, validation, best = axes.lines
    assert validation.get_ydata().tolist() == [4, 2.5, 3.5]
    assert training.get_color() != validation.get_color()
    assert not training.is_dashed()
    assert validation.is_dashed()
    assert (best.get_xdata().tolist(), best.get_ydata().tolist()) == ([2], [2.5])
    assert legend_of(axes) == ["training", "validation", "best validation (epoch 2)"]


def test_where_the_loss_stops_being_a_number_is_said():
    axes = axes_of(run_with([1, 2, np.nan, np.inf]))
    assert legend_of(axes) == ["training", "not finite from epoch 3"]
    assert axes.lines[0].get_ydata().tolist() == [1, 2]


@pytest.mark.parametrize(
    "run",
    [
        run_with([]),
        run_with([0.5]),
        run_with([0.5], [0.5], best_epoch=1),
        run_with([0.0, 0.0]),
        run_with([-1.0, -1e-9, 5000.0]),
        run_with([np.nan] * 3),
        run_with([np.inf, -np.inf]),
        run_with([1, 1e300, 1.7e308], [1.7e308, np.nan, np.inf], best_epoch=3),
        run_with([1e-320, 1.0]),
        run_with([1.0], device="$\\frac{1}{$ \n_^ <b>&"),
        run_with(np.full(100, 1e30)),
    ],
    ids=range(11),
)
def test_everything_can_be_drawn(run):
    picture = matplotlib.image.imread(io.BytesIO(to_png(run)))
    assert picture.shape[:2] == (900, 1500)
    assert picture[..., :3].std() > 0


def test_an_empty_run_says_so():
    assert [text.get_text() for text in axes_of(run_with([])).texts] == ["no loss recorded"]


def test_many_decades_are_shown_on_a_logarithmic_axis():
    assert axes_of(run_with([1.0, 1e-4])).get_yscale() == "log"
    assert axes_of(run_with([1.0, 0.0])).get_yscale() == "linear"


def test_thinning_keeps_the_ends_and_every_peak():
    values = np.zeros(100_003)
    values[[12_345, 77_777]] = 5, -5
    kept = thin(values, 500)
    assert len(kept) < 1500
    assert {0, 12_345, 77_777, 100_002} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()


@pytest.mark.parametrize("n", [0, 1, 2, 29, 30, 31, 35, 100, 1009])
def test_thinning_keeps_each_bins_lowest_and_highest(n):
    values = np.random.default_rng(n).normal(size=n)
    kept = thin(values, 10)
    if n < 30:
        assert kept.tolist() == list(range(n))
        return
    for bin_rows in np.arange(n // (n // 10) * (n // 10)).reshape(-1, n // 10):
        of_bin = values[np.intersect1d(kept, bin_rows)]
        assert of_bin.min() == values[bin_rows].min()
        assert of_bin.max() == values[bin_rows].max()
    assert {0, n - 1} <= set(kept.tolist())


@pytest.mark.timing
def test_a_million_records_are_drawn_quickly():
    run = run_with(np.random.default_rng(0).random(10**6))
    to_png(run_with([1.0]))  # fonts are found once
    start = time.perf_counter()
    to_png(run)
    assert time.perf_counter() - start < 2  # 0.16 s on an idle core
    assert len(axes_of(run).lines[0].get_xdata()) < 20_000


@pytest.mark.slow
def test_threads_draw_the_same_picture():
    runs = [run_with(np.linspace(1, 0.5, 50 + k), device=f"device {k}") for k in range(4)]
    expected = [to_png(run) for run in runs]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(to_png, runs * 2)) == expected * 2


def test_other_formats():
    assert render(run_with([1, 2]), "pdf").startswith(b"%PDF")


def test_no_window_system_is_touched():
    program = (
        "import sys, numpy as np\nfrom types import SimpleNamespace as S\n"
        "import hotloop.report.loss_curve as m\n"
        "assert 'matplotlib' not in sys.modules\n"
        "e = np.array([1.0])\n"
        "m.to_png(S(losses=e, recorded_at=e, validation_losses=e[:0], validated_at=e[:0], epochs=1,"
        " best_epoch=None, device='cpu'))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(("named", "then"), [("foo", None), ("svg", "svg")])
def test_a_backend_that_does_not_exist_keeps_nobody_from_drawing(named, then):
    program = (
        "import os, numpy as np\nfrom types import SimpleNamespace as S\n"
        "import hotloop.report.loss_curve as m\n"
        "e = np.array([1.0])\n"
        "run = S(losses=e, recorded_at=e, validation_losses=e[:0], validated_at=e[:0], epochs=1,"
        " best_epoch=None, device='cpu')\n"
        "assert m.to_png(run).startswith(b'\\x89PNG')\n"
        "import matplotlib\n"
        f"assert matplotlib.rcParams._get_backend_or_none() == {then!r}\n"
        f"assert os.environ['MPLBACKEND'] == {named!r}\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "MPLBACKEND": named})
