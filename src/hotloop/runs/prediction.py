"""Answers for rows: classes with probabilities, or numbers; and the same as CSV that is safe to open."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hotloop.errors import SavedRunError
from hotloop.files import as_path, write_atomically

__all__ = ["Prediction", "of_classes", "of_numbers"]

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, eq=False)
class Prediction:
    """Answers, one for each row.

    Parameters
    ----------
    classes : list of str or None
        The most probable class of each row; None for numbers.
    probabilities : float32 array of shape (rows, n_classes) or None
    class_names : tuple of str
        What the columns of ``probabilities`` stand for.
    numbers : float64 array of shape (rows,) or (rows, n_outputs), or None
        In the target's own units; None for classes.
    notes : tuple of str
        What a person should know about the rows: values filled, categories unseen.
    """

    classes: list[str] | None = None
    probabilities: NDArray[np.float32] | None = None
    class_names: tuple[str, ...] = ()
    numbers: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.numbers) if self.classes is None and self.numbers is not None else len(self.classes or ())

    def to_csv(self) -> str:
        """Return the answers as CSV: "predicted" and, for classes, "probability of <class>" for each.

        Text that a spreadsheet would take for a formula is written with an apostrophe before it.
        """
        header = [_cell(name) for name in self._header()]
        lines = itertools.chain([header], self._rows())
        return "".join(",".join(line) + "\n" for line in lines)

    def to_json(self) -> dict[str, Any]:
        """Return the answers as JSON can hold them, by the names of the fields."""
        if self.probabilities is None or self.classes is None:
            return {"numbers": None if self.numbers is None else self.numbers.tolist()}
        return {
            "classes": self.classes,
            "class_names": list(self.class_names),
            "probabilities": self.probabilities.tolist(),
        }

    def write_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write :meth:`to_csv` to ``path`` in UTF-8.

        Raises
        ------
        ArgumentError
            ``path`` is no path.
        OutputError
            The file cannot be written; a former one is intact.
        """
        return write_atomically(as_path(path), self.to_csv().encode("utf-8", "backslashreplace"))

    def _header(self) -> list[str]:
        if self.numbers is not None and self.numbers.ndim == 2:
            return [f"predicted {number}" for number in range(1, self.numbers.shape[1] + 1)]
        return ["predicted", *(f"probability of {name}" for name in self.class_names)]

    def _rows(self) -> Iterator[list[str]]:
        if self.probabilities is not None and self.classes is not None:
            cells = {name: _cell(name) for name in self.class_names}
            for label, row in zip(self.classes, self.probabilities, strict=True):
                # str of a float32 has the digits that tell it from its neighbours, and no more.
                yield [cells[label], *map(str, row)]
        elif self.numbers is not None:
            for row in self.numbers[:, np.newaxis] if self.numbers.ndim == 1 else self.numbers:
                yield [repr(number) for number in row.tolist()]


def of_classes(outputs: NDArray[Any], class_names: Sequence[str] | None, notes: tuple[str, ...] = ()) -> Prediction:
    """Return classes and probabilities for logits.

    Parameters
    ----------
    outputs : float array of shape (rows, n_classes), or (rows, 1) or (rows,) for the second of two classes
    class_names : sequence of str or None
        None names them "0", "1", ...

    Raises
    ------
    SavedRunError
        There are not as many outputs as classes.
    """
    logits = outputs[:, np.newaxis] if outputs.ndim == 1 else outputs
    if logits.shape[1] == 1:  # a sigmoid is the softmax of the logit and zero
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    names = tuple(class_names) if class_names else tuple(str(code) for code in range(logits.shape[1]))
    if len(names) != logits.shape[1]:
        raise SavedRunError(f"the network gives {logits.shape[1]} outputs for {len(names)} classes")
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    classes = [names[code] for code in logits.argmax(axis=1).tolist()]
    return Prediction(classes, probabilities, names, notes=notes)


def of_numbers(numbers: NDArray[Any], notes: tuple[str, ...] = ()) -> Prediction:
    """Return numbers as a prediction."""
    return Prediction(numbers=numbers.astype(np.float64, copy=False), notes=notes)


def _cell(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would run as a formula, and quotes where CSV needs."""
    if text.startswith(("=", "+", "-", "@", "\t", "\r")) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    # Python's csv module leaves a lone carriage return unquoted, and then cannot read it.
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in ',"\r\n') else text
