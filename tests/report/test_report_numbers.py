"""Numbers and axes as pages show them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotloop.insight.interval import Interval
from hotloop.report.numbers import count, decimals_of, duration, fixed, percent, short, significant
from hotloop.report.scale import linear_scale, log_scale
from hotloop.report.svg import element, shortened


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (131.4, "131"),
        (0.0619221, "0.0619"),
        (1_312_345.0, "1,310,000"),
        (99.96, "100"),
        (9.996, "10.0"),
        (0.99999, "1.00"),
        (-2.5, "−2.50"),
        (0.0, "0"),
        (1e-7, "1.00e-07"),
        (3e12, "3.00e+12"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "not a number"),
    ],
)
def test_significant(value, written):
    assert significant(value) == written


@given(st.floats(min_value=1e-4, max_value=1e8))
def test_significant_keeps_three_digits(value):
    assert float(significant(value).replace(",", "")) == pytest.approx(value, rel=0.006)


def test_other_forms():
    assert [short(value) for value in (0.5, 1000.0, 50.0, 0.25, 1e12)] == ["0.5", "1,000", "50", "0.25", "1.00e+12"]
    assert [fixed(value, 1) for value in (1234.56, -0.04, -1.25, math.nan)] == [
        "1,234.6",
        "0.0",
        "−1.2",
        "not a number",
    ]
    assert [percent(share) for share in (0.32, 0.0349, -0.5, 1.0)] == ["32 %", "3.5 %", "−50 %", "100 %"]
    assert count(20_000) == "20,000"
    times = (5e-7, 0.0093, 0.5, 42.0, 600.0, 7300.0)
    assert [duration(one) for one in times] == ["0.500 µs", "9.30 ms", "500 ms", "42.0 s", "10.0 min", "2.03 h"]


def test_decimals_are_those_the_narrowest_interval_needs():
    wide, narrow = Interval(100, 131, 162), Interval(1.10, 1.12, 1.14)
    assert decimals_of([wide]) == 0
    assert decimals_of([wide, narrow]) == 2
    assert decimals_of([Interval(1, 1, 1)]) == 1
    assert decimals_of([Interval(0.4137, 0.42, 0.4263)], digits=2, most=6) == 4


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=5), st.booleans())
def test_every_axis_holds_its_values_and_has_few_ticks(values, logarithmic):
    scale = (log_scale if logarithmic else linear_scale)(values, margin=0.04)
    assert scale.low < scale.high
    shown = [value for value in values if math.isfinite(value) and (value > 0 or not logarithmic)]
    assert all(scale.low <= value <= scale.high or value == pytest.approx(scale.low) for value in shown)
    assert all(0 <= scale.share(value) <= 1 for value in shown)
    ticks = scale.ticks(6)
    assert len(ticks) <= 14
    assert list(ticks) == sorted(ticks)


def test_ticks_are_round():
    assert linear_scale([0.0, 134.0]).ticks(4) == (0, 50, 100)
    assert linear_scale([1.0, 20_000.0]).ticks(7) == (5000, 10_000, 15_000, 20_000)
    assert log_scale([0.17, 140.0]).ticks() == (1, 10, 100)
    assert log_scale([2.0, 3.0]).ticks() == (1, 2, 5)


def test_what_is_put_into_a_picture_is_escaped_and_on_one_line():
    drawn = element("text", "<b>\0", x=1.25, class_='"><script>', data_name="a\nb", y=-0.001)
    assert drawn == '<text x="1.25" class="&#34;&gt;&lt;script&gt;" data-name="a b" y="0">&lt;b&gt;\\x00</text>'
    assert element("g", element("a")) == "<g><a></a></g>"


def test_shortened():
    assert shortened("as it is", 10) == "as it is"
    assert shortened("x" * 1000, 10) == "x" * 9 + "…"
