"""Classes or numbers? A guess from the target column, with the reason as a sentence."""

from __future__ import annotations

import numpy as np

from hotloop.errors import TableError
from hotloop.tables.raw_column import RawColumn
from hotloop.tables.target import NumberTarget, Task

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
        held = "dates" if raw.kind == "date" else f"values of type {raw.series.dtype}"
        raise TableError(
            f"target column '{raw.name}' of '{raw.table_name}' holds {held}, which cannot be predicted",
            do="Choose another target",
        )
    if raw.kind != "number":
        what = (
            "truth values"
            if raw.kind == "boolean"
            else f"{raw.texts().drop_nulls().n_unique():,} different texts"
        )
        return _guess(raw, "classification", what)
    values = NumberTarget.values(raw)
    distinct = np.unique(values[~np.isnan(values)])
    if raw.is_integer and _look_like_classes(distinct, int(np.isfinite(values).sum())):
        return _guess(raw, "classification", f"{len(distinct)} different whole numbers")
    return _guess(raw, "regression", f"{len(distinct):,} different numbers")


def _look_like_classes(distinct: np.ndarray[tuple[int], np.dtype[np.float64]], n_present: int) -> bool:
    few = 0 < len(distinct) <= _MOST_CLASSES and n_present >= _ROWS_PER_CLASS * len(distinct)
    return bool(few and distinct[-1] - distinct[0] < 2 * len(distinct))


def _guess(raw: RawColumn, task: Task, what: str) -> tuple[Task, str]:
    return task, f"'{raw.name}' holds {what}: {task}. Use --task to override."
