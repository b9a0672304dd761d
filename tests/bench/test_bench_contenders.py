"""Every contender trains the same network on the same rows: their losses are eager's."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from hotloop.bench.cold_caches import cold_caches
from hotloop.bench.contenders import DEFAULT, NAMES, all_contenders, choose
from hotloop.bench.eager import Eager
from hotloop.bench.scikit_learn import ScikitLearn
from hotloop.bench.torch_compile import TorchCompile
from hotloop.bench.workloads import find_workload
from hotloop.errors import ArgumentError

IN_PROCESS = ["hotloop", "eager-threads", "eager-fused", "scikit-learn"]


def by_name(name):
    return next(contender for contender in all_contenders() if contender.name == name)


def eager_losses(workload, epochs=20):
    return Eager("eager", "", 1).prepare(workload, epochs, 0)().losses


@pytest.mark.parametrize("name", IN_PROCESS)
@pytest.mark.parametrize("kind", ["tiny_classes", "tiny_numbers"])
def test_losses_are_eagers(name, kind, request):
    workload, contender = request.getfixturevalue(kind), by_name(name)
    assert contender.absent(workload) is None
    training = contender.prepare(workload, 20, 0)
    trained = training()
    assert trained.losses == pytest.approx(eager_losses(workload), rel=2e-4 if name == "scikit-learn" else 2e-6)
    assert trained.duration_s > 0
    assert training().losses.tolist() == trained.losses.tolist()


@pytest.mark.parametrize("name", IN_PROCESS)
def test_without_a_seed_each_shuffles_by_itself(name, tiny_classes):
    losses = by_name(name).prepare(tiny_classes, 3, None)().losses
    assert len(losses) == 3
    assert losses == pytest.approx(eager_losses(tiny_classes, 3), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("jax", "tiny_numbers"), ("jax-given", "tiny_classes")])
def test_losses_of_jax_are_eagers(name, kind, request):
    pytest.importorskip("jax")
    workload, contender = request.getfixturevalue(kind), by_name(name)
    trained = contender.prepare(workload, 20, 0)()
    assert trained.losses == pytest.approx(eager_losses(workload), rel=2e-6)
    assert trained.prepare_s > 0


def test_jax_with_given_orders_is_for_minibatches(tiny_numbers):
    pytest.importorskip("jax")
    assert "full batch" in by_name("jax-given").absent(tiny_numbers)


def test_torch_compile_begins_each_training_anew(tiny_classes, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function, **options: compiled.append(function) or function)
    contender = TorchCompile()
    training = contender.prepare(tiny_classes, 20, 0)
    first, second = training(), training()
    assert first.losses == pytest.approx(eager_losses(tiny_classes), rel=2e-6)
    assert second.losses.tolist() == first.losses.tolist()
    contender.prepare(tiny_classes, 3, None)()
    assert len(compiled) == 2


def test_torch_compile_needs_a_compiler(tiny_classes, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert TorchCompile().absent(tiny_classes) == "needs a C++ compiler, and none is found"
    monkeypatch.setenv("CXX", "a compiler that is not there")
    assert TorchCompile().absent(tiny_classes) is not None


def test_scikit_learn_leaves_out_what_it_would_train_otherwise():
    assert "logistic" in ScikitLearn(1).absent(find_workload("W9"))
    assert ScikitLearn(1).absent(find_workload("W7")) is None


@pytest.mark.parametrize(("name", "package"), [("jax", "jax"), ("jax-given", "jax"), ("scikit-learn", "scikit-learn")])
def test_what_is_not_installed_says_so(name, package, tiny_classes, monkeypatch):
    for module in ("jax_scan", "scikit_learn"):
        monkeypatch.setattr(f"hotloop.bench.{module}.version_of", lambda package: None)
    assert "not installed" in by_name(name).absent(tiny_classes)


def test_threads_are_left_as_they_were(tiny_classes):
    before = torch.get_num_threads()
    by_name("eager-threads").prepare(tiny_classes, 1, 0)()
    Eager("eager", "", 1).prepare(tiny_classes, 1, 0)()
    assert torch.get_num_threads() == before


def test_who_takes_part():
    assert [contender.name for contender in choose()] == sorted(DEFAULT, key=NAMES.index)
    assert [contender.name for contender in choose(only=["jax", "eager"])] == ["eager", "jax"]
    assert {contender.name for contender in choose(also=["torch-compile"], without=["jax", "eager"])} == {*NAMES} - {
        "jax",
        "eager",
    }
    assert all(contender.about for contender in all_contenders())


@pytest.mark.parametrize(
    ("names", "said"),
    [({"only": ["eagre"]}, "Did you mean 'eager'?"), ({"without": ["x"]}, "torch-compile"), ({"also": ["y"]}, "'y'")],
)
def test_unknown_contenders(names, said):
    with pytest.raises(ArgumentError, match="unknown contender") as refused:
        choose(**names)
    assert said in str(refused.value)


def test_somebody_must_be_left():
    with pytest.raises(ArgumentError, match="no contender is left"):
        choose(only=["jax"], without=["jax"])


def test_caches_are_empty_inside_and_as_before_outside(monkeypatch, tmp_path):
    monkeypatch.setenv("HOTLOOP_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    with cold_caches():
        inside = os.environ["HOTLOOP_CACHE_DIR"]
        assert inside != str(tmp_path)
        assert not os.path.exists(inside)  # noqa: PTH110
    assert os.environ["HOTLOOP_CACHE_DIR"] == str(tmp_path)
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ


def test_curves_of_different_length_are_compared_where_both_are():
    from hotloop.bench.first_runs import deviation

    assert deviation(np.array([1.0, 2.2]), np.array([1.0, 2.0, 3.0])) == (pytest.approx(0.1), 2)
    assert deviation(np.array([np.nan]), np.array([1.0]))[0] != 0
