"""Ctrl-C and SIGTERM, held back until training stands at a whole step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interruption", "terminate"]


def terminate(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM as the command line does: like Ctrl-C, with its own exit code.

    Raises
    ------
    SystemExit
        With code 128 + 15.
    """
    raise SystemExit(128 + number)


class Interruption:
    """While the block runs, a first Ctrl-C only sets :attr:`signal_number`; a second one raises as usual.

    SIGTERM is held back too where :func:`terminate` handles it. Handlers that someone else installed stay in place,
    and threads other than the main one never see signals.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number, ours in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, terminate)):
                if signal.getsignal(number) is ours:
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = number
        # Whoever asks twice does not want to wait for the step's end.
        self._restore()

    def _restore(self) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)
