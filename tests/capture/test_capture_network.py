"""The layer spec's program is that of the captured Sequential; tables agree with each other; repeats are cheap."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

from hotloop.capture import capture, capture_network, to_module
from hotloop.capture.recipe import write_program
from hotloop.capture.supported import ACTIVATIONS, FUNCTIONS, LOSSES, OPTIMIZERS
from hotloop.program.activations import ACTIVATIONS as IN_OPS
from hotloop.program.build import BlockBuilder
from hotloop.program.interpret import interpret_block
from hotloop.program.network import ACTIVATIONS as IN_NUMPY
from hotloop.program.network import Network
from hotloop.program.optimizers import Adam, Sgd
from hotloop.program.types import ROWS, Axis, Type


def settings(target="labels", validation=True, n_features=5):
    return {
        "n_features": n_features,
        "target": target,
        "has_row_weight": False,
        "has_validation": validation,
        "ignores_labels": False,
        "clip_grad_norm": None,
    }


@pytest.mark.parametrize("activation", sorted(IN_NUMPY))
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_without_torch_the_same_text(activation, task):
    network = Network.mlp(5, (7, 6), 3, activation)
    module = to_module(network, network.initialise(0))
    weights = np.array([1.0, 2.0, 3.0], np.float32) if task == "classification" else None
    loss = nn.CrossEntropyLoss(torch.tensor(weights)) if weights is not None else nn.MSELoss()
    optimizer = torch.optim.Adam(module.parameters(), weight_decay=0.1)
    captured = capture(module, loss, optimizer, **settings("labels" if weights is not None else "numbers"))
    program, fixed = capture_network(
        network, task=task, class_weight=weights, rule=Adam(weight_decay=0.3), has_validation=True
    )
    assert program.text == captured.program.text
    assert fixed.keys() == captured.fixed.keys()
    for name, array in fixed.items():
        assert np.array_equal(array, captured.fixed[name])
        assert array.dtype == captured.fixed[name].dtype
    names = dict(zip([item.name for item in program.weights], network.parameter_shapes.values(), strict=True))
    assert names == {name: tuple(parameter.shape) for name, parameter in captured.weights.items()}


def test_without_torch_is_without_torch():
    code = (
        "import sys; from hotloop.capture import capture_network; from hotloop.program import Network\n"
        "from hotloop.program.optimizers import Sgd\n"
        "network = Network.mlp(4, (10,), 3)\n"
        "kept = dict(task='classification', class_weight=None, rule=Sgd(), has_validation=False)\n"
        "print(capture_network(network, **kept)[0].evaluation, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "False"]


@pytest.mark.parametrize("name", sorted(IN_NUMPY))
def test_activations_in_ops_mean_what_they_mean_in_numpy(name):
    x = np.concatenate([np.linspace(-30, 30, 301), [0.0, -0.0, 1e-9, -1e-9]]).reshape(5, 61)
    block = BlockBuilder("f64")
    value = block.input("x", Type("f64", (ROWS, Axis("features", 61))), "data")
    block.output("y", IN_OPS[name](value))
    found = interpret_block(block.finish(), {"x": x})["y"]
    # torch's softplus, and so that in ops, is the identity above 20.
    np.testing.assert_allclose(found, IN_NUMPY[name](x), rtol=1e-13, atol=3e-9 if name == "softplus" else 1e-15)


def test_tables_agree():
    assert set(IN_OPS) == {*IN_NUMPY, "gelu_tanh"}
    assert {row.program for row in ACTIVATIONS} == set(IN_NUMPY) - {"identity"}
    for row in ACTIVATIONS:
        layer = getattr(nn, row.module)()
        assert {name: getattr(layer, name) for name in row.defaults} == dict(row.defaults)
    for row in LOSSES:
        loss = getattr(nn, row.module)()
        assert {name: getattr(loss, name) for name in row.defaults} == dict(row.defaults)
    parameters = [nn.Parameter(torch.ones(1))]
    for row in OPTIMIZERS:
        (group,) = getattr(torch.optim, row.name)(parameters, lr=0.1).param_groups
        computed = {"params", "lr", "foreach", "fused", "capturable", "differentiable"}
        assert set(row.settings) == set(group) - computed - (
            {"decoupled_weight_decay"} if row.name == "AdamW" else set()
        )
    assert len({row.kind for row in FUNCTIONS}) == len(FUNCTIONS)


def lesson():
    return nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3))


def test_equal_structures_share_a_program():
    programs = set()
    for lr, momentum in [(0.1, 0.9), (0.2, 0.8), (0.3, 0.7)]:
        model = lesson()
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
        captured = capture(model, nn.CrossEntropyLoss(), optimizer, **settings(n_features=4))
        assert captured.groups[0].rule == Sgd(momentum=momentum)
        assert captured.weights["w1"] is model[2].weight
        programs.add(id(captured.program))
    assert len(programs) == 1
    model[0].weight.requires_grad_(False)
    other = capture(model, nn.CrossEntropyLoss(), optimizer, **settings(n_features=4))
    assert other.program.updates[0].weights == ("b0", "w1", "b1")


def test_programs_are_kept_for_many_threads():
    failures = []

    def work(seed):
        for width in range(3, 20):
            model = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 3 + seed % 2))
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            captured = capture(model, nn.CrossEntropyLoss(), optimizer, **settings(n_features=4))
            shapes = {name: tuple(parameter.shape) for name, parameter in captured.weights.items()}
            expected = {item.name: tuple(a.size for a in item.type.axes) for item in captured.program.weights}
            if shapes != expected:
                failures.append((shapes, expected))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert write_program.cache_info().maxsize == 256


@pytest.mark.timing
def test_capture_is_cheap():
    model = lesson()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def seconds(n_times):
        start = time.process_time()
        for _ in range(n_times):
            capture(model, nn.CrossEntropyLoss(), optimizer, **settings(n_features=4))
        return (time.process_time() - start) / n_times

    seconds(1)
    first = []
    for _ in range(5):
        write_program.cache_clear()
        first.append(seconds(1))
    assert min(first) < 4e-3
    assert min(seconds(200) for _ in range(5)) < 100e-6


def test_the_command_fits_a_screen(hotloop_cli):
    shown = hotloop_cli("layers")
    assert shown.returncode == 0
    lines = shown.stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 96
    document = json.loads(hotloop_cli("layers", "--json").stdout)
    assert list(document) == ["layers", "activations", "functions", "losses", "optimizers"]
    for words in (
        [row.module for row in ACTIVATIONS] + [row.module for row in LOSSES] + [row.name for row in OPTIMIZERS]
    ):
        assert words in shown.stdout
        assert words in json.dumps(document)
