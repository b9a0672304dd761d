"""Every random number of a run, as a pure function of (seed, epoch or step): the one meaning all engines share.

Two generators, each for its reason:

* **Weights** come from the Mersenne Twister, because ``torch.manual_seed(s)`` does: a network initialised here
  equals, bit for bit, the one torch builds after that call.
* **Row order and dropout masks** come from a counter (Philox), because then step 1,000,000 needs no state from
  step 999,999: a resumed run, another engine and another device all draw the same.

::

    uniforms_of_torch(seed)               a stream of torch's float32 uniforms
    row_order(n_rows, seed, epoch)        a permutation that needs no memory; RowOrders for one epoch after the other
    keep_mask(seed, step, layer, ...)     which units dropout keeps
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FEISTEL_ROUNDS",
    "SMALLEST_SIDE",
    "RowOrders",
    "keep_mask",
    "philox",
    "row_order",
    "row_order_keys",
    "row_order_side",
    "uniforms_of_torch",
]

UInt32Array = NDArray[np.uint32]

# One counter word names the purpose, so that no two purposes ever share a counter.
_ROW_ORDER, _DROPOUT = 1, 2

FEISTEL_ROUNDS = 8
"""Six leave traces in the orders of some 50 rows."""
SMALLEST_SIDE = 8
"""Below this the Feistel network is too narrow to reach all orders about equally often."""

# Positions permuted at once: the temporaries of one block stay in a core's L2 cache.
_BLOCK = 1 << 15


def uniforms_of_torch(seed: int) -> Callable[[tuple[int, ...], float, float], NDArray[np.float32]]:
    """Return ``draw(shape, low, high)``: what ``tensor.uniform_(low, high)`` gives after ``torch.manual_seed(seed)``.

    Parameters
    ----------
    seed : int
        Like torch's, of which the low 32 bits count.

    Returns
    -------
    callable
        Successive calls continue one stream of float32 arrays, in the order in which torch would fill tensors.

    Notes
    -----
    torch takes the low 24 bits of each 32-bit word of MT19937, divides by 2**24 and scales in float32
    (``at::transformation::uniform_real``); NumPy's legacy ``RandomState`` seeds the same generator alike.
    """
    words = np.random.RandomState(seed & 0xFFFFFFFF)

    def draw(shape: tuple[int, ...], low: float, high: float) -> NDArray[np.float32]:
        word = words.randint(0, 1 << 32, size=shape, dtype=np.uint32)
        unit = (word & np.uint32((1 << 24) - 1)) * 2.0**-24
        # torch's compiled loop fuses multiply and add; in float64 the product of two float32 is exact, as there.
        return (unit * float(np.float32(high) - np.float32(low)) + float(np.float32(low))).astype(np.float32)

    return draw


def philox(counter: tuple[UInt32Array | int, ...], key: int) -> tuple[UInt32Array, ...]:
    """Philox4x32-10: four random 32-bit words for each 128-bit counter.

    Parameters
    ----------
    counter : four uint32 arrays or ints that broadcast together
    key : int
        64 bits.

    Returns
    -------
    four uint32 arrays of the broadcast shape

    Notes
    -----
    Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(word, dtype=np.uint64) for word in counter))
    k0, k1 = key & 0xFFFFFFFF, (key >> 32) & 0xFFFFFFFF
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (
            (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0),
            p1 & low,
            (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1),
            p0 & low,
        )
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0.astype(np.uint32), c1.astype(np.uint32), c2.astype(np.uint32), c3.astype(np.uint32)


