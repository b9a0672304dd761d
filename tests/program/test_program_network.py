"""The layer spec: first weights, outputs and JSON, all against torch."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch

from hotloop.errors import ArgumentError, SavedRunError
from hotloop.program import Activation, Linear, Network
from hotloop.program.network import ACTIVATIONS

TORCH = {
    "relu": torch.nn.ReLU(),
    "leaky_relu": torch.nn.LeakyReLU(),
    "elu": torch.nn.ELU(),
    "gelu": torch.nn.GELU(),
    "silu": torch.nn.SiLU(),
    "tanh": torch.nn.Tanh(),
    "sigmoid": torch.nn.Sigmoid(),
    "softplus": torch.nn.Softplus(),
    "identity": torch.nn.Identity(),
}


def test_every_activation_is_compared_here():
    assert set(TORCH) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_mean_what_they_mean_in_torch(name, dtype):
    x = np.array([-100, -20, -3, -1, -1e-3, -0.0, 0.0, 1e-3, 0.5, 1, 3, 19.9, 20.1, 100], dtype=dtype).reshape(7, 2)
    given = x.copy()
    y = ACTIVATIONS[name](x)
    assert y.dtype == dtype
    assert y.shape == x.shape
    assert np.array_equal(x, given)
    epsilon = np.finfo(dtype).eps
    # torch computes gelu in float32, where 1 + erf cancels; its softplus is the identity above 20, right to 2e-9.
    expected = TORCH[name](torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y, expected, rtol=8 * epsilon, atol=max(8 * epsilon, 3e-9 * (name == "softplus")))


@pytest.mark.parametrize("seed", [0, 1, 123456789])
@pytest.mark.parametrize("hidden", [(10,), (64, 64), ()])
def test_first_weights_are_those_of_torch_bit_for_bit(seed, hidden):
    network = Network.mlp(7, hidden, 3)
    torch.manual_seed(seed)
    widths = [7, *hidden, 3]
    layers = [torch.nn.Linear(a, b) for a, b in itertools.pairwise(widths)]
    weights = network.initialise(seed)
    expected = [tensor.detach().numpy() for layer in layers for tensor in (layer.weight, layer.bias)]
    assert list(weights) == list(network.parameter_shapes)
    assert all(np.array_equal(w, e) and w.dtype == np.float32 for w, e in zip(weights.values(), expected, strict=True))


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_forward_agrees_with_torch(name):
    network = Network.mlp(4, (9, 5), 2, name)
    weights = network.initialise(0)
    x = np.random.default_rng(0).normal(size=(17, 4)).astype(np.float32)
    h = torch.from_numpy(x)
    for index in (0, 2, 4):
        h = torch.nn.functional.linear(h, *(torch.from_numpy(weights[f"{index}.{n}"]) for n in ("weight", "bias")))
        h = TORCH[name](h) if index < 4 else h
    np.testing.assert_allclose(network.forward(weights, x), h.numpy(), rtol=1e-5, atol=1e-6)


def test_widths_and_names():
    network = Network.mlp(4, (10, 6), 3, "tanh")
    assert str(network) == "4-10-6-3"
    assert network.n_outputs == 3
    assert network.n_parameters == 4 * 10 + 10 + 10 * 6 + 6 + 6 * 3 + 3
    assert network.parameter_shapes["2.weight"] == (6, 10)
    assert Network(5, (Activation("relu"),)).n_outputs == 5


@pytest.mark.parametrize("network", [Network.mlp(4, (10,), 3), Network(2, (Activation("elu"), Linear(2, 1)))])
def test_json_round_trip(network):
    assert Network.from_json(json.loads(json.dumps(network.to_json()))) == network


@pytest.mark.parametrize(
    ("n_inputs", "layers", "words"),
    [
        (4, (), "at least one layer"),
        (4, (Linear(5, 3),), "takes 5 inputs"),
        (4, (Linear(4, 3), Linear(4, 2)), "layer 1 takes 4 inputs, but the one before gives 3"),
        (4, (Linear(4, 0),), "widths are 1"),
        (0, (Linear(0, 3),), "widths are 1"),
        (0, (Activation("relu"),), "at least 1 input"),
        (4, (Linear(4, 3), Activation("rellu")), "Did you mean 'relu'?"),
    ],
)
def test_networks_that_make_no_sense_are_refused(n_inputs, layers, words):
    with pytest.raises(ArgumentError) as error:
        Network(n_inputs, layers)
    assert words in error.value.one_line


GOOD = {"n_inputs": 2, "layers": [{"layer": "linear", "n_in": 2, "n_out": 1}]}


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "network",
        {},
        {**GOOD, "extra": 1},
        {**GOOD, "n_inputs": True},
        {**GOOD, "n_inputs": 2.0},
        {**GOOD, "n_inputs": 1 << 25},
        {**GOOD, "layers": {}},
        {**GOOD, "layers": []},
        {**GOOD, "layers": [1]},
        {**GOOD, "layers": [{"layer": 1}]},
        {**GOOD, "layers": [{"layer": "relu", "slope": 2}]},
        {**GOOD, "layers": [{"layer": "__import__"}]},
        {**GOOD, "layers": [{"layer": "linear", "n_in": 2}]},
        {**GOOD, "layers": [{"layer": "linear", "n_in": 2, "n_out": -1}]},
        {**GOOD, "layers": [{"layer": "linear", "n_in": 3, "n_out": 1}]},
    ],
)
def test_documents_that_are_no_network_are_refused(document):
    with pytest.raises(SavedRunError, match="makes no sense"):
        Network.from_json(document)
