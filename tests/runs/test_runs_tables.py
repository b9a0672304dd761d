"""A run trained on a table takes raw columns back, saved and loaded."""

from __future__ import annotations

import csv
import hashlib
import json

import numpy as np
import polars as pl
import pytest

from hotloop import tables
from hotloop.errors import SavedRunError, TableError
from hotloop.files import seal, unseal
from hotloop.program.network import Network
from hotloop.runs import load


@pytest.fixture
def iris():
    return tables.prepare(tables.read("iris"))


@pytest.fixture
def saved_iris(make_run, iris, tmp_path):
    network = Network.mlp(iris.schema.n_features, (10,), iris.schema.n_outputs)
    run = make_run(network=network, weights=network.initialise(0), schema=iris.schema)
    return run.save(tmp_path / "iris")


def test_the_schema_comes_back(saved_iris, iris):
    assert load(saved_iris).schema == iris.schema


def test_raw_columns_in_labels_out(saved_iris, iris):
    predictor = load(saved_iris)
    prediction = predictor.predict("iris")
    outputs = predictor.network.forward(predictor.model.weights, iris.X_test)
    expected = [iris.schema.class_names[code] for code in outputs.argmax(1)]
    assert [prediction.classes[row] for row in iris.rows_test] == expected
    assert prediction.class_names == ("setosa", "versicolor", "virginica")
    header, *lines = csv.reader(prediction.to_csv().splitlines())
    assert header == ["predicted", *(f"probability of {name}" for name in prediction.class_names)]
    assert [line[0] for line in lines] == prediction.classes


def test_a_table_a_frame_and_a_file_give_the_same(saved_iris, tmp_path):
    predictor, table = load(saved_iris), tables.read("iris")
    frame = table.frame.to_native().drop("species")
    frame.write_csv(tmp_path / "new.csv")
    expected = predictor.predict(table).probabilities
    for rows in (frame, frame.to_pandas(), tmp_path / "new.csv"):
        np.testing.assert_array_equal(predictor.predict(rows).probabilities, expected)


def test_what_is_unlike_training_is_noted_or_refused(saved_iris):
    predictor = load(saved_iris)
    frame = tables.read("iris").frame.to_native().head(3)
    name = frame.columns[0]
    holed = frame.with_columns(pl.Series(name, [None, 5.0, 6.0]))
    assert any(name in note for note in predictor.predict(holed).notes)
    with pytest.raises(TableError, match=name):
        predictor.predict(frame.drop(name))


def test_numbers_come_back_in_the_targets_units(make_run, tmp_path):
    x = np.linspace(0, 1, 50)
    prepared = tables.prepare(tables.read(pl.DataFrame({"x": x, "y": 1000 + 10 * x + x**2})))
    network = Network.mlp(prepared.schema.n_features, (), 1)
    weights = {"0.weight": np.ones((1, 1), np.float32), "0.bias": np.zeros(1, np.float32)}
    run = make_run(network=network, weights=weights, schema=prepared.schema, settings={"loss": "MSELoss"})
    predictor = load(run.save(tmp_path / "numbers"))
    prediction = predictor.predict(pl.DataFrame({"x": x}))
    assert prediction.classes is None
    assert prediction.numbers.shape == (50,)
    np.testing.assert_allclose(prediction.numbers, 1000 + 10 * x + x**2, atol=1)


@pytest.mark.parametrize(
    "change",
    [
        {"task": "regression"},
        {"schema": 5},
        {"schema": {}},
        {"layers": Network.mlp(4, (10,), 2).to_json()},
    ],
    ids=["task", "number", "empty", "network"],
)
def test_a_schema_that_does_not_fit_is_refused(saved_iris, change, make_run, iris, tmp_path):
    description = unseal((saved_iris / "network.json").read_bytes(), "") | change
    (saved_iris / "network.json").write_bytes(seal(description))
    run = unseal((saved_iris / "run.json").read_bytes(), "")
    run["files"]["network.json"] = hashlib.sha256((saved_iris / "network.json").read_bytes()).hexdigest()
    (saved_iris / "run.json").write_bytes(seal(run))
    with pytest.raises(SavedRunError):
        load(saved_iris)


def test_network_json_holds_numbers_and_text_only(saved_iris):
    json.loads((saved_iris / "network.json").read_bytes(), parse_constant=pytest.fail)
