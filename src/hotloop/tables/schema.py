"""What was fitted to a table: enough to turn raw columns into network inputs again, and outputs back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hotloop.errors import TableError
from hotloop.sentence import Sentence
from hotloop.tables.column import Column
from hotloop.tables.columns import column_from_json
from hotloop.tables.pieces import pieces
from hotloop.tables.saved_fields import exactly, items, odd
from hotloop.tables.table import MAX_COLUMNS, Table
from hotloop.tables.target import ClassTarget, LabelKind, NumberTarget, Task, target_from_json

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Schema"]

_VERSION = 1


@dataclass(frozen=True)
class Schema:
    """The fitted columns and target of a table.

    Parameters
    ----------
    columns : tuple of Column
        The raw feature columns in the order of the network's inputs; at least one.
    target_column : ClassTarget or NumberTarget
        What is predicted.
    """

    columns: tuple[Column, ...]
    target_column: ClassTarget | NumberTarget

    @property
    def task(self) -> Task:
        """``"classification"`` or ``"regression"``."""
        return self.target_column.task

    @property
    def target(self) -> str:
        """Name of the target column."""
        return self.target_column.name

    @property
    def n_features(self) -> int:
        """Number of network inputs."""
        return sum(column.width for column in self.columns)

    @property
    def n_outputs(self) -> int:
        """Number of network outputs: the classes, or 1."""
        return self.target_column.n_outputs

    @property
    def feature_names(self) -> tuple[str, ...]:
        """A name for each network input, such as ``age``, ``age is missing`` or ``colour=red``."""
        return tuple(name for column in self.columns for name in column.feature_names)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes in the order of their codes; None for regression."""
        return self.target_column.class_names if isinstance(self.target_column, ClassTarget) else None

    @property
    def label_kind(self) -> LabelKind | None:
        """What the class labels were in the table: text, integer, number or boolean; None for regression."""
        return self.target_column.label_kind if isinstance(self.target_column, ClassTarget) else None

    def transform(self, table: Table) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """Turn the raw columns of a table into network inputs.

        Parameters
        ----------
        table : Table
            Its columns may stand in any order, among others that are not needed.

        Returns
        -------
        X : float32 array of shape (rows, n_features)
        notes : tuple of str
            What was unlike training (values filled, categories unseen), as sentences.

        Raises
        ------
        TableError
            When columns are missing, or hold something else than in training.
        """
        (X,), notes = self.inputs(table, [np.arange(table.n_rows)])
        return X, notes

    def inputs(
        self, table: Table, parts: Sequence[NDArray[np.int64]]
    ) -> tuple[list[NDArray[np.float32]], tuple[str, ...]]:
        """Turn the raw columns of a table into network inputs for several sets of rows.

        One raw column at a time: beyond the result, memory is needed for one column in float64.

        Parameters
        ----------
        table : Table
        parts : sequence of int64 arrays
            Row numbers of each set.

        Returns
        -------
        inputs : list of float32 arrays of shape (len(part), n_features)
            C-contiguous, one per part.
        notes : tuple of str
            As for :meth:`transform`.
        """
        table.require(tuple(column.name for column in self.columns), role="column")
        outs = [np.zeros((len(rows), self.n_features), np.float32) for rows in parts]
        notes, start = [], 0
        for column in self.columns:
            values = column.values(table.column(column.name))
            stop = start + column.width
            count = sum(_write(column, values, rows, out[:, start:stop]) for rows, out in zip(parts, outs, strict=True))
            notes += [column.surprise(count)] if count else []
            start = stop
        for rows, out in zip(parts, outs, strict=True):
            self._require_finite(out, rows, table)
        return outs, tuple(notes)

    def undo_target(self, y_scaled: ArrayLike) -> NDArray[np.float64]:
        """Return scaled regression outputs to the target's own units.

        Parameters
        ----------
        y_scaled : array of any shape
            What the network gives.

        Returns
        -------
        float64 array of the same shape
        """
        assert isinstance(self.target_column, NumberTarget), "classes have no scale to undo"
        return self.target_column.scaling.undo(np.asarray(y_scaled, np.float64))

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON-able texts and finite numbers."""
        columns = [column.to_json() for column in self.columns]
        return {"version": _VERSION, "columns": columns, "target": self.target_column.to_json()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Schema:
        """Restore what :meth:`to_json` gave, every float to the bit.

        Raises
        ------
        SavedRunError
            When a field is missing, unknown, or of a value that cannot have been saved.
        """
        exactly(saved, "version", "columns", "target")
        if saved["version"] != _VERSION or isinstance(saved["version"], bool):
            raise odd(f"its version is {saved['version']!r}, this hotloop reads {_VERSION}")
        columns = tuple(column_from_json(item) for item in items(saved, "columns", least=1, most=MAX_COLUMNS))
        target = target_from_json(saved["target"])
        names = [column.name for column in columns]
        if len({*names, target.name}) != len(names) + 1:
            raise odd("a column occurs twice")
        return cls(columns, target)

    def _require_finite(self, out: NDArray[np.float32], rows: NDArray[np.int64], table: Table) -> None:
        """Name the first number that no longer fits into float32 once scaled."""
        # Extremes allocate nothing, unlike isfinite over the whole array.
        if not out.size or np.isfinite([out.min(), out.max()]).all():
            return
        row, feature = np.argwhere(~np.isfinite(out))[0]
        raise TableError(
            Sentence(
                "column '{feature}' of '{name}' holds a number too large for float32 once scaled, in row {rows:,}",
                feature=self.feature_names[feature],
                name=table.name,
                rows=rows[row] + 1,
            )
        )


def _write(column: Column, values: Any, rows: NDArray[np.int64], out: NDArray[np.float32]) -> int:
    return sum(column.write(values[rows[piece]], out[piece]) for piece in pieces(len(rows)))
