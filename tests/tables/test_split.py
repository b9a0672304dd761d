"""Which rows go where."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from hotloop.errors import TableError
from hotloop.tables.split import split_rows


@given(st.integers(2, 300), st.floats(0.01, 0.5), st.floats(0.01, 0.5), st.integers(0, 2**32 - 1))
def test_unstratified_is_scikit_learns(n_rows, test_size, validation_size, seed):
    if math.ceil(test_size * n_rows) + 2 > n_rows:
        return
    rest, test = train_test_split(np.arange(n_rows), test_size=test_size, random_state=seed)
    split = split_rows(n_rows, test_size=test_size, validation_size=0, seed=seed)
    np.testing.assert_array_equal(split.train, rest)
    np.testing.assert_array_equal(split.test, test)
    assert len(split.validation) == 0
    train, validation = train_test_split(rest, test_size=validation_size, random_state=seed)
    split = split_rows(n_rows, test_size=test_size, validation_size=validation_size, seed=seed)
    np.testing.assert_array_equal(split.train, train)
    np.testing.assert_array_equal(split.validation, validation)
    np.testing.assert_array_equal(split.test, test)


@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=200),
    st.floats(0, 0.9),
    st.floats(0, 0.9),
    st.integers(0, 2**32 - 1),
)
def test_stratified_keeps_proportions_and_every_class_in_training(labels, test_size, validation_size, seed):
    classes = np.unique(labels, return_inverse=True)[1]
    sizes = {"test_size": test_size, "validation_size": validation_size, "seed": seed, "classes": classes}
    split = split_rows(len(classes), **sizes)
    everything = np.concatenate([split.train, split.validation, split.test])
    np.testing.assert_array_equal(np.sort(everything), np.arange(len(classes)))
    assert set(classes[split.train]) == set(classes)
    counts = np.bincount(classes)
    wanted = math.ceil(test_size * len(classes))
    assert len(split.test) <= wanted
    got = np.bincount(classes[split.test], minlength=len(counts))
    share = counts * wanted / len(classes)
    assert (got < share + 1 + 1e-9).all()
    # Fewer by a whole row only where the class's last row had to stay for training.
    assert ((got > share - 1 - 1e-9) | (got == counts - 1)).all()
    again = split_rows(len(classes), **sizes)
    np.testing.assert_array_equal(again.train, split.train)
    np.testing.assert_array_equal(again.validation, split.validation)


def test_stratified_divides_exactly_where_it_can():
    classes = np.repeat([0, 1, 2], [50, 30, 20])
    split = split_rows(100, test_size=0.2, validation_size=0.25, seed=1, classes=classes)
    assert np.bincount(classes[split.test]).tolist() == [10, 6, 4]
    assert np.bincount(classes[split.validation]).tolist() == [10, 6, 4]
    assert np.bincount(classes[split.train]).tolist() == [30, 18, 12]


def test_another_seed_gives_other_rows():
    classes = np.zeros(100, np.int64)
    first, second = (split_rows(100, test_size=0.2, validation_size=0, seed=seed, classes=classes) for seed in (1, 2))
    assert set(first.test) != set(second.test)


def test_no_test_rows():
    split = split_rows(5, test_size=0, validation_size=0, seed=0)
    assert sorted(split.train) == [0, 1, 2, 3, 4]
    assert len(split.test) == len(split.validation) == 0


@pytest.mark.parametrize(("n_rows", "test_size"), [(0, 0.2), (1, 0.2), (3, 0.9)])
def test_too_few_rows(n_rows, test_size):
    with pytest.raises(TableError, match="too few"):
        split_rows(n_rows, test_size=test_size, validation_size=0, seed=0)
