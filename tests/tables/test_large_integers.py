"""Ids and timestamps with more digits than float64 holds."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from hotloop import tables


def table_of(**columns):
    return tables.read(pl.DataFrame(columns))


def numbers(n_rows):
    return np.random.default_rng(0).normal(size=n_rows)


LARGE = [10**18 + row for row in range(60)]
UNSIGNED = [2**64 - 1 - row for row in range(60)]
PAIRS = list(enumerate(zip(LARGE, UNSIGNED, strict=True)))
MAKERS = {
    "polars": lambda values: pl.DataFrame({"id": values, "y": [0.0, 1.0] * 30}),
    "pandas": lambda values: pd.DataFrame({"id": values, "y": [0.0, 1.0] * 30}),
    "objects": lambda values: pd.DataFrame({"id": pd.Series(values, dtype=object), "y": [0.0, 1.0] * 30}),
    "pandas with gaps": lambda values: pd.DataFrame({"id": pd.array(values, dtype="Int64"), "y": [0.0, 1.0] * 30}),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("scaling", ["standard", "minmax", "none"])
def test_large_whole_numbers_keep_their_last_digits(make, scaling):
    prepared = tables.prepare(tables.read(make(LARGE)), scaling=scaling, test_size=0)
    assert not [note for note in prepared.notes if "same" in note]
    steps = np.diff(prepared.X_train[np.argsort(prepared.rows_train), 0])
    assert np.all(steps > 0)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-4)
    restored = tables.Schema.from_json(json.loads(json.dumps(prepared.schema.to_json())))
    again, _ = restored.transform(tables.read(make(LARGE)))
    np.testing.assert_array_equal(again[prepared.rows_train], prepared.X_train)
    # Numbers of another size stay what they are, and overflow nothing.
    far, _ = restored.transform(tables.read(make([0, -(2**63), 2**63 - 1, *LARGE[3:]])))
    assert far[1, 0] < far[0, 0] < far[3, 0] < far[2, 0]


def test_large_whole_numbers_from_a_file_and_without_a_sign(csv_of):
    lines = "".join(f"{signed},{unsigned},{row % 7}\n" for row, (signed, unsigned) in PAIRS)
    from_file = tables.prepare(tables.read(csv_of("a,b,y\n" + lines)), task="regression")
    assert from_file.schema.columns[0].origin == min(LARGE[row] for row in from_file.rows_train)
    # Beyond 64 bits with a sign a file's numbers have 16 digits, and that is what is said.
    assert "'b' is the same in every training row, to the 16 digits that are kept: ignored." in from_file.notes
    frame = pl.DataFrame({"b": pl.Series(UNSIGNED, dtype=pl.UInt64), "y": numbers(60)})
    assert tables.prepare(tables.read(frame)).schema.columns[0].origin > 2**63


def test_large_whole_numbers_that_are_missing_are_filled():
    ids = [None if row % 3 == 0 else 10**18 + row for row in range(60)]
    prepared = tables.prepare(table_of(id=ids, y=numbers(60)), scaling="minmax", test_size=0)
    assert "filled with 1e+18." in " ".join(prepared.notes)
    gone = prepared.X_train[:, 1] == 1
    assert gone.sum() == 20
    assert 0.3 < prepared.X_train[gone, 0].min() == prepared.X_train[gone, 0].max() < 0.7


def test_large_whole_numbers_that_differ_late_are_different_classes():
    prepared = tables.prepare(table_of(x=numbers(60), y=[10**18 + row % 3 for row in range(60)]))
    assert prepared.schema.class_names == ("1000000000000000000", "1000000000000000001", "1000000000000000002")


def test_what_is_said_of_dates_that_look_the_same_is_true():
    nanoseconds = pl.Series(range(60)).cast(pl.Datetime("ns")) + datetime.timedelta(hours=7)
    plain = [datetime.date(2024, 1, 1)] * 60
    notes = tables.prepare(table_of(at=nanoseconds, day=plain, x=numbers(60), y=numbers(60))).notes
    assert "'at' is the same in every training row, to the microsecond: ignored." in notes
    assert "'day' is the same in every training row: ignored." in notes
