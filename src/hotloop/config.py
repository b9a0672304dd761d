"""Every ``HOTLOOP_*`` environment variable: values, default, meaning.

============== ============ ======= ====================================================================
variable       values       default meaning
============== ============ ======= ====================================================================
HOTLOOP_DEBUG  0 or 1       0       1: a failing command shows the whole traceback, not one line
============== ============ ======= ====================================================================
"""

from __future__ import annotations

import os

from hotloop.errors import ArgumentError

__all__ = ["debug_level"]


def debug_level() -> int:
    """Return ``HOTLOOP_DEBUG`` as a number.

    Raises
    ------
    ArgumentError
        If the variable holds anything but 0 or 1.
    """
    text = os.environ.get("HOTLOOP_DEBUG", "0") or "0"
    if text not in ("0", "1"):
        raise ArgumentError(f"HOTLOOP_DEBUG is {text!r}", do="set it to 0 or 1")
    return int(text)
