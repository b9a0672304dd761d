"""``prepare``: a table to the arrays that a network trains on, and the schema that goes with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hotloop.errors import ArgumentError, TableError
from hotloop.sentence import Sentence, clauses, counted, sentences
from hotloop.tables.column import Column, Unusable
from hotloop.tables.columns import COLUMN_KINDS
from hotloop.tables.guess_task import guess_task
from hotloop.tables.prepared_table import PreparedTable
from hotloop.tables.raw_column import RawColumn
from hotloop.tables.scaling import SCALINGS, ScalingName
from hotloop.tables.schema import Schema
from hotloop.tables.split import Split, split_rows
from hotloop.tables.table import Table, listed
from hotloop.tables.target import ClassTarget, NumberTarget, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotloop.tables.prepared_table import Labels

__all__ = ["prepare"]

_TASKS = ("auto", "classification", "regression")


@dataclass(frozen=True)
class _Options:
    """The arguments of :func:`prepare`, checked."""

    target: str
    task: Task | Literal["auto"]
    test_size: float
    validation_size: float
    split_seed: int
    stratify: bool | None
    scaling: ScalingName
    ignore: tuple[str, ...]


def prepare(
    table: Table,
    *,
    target: str | None = None,
    task: Task | Literal["auto"] = "auto",
    test_size: float = 0.2,
    validation_size: float = 0.0,
    split_seed: int = 42,
    stratify: bool | None = None,
    scaling: ScalingName = "standard",
    ignore: Iterable[str] = (),
) -> PreparedTable:
    """Split a table, fit its columns to the training rows, and turn it into arrays.

    Parameters
    ----------
    table : Table
        What :func:`read` gave.
    target : str, optional
        The column to predict; by default the last.
    task : {"auto", "classification", "regression"}
        ``"auto"`` guesses from the target, and says so in the notes.
    test_size : float
        Part of the rows kept for testing, in [0, 1); rounded up.
    validation_size : float
        Part of the remaining rows kept for validation, in [0, 1); rounded up.
    split_seed : int
        Of the split, 0 to 2**32 - 1.
    stratify : bool, optional
        Whether each part has the classes' proportions. By default it has, save for the packaged iris table.
    scaling : {"minmax", "standard", "none"}
        Of number and date columns. Regression targets are standardised unless ``"none"``.
    ignore : iterable of str
        Columns not to learn from.

    Returns
    -------
    PreparedTable

    Raises
    ------
    ArgumentError
        When an argument is out of its range.
    TableError
        When the table cannot be learnt from as it is.
    """
    names = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    target = target if target is not None else _last(table, names)
    options = _Options(target, task, test_size, validation_size, split_seed, stratify, scaling, names)
    _check(options, table)
    raw = table.column(target)
    chosen, reason = (task, "") if task != "auto" else guess_task(raw)
    labelled = (_label_classes if chosen == "classification" else _label_numbers)(table, raw, options)
    columns, column_notes = _fit_columns(table, labelled.split.train, options)
    schema = Schema(columns, labelled.target)
    rows = [labelled.split.train, labelled.split.validation, labelled.split.test]
    X, input_notes = schema.inputs(table, rows)
    notes = (*table.notes, reason, *labelled.notes, *column_notes, *input_notes)
    return PreparedTable(
        X_train=X[0],
        X_validation=X[1],
        X_test=X[2],
        y_train=labelled.y[0],
        y_validation=labelled.y[1],
        y_test=labelled.y[2],
        rows_train=rows[0],
        rows_validation=rows[1],
        rows_test=rows[2],
        schema=schema,
        notes=tuple(note for note in notes if note),
        class_counts=labelled.class_counts,
    )


@dataclass(frozen=True, eq=False)
class _Labelled:
    """The target's half of the work: what does not depend on the other columns."""

    target: ClassTarget | NumberTarget
    split: Split
    y: tuple[Labels, Labels, Labels]
    class_counts: NDArray[np.int64] | None
    notes: tuple[str, ...]


def _label_classes(table: Table, raw: RawColumn, options: _Options) -> _Labelled:
    target, codes = ClassTarget.fit(raw)
    stratify = table.stratify_by_default if options.stratify is None else options.stratify
    kept = np.flatnonzero(codes >= 0)
    split = _split(kept, table.n_rows, options, codes[kept] if stratify else None)
    counts = np.bincount(codes[split.train], minlength=target.n_outputs).astype(np.int64)
    _require_every_class(target, counts, stratify)
    notes = (*_dropped(table, raw, len(kept)), *_short_test(split, options, len(kept)))
    y = (codes[split.train], codes[split.validation], codes[split.test])
    return _Labelled(target, split, y, counts, notes)


def _label_numbers(table: Table, raw: RawColumn, options: _Options) -> _Labelled:
    if options.stratify:
        raise ArgumentError(Sentence("stratify is for classes, and this is a regression"), do=Sentence("Leave it out"))
    values = NumberTarget.values(raw)
    kept = np.flatnonzero(~np.isnan(values))
    split = _split(kept, table.n_rows, options, None)
    target = NumberTarget.fit(raw, values, split.train, options.scaling)
    train, validation, test = (target.scale(values, rows) for rows in (split.train, split.validation, split.test))
    return _Labelled(target, split, (train, validation, test), None, _dropped(table, raw, len(kept)))


