"""Ctrl-C and SIGTERM outside the training loop, which has its own way to stop (``training/interruption.py``)."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType

from hotloop.language import Sentence, shown
from hotloop.training.interruption import terminate

__all__ = ["INTERRUPTED", "stop_at_once", "stop_at_whole_steps"]

INTERRUPTED = Sentence("interrupted")


def stop_at_once() -> None:
    """End the process as soon as a signal arrives, also while a library is being imported."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def stop_at_whole_steps() -> None:
    """Leave both signals to the training loop, which recognises these handlers and holds them back."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, terminate)


def _stop(number: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        # An exception here gets lost in Python's import locks, or aborts torch while its C++ starts.
        with contextlib.suppress(OSError):
            line = f"hotloop: {shown(INTERRUPTED)}\n"
            os.write(2, line.encode(getattr(sys.stderr, "encoding", None) or "utf-8", "replace"))
        os._exit(128 + number)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    terminate(number, frame)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
