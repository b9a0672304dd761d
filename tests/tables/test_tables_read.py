"""Frames, Parquet files and the packaged table."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.datasets import load_iris

from hotloop import tables
from hotloop.errors import TableError
from hotloop.tables.raw_column import text_of

FRAMES = [pl.DataFrame, pd.DataFrame, pa.table, pl.LazyFrame]


def test_iris_is_scikit_learns():
    iris, theirs = tables.read("iris"), load_iris()
    assert (iris.name, iris.n_rows) == ("iris", 150)
    assert iris.columns == (
        "sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm", "species",
    )  # fmt: skip
    np.testing.assert_array_equal(iris.frame.select(*iris.columns[:4]).to_numpy(), theirs.data)
    assert iris.frame["species"].to_list() == list(theirs.target_names[theirs.target])


@pytest.mark.parametrize("make", FRAMES)
def test_frames_of_any_library(make):
    table = tables.read(make({"a": [1, 2], "b": ["x", "y"]}))
    assert (table.name, table.n_rows, table.columns) == ("table", 2, ("a", "b"))
    assert table.column("a").numbers().tolist() == [1.0, 2.0]
    assert table.column("b").texts().to_list() == ["x", "y"]


def test_names(csv_of):
    path = csv_of("a,b\n1,2\n", "my data.csv")
    assert tables.read(path).name == "my data"
    assert tables.read(str(path), name="other").name == "other"
    assert tables.read("iris", name="flowers").name == "flowers"


def test_names_that_are_no_strings():
    assert tables.read(pd.DataFrame([[1, 2]])).columns == ("0", "1")


@pytest.mark.parametrize("source", [[1, 2], {"a": [1]}, np.zeros((2, 2)), None, 3])
def test_what_is_no_table(source):
    with pytest.raises(TableError, match=f"cannot read a table from a {type(source).__name__}"):
        tables.read(source)


def test_frames_with_duplicate_names():
    with pytest.raises(TableError, match="same name"):
        tables.read(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_frames_that_are_too_wide():
    with pytest.raises(TableError, match="more than 10,000 columns"):
        tables.read(pl.DataFrame({f"c{i}": [1] for i in range(10_001)}))


def test_parquet(tmp_path):
    path = tmp_path / "d*ta.parquet"
    pl.DataFrame({"a": [1, None], "b": ["x", "y"], "c": [[1], [2]]}).write_parquet(path)
    table = tables.read(path)
    assert table.columns == ("a", "b", "c")
    assert table.column("a").numbers().tolist()[0] == 1.0
    assert table.column("c").kind == "unsupported"


@pytest.mark.parametrize("keep_bytes", [0, 3, 100, -4])
def test_a_parquet_file_cut_short(tmp_path, keep_bytes):
    path = tmp_path / "data.parquet"
    pl.DataFrame({"a": range(1000)}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:keep_bytes])
    with pytest.raises(TableError) as caught:
        tables.read(path)
    assert str(path) in caught.value.one_line
    assert "cut short" in caught.value.one_line


def test_a_parquet_file_that_is_too_wide(tmp_path):
    path = tmp_path / "wide.parquet"
    pl.DataFrame({f"c{i}": [1] for i in range(10_001)}).write_parquet(path)
    with pytest.raises(TableError, match="more than 10,000 columns"):
        tables.read(path)


NAN = float("nan")
MOMENT = datetime.datetime(1970, 1, 2, 12)
COLUMNS = {
    "pandas Int64": (pd.Series([1, None], dtype="Int64"), "number", [1.0, NAN]),
    "pandas boolean": (pd.Series([True, None], dtype="boolean"), "boolean", [1.0, NAN]),
    "pandas float32": (pd.Series([0.5, NAN], dtype="float32"), "number", [0.5, NAN]),
    "pandas category": (pd.Series(["a", None], dtype="category"), "category", ["a", None]),
    "pandas category of ints": (pd.Series([1, None], dtype="category"), "category", ["1", None]),
    "pandas texts": (pd.Series(["a", None, ""]), "category", ["a", None, None]),
    "pandas dates": (pd.Series(pd.to_datetime([MOMENT, None])), "date", [1.5, NAN]),
    "pandas durations": (pd.Series(pd.to_timedelta([90, None], unit="s")), "number", [90.0, NAN]),
    "objects: booleans": (pd.Series([True, None], dtype=object), "boolean", [1.0, NAN]),
    "objects: numbers": (pd.Series([1, 2.5, None, Decimal("0.5")], dtype=object), "number", [1, 2.5, NAN, 0.5]),
    "objects: dates": (pd.Series([MOMENT.date(), None], dtype=object), "date", [1.0, NAN]),
    "objects: mixed": (pd.Series([1, "a", None, True, 2.0, NAN], dtype=object), "category",
                       ["1", "a", None, "true", "2", None]),
    "objects: nothing": (pd.Series([None, None], dtype=object), "category", [None, None]),
    "polars categorical": (pl.Series(["a", None], dtype=pl.Categorical), "category", ["a", None]),
    "polars enum": (pl.Series(["a", None], dtype=pl.Enum(["a"])), "category", ["a", None]),
    "polars decimal": (pl.Series([Decimal("1.5"), None]), "number", [1.5, NAN]),
    "polars null": (pl.Series([None, None]), "number", [NAN, NAN]),
    "polars duration": (pl.Series([datetime.timedelta(seconds=90), None]), "number", [90.0, NAN]),
    "polars date": (pl.Series([MOMENT.date(), None]), "date", [1.0, NAN]),
    "polars zoned": (pl.Series([MOMENT]).dt.replace_time_zone("Etc/GMT-12"), "date", [1.0]),
    "polars int128": (pl.Series([1, None], dtype=pl.Int128), "number", [1.0, NAN]),
    "arrow dates": (pa.chunked_array([[MOMENT, None]]), "date", [1.5, NAN]),
    "arrow dictionary": (pa.chunked_array([pa.array(["a", None]).dictionary_encode()]), "category", ["a", None]),
    "arrow null": (pa.chunked_array([pa.nulls(2)]), "number", [NAN, NAN]),
}  # fmt: skip


@pytest.mark.parametrize(("values", "kind", "expected"), COLUMNS.values(), ids=COLUMNS)
def test_every_type_of_column(values, kind, expected):
    make = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}[type(values).__module__.split(".")[0]]
    raw = tables.read(make({"x": values})).column("x")
    assert raw.kind == kind
    if kind == "category":
        assert raw.texts().to_list() == expected
    else:
        np.testing.assert_array_equal(raw.days() if kind == "date" else raw.numbers(), expected)


def test_texts_where_numbers_are_needed_name_the_row():
    raw = tables.read(pl.DataFrame({"x": ["1", "", "b"]})).column("x")
    with pytest.raises(TableError, match="column 'x' of 'table' holds 'b' in row 3, where a number is needed"):
        raw.numbers()
    assert tables.read(pl.DataFrame({"x": ["1", ""]})).column("x").numbers()[0] == 1.0


def test_other_mismatches_say_what_is_there():
    table = tables.read(pl.DataFrame({"when": [MOMENT], "x": ["a"], "n": [1], "list": [[1]], "none": [None]}))
    with pytest.raises(TableError, match="'when' of 'table' holds dates, where a number"):
        table.column("when").numbers()
    with pytest.raises(TableError, match="'list' of 'table' holds List"):
        table.column("list").numbers()
    with pytest.raises(TableError, match="'x' of 'table' holds texts, where a date"):
        table.column("x").days()
    with pytest.raises(TableError, match="'n' of 'table' holds numbers, where a date"):
        table.column("n").days()
    assert np.isnan(table.column("none").days()).all()


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (1.0, "1"), (1.5, "1.5"), (np.float32(0.5), "0.5"), (np.True_, "true"), (False, "false"),
     (NAN, None), ("a", "a"), (1e300, str(int(1e300)))],
)  # fmt: skip
def test_the_text_of_a_value(value, text):
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("values", "whole"),
    [([1, 2], True), ([1.0, None, 2.0], True), ([1.0, 2.5], False), (["1"], False), ([NAN], True)],
)
def test_whole_numbers(values, whole):
    assert tables.read(pl.DataFrame({"x": values})).column("x").is_integer is whole
