"""How all pictures are drawn: matplotlib without a window, one at a time, its failures told as one of ours."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hotloop.errors import OutputError
from hotloop.language import Sentence, current, shown
from hotloop.report.chinese_font import chinese_font

__all__ = ["Words", "drawing", "explained"]

_drawing = threading.Lock()  # matplotlib's font cache is shared by all threads


@contextmanager
def drawing(picture: Sentence) -> Iterator[None]:
    """Let one thread draw at a time, ``explained``."""
    with _drawing, explained(picture):
        yield


@contextmanager
def explained(picture: Sentence) -> Iterator[None]:
    """Import matplotlib, and raise one error that we know for whatever it, its fonts or its settings may raise.

    Parameters
    ----------
    picture : Sentence
        What is drawn, such as "the loss curve".

    Raises
    ------
    OutputError
        matplotlib cannot be used as it is installed or set up.
    """
    try:
        _import_matplotlib()
        yield
    except OutputError:
        raise
    except Exception as error:
        said = (str(error) or "without a word").splitlines()[0]
        raise OutputError(
            Sentence("cannot draw {picture}", picture=picture),
            why=Sentence("matplotlib raises {kind}: {said}", kind=type(error).__name__, said=said),
            do=Sentence("Check how matplotlib is installed and set up (MPLCONFIGDIR, matplotlibrc)."),
        ) from error


class Words:
    """Texts of a picture in the reader's language, or in English where no font has its letters."""

    def __init__(self) -> None:
        self._font = chinese_font() if current() == "zh" else None

    @property
    def family(self) -> dict[str, Any]:
        """Arguments of matplotlib's texts: what its own font lacks comes from the other."""
        from matplotlib import rcParams

        return {"family": [*rcParams["font.family"], self._font]} if self._font else {}

    def say(self, sentence: str) -> str:
        """Return what is to be written."""
        return shown(sentence) if self._font else str(sentence)


def _import_matplotlib() -> None:
    """Import matplotlib whatever backend the environment names: we use none, and an unknown one would be refused."""
    if "matplotlib" in sys.modules:
        return
    named = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if named is not None:
            os.environ["MPLBACKEND"] = named
    if named is not None:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = named
