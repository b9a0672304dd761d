"""Random numbers: known answers, permutations, slices, and torch's own uniforms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hotloop.program.random import RowOrders, keep_mask, philox, row_order, uniforms_of_torch

FULL = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((FULL, FULL, FULL, FULL), (FULL << 32) | FULL, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0x299F31D0 << 32) | 0xA4093822,
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_known_answers_of_random123(counter, key, words):
    assert tuple(int(word) for word in philox(counter, key)) == words


def test_philox_works_on_arrays_as_on_single_counters():
    many = philox((np.arange(5, dtype=np.uint32), 7, 8, 9), 42)
    for index in range(5):
        assert [int(word[index]) for word in many] == [int(word) for word in philox((index, 7, 8, 9), 42)]


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5, 63, 64, 65, 127, 150, 1000, 1024, 1025, 32768, 40000])
def test_row_order_is_a_permutation(n_rows):
    order = row_order(n_rows, seed=3, epoch=1)
    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(n_rows))


@settings(max_examples=60)
@given(st.integers(1, 300), st.integers(0, 2**63 - 1), st.integers(0, 2**40))
def test_row_order_is_a_permutation_for_any_seed_and_epoch(n_rows, seed, epoch):
    order = row_order(n_rows, seed, epoch)
    assert np.array_equal(np.sort(order), np.arange(n_rows))
    assert np.array_equal(order, row_order(n_rows, seed, epoch))


def test_epochs_and_seeds_have_different_orders():
    orders = {row_order(50, seed, epoch).tobytes() for seed in (0, 1, 2**32, 2**62) for epoch in (0, 1, 2**33)}
    assert len(orders) == 12


def test_each_row_comes_about_equally_often_at_each_position():
    n_rows, n_orders = 10, 1500
    counts = np.zeros((n_rows, n_rows))
    orders = RowOrders(n_rows, seed=5)
    for epoch in range(n_orders):
        counts[np.arange(n_rows), orders.of(epoch)] += 1
    expected = n_orders / n_rows
    chi_square = ((counts - expected) ** 2 / expected).sum()
    # 81 degrees of freedom: mean 81, standard deviation 12.7; fixed seeds, so no flakes.
    assert chi_square < 81 + 4 * 12.7


@pytest.mark.parametrize("n_rows", [1, 2, 7, 120, 1221, 70_000])
def test_orders_of_many_epochs_are_those_of_each(n_rows):
    orders = RowOrders(n_rows, seed=2**40 + 3)
    # In order, as training asks for them; back, as after a loss that is NaN; far on, as a resumed run.
    for epoch in [*range(4 if n_rows > 10_000 else 70), 1, 2, 2**33, 2**33 + 1, 0]:
        order = orders.of(epoch)
        assert order.dtype == np.int64
        np.testing.assert_array_equal(order, row_order(n_rows, 2**40 + 3, epoch))


def test_pairs_of_neighbours_are_about_uniform():
    n_rows, n_orders = 6, 1500
    counts = np.zeros((n_rows, n_rows))
    orders = RowOrders(n_rows, seed=11)
    for epoch in range(n_orders):
        order = orders.of(epoch)
        counts[order[0], order[1]] += 1
    assert counts.diagonal().sum() == 0
    expected = n_orders / 30
    off = counts[~np.eye(n_rows, dtype=bool)]
    assert ((off - expected) ** 2 / expected).sum() < 29 + 4 * 7.6


# The square that is permuted has as many rows, nearly as many, and many more.
@pytest.mark.parametrize("n_rows", [64, 57, 33, 120])
def test_how_far_neighbours_are_apart_is_about_uniform(n_rows):
    """A network too shallow, or one that mixes less, fails this by tens of standard deviations."""
    n_orders = 20_000
    orders = RowOrders(n_rows, seed=12345)
    counts = np.zeros(n_rows)
    for epoch in range(n_orders):
        order = orders.of(epoch)
        counts += np.bincount((order[1:] - order[:-1]) % n_rows, minlength=n_rows)
    assert counts[0] == 0
    # As many differences in an order as there are values of one.
    expected = n_orders
    chi_square = ((counts[1:] - expected) ** 2 / expected).sum()
    n_free = n_rows - 2
    assert chi_square < n_free + 5 * np.sqrt(2 * n_free)


@settings(max_examples=60)
@given(st.integers(1, 20), st.integers(1, 9), st.integers(0, 19), st.floats(0, 1))
def test_slices_of_a_mask_are_slices_of_the_whole(n_rows, n_columns, first_row, p):
    first_row = min(first_row, n_rows - 1)
    whole = keep_mask(1, 2, 3, n_rows, n_columns, p)
    part = keep_mask(1, 2, 3, n_rows - first_row, n_columns, p, first_row=first_row)
    assert whole.shape == (n_rows, n_columns)
    assert np.array_equal(part, whole[first_row:])


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_masks_drop_the_share_p(p):
    dropped = 1 - keep_mask(0, 0, 0, 1000, 100, p).mean()
    assert dropped == pytest.approx(p, abs=4 * (p * (1 - p) / 100_000) ** 0.5)


def test_masks_at_the_ends():
    assert keep_mask(0, 0, 0, 50, 50, 0.0).all()
    assert not keep_mask(0, 0, 0, 50, 50, 1.0).any()


def test_masks_depend_on_seed_step_and_layer():
    masks = {keep_mask(s, t, n, 8, 8, 0.5).tobytes() for s in (0, 1) for t in (0, 1, 1 << 32) for n in (0, 1)}
    assert len(masks) == 12


@pytest.mark.parametrize("seed", [0, 1, 42, 2**31, 2**32 - 1, 2**40 + 7])
def test_uniforms_are_those_of_torch_bit_for_bit(seed):
    draw = uniforms_of_torch(seed)
    torch.manual_seed(seed)
    for shape, bound in [((10, 4), 0.5), ((10,), 0.31622776), ((3, 10), 0.2), ((1,), 1.0), ((700, 33), 1 / 3)]:
        expected = torch.empty(shape).uniform_(-bound, bound).numpy()
        assert np.array_equal(draw(shape, -bound, bound), expected)
