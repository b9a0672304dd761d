"""What optimizers keep: read where training goes on, written so that eager torch goes on from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from capture_cases import OPTIMIZERS, Both, make
from torch import nn

from hotloop.capture import NotCaptured, read_slots, write_slots
from hotloop.capture.optimizers import read_rule_again


def started(name, n_steps, seed=0):
    """A model and an optimizer that has done some steps."""
    model = make("tanh", seed)
    optimizer = OPTIMIZERS[name](model.parameters())
    both = Both(model, nn.MSELoss(), optimizer, "numbers")
    for _ in range(n_steps):
        both.step_in_torch()
    return model, optimizer


def states_equal(one, other):
    kept, expected = one.state_dict()["state"], other.state_dict()["state"]
    assert kept.keys() == expected.keys()
    for index, state in expected.items():
        assert list(kept[index]) == list(state)
        for slot, value in state.items():
            assert (kept[index][slot].dtype, kept[index][slot].shape) == (value.dtype, value.shape)
            assert kept[index][slot].stride() == value.stride()
            torch.testing.assert_close(kept[index][slot], value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n_before", [0, 3])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_from_a_state_and_back_to_torch(name, n_before):
    model, optimizer = started(name, n_before)
    both = Both(model, nn.MSELoss(), optimizer, "numbers")
    expected = ({"momentum_buffer": 1}.get(next(iter(both.program.updates[0].slots), None), 3)) if n_before else 0
    slots = both.program.updates[0].slots
    assert [group.first_step for group in both.captured.groups] == [expected if slots else 0]
    both.check()
    # The same steps, but done in NumPy and written back; then one more in torch.
    other, torchs = started(name, n_before)
    again = Both(other, nn.MSELoss(), torchs, "numbers")
    for _ in range(3):
        again.step_in_numpy()
    with torch.no_grad():
        for weight, parameter in again.captured.weights.items():
            parameter.copy_(torch.tensor(again.weights[weight]))
    for group, own in zip(again.captured.groups, again.slots, strict=True):
        write_slots(torchs, group, own, 3)
    states_equal(torchs, optimizer)
    both.step_in_torch()
    again.step_in_torch()
    states_equal(torchs, optimizer)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-14)


def test_tensors_of_a_state_stay_the_same_objects():
    model, optimizer = started("adam", 2)
    both = Both(model, nn.MSELoss(), optimizer, "numbers")
    before = {id(value) for state in optimizer.state.values() for value in state.values()}
    both.step_in_numpy()
    write_slots(optimizer, both.captured.groups[0], both.slots[0], 1)
    assert before == {id(value) for state in optimizer.state.values() for value in state.values()}


@pytest.mark.parametrize("name", ["adam", "momentum"])
def test_no_step_leaves_no_state(name):
    model, optimizer = started(name, 0)
    both = Both(model, nn.MSELoss(), optimizer, "numbers")
    write_slots(optimizer, both.captured.groups[0], both.slots[0], 0)
    assert not optimizer.state_dict()["state"]


@pytest.mark.parametrize("name", ["adam", "momentum", "sgd"])
def test_parameters_that_joined_later_are_an_update_of_their_own(name):
    model = make("tanh")
    model[0].requires_grad_(False)
    optimizer = OPTIMIZERS[name](model.parameters())
    both = Both(model, nn.MSELoss(), optimizer, "numbers")
    for _ in range(2):
        both.step_in_torch()
    model[0].requires_grad_(True)
    both = Both(model, nn.MSELoss(), optimizer, "numbers")
    expected = {"adam": [0, 2], "momentum": [0, 1], "sgd": [0]}[name]
    assert [group.first_step for group in both.captured.groups] == expected
    both.check()


def test_float64_by_default_counts_steps_in_float64():
    model = make("tanh")
    optimizer = torch.optim.Adam(model.parameters())
    both = Both(model, nn.MSELoss(), optimizer, "numbers")
    torch.set_default_dtype(torch.float64)
    try:
        write_slots(optimizer, both.captured.groups[0], both.slots[0], 5)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(state["step"].dtype == torch.float64 for state in optimizer.state.values())


def test_steps_counted_in_float32_end_where_torch_ends():
    model, optimizer = started("adam", 1)
    both = Both(model, nn.MSELoss(), optimizer, "numbers")
    write_slots(optimizer, both.captured.groups[0], both.slots[0], 20_000_000)
    step = next(iter(optimizer.state.values()))["step"]
    assert step.item() == 2**24
    assert (step + 1).item() == 2**24


def test_a_schedulers_step_is_no_alteration():
    model = make("tanh")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    assert Both(model, nn.MSELoss(), optimizer, "numbers").program


def test_slots_are_one_array_for_all_weights_of_an_update():
    model, optimizer = started("momentum", 2)
    both = Both(model, nn.MSELoss(), optimizer, "numbers")
    (group,) = both.captured.groups
    buffers = [optimizer.state[parameter]["momentum_buffer"].reshape(-1) for parameter in group.parameters]
    assert np.array_equal(read_slots(optimizer, group)["momentum_buffer"], torch.cat(buffers).numpy())
    assert [both.captured.weights[name] for name in both.program.updates[0].weights] == list(group.parameters)


def test_transposed_parameters_keep_their_layout():
    model = nn.Linear(4, 3).double()
    model.weight = nn.Parameter(torch.randn(4, 3, dtype=torch.float64).t())
    optimizer = torch.optim.Adam(model.parameters())
    both = Both(model, nn.MSELoss(), optimizer, "numbers")
    both.check()
    assert optimizer.state[model.weight]["exp_avg"].stride() == model.weight.stride()


def test_settings_are_read_again():
    model, optimizer = started("adam", 2)
    both = Both(model, nn.MSELoss(), optimizer, "numbers")
    (group,) = both.captured.groups
    both.step_in_torch()
    optimizer.param_groups[0]["betas"] = (0.8, 0.9)
    assert read_rule_again(optimizer, group).betas == (0.8, 0.9)
    optimizer.param_groups[0]["betas"] = (0.2, 0.9)
    with pytest.raises(NotCaptured, match="other computations"):
        read_rule_again(optimizer, group)


def test_a_state_that_does_not_fit_is_refused():
    model, optimizer = started("momentum", 1)
    optimizer.state[model[0].weight]["momentum_buffer"] = torch.zeros(5, 4)
    with pytest.raises(NotCaptured, match="does not fit"):
        Both(model, nn.MSELoss(), optimizer, "numbers")