def row_order(n_rows: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order in which an epoch visits the rows: a keyed permutation.

    Parameters
    ----------
    n_rows : int
        At most 2**32.
    seed : int
        64 bits.
    epoch : int
        0-based.

    Returns
    -------
    int64 array of shape (n_rows,)

    Notes
    -----
    A Feistel network over the pairs of numbers below ``side``, the smallest whose square holds ``n_rows``; a result
    past the last row is permuted again until it lands inside (cycle walking), which is rare, since the square is
    hardly larger. Each position is computed from its own number alone, so compiled code needs no table. Source: Black
    and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002.
    """
    keys = list(row_order_keys(seed, np.array([epoch]))[0])
    side = row_order_side(n_rows)
    order = np.empty(n_rows, dtype=np.int64)
    for start in range(0, n_rows, _BLOCK):
        stop = min(start + _BLOCK, n_rows)
        place = _feistel(np.arange(start, stop, dtype=np.uint32), keys, side)
        while (outside := np.flatnonzero(place >= n_rows)).size:
            place[outside] = _feistel(place[outside], keys, side)
        order[start:stop] = place
    return order


class RowOrders:
    """The orders of :func:`row_order`, epoch after epoch.

    NumPy takes milliseconds for one of a small table, mostly to get going, so those of coming epochs are computed with
    it: few at first, since a run may be short, then as many as make some ten thousand numbers.

    Parameters
    ----------
    n_rows, seed : int
        As in :func:`row_order`.
    """

    def __init__(self, n_rows: int, seed: int):
        self._n_rows, self._seed = n_rows, seed
        self._first_epoch, self._at_once = 0, 1
        self._orders = np.empty((0, n_rows), dtype=np.int64)

    def of(self, epoch: int) -> NDArray[np.int64]:
        """Return the order of a 0-based epoch; int64 of shape (n_rows,)."""
        if not self._first_epoch <= epoch < self._first_epoch + len(self._orders):
            self._at_once = max(1, min(4 * self._at_once, _BLOCK // self._n_rows))
            self._first_epoch = epoch
            self._orders = self._compute(np.arange(epoch, epoch + self._at_once))
        order: NDArray[np.int64] = self._orders[epoch - self._first_epoch]
        return order

    def _compute(self, epochs: NDArray[np.int64]) -> NDArray[np.int64]:
        n_rows, side = self._n_rows, row_order_side(self._n_rows)
        if len(epochs) == 1:
            return row_order(n_rows, self._seed, int(epochs[0]))[None]
        keys = row_order_keys(self._seed, epochs)
        rows = np.arange(n_rows, dtype=np.uint32)
        place = _feistel(np.tile(rows, len(epochs)), list(np.repeat(keys, n_rows, axis=0).T), side)
        while (outside := np.flatnonzero(place >= n_rows)).size:
            place[outside] = _feistel(place[outside], list(keys[outside // n_rows].T), side)
        return place.reshape(len(epochs), n_rows).astype(np.int64)


def row_order_keys(seed: int, epochs: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return the round keys of :func:`row_order` for each of several epochs; uint32 of shape (epochs, 8)."""
    wide = np.asarray(epochs, dtype=np.uint64)
    low, high = wide & np.uint64(0xFFFFFFFF), wide >> np.uint64(32)
    parts = np.array([[0], [1]], dtype=np.uint32)
    words = np.stack(philox((parts, 0, low, np.uint64(_ROW_ORDER << 16) | high), seed))
    # From (words, parts, epochs) to the words of the first part, then those of the second.
    return np.ascontiguousarray(words.transpose(2, 1, 0).reshape(len(wide), -1)[:, :FEISTEL_ROUNDS])


def row_order_side(n_rows: int) -> int:
    """Return the number below which both halves of what :func:`row_order` permutes are; at most 2**16."""
    return max(SMALLEST_SIDE, math.isqrt(n_rows - 1) + 1)


def keep_mask(
    seed: int, step: int, layer: int, n_rows: int, n_columns: int, p: float, first_row: int = 0
) -> NDArray[np.bool_]:
    """Return which units a dropout layer keeps in one training step.

    Parameters
    ----------
    seed, step : int
        The run's seed (64 bits) and the 0-based step since the start of training (48 bits).
    layer : int
        Number of the dropout call within the step, 0-based, below 2**32.
    n_rows, n_columns : int
        Shape of the mask.
    p : float
        Probability of dropping a unit.
    first_row : int
        Row of the step's batch at which the mask starts: a batch done in slices draws the masks of the whole.

    Returns
    -------
    bool array of shape (n_rows, n_columns)
    """
    first = first_row * n_columns
    stop = first + n_rows * n_columns
    blocks = np.arange(first // 4, (stop + 3) // 4, dtype=np.uint32)
    words = np.stack(philox((blocks, layer, step & 0xFFFFFFFF, _DROPOUT << 16 | step >> 32), seed), axis=-1)
    offset = first - first // 4 * 4
    chosen = words.reshape(-1)[offset : offset + n_rows * n_columns].reshape(n_rows, n_columns)
    return chosen >= np.uint64(round(p * 2**32))


def _feistel(value: UInt32Array, keys: Sequence[np.uint32 | UInt32Array], side: int) -> UInt32Array:
    """Permute numbers below ``side ** 2``; each round mixes one half into the other."""
    n = np.uint32(side)
    left, right = np.divmod(value, n)
    for key in keys:
        mixed = right ^ key
        mixed *= mixed
        mixed ^= mixed >> np.uint32(15)
        # The low 16 bits as a fraction of 2**16, times the side.
        total = left + ((mixed & np.uint32(0xFFFF)) * n >> np.uint32(16))
        left, right = right, np.minimum(total, total - n)
    return left * n + right
