"""Answers of a loaded run: as torch computes them, and as CSV that is safe to open."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
import torch

from hotloop.errors import OutputError, SavedRunError, TableError
from hotloop.program.network import Network
from hotloop.runs import Prediction, load, predictor
from hotloop.runs.prediction import of_classes


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(65, 4))


@pytest.fixture
def classifier(make_run, tmp_path):
    return load(make_run().save(tmp_path / "iris"))


@pytest.fixture
def load_regression(make_run, tmp_path):
    def make(n_outputs):
        network = Network.mlp(4, (5,), n_outputs)
        settings = {"loss": "MSELoss"}
        run = make_run(network=network, weights=network.initialise(0), settings=settings)
        return load(run.save(tmp_path / "numbers"))

    return make


def test_classes_and_probabilities_are_torchs(classifier, rows):
    prediction = classifier.predict(rows)
    with torch.no_grad():
        expected = classifier.module()(torch.tensor(rows, dtype=torch.float32)).softmax(1).numpy()
    assert prediction.probabilities.dtype == np.float32
    np.testing.assert_allclose(prediction.probabilities, expected, rtol=1e-5)
    assert prediction.classes == [str(code) for code in expected.argmax(1)]
    assert prediction.class_names == ("0", "1", "2")
    assert prediction.numbers is None
    assert len(prediction) == 65


def test_numbers_are_torchs(load_regression, rows):
    one = load_regression(1)
    prediction = one.predict(rows.tolist())
    with torch.no_grad():
        expected = one.module()(torch.tensor(rows, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(prediction.numbers, expected[:, 0], rtol=1e-5, atol=1e-6)
    assert prediction.numbers.dtype == np.float64
    assert prediction.classes is None
    assert len(prediction) == 65


def test_several_numbers_a_row(load_regression, rows):
    prediction = load_regression(2).predict(rows)
    assert prediction.numbers.shape == (65, 2)
    header, first, *_ = csv.reader(prediction.to_csv().splitlines())
    assert header == ["predicted 1", "predicted 2"]
    assert [float(cell) for cell in first] == prediction.numbers[0].tolist()


@pytest.mark.parametrize("n_rows", [0, 1, 7, 65])
def test_slices_of_rows_give_the_same(classifier, rows, n_rows, monkeypatch):
    whole = classifier.predict(rows[:n_rows])
    monkeypatch.setattr(predictor, "_SLICE_NUMBERS", 35)  # seven rows at a time
    sliced = classifier.predict(rows[:n_rows])
    np.testing.assert_allclose(sliced.probabilities, whole.probabilities, rtol=1e-6)
    assert sliced.classes == whole.classes
    assert sliced.probabilities.shape == (n_rows, 3)


def test_a_module_predicts_in_evaluation_mode_and_keeps_its_own(make_run, rows, tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5)).double()
    module[0].eval()
    path = make_run(network=None, weights=module.state_dict()).save(tmp_path / "iris")
    loaded = load(path, into=module)
    prediction = loaded.predict(rows)
    with torch.no_grad():
        expected = module[0](torch.tensor(rows)).softmax(1).numpy()
    np.testing.assert_allclose(prediction.probabilities, expected, rtol=1e-5)
    assert [part.training for part in module.modules()] == [True, False, True]


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (np.zeros((2, 3)), r"the rows have shape \(2, 3\), the network takes \(rows, 4\)"),
        (np.zeros(4), r"the rows have shape \(4,\)"),
        (5.0, r"the rows have shape \(\)"),
        ([["a", "b", "c", "d"]], "no array of numbers"),
        ([[1, 2], [3]], "no array of numbers"),
        (np.array([[0, 0, 0, 0], [0, np.nan, 0, 0]]), "a feature in row 2 is not a finite number"),
        (np.full((1, 4), 1e39), "the network's answer in row 1 is not a finite number"),
    ],
)
def test_rows_that_do_not_fit(classifier, bad, sentence):
    with pytest.raises(TableError, match=sentence):
        classifier.predict(bad)


def test_rows_that_do_not_fit_a_module(make_run, tmp_path):
    module = torch.nn.Linear(4, 3)
    loaded = load(make_run(network=None, weights=module.state_dict()).save(tmp_path / "iris"), into=module)
    with pytest.raises(TableError, match=r"the module cannot take rows of shape \(2, 5\)"):
        loaded.predict(np.zeros((2, 5)))


def test_one_logit_stands_for_two_classes():
    prediction = of_classes(np.array([[-2.0], [3.0]]), ["no", "yes"])
    assert prediction.classes == ["no", "yes"]
    np.testing.assert_allclose(prediction.probabilities[:, 1], 1 / (1 + np.exp([2.0, -3.0])), rtol=1e-6)


def test_large_logits_do_not_overflow():
    prediction = of_classes(np.array([[1e30, 0, -1e30]], np.float32), None)
    assert prediction.probabilities.tolist() == [[1, 0, 0]]


def test_outputs_that_do_not_match_the_classes():
    with pytest.raises(SavedRunError, match="3 outputs"):
        of_classes(np.zeros((2, 3)), ["a", "b"])


DANGEROUS = ["=1+1", "+A1", "-A1", "@SUM(A1)", "\tx", "\rx"]


@pytest.mark.parametrize("label", DANGEROUS)
def test_a_label_that_is_a_formula_is_written_as_text(label):
    text = of_classes(np.array([[1.0, 0.0]]), [label, "b"]).to_csv()
    header, row = csv.reader(io.StringIO(text, newline=""))
    assert header[1].startswith("probability of ")
    assert row[0] == "'" + label


@pytest.mark.parametrize("label", ["-1", "+2.5e-3", "-.5", "7", "plain", "a=b", "花", 'with "quotes", and\nlines'])
def test_numbers_and_plain_text_are_left_alone(label, tmp_path):
    prediction = of_classes(np.array([[1.0, 0.0]]), [label, "b"])
    path = prediction.write_csv(tmp_path / "out.csv")
    with path.open(encoding="utf-8", newline="") as file:
        header, row = csv.reader(file)
    assert header == ["predicted", f"probability of {label}", "probability of b"]
    assert row[0] == label


@pytest.mark.parametrize("text", ["-1-1", "-1e", "-", "+", "-1 ", "--1", "-inf"])
def test_what_only_begins_like_a_number_is_text(text):
    assert f"\n'{text}," in of_classes(np.array([[1.0, 0.0]]), [text, "b"]).to_csv()


def test_probabilities_and_numbers_survive_the_csv(classifier, load_regression, rows):
    prediction = classifier.predict(rows)
    read = [[float(cell) for cell in row[1:]] for row in list(csv.reader(prediction.to_csv().splitlines()))[1:]]
    np.testing.assert_array_equal(np.array(read, np.float32), prediction.probabilities)
    numbers = load_regression(1).predict(rows)
    lines = numbers.to_csv().splitlines()
    assert lines[0] == "predicted"
    assert [float(line) for line in lines[1:]] == numbers.numbers.tolist()


def test_an_output_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        Prediction(numbers=np.zeros(1)).write_csv(tmp_path / "missing" / "out.csv")
    assert len(Prediction()) == 0
