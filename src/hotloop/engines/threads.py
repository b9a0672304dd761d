"""How many CPU threads torch uses, for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["torch_threads"]

_lock = threading.Lock()
_users = 0
_number_before = 0


@contextmanager
def torch_threads(number: int | None) -> Iterator[None]:
    """Let torch use ``number`` threads inside the block; None changes nothing.

    torch keeps a number for each thread and one that new threads start with; setting the one sets the other too.
    Each block therefore leaves with the number that the first of several overlapping blocks found.
    """
    if number is None:
        yield
        return
    import torch

    global _users, _number_before
    with _lock:
        if _users == 0:
            _number_before = torch.get_num_threads()
        _users += 1
        torch.set_num_threads(number)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            torch.set_num_threads(_number_before)
