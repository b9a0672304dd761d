"""What is trained: the sizes of the project's list, always the same rows and first weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hotloop.bench.workloads import NAMES, find_workload
from hotloop.errors import ArgumentError


def test_the_workloads_that_there_are():
    assert NAMES == ("W1", "W2", "W3a", "W3b", "W4", "W5", "W6", "W7", "W9")


@pytest.mark.parametrize(
    ("name", "million"),
    [("W1", 0.0408), ("W2", 39.7), ("W3a", 2.13), ("W3b", 53.6), ("W7", 2.91), ("W9", 0.274)],
)
def test_flop_of_a_step(name, million):
    assert find_workload(name).flop_per_step / 1e6 == pytest.approx(million, rel=0.005)


@pytest.mark.parametrize("name", ["W1", "W2", "W3a", "W7", "W9"])
def test_rows_fit_network_and_loss(name):
    workload = find_workload(name)
    X, y = workload.rows()
    output = workload.network()(torch.from_numpy(X[:8]))
    assert X.dtype == np.float32
    assert torch.isfinite(workload.criterion()(output, torch.from_numpy(y[:8])))
    again = find_workload(name).rows()
    assert X.tobytes() == again[0].tobytes()
    assert y.tobytes() == again[1].tobytes()


def test_first_weights_are_those_of_a_seeded_torch_and_leave_torchs_generator_alone():
    workload = find_workload("W2")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    ours = workload.first_weights()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(0)
    first = torch.nn.Linear(4, 32)
    assert np.array_equal(ours[0][0], first.weight.detach().numpy().T)
    assert [weight.shape for weight, _ in ours] == [(4, 32), (32, 16), (16, 4)]


def test_first_weights_are_copies():
    workload = find_workload("W1")
    workload.first_weights()[0][0][:] = 7
    assert not (workload.first_weights()[0][0] == 7).any()


def test_an_epochs_loss_is_the_mean_over_its_rows(tiny_classes):
    assert tiny_classes.batch_sizes == [16, 16, 16, 2]
    losses = np.array([1, 1, 1, 26, 0, 0, 0, 0], dtype=np.float32)
    assert tiny_classes.mean_of_epochs(losses) == pytest.approx([2, 0])


def test_a_name_in_small_letters():
    assert find_workload("w3A") is find_workload("W3a")


@pytest.mark.parametrize(
    ("name", "said"),
    [("W33b", "Did you mean 'W3b'?"), ("iris", "use one of W1, W2"), ("w8", "many models"), ("", "W9")],
)
def test_unknown_names(name, said):
    with pytest.raises(ArgumentError) as refused:
        find_workload(name)
    assert said in str(refused.value)
    assert refused.value.exit_code == 2
