"""How much work a step is, and what is too little for a GPU or for a second thread."""

from __future__ import annotations

from functools import lru_cache

from hotloop.sentence import Sentence

__all__ = ["FLOP_WORTH_AN_ACCELERATOR", "FLOP_WORTH_A_SECOND_THREAD", "step_flop", "why_too_small"]

# An accelerator needs some 300 us to be told what a training step is; a CPU core or two do about this many
# floating point operations meanwhile. A rule of thumb, good to a factor of three.
FLOP_WORTH_AN_ACCELERATOR = 50e6
# A step this small gains nothing from a second thread, but loses up to 25 times when another process keeps that
# thread's core busy: OpenMP threads wait for each other at each operation.
FLOP_WORTH_A_SECOND_THREAD = 1e6


def step_flop(batch_size: int, n_weights: int) -> float:
    """Return the floating point operations of a step through dense layers with so many weights, biases aside."""
    # Forward, gradient of the inputs, gradient of the weights: a multiply and an add each.
    return 6.0 * batch_size * n_weights


@lru_cache(maxsize=256)
def why_too_small(flop: float | None) -> str | None:
    """Return a clause about the device if a step is too little work for any accelerator, else None."""
    if flop is None or flop >= FLOP_WORTH_AN_ACCELERATOR:
        return None
    return Sentence(
        "cpu, since a step is about {flop:.2g} million floating point operations, "
        "fewer than a CPU does while a GPU is being told what to do",
        flop=flop / 1e6,
    )