def _split(kept: NDArray[np.int64], n_rows: int, options: _Options, classes: NDArray[np.int64] | None) -> Split:
    """Split the rows that have a target; row numbers are the table's."""
    split = split_rows(
        len(kept),
        test_size=options.test_size,
        validation_size=options.validation_size,
        seed=options.split_seed,
        classes=classes,
    )
    if len(kept) == n_rows:
        return split
    return Split(kept[split.train], kept[split.validation], kept[split.test])


def _fit_columns(
    table: Table, rows: NDArray[np.int64], options: _Options
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Fit every column that has something to teach; the notes name the others."""
    columns: list[Column] = []
    notes: list[str] = []
    for name in table.columns:
        if name == options.target or name in options.ignore:
            continue
        raw = table.column(name)
        try:
            column, note = _fit_column(raw, rows, options.scaling)
        except Unusable as reason:
            notes.append(Sentence("'{name}' {reason}: ignored.", name=name, reason=reason.args[0]))
            continue
        columns.append(column)
        notes += [note] if note else []
    if not columns:
        raise TableError(
            Sentence(
                "table '{name}' has no column left to predict '{target}' from", name=table.name, target=options.target
            ),
            why=sentences(*notes) if notes else None,
        )
    return tuple(columns), tuple(notes)


def _fit_column(raw: RawColumn, rows: NDArray[np.int64], scaling: ScalingName) -> tuple[Column, str]:
    if raw.kind not in COLUMN_KINDS:
        raise Unusable(Sentence("holds values of type {dtype}", dtype=raw.series.dtype))
    return COLUMN_KINDS[raw.kind].fit(raw, rows, scaling)


def _last(table: Table, ignored: tuple[str, ...]) -> str:
    candidates = [name for name in table.columns if name not in ignored]
    if not candidates:
        raise TableError(Sentence("table '{name}' has no columns", name=table.name))
    return candidates[-1]


def _check(options: _Options, table: Table) -> None:
    """Report every argument that is out of its range, together."""
    wrong = [
        Sentence("{name} must be at least 0 and below 1, not {size!r}", name=name, size=size)
        for name, size in (("test_size", options.test_size), ("validation_size", options.validation_size))
        if isinstance(size, bool) or not isinstance(size, (int, float)) or not 0 <= size < 1
    ]
    if options.task not in _TASKS:
        wrong.append(
            Sentence(
                "{name} must be one of {listed}, not {given!r}",
                name="task",
                listed=", ".join(_TASKS),
                given=options.task,
            )
        )
    if options.scaling not in SCALINGS:
        wrong.append(
            Sentence(
                "{name} must be one of {listed}, not {given!r}",
                name="scaling",
                listed=", ".join(SCALINGS),
                given=options.scaling,
            )
        )
    seed = options.split_seed
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        wrong.append(Sentence("split_seed must be a whole number from 0 to 2**32 - 1, not {given!r}", given=seed))
    if options.target in options.ignore:
        wrong.append(Sentence("the target '{name}' cannot be ignored", name=options.target))
    if wrong:
        raise ArgumentError(Sentence("cannot prepare the table: {mistakes}", mistakes=clauses(*wrong)))
    table.require((options.target,), role="target column")
    table.require(options.ignore, role="column")


def _not_one_of(name: str, given: object, known: Sequence[str]) -> Sentence:
    listed = ", ".join(known)
    return Sentence("{name} must be one of {listed}, not {given!r}", name=name, listed=listed, given=given)


def _require_every_class(target: ClassTarget, counts: NDArray[np.int64], stratify: bool) -> None:
    absent = [name for name, count in zip(target.class_names, counts, strict=True) if not count]
    if absent:
        raise TableError(
            Sentence("no training row is of class {classes}", classes=listed(tuple(map(repr, absent)), most=5)),
            why=Sentence("all their rows fell into the test or validation part"),
            do=None if stratify else Sentence("Stratify the split, or use another split seed"),
        )


def _dropped(table: Table, raw: RawColumn, n_kept: int) -> tuple[str, ...]:
    n_dropped = table.n_rows - n_kept
    if not n_dropped:
        return ()
    return (
        counted(
            "{n:,} row dropped: the target '{name}' is missing.",
            "{n:,} rows dropped: the target '{name}' is missing.",
            n_dropped,
            name=raw.name,
        ),
    )


def _short_test(split: Split, options: _Options, n_rows: int) -> tuple[str, ...]:
    wanted = int(np.ceil(options.test_size * n_rows))
    if len(split.test) == wanted:
        return ()
    return (
        Sentence(
            "The test part has {n:,} rows instead of {wanted:,}: rare classes stay in training.",
            n=len(split.test),
            wanted=wanted,
        ),
    )
