"""Fields of a run that are worked out when somebody reads them."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest


@pytest.fixture
def asked():
    return []


@pytest.fixture
def run(make_run, asked):
    def settings():
        asked.append("settings")
        return {"loss": "MSELoss"}

    return make_run(settings=settings, weights=lambda: {"0.weight": np.ones((2, 3))})


def test_it_is_worked_out_once(run, asked):
    assert asked == []
    assert run.settings["loss"] == "MSELoss"
    assert run.settings is run.settings
    assert asked == ["settings"]


def test_threads_that_read_it_at_once_get_the_same(make_run):
    def slow():
        time.sleep(0.05)
        return {}

    run = make_run(settings=slow)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: run.settings, range(4)))
    assert all(each is found[0] for each in found)


def pickled(run):
    return pickle.loads(pickle.dumps(run))  # noqa: S301


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_copies_have_it_too(run, asked, copied):
    other = copied(run)
    assert other.settings == {"loss": "MSELoss"} == copied(other).settings
    np.testing.assert_array_equal(other.weights["0.weight"], np.ones((2, 3)))
    assert asked == ["settings"]


def test_it_is_a_field_like_others(run, make_run):
    assert dataclasses.replace(run, settings={"loss": "L1Loss"}).settings == {"loss": "L1Loss"}
    assert dataclasses.replace(run, epochs=4).settings == {"loss": "MSELoss"}
    assert run.to_json()["settings"] == {"loss": "MSELoss"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.settings = {}
    fields = {field.name: None for field in dataclasses.fields(run) if field.name != "weights"}
    with pytest.raises(TypeError, match="weights"):
        type(run)(**fields)
