"""What is saved beside the network: exact, checked, and enough for prediction."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler

from hotloop import tables
from hotloop.errors import SavedRunError, TableError
from hotloop.tables.number_columns import NumberColumn
from hotloop.tables.scaling import Scaling, fit_scaling
from hotloop.tables.statistics import describe
from hotloop.tables.target import NumberTarget

ROWS = 120


def frame():
    random = np.random.default_rng(0)
    age = random.normal(40, 10, ROWS)
    age[::10] = np.nan
    return pl.DataFrame(
        {
            "age": age,
            "colour": [["red", "blue", "green", None][i] for i in random.integers(4, size=ROWS)],
            "flag": random.random(ROWS) < 0.5,
            "when": [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=i) for i in range(ROWS)],
            "size": random.integers(0, 1000, ROWS),
            "price": random.normal(size=ROWS),
            "kind": [["a", "b", "c"][i] for i in random.integers(3, size=ROWS)],
        }
    )


@pytest.fixture(params=["classification", "regression"])
def prepared(request):
    target = "kind" if request.param == "classification" else "price"
    return tables.prepare(tables.read(frame()), target=target, validation_size=0.2)


def test_feature_names(prepared):
    names = prepared.schema.feature_names
    assert names[:2] == ("age", "age is missing")
    assert {"colour=red", "colour=blue", "colour=green", "colour is unseen", "flag", "when", "size"} < set(names)
    assert len(names) == prepared.schema.n_features == prepared.X_train.shape[1]


def test_transform_gives_the_inputs_of_training(prepared):
    X, notes = prepared.schema.transform(tables.read(frame()))
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(X[getattr(prepared, f"rows_{part}")], getattr(prepared, f"X_{part}"))
    assert (X.dtype, X.flags.c_contiguous, notes) == (np.float32, True, ())


def test_order_and_extra_columns_do_not_matter(prepared):
    shuffled = frame().select(*reversed(frame().columns), pl.lit(1).alias("extra"))
    np.testing.assert_array_equal(
        prepared.schema.transform(tables.read(shuffled))[0], prepared.schema.transform(tables.read(frame()))[0]
    )


def test_the_target_is_not_needed(prepared):
    rest = frame().drop(prepared.schema.target)
    assert prepared.schema.transform(tables.read(rest.head(3)))[0].shape == (3, prepared.schema.n_features)
    assert prepared.schema.transform(tables.read(rest.head(0)))[0].shape == (0, prepared.schema.n_features)


def test_a_csv_predicts_like_the_frame(prepared, tmp_path):
    frame().write_csv(tmp_path / "new.csv")
    from_csv, _ = prepared.schema.transform(tables.read(tmp_path / "new.csv"))
    np.testing.assert_array_equal(from_csv, prepared.schema.transform(tables.read(frame()))[0])


def test_pandas_predicts_like_polars(prepared):
    theirs = pd.DataFrame(frame().to_dict(as_series=False))
    from_pandas, _ = prepared.schema.transform(tables.read(theirs))
    np.testing.assert_array_equal(from_pandas, prepared.schema.transform(tables.read(frame()))[0])


def test_missing_columns_are_named_together(prepared):
    wrong = frame().rename({"age": "Age", "colour": "color"}).drop("when")
    with pytest.raises(TableError, match="table 'table' has no columns 'age', 'colour', 'when'") as caught:
        prepared.schema.transform(tables.read(wrong))
    assert "Did you mean 'Age'?" in caught.value.one_line
    assert "Did you mean 'color'?" in caught.value.one_line


def test_new_categories_and_new_gaps_are_noted(prepared):
    new = frame().with_columns(
        colour=pl.Series(["violet"] * 2 + ["red"] * (ROWS - 2)), size=pl.Series([None] + [1] * (ROWS - 1))
    )
    X, notes = prepared.schema.transform(tables.read(new))
    unseen = prepared.schema.feature_names.index("colour is unseen")
    assert X[:, unseen].tolist() == [1, 1] + [0] * (ROWS - 2)
    assert notes[0] == "'colour' holds a category not known from training in 2 rows."
    assert notes[1].startswith("'size' is missing in 1 row, in training in none: filled with")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("age", ["old"] * ROWS, "'age' of 'table' holds 'old' in row 1, where a number is needed"),
        ("when", ["soon"] * ROWS, "'when' of 'table' holds texts, where a date is needed"),
        ("size", [float("inf")] * ROWS, "'size' of 'table' holds infinity in row 1"),
        ("size", [1e100] * ROWS, "'size' of 'table' holds a number too large for float32 once scaled, in row 1"),
    ],
)
def test_values_of_another_kind(prepared, column, values, message):
    with pytest.raises(TableError, match=message):
        prepared.schema.transform(tables.read(frame().with_columns(pl.Series(column, values))))


def test_numbers_predict_where_texts_were_trained():
    labels = ["1", "2", "x"] * 20
    schema = tables.prepare(tables.read(pl.DataFrame({"c": labels, "y": ["a", "b"] * 30}))).schema
    X, notes = schema.transform(tables.read(pl.DataFrame({"c": [1.0, 2.0, 3.0]})))
    assert [schema.feature_names[i] for i in X.argmax(axis=1)] == ["c=1", "c=2", "c is unseen"]
    assert len(notes) == 1


def test_json_round_trip_is_exact(prepared):
    saved = json.loads(json.dumps(prepared.schema.to_json(), allow_nan=False))
    again = tables.Schema.from_json(saved)
    assert again == prepared.schema
    np.testing.assert_array_equal(
        again.transform(tables.read(frame()))[0], prepared.schema.transform(tables.read(frame()))[0]
    )


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(FINITE, FINITE, st.floats(min_value=5e-324, allow_infinity=False), FINITE)
def test_every_float_survives_json(fill, shift, scale, offset):
    column = NumberColumn("x", fill, True, Scaling(shift, scale, offset))
    schema = tables.Schema((column,), NumberTarget("y", Scaling(shift, scale, offset)))
    again = tables.Schema.from_json(json.loads(json.dumps(schema.to_json(), allow_nan=False)))
    assert repr(again) == repr(schema)


def leaves(node, path=()):
    """Yield the path of every value in nested JSON."""
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        yield from leaves(value, (*path, key))


def value_at(node, path):
    for key in path:
        node = node[key]
    return node


def replaced(saved, path, value):
    saved = json.loads(json.dumps(saved))
    if not path:
        return value
    node = saved
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return saved


# A text is never right in place of a number or list, nor these in place of a text; NaN and infinity never are.
@pytest.mark.parametrize("odd", [None, float("nan"), float("inf"), 10**400, -1, "", [], {}, True, ["a", "a"]], ids=repr)
def test_every_odd_value_in_every_place(prepared, odd):
    saved = prepared.schema.to_json()
    n_accepted = 0
    for path in leaves(saved):
        changed = replaced(saved, path, odd)
        try:
            again = tables.Schema.from_json(changed)
        except SavedRunError:
            continue
        # What is accepted is of the right type and saves as it was read.
        n_accepted += 1
        assert json.dumps(again.to_json(), allow_nan=False)
        assert type(odd) in (int, str, bool)
        assert again.to_json() == changed
        assert odd is not True or type(value_at(saved, path)) is bool
    if odd in ([], {}, None) or odd != odd or odd == float("inf"):
        assert n_accepted == 0


def test_missing_and_unknown_fields(prepared):
    saved = prepared.schema.to_json()
    for path in leaves(saved):
        if path and isinstance(path[-1], str):
            node = json.loads(json.dumps(saved))
            parent = node
            for key in path[:-1]:
                parent = parent[key]
            del parent[path[-1]]
            with pytest.raises(SavedRunError):
                tables.Schema.from_json(node)
            parent[path[-1]], parent["extra"] = 1, 1
            with pytest.raises(SavedRunError):
                tables.Schema.from_json(node)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("version",), 2, "version"),
        (("version",), True, "version"),
        (("columns", 0, "kind"), "picture", "picture"),
        (("columns", 0, "scale"), 0, "scale"),
        (("columns", 0, "name"), "colour", "twice"),
        (("target", "name"), "age", "twice"),
        (("columns",), [{}] * 10_001, "columns"),
    ],
)
def test_what_cannot_have_been_saved(prepared, path, value, reason):
    with pytest.raises(SavedRunError) as caught:
        tables.Schema.from_json(replaced(prepared.schema.to_json(), path, value))
    assert reason in caught.value.one_line


@given(st.lists(st.floats(-1000, 1000), min_size=2, max_size=50))
def test_minmax_is_scikit_learns_to_the_bit(values):
    values = np.array(values)
    scaling = fit_scaling(describe(values, np.arange(len(values))), "minmax")
    # Far from zero, digits count for more than likeness; and scikit-learn takes tiny ranges for constants.
    if scaling.shift == 0 and np.ptp(values) > 1e-3:
        theirs = MinMaxScaler().fit_transform(values[:, np.newaxis])[:, 0]
        np.testing.assert_array_equal(scaling.apply(values), theirs)


@given(
    st.lists(st.floats(-1e100, 1e100), min_size=1, max_size=50),
    st.sampled_from(["minmax", "standard", "none"]),
)
def test_scaling_is_undone(values, name):
    values = np.array(values)
    scaling = fit_scaling(describe(values, np.arange(len(values))), name)
    again = scaling.undo(scaling.apply(values))
    np.testing.assert_allclose(again, values, rtol=1e-9, atol=1e-9 * (np.ptp(values) + np.abs(values).max()))


@given(st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), max_size=50))
def test_statistics_are_numpys(values):
    values = np.array([np.nan if value is None else value for value in values], np.float64)
    seen = describe(values, np.arange(len(values)))
    present = values[~np.isnan(values)]
    assert (seen.n_present, seen.n_missing) == (len(present), len(values) - len(present))
    if len(present):
        assert (seen.low, seen.high) == (present.min(), present.max())
        np.testing.assert_allclose([seen.mean, seen.std], [present.mean(), present.std()], rtol=1e-9, atol=1e-6)
