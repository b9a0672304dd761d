"""A table to arrays: the lesson's figures, the guess, the rules for odd columns."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from hotloop import tables
from hotloop.errors import ArgumentError, TableError
from hotloop.tables.split import split_rows


def table_of(**columns):
    return tables.read(pl.DataFrame(columns))


def numbers(n_rows, seed=0):
    return np.random.default_rng(seed).normal(size=n_rows)


def test_the_lesson_to_the_bit():
    torch = pytest.importorskip("torch")
    X, y = load_iris(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)
    scaler = MinMaxScaler()
    ours = tables.prepare(tables.read("iris"), scaling="minmax")
    assert torch.equal(torch.from_numpy(ours.X_train), torch.FloatTensor(scaler.fit_transform(X_train)))
    assert torch.equal(torch.from_numpy(ours.X_test), torch.FloatTensor(scaler.transform(X_test)))
    np.testing.assert_array_equal(ours.y_train, y_train)
    np.testing.assert_array_equal(ours.y_test, y_test)
    rows_train, rows_test = train_test_split(np.arange(150), test_size=0.2, random_state=42)
    np.testing.assert_array_equal(ours.rows_train, rows_train)
    np.testing.assert_array_equal(ours.rows_test, rows_test)
    assert ours.schema.class_names == ("setosa", "versicolor", "virginica")
    assert ours.class_counts.tolist() == np.bincount(y_train).tolist()
    assert ours.notes == ("'species' holds 3 different texts: classification. Set the task to override.",)


def test_shapes_and_dtypes():
    ours = tables.prepare(tables.read("iris"), validation_size=0.25)
    for part, n_rows in (("train", 90), ("validation", 30), ("test", 30)):
        X, y, rows = (getattr(ours, f"{kind}_{part}") for kind in ("X", "y", "rows"))
        assert (X.shape, X.dtype, X.flags.c_contiguous) == ((n_rows, 4), np.float32, True)
        assert (y.shape, y.dtype, rows.dtype) == ((n_rows,), np.int64, np.int64)
    assert ours.class_counts.dtype == np.int64
    assert tables.prepare(tables.read("iris")).X_validation.shape == (0, 4)


def test_standard_scaling_is_scikit_learns():
    X = load_iris().data
    X_train, X_test = train_test_split(X, test_size=0.2, random_state=42)
    scaler = StandardScaler().fit(X_train)
    ours = tables.prepare(tables.read("iris"), scaling="standard")
    np.testing.assert_allclose(ours.X_train, scaler.transform(X_train), rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours.X_test, scaler.transform(X_test), rtol=0, atol=1e-6)


def test_no_scaling():
    ours = tables.prepare(tables.read("iris"), scaling="none")
    np.testing.assert_array_equal(ours.X_train, load_iris().data[ours.rows_train].astype(np.float32))


def test_classes_are_stratified_except_on_iris():
    labels = ["a"] * 80 + ["b"] * 20
    ours = tables.prepare(table_of(x=numbers(100), y=labels))
    assert np.bincount(ours.y_test).tolist() == [16, 4]
    iris = tables.read("iris")
    assert np.bincount(tables.prepare(iris).y_test).tolist() == [10, 9, 11]
    assert np.bincount(tables.prepare(iris, stratify=True).y_test).tolist() == [10, 10, 10]


def test_regression_targets_are_standardised_on_the_training_rows():
    y = 1e6 + 50 * numbers(200)
    ours = tables.prepare(table_of(x=numbers(200, 1), y=y), scaling="minmax")
    training = y[ours.rows_train]
    assert ours.schema.task == "regression"
    assert (ours.schema.n_outputs, ours.schema.class_names, ours.class_counts) == (1, None, None)
    assert (ours.y_train.shape, ours.y_train.dtype) == ((160, 1), np.float32)
    np.testing.assert_allclose(ours.y_train[:, 0], (training - training.mean()) / training.std(), atol=1e-5)
    undone = ours.schema.undo_target(ours.y_test)
    assert undone.dtype == np.float64
    np.testing.assert_allclose(undone[:, 0], y[ours.rows_test], rtol=1e-9)


def test_unscaled_regression_targets():
    ours = tables.prepare(table_of(x=numbers(50), y=numbers(50, 1)), scaling="none")
    np.testing.assert_array_equal(ours.y_train[:, 0], numbers(50, 1)[ours.rows_train].astype(np.float32))
    assert ours.schema.undo_target(0.5) == 0.5


def test_statistics_come_from_the_training_rows_alone():
    x = np.zeros(100)
    first = tables.prepare(table_of(x=numbers(100), y=["a", "b"] * 50))
    x[first.rows_train] = np.linspace(-1, 1, len(first.rows_train))
    x[first.rows_test] = 1e6
    colour = np.where(np.isin(np.arange(100), first.rows_test), "test only", "red")
    colour[first.rows_train[0]] = "blue"
    ours = tables.prepare(table_of(x=x, colour=colour, y=["a", "b"] * 50), scaling="minmax")
    assert (ours.X_train[:, 0].min(), ours.X_train[:, 0].max()) == (0, 1)
    assert (ours.X_test[:, 0] > 1e5).all()
    assert ours.schema.feature_names == ("x", "colour=red", "colour=blue", "colour is unseen")
    assert (ours.X_test[:, 1:] == [0, 0, 1]).all()
    assert "'colour' holds a category not known from training in 20 rows." in ours.notes


@pytest.mark.parametrize("scaling", ["minmax", "standard"])
def test_ids_and_timestamps_keep_their_digits(scaling):
    small = np.arange(100.0)
    large = (2**53 - 200 + np.arange(100)).astype(np.int64)
    ours = tables.prepare(table_of(small=small, large=large, y=["a", "b"] * 50), scaling=scaling)
    small, large = (ours.X_train[:, i] - ours.X_train[0, i] for i in (0, 1))
    np.testing.assert_allclose(large, small, rtol=0, atol=5e-7)


def test_missing_numbers_are_filled_and_flagged():
    x = numbers(100)
    x[[3, 50]] = np.nan
    ours = tables.prepare(table_of(x=x, other=numbers(100, 1), y=["a", "b"] * 50), scaling="none", test_size=0)
    assert ours.schema.feature_names == ("x", "x is missing", "other")
    in_row_3 = ours.X_train[ours.rows_train == 3][0]
    assert in_row_3[0] == pytest.approx(np.nanmean(x))
    assert in_row_3[1] == 1
    assert ours.X_train[:, 1].sum() == 2
    assert any(note.startswith("'x' is missing in 2 of 100 training rows: filled with") for note in ours.notes)


def test_numbers_missing_only_outside_training_are_filled_and_noted():
    where = tables.prepare(table_of(x=numbers(100), y=["a", "b"] * 50)).rows_test[0]
    x = numbers(100)
    x[where] = np.nan
    ours = tables.prepare(table_of(x=x, y=["a", "b"] * 50))
    assert ours.schema.feature_names == ("x",)
    assert ours.X_test[0, 0] == pytest.approx(0, abs=1e-6)
    assert any("'x' is missing in 1 row, in training in none" in note for note in ours.notes)


def test_booleans_and_dates():
    day = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(100)]
    ours = tables.prepare(table_of(b=[True, False] * 50, day=day, y=["a", "a", "b", "b"] * 25), scaling="none")
    assert set(ours.X_train[:, 0]) == {0, 1}
    np.testing.assert_array_equal(ours.X_train[:, 0], ours.rows_train % 2 == 0)
    np.testing.assert_array_equal(ours.X_train[:, 1], ours.rows_train - ours.rows_train.min())


def test_categories_are_sorted_by_frequency_then_name():
    colours = ["red", "red", "blue", "green", "green", None, "blue", "red"] * 10
    ours = tables.prepare(table_of(colour=colours, y=["p", "q"] * 40), test_size=0)
    assert ours.schema.feature_names == ("colour=red", "colour=blue", "colour=green", "colour is unseen")
    assert (ours.X_train.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(ours.X_train[:, 3], ours.rows_train % 8 == 5)


def test_many_categories_are_pooled():
    colours = [f"c{i:03}" for i in range(100) for _ in range(10)]
    ours = tables.prepare(table_of(colour=colours, y=["a", "b"] * 500), test_size=0)
    assert ours.schema.n_features == 65
    assert ours.X_train[:, 64].sum() == 360
    assert ours.notes[1:] == ("'colour' has 100 categories: the rarest 36 count as unseen.",)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([7.0] * 100, "'x' is the same in every training row: ignored."),
        (["red"] * 100, "'x' is the same in every training row: ignored."),
        ([True] * 100, "'x' is the same in every training row: ignored."),
        ([None] * 100, "'x' is missing in every training row: ignored."),
        (pl.Series([None] * 100, dtype=pl.String), "'x' is missing in every training row: ignored."),
        ([f"name {i}" for i in range(100)], "'x' looks like a name or an id (80 different texts in 80 rows): ignored."),
        ([[1]] * 100, "'x' holds values of type List(Int64): ignored."),
    ],
)  # fmt: skip
def test_columns_that_teach_nothing(values, reason):
    table = tables.read(pl.DataFrame({"x": values, "good": numbers(100), "y": ["a", "b"] * 50}, strict=False))
    ours = tables.prepare(table)
    assert reason in ours.notes
    assert ours.schema.feature_names == ("good",)
    with pytest.raises(TableError, match="no column left") as caught:
        tables.prepare(table, ignore=("good",))
    assert reason in caught.value.one_line


def test_mostly_different_texts_are_ignored():
    values = [f"t{i // 2}" if i < 20 else f"t{i}" for i in range(200)]
    ours = tables.prepare(table_of(x=values, good=numbers(200), y=["a", "b"] * 100))
    assert ours.schema.feature_names == ("good",)


def test_a_constant_with_gaps_is_kept_for_its_gaps():
    ours = tables.prepare(table_of(x=[1.0, None] * 50, c=["red", None] * 50, y=["a", "a", "b", "b"] * 25))
    assert ours.schema.feature_names == ("x", "x is missing", "c=red", "c is unseen")
    assert np.isfinite(ours.X_train).all()


@pytest.mark.parametrize(
    ("target", "task"),
    [
        (["a", "b"], "classification"),
        ([True, False], "classification"),
        ([0, 1], "classification"),
        ([-1, 1], "classification"),
        ([1.0, 2.0, None], "classification"),
        ([3, 4, 5, 6, 7, 8], "classification"),
        ([10, 1000], "regression"),
        ([0, 30], "regression"),
        (list(range(30)), "regression"),
        (list(range(100)), "regression"),
        ([0.5, 1.5], "regression"),
        (list(range(19)), "regression"),
    ],
)
def test_the_guess(target, task):
    n_rows = 90 if len(target) == 19 else 120
    columns = {"x": numbers(n_rows), "y": (target * n_rows)[:n_rows]}
    ours = tables.prepare(table_of(**columns))
    assert ours.schema.task == task
    assert ours.notes[0].endswith(f": {task}. Set the task to override.")


@pytest.mark.parametrize(
    ("labels", "names", "kind"),
    [
        ([10, 9, 2], ("2", "9", "10"), "integer"),
        ([0.5, 0.25], ("0.25", "0.5"), "number"),
        ([True, False], ("false", "true"), "boolean"),
        (["10", "9"], ("10", "9"), "text"),
    ],
)
def test_labels_come_back_as_their_text_with_their_kind(labels, names, kind):
    table = table_of(x=numbers(60), y=labels * (60 // len(labels)))
    ours = tables.prepare(table, task="classification")
    assert ours.schema.class_names == names
    assert ours.schema.label_kind == kind
    assert not any("--task" in note for note in ours.notes)
    text = [str(label).lower() if kind == "boolean" else str(label) for label in table.frame["y"].to_list()]
    assert [names[code] for code in ours.y_test] == [text[row] for row in ours.rows_test]


def test_rows_without_a_target_are_dropped():
    y = ["a", "b", None, ""] * 25
    ours = tables.prepare(table_of(x=numbers(100), y=y))
    assert "50 rows dropped: the target 'y' is missing." in ours.notes
    assert len(ours.rows_train) == 40
    assert set(ours.rows_train % 4) == {0, 1}
    y = np.where(np.arange(100) == 7, np.nan, numbers(100, 1))
    ours = tables.prepare(table_of(x=numbers(100), y=y))
    assert "1 row dropped: the target 'y' is missing." in ours.notes
    assert 7 not in {*ours.rows_train, *ours.rows_test}


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e200])
@pytest.mark.parametrize("column", ["x", "y"])
def test_infinity_names_column_and_row(column, value):
    columns = {"x": numbers(100), "y": numbers(100, 1)}
    columns[column][16] = value
    columns[column][2] = np.nan
    found = "infinity" if np.isinf(value) else "1e\\+200, too large"
    with pytest.raises(TableError, match=f"column '{column}' of 'table' holds {found}.* in row 17"):
        tables.prepare(table_of(**columns))


def test_numbers_beyond_float32_name_column_and_row():
    columns = {"x": numbers(100), "y": numbers(100, 1)}
    columns["x"][16] = 1e60
    with pytest.raises(TableError, match=r"'x' of 'table' holds a number too large for float32 .* row 17"):
        tables.prepare(table_of(**columns), scaling="none")
    with pytest.raises(TableError, match=r"target column 'x' holds 1e\+60 in row 17"):
        tables.prepare(table_of(**columns), scaling="none", target="x")


def test_extreme_numbers_stay_finite():
    columns = {"tiny": numbers(100) * 1e-308, "huge": numbers(100) * 1e149, "y": numbers(100, 1)}
    for scaling in ("minmax", "standard"):
        ours = tables.prepare(table_of(**columns), scaling=scaling)
        assert np.isfinite(ours.X_train).all()


BAD_TARGETS = {
    "one class": (["a"] * 100, {}, "one class only"),
    "nothing": ([None] * 100, {"task": "classification"}, "missing in every row"),
    "nothing to regress": ([None] * 100, {"task": "regression"}, "too few rows"),
    "names": ([f"name {i}" for i in range(100)], {}, "too many to be classes"),
    "fractions as classes": (list(np.linspace(0, 1, 100)), {"task": "classification"}, "task regression"),
    "1,001 classes": (list(range(1001)) * 3, {"task": "classification"}, "more than 1,000"),
    "texts to regress": (["a", "b"] * 50, {"task": "regression"}, "regression needs numbers"),
    "dates": ([datetime.date(2024, 1, 1)] * 100, {}, "holds dates"),
    "dates to regress": ([datetime.date(2024, 1, 1)] * 100, {"task": "regression"}, "holds dates"),
    "lists": ([[1]] * 100, {}, "List"),
    "one row": ([1.5], {}, "too few"),
    "no rows": (pl.Series([], dtype=pl.Float64), {}, "too few"),
}


@pytest.mark.parametrize(("target", "options", "message"), BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_targets_that_cannot_be_learnt(target, options, message):
    table = tables.read(pl.DataFrame({"x": numbers(len(target)), "y": target}, strict=False))
    with pytest.raises(TableError) as caught:
        tables.prepare(table, **options)
    assert message in caught.value.one_line


def test_a_class_without_training_rows():
    table = table_of(x=numbers(50), y=["rare"] + ["a", "b"] * 24 + ["a"])
    in_test = [seed for seed in range(50) if 0 in split_rows(50, test_size=0.2, validation_size=0, seed=seed).test]
    with pytest.raises(TableError, match="no training row is of class 'rare'") as caught:
        tables.prepare(table, stratify=False, split_seed=in_test[0])
    assert "Stratify" in caught.value.one_line
    for seed in in_test:
        assert 0 in tables.prepare(table, split_seed=seed).rows_train


def test_many_classes_without_training_rows_are_counted():
    labels = [f"c{i}" for i in range(15)] + ["a"] * 15
    with pytest.raises(TableError, match=r"and \d+ more"):
        tables.prepare(table_of(x=numbers(30), y=labels), stratify=False, test_size=0.8)


def test_a_test_part_made_smaller_is_noted():
    labels = [f"c{i}" for i in range(15)] + ["a"] * 15
    ours = tables.prepare(table_of(x=numbers(30), y=labels), test_size=0.5)
    assert "The test part has 8 rows instead of 15: rare classes stay in training." in ours.notes


def test_ignored_columns_and_another_target():
    table = table_of(a=numbers(50), b=numbers(50, 1), c=numbers(50, 2))
    ours = tables.prepare(table, target="b", ignore=["c"])
    assert (ours.schema.target, ours.schema.feature_names) == ("b", ("a",))
    assert tables.prepare(table, ignore="c").schema.target == "b"


def test_names_that_are_not_there():
    iris = tables.read("iris")
    with pytest.raises(TableError, match="no target column 'specie'") as caught:
        tables.prepare(iris, target="specie")
    assert "Did you mean 'species'?" in caught.value.one_line
    with pytest.raises(TableError, match="no columns 'a', 'b'"):
        tables.prepare(iris, ignore=("a", "b"))
    with pytest.raises(TableError, match="no columns"):
        tables.prepare(tables.read(pl.DataFrame()))


def test_every_bad_argument_is_named_at_once():
    with pytest.raises(ArgumentError) as caught:
        tables.prepare(
            tables.read("iris"), test_size=1.0, validation_size=-0.1, task="guess", scaling="max",
            split_seed=-1, target="species", ignore=("species",),
        )  # fmt: skip
    for part in ("test_size", "validation_size", "task", "scaling", "split_seed", "cannot be ignored"):
        assert part in caught.value.one_line


def test_stratify_needs_classes():
    with pytest.raises(ArgumentError, match="stratify is for classes"):
        tables.prepare(table_of(x=numbers(50), y=numbers(50, 1)), stratify=True)


@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame, lambda d: pd.DataFrame(d).astype(object)])
def test_the_same_arrays_from_any_library(make):
    columns = {"x": list(numbers(60)), "c": ["u", "v", "w"] * 20, "b": [True, False] * 30, "y": ["p", "q"] * 30}
    ours, reference = (tables.prepare(tables.read(f(columns))) for f in (make, pl.DataFrame))
    np.testing.assert_array_equal(ours.X_train, reference.X_train)
    np.testing.assert_array_equal(ours.y_train, reference.y_train)
    assert ours.schema == reference.schema
