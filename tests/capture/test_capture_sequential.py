"""Layer spec and nn.Sequential, both ways; no spec for anything that does more than the spec says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hotloop.capture import from_module, plain, to_module
from hotloop.capture.plain import read_plain
from hotloop.program import Activation, Linear, Network
from hotloop.program.network import ACTIVATIONS


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_round_trip(activation):
    network = Network.mlp(4, (7, 5), 3, activation)
    module = to_module(network, network.initialise(1))
    assert from_module(module) == network
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    outputs = module(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(network.forward(network.initialise(1), x), outputs, rtol=1e-5, atol=1e-6)


def test_weights_are_copied_and_torchs_generator_is_left_alone():
    network = Network.mlp(2, (3,), 1)
    weights = network.initialise(0)
    before = torch.get_rng_state()
    module = to_module(network, weights)
    assert torch.equal(before, torch.get_rng_state())
    with torch.no_grad():
        module[0].weight.zero_()
    assert weights["0.weight"].any()
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())


def mlp(*middle):
    return nn.Sequential(nn.Linear(4, 5), *(middle or (nn.ReLU(),)), nn.Linear(5, 3))


def test_plain_modules_have_a_spec():
    assert from_module(mlp()) == Network.mlp(4, (5,), 3)
    assert from_module(mlp(nn.ReLU(inplace=True))) == Network.mlp(4, (5,), 3)
    assert from_module(nn.Sequential(nn.Tanh(), nn.Linear(4, 2))) == Network(4, (Activation("tanh"), Linear(4, 2)))
    # What is trained and what is not is no part of what a network computes; nor is the mode.
    frozen = mlp().eval()
    frozen[0].weight.requires_grad_(False)
    assert from_module(frozen) == Network.mlp(4, (5,), 3)


def hooked(register):
    module = mlp()
    getattr(module[0], register)(lambda *args: None)
    return module


def hooked_outside():
    module = mlp()
    module.register_forward_hook(lambda *args: None)
    return module


def shared_layer():
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.ReLU(), layer)


def tied_weights():
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    module[2].weight = module[0].weight
    return module


def own_forward():
    module = mlp()
    module[1].forward = torch.tanh
    return module


def with_buffer():
    module = mlp()
    module[0].register_buffer("extra", torch.zeros(1))
    return module


class OwnLinear(nn.Linear):
    pass


class OwnSequential(nn.Sequential):
    pass


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(4, 3),
        nn.Sequential(),
        nn.Sequential(nn.ReLU()),
        mlp(nn.Dropout(0.5)),
        mlp(nn.BatchNorm1d(5)),
        mlp(nn.LeakyReLU(0.2)),
        mlp(nn.ELU(alpha=0.5)),
        mlp(nn.GELU(approximate="tanh")),
        mlp(nn.Softplus(beta=2)),
        mlp(nn.Sequential(nn.ReLU())),
        nn.Sequential(nn.Linear(4, 3, bias=False)),
        nn.Sequential(nn.Linear(4, 3).double()),
        nn.Sequential(nn.Linear(4, 5), nn.Linear(4, 3)),
        nn.Sequential(OwnLinear(4, 3)),
        OwnSequential(nn.Linear(4, 3)),
        nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))),
        mlp().append(nn.ReLU()).insert(1, nn.Linear(5, 5)).__delitem__(0) or nn.Sequential(nn.Flatten()),
        hooked("register_forward_hook"),
        hooked("register_forward_pre_hook"),
        hooked("register_full_backward_hook"),
        hooked("register_full_backward_pre_hook"),
        hooked_outside(),
        shared_layer(),
        tied_weights(),
        own_forward(),
        with_buffer(),
    ],
    ids=lambda module: type(module).__name__,
)
def test_everything_else_has_none(module):
    assert from_module(module) is None


def test_named_children_have_none():
    from collections import OrderedDict

    assert from_module(nn.Sequential(OrderedDict(first=nn.Linear(4, 3)))) is None


@pytest.mark.parametrize("name", ["parametrizations", "_orig_mod"])
def test_children_that_stand_for_something_else_have_none(name):
    assert read_plain(nn.Sequential(nn.Linear(4, 3))) is not None
    module = nn.Sequential(nn.Linear(4, 3))
    module.add_module(name, nn.ReLU())
    read = read_plain(module)
    assert read is None or read.is_compiled


def test_another_forward_of_a_class_is_seen_while_it_is_there(monkeypatch):
    """Also where it was there when layers were first read, and where only its code has changed."""
    forward = nn.Tanh.forward
    plain._own_code.clear()
    module = mlp(nn.Tanh())
    with monkeypatch.context() as patched:
        patched.setattr(nn.Tanh, "forward", lambda self, x: forward(self, x))
        assert read_plain(module) is None
    assert read_plain(module) is not None
    with monkeypatch.context() as patched:
        patched.setattr(forward, "__code__", (lambda self, x: x).__code__)
        assert read_plain(module) is None
    assert read_plain(module) is not None
