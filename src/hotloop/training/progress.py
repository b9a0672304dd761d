"""A progress bar on a terminal, once training has taken a second; nothing elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any

from hotloop.language import _

__all__ = ["ProgressBar"]

# Shorter work needs no bar.
_PATIENCE_S = 1.0
_REFRESH_S = 0.1


class ProgressBar:
    """Shows epochs done, the loss, and the time that is left.

    Parameters
    ----------
    epochs : int
    wanted : bool
        Whether to show anything at all.
    """

    def __init__(self, epochs: int, wanted: bool):
        self._wanted, self._epochs = wanted, epochs
        self._started_s = self._shown_s = time.perf_counter()
        self._bar: Any = None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, epoch: int, loss: float) -> None:
        """Show how far training is, at most ten times a second."""
        now_s = time.perf_counter()
        if not self._wanted or now_s - self._started_s < _PATIENCE_S or now_s - self._shown_s < _REFRESH_S:
            return
        self._shown_s = now_s
        if self._bar is None:
            # rich shows one bar a process; and a bar among piped lines would be noise. Short runs need not know.
            self._wanted = threading.current_thread() is threading.main_thread() and on_terminal()
            if not self._wanted:
                return
            self._bar = _rich_bar()
            self._bar.start()
            self._task = self._bar.add_task("", total=self._epochs, loss=loss)
        self._bar.update(self._task, completed=epoch, loss=loss, refresh=True)


def on_terminal() -> bool:
    """Whether both standard output and standard error are a terminal."""
    return _is_terminal(sys.stdout) and _is_terminal(sys.stderr)


def _is_terminal(stream: Any) -> bool:
    # None in a process without a console, closed, or something of a service's that can only be written to.
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError, OSError):
        return False


def _rich_bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [
        TextColumn(_("epoch")),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn(f"{_('loss')} {{task.fields[loss]:.4f}}"),
        TimeRemainingColumn(),
    ]
    return Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
