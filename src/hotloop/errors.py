"""Everything hotloop raises when something cannot be done.

::

    HotloopError                 str(error) has up to four parts: what, why, what to do, where to look
    ├── ArgumentError            an argument or option is wrong (also a ValueError); exit code 2
    ├── TableError               a file or frame cannot be used as it is (also a ValueError)
    ├── DeviceError              the device asked for is not there (also a RuntimeError)
    ├── UnsupportedError         the engine asked for cannot do this task
    ├── OutOfMemoryError         the run does not fit into memory (also a MemoryError)
    ├── CompilerError            a mistake in hotloop's compiler; the message says where the code lies (HOTLOOP_DUMP)
    ├── SavedRunError            a saved run or checkpoint is missing, damaged or does not match (also an OSError)
    └── OutputError              a file could not be written (also an OSError)

    Interrupted                  Ctrl-C during training; carries the run so far (a KeyboardInterrupt)

An ``assert`` that fails is hotloop's own bug; everything a person can cause raises one of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hotloop.sentence import Sentence

if TYPE_CHECKING:
    from hotloop.runs import Run

__all__ = [
    "ArgumentError",
    "CompilerError",
    "DeviceError",
    "HotloopError",
    "Interrupted",
    "OutOfMemoryError",
    "OutputError",
    "SavedRunError",
    "TableError",
    "UnsupportedError",
    "as_line",
    "nearest",
]


class HotloopError(Exception):
    """Something could not be done.

    Parameters
    ----------
    what : str
        What failed and where, in one sentence fragment without a full stop.
    why : str, optional
        The reason, where it is not plain from ``what``.
    do : str, optional
        What the person can do about it.
    see : str, optional
        Where to look further: a command or a document.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str | None = None, do: str | None = None, see: str | None = None):
        super().__init__(what)
        self.what, self.why, self.do, self.see = what, why, do, see

    def __str__(self) -> str:
        parts = [self.what, self.why and f"  Why: {self.why}", self.do and f"  Do:  {self.do}"]
        return "\n".join(part for part in [*parts, self.see and f"  See: {self.see}"] if part)

    @property
    def one_line(self) -> str:
        """The same parts on a single line, for stderr."""
        return as_line(self.what, self.why, self.do, self.see and f"See {self.see}")


class ArgumentError(HotloopError, ValueError):
    """An argument or option is wrong."""

    exit_code = 2


class TableError(HotloopError, ValueError):
    """A file or frame cannot be used as it is."""


class DeviceError(HotloopError, RuntimeError):
    """The device asked for is not there."""


class UnsupportedError(HotloopError):
    """The engine asked for cannot do this task."""


class OutOfMemoryError(HotloopError, MemoryError):
    """The run does not fit into memory."""


class CompilerError(HotloopError):
    """Code that hotloop's compiler wrote is refused: a mistake in the compiler, not of the person."""


class SavedRunError(HotloopError, OSError):
    """A saved run or checkpoint is missing, damaged or does not match."""


class OutputError(HotloopError, OSError):
    """A file could not be written."""


class Interrupted(KeyboardInterrupt):
    """Training was interrupted; ``run`` is what was reached, the model stands at a whole step.

    Parameters
    ----------
    run : Run
    signal_number : int, optional
        What interrupted it: SIGINT for Ctrl-C, or SIGTERM.
    """

    def __init__(self, run: Run, signal_number: int | None = None):
        super().__init__(f"interrupted after epoch {run.epochs}")
        self.run, self.signal_number = run, signal_number


def as_line(what: str, *more: str | None, stop: str = ". ") -> str:
    """Join clauses, each a sentence of its own, on one line; ``stop`` ends those that have no end yet."""
    sentences = [_as_sentence(what, stop), *(_capitalised(_as_sentence(part, stop)) for part in more if part)]
    return "".join(sentences).rstrip()


def _as_sentence(part: str, stop: str) -> str:
    text = " ".join(part.split())
    return text + (stop[1:] if text.endswith((".", "?", "!", "。", "？", "！")) else stop)


def _capitalised(sentence: str) -> str:
    # A sentence may begin with a file's or an argument's name, which stays as it is.
    return sentence[0].upper() + sentence[1:] if sentence.split()[0].isalpha() else sentence


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the known name closest to ``name``, or an empty string."""
    import difflib

    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return Sentence(" Did you mean '{name}'?", name=matches[0]) if matches else ""
