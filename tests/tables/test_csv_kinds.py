"""What the texts of a column are taken for."""

from __future__ import annotations

import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotloop import tables
from hotloop.errors import TableError
from hotloop.tables import csv_blocks
from hotloop.tables.csv_columns import KINDS, clean, kind_after


def column(csv_of, *values, header="x,last", filler="1", separator=","):
    header = header.replace(",", separator)
    text = header + "\n" + "".join(f"{value}{separator}{filler}\n" for value in values)
    return tables.read(csv_of(text)).frame["x"].to_native()


def test_whole_numbers_stay_whole(csv_of):
    read = column(csv_of, "9007199254740993", "-1", "")
    assert read.dtype == pl.Int64
    assert read.to_list() == [9007199254740993, -1, None]


def test_numbers(csv_of):
    read = column(csv_of, "1", ".5", "-1e3", "+2.", " 7 ", "1e400")
    assert read.to_list() == [1.0, 0.5, -1000.0, 2.0, 7.0, float("inf")]


@pytest.mark.parametrize("spelling", ["", "NA", "n/a", "#N/A", "NaN", "null", "NULL", "None", "?", " ", "NaT"])
@pytest.mark.parametrize("value", ["2", "2.5", "true", "2024-01-31", "text"])
def test_every_spelling_of_missing_in_every_kind(csv_of, spelling, value):
    read = column(csv_of, value, spelling, value)
    assert read.null_count() == 1
    assert read[1] is None
    assert read.dtype == column(csv_of, value).dtype


def test_booleans(csv_of):
    assert column(csv_of, "true", "FALSE", "").to_list() == [True, False, None]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-31", datetime.datetime(2024, 1, 31)),
        ("2024/01/31", datetime.datetime(2024, 1, 31)),
        ("2024-01-31 12:30", datetime.datetime(2024, 1, 31, 12, 30)),
        ("2024-01-31 12:30:15.25", datetime.datetime(2024, 1, 31, 12, 30, 15, 250_000)),
        ("2024-01-31T12:30:15", datetime.datetime(2024, 1, 31, 12, 30, 15)),
        ("2024-01-31T12:30:15Z", datetime.datetime(2024, 1, 31, 12, 30, 15)),
        ("2024-01-31T12:30:15+02:00", datetime.datetime(2024, 1, 31, 10, 30, 15)),
    ],
)
def test_dates(csv_of, text, moment):
    assert column(csv_of, text, text).to_list() == [moment, moment]


def test_an_impossible_date_makes_the_column_text(csv_of):
    assert column(csv_of, "2024-01-31", "2024-13-31").to_list() == ["2024-01-31", "2024-13-31"]


def test_decimal_commas_where_semicolons_separate(csv_of):
    table = tables.read(csv_of("x;y\n3,14;a\n-2;b\n"))
    assert table.frame["x"].to_list() == [3.14, -2.0]
    assert "decimal commas" in table.notes[0]


def test_decimal_commas_elsewhere_are_text(csv_of):
    assert column(csv_of, '"3,14"', '"2,72"').to_list() == ["3,14", "2,72"]


@pytest.mark.parametrize("block_bytes", [csv_blocks.BLOCK_BYTES, 32])
def test_a_stray_text_among_numbers_names_value_and_line(csv_of, monkeypatch, block_bytes):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", block_bytes)
    content = "x,y\n" + "1,2\n" * 50 + "\n" + "oops,2\n" + "1,2\n" * 50
    with pytest.raises(TableError, match=r"column 'x' holds 'oops' in line 53, where 100 values are numbers"):
        tables.read(csv_of(content))


@pytest.mark.parametrize("block_bytes", [csv_blocks.BLOCK_BYTES, 32])
def test_numbers_and_many_texts_are_text_as_written(csv_of, monkeypatch, block_bytes):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", block_bytes)
    read = column(csv_of, *["1.50", "007"] * 20, *["red"] * 40)
    assert read.to_list() == ["1.50", "007"] * 20 + ["red"] * 40


@pytest.mark.parametrize(
    ("first", "second", "dtype"),
    [("1", "2.5", pl.Float64), ("", "2", pl.Int64), ("", "red", pl.String), ("true", "1", pl.String)],
)
def test_a_kind_may_widen_in_a_later_block(csv_of, monkeypatch, first, second, dtype):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 32)
    read = column(csv_of, *[first] * 40, *[second] * 40)
    assert read.dtype == dtype
    assert len(read) == 80
    assert read[0] == (None if not first else pl.Series([first]).cast(dtype)[0])


def test_missing_numbers_in_later_blocks(csv_of, monkeypatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 32)
    read = column(csv_of, *["1"] * 40, *["NA", "2"] * 20)
    assert read.dtype == pl.Int64
    assert read.null_count() == 20


def test_integers_become_decimal_commas_in_a_later_block(csv_of, monkeypatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 32)
    assert column(csv_of, *["1"] * 40, "2,5", separator=";").to_list() == [1.0] * 40 + [2.5]


def test_a_column_of_nothing_is_text_without_values(csv_of):
    assert column(csv_of, "", "NA").null_count() == 2


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.integers(40, 80))
def test_floats_survive_to_the_bit(tmp_path_factory, values, block_bytes):
    path = tmp_path_factory.mktemp("floats") / "x.csv"
    path.write_text("x,y\n" + "".join(f"{value!r},1\n" for value in values))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "BLOCK_BYTES", block_bytes)
        assert [float(value) for value in tables.read(path).frame["x"].to_list()] == values


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8), min_size=1))
def test_any_text_is_read_as_the_csv_module_writes_it(tmp_path_factory, values):
    import csv

    path = tmp_path_factory.mktemp("texts") / "x.csv"
    # Half of them words, so that the column is one of texts whatever the others are.
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [["x", "y"], *([value, 1] for value in [*values, *["word"] * len(values)])]
        )
    read = tables.read(path).frame["x"].to_native()
    assert read.to_list() == clean(pl.Series([*values, *["word"] * len(values)])).to_list()


def test_the_first_kind_that_fits_wins():
    assert [kind.name for kind in KINDS[:4]] == ["integer", "number", "decimal comma", "boolean"]
    assert kind_after(pl.Series(["1"]), None, ",") is KINDS[0]
    assert kind_after(pl.Series(["red"]), KINDS[0], ",") is None
