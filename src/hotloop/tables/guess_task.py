"""Classes or numbers? A guess from the target column, with the reason as a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hotloop.errors import TableError
from hotloop.sentence import Sentence
from hotloop.tables.raw_column import RawColumn
from hotloop.tables.target import NumberTarget, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["guess_task"]

_MOST_CLASSES = 20
_ROWS_PER_CLASS = 5


def guess_task(raw: RawColumn) -> tuple[Task, str]:
    """Guess what a target column asks for.

    Texts and truth values are classes. So are at most 20 different whole numbers that lie close together
    and occur 5 times each on average. All other numbers are to be predicted as numbers.

    Returns
    -------
    task, reason : str, str
        The reason is a sentence that says how to override it.

    Raises
    ------
    TableError
        When the column holds dates, or something else that cannot be a target.
    """
    if raw.kind in ("date", "unsupported"):
        held = Sentence("dates")
        if raw.kind != "date":
            held = Sentence("values of type {kind}", kind=raw.series.dtype)
        raise TableError(
            Sentence(
                "target column '{name}' of '{table}' holds {held}, which cannot be predicted",
                name=raw.name,
                table=raw.table_name,
                held=held,
            ),
            do=Sentence("Choose another target"),
        )
    if raw.kind != "number":
        what = Sentence("truth values")
        if raw.kind != "boolean":
            what = Sentence("{n:,} different texts", n=len(raw.text_codes()[0]))
        return _guess(raw, "classification", what)
    if not raw.is_integer:
        return _guess(raw, "regression", Sentence("numbers with fractions"))
    distinct = _few_distinct(NumberTarget.values(raw, raw.origin(np.arange(len(raw.series)))))
    if len(distinct):
        return _guess(raw, "classification", Sentence("{n} different whole numbers", n=len(distinct)))
    return _guess(raw, "regression", Sentence("whole numbers, too varied to be classes"))


def _few_distinct(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distinct values, or none of them where they are too many, too far apart or too rare."""
    present = values[~np.isnan(values)]
    none = present[:0]
    # The range alone settles most columns, without sorting them.
    if not len(present) or present.max() - present.min() >= 2 * _MOST_CLASSES:
        return none
    distinct = np.unique(present)
    few = len(distinct) <= _MOST_CLASSES and len(present) >= _ROWS_PER_CLASS * len(distinct)
    return distinct if few and distinct[-1] - distinct[0] < 2 * len(distinct) else none


def _guess(raw: RawColumn, task: Task, what: str) -> tuple[Task, str]:
    if task == "classification":
        return task, Sentence(
            "'{name}' holds {what}: classification. Set the task to override.", name=raw.name, what=what
        )
    return task, Sentence("'{name}' holds {what}: regression. Set the task to override.", name=raw.name, what=what)
