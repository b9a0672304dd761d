"""The target column: classes, or numbers on a scale of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from hotloop.errors import TableError
from hotloop.sentence import Sentence
from hotloop.tables.number_columns import require_finite
from hotloop.tables.pieces import pieces
from hotloop.tables.raw_column import RawColumn, text_of
from hotloop.tables.saved_fields import exactly, number, odd, positive_number, text, texts
from hotloop.tables.scaling import Scaling, ScalingName, fit_scaling
from hotloop.tables.statistics import describe

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MAX_CLASSES", "ClassTarget", "LabelKind", "NumberTarget", "Task", "target_from_json"]

Task = Literal["classification", "regression"]
LabelKind = Literal["text", "integer", "number", "boolean"]

MAX_CLASSES = 1_000
_LABEL_KINDS: tuple[LabelKind, ...] = ("text", "integer", "number", "boolean")
_MISSING = -1


@dataclass(frozen=True)
class ClassTarget:
    """A target of classes.

    Parameters
    ----------
    name : str
        The target column.
    label_kind : {"text", "integer", "number", "boolean"}
        What the labels were in the table, so that predictions can be written in the same form.
    class_names : tuple of str
        In the order of their codes: texts by alphabet, numbers by size, false before true.
    """

    task: ClassVar[Task] = "classification"
    name: str
    label_kind: LabelKind
    class_names: tuple[str, ...]

    @classmethod
    def fit(cls, raw: RawColumn) -> tuple[ClassTarget, NDArray[np.int64]]:
        """Find the classes and code the rows.

        Returns
        -------
        target, codes : ClassTarget, int64 array of shape (rows,)
            -1 where the target is missing.

        Raises
        ------
        TableError
            When there are fewer than 2 classes, more than 1,000, or as many as there are rows, nearly.
        """
        kind, names, codes = _text_classes(raw) if raw.kind in ("category", "boolean") else _number_classes(raw)
        _refuse_no_classes(raw, len(names), int((codes >= 0).sum()))
        return cls(raw.name, kind, names), codes

    @property
    def n_outputs(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def to_json(self) -> dict[str, Any]:
        """Return task, name, kind of label and class names."""
        names = list(self.class_names)
        return {"task": self.task, "name": self.name, "label_kind": self.label_kind, "class_names": names}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> ClassTarget:
        """Restore from :meth:`to_json`."""
        exactly(saved, "task", "name", "label_kind", "class_names")
        kind = text(saved, "label_kind", one_of=_LABEL_KINDS)
        label_kind = next(known for known in _LABEL_KINDS if known == kind)
        return cls(text(saved, "name"), label_kind, texts(saved, "class_names", least=2, most=MAX_CLASSES))


@dataclass(frozen=True)
class NumberTarget:
    """A target of numbers.

    Parameters
    ----------
    name : str
        The target column.
    scaling : Scaling
        To mean 0 and standard deviation 1 over the training rows, or none.
    """

    task: ClassVar[Task] = "regression"
    n_outputs: ClassVar[int] = 1
    name: str
    scaling: Scaling

    @staticmethod
    def values(raw: RawColumn, origin: int = 0) -> NDArray[np.float64]:
        """Read the target's numbers above ``origin``; NaN where missing; raises TableError where there are none."""
        if raw.kind not in ("number", "boolean"):
            held = Sentence("dates") if raw.kind == "date" else Sentence("texts")
            raise TableError(
                Sentence(
                    "target column '{name}' of '{table}' holds {held}: regression needs numbers",
                    name=raw.name,
                    table=raw.table_name,
                    held=held,
                ),
                do=Sentence("Choose another target, or task classification"),
            )
        values = raw.numbers(origin)
        require_finite(values, raw)
        return values

    @classmethod
    def fit(
        cls, raw: RawColumn, values: NDArray[np.float64], rows: NDArray[np.int64], scaling: ScalingName
    ) -> NumberTarget:
        """Fit the scaling to the training rows of ``values``."""
        return cls(raw.name, fit_scaling(describe(values, rows), "none" if scaling == "none" else "standard"))

    def scale(self, values: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return ``values[rows]`` as the network is to learn them, shape (rows, 1)."""
        scaled = np.empty((len(rows), 1), np.float32)
        with np.errstate(over="ignore"):
            for piece in pieces(len(rows)):
                scaled[piece, 0] = self.scaling.apply(values[rows[piece]])
        bad = ~np.isfinite(scaled[:, 0])
        if bad.any():
            row = rows[np.argmax(bad)]
            raise TableError(
                Sentence(
                    "target column '{name}' holds {value:g} in row {row:,}, too large a number for float32 once scaled",
                    name=self.name,
                    value=values[row],
                    row=row + 1,
                )
            )
        return scaled

    def to_json(self) -> dict[str, Any]:
        """Return task, name and the scaling's three numbers."""
        return {"task": self.task, "name": self.name, **asdict(self.scaling)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> NumberTarget:
        """Restore from :meth:`to_json`."""
        exactly(saved, "task", "name", "shift", "scale", "offset")
        scaling = Scaling(number(saved, "shift"), positive_number(saved, "scale"), number(saved, "offset"))
        return cls(text(saved, "name"), scaling)


def target_from_json(saved: object) -> ClassTarget | NumberTarget:
    """Restore either kind of target; raises SavedRunError on anything odd."""
    if not isinstance(saved, Mapping):
        raise odd("the target is no object")
    task = text(saved, "task", one_of=("classification", "regression"))
    return ClassTarget.from_json(saved) if task == "classification" else NumberTarget.from_json(saved)


def _text_classes(raw: RawColumn) -> tuple[LabelKind, tuple[str, ...], NDArray[np.int64]]:
    names, codes = raw.text_codes()
    return "boolean" if raw.kind == "boolean" else "text", names, codes


def _number_classes(raw: RawColumn) -> tuple[LabelKind, tuple[str, ...], NDArray[np.int64]]:
    # Counted from one of them, so that large ids that differ in their last digits are different classes.
    origin = raw.origin(np.arange(len(raw.series)))
    values = NumberTarget.values(raw, origin)
    distinct, inverse = np.unique(values, return_inverse=True)
    # NaN sorts to the end.
    n_classes = int((~np.isnan(distinct)).sum())
    names = tuple(
        str(origin + int(value) if origin else text_of(float(value)))
        for value in distinct[: min(n_classes, MAX_CLASSES + 1)]
    )
    codes = np.where(inverse < n_classes, inverse, _MISSING).astype(np.int64)
    return "integer" if raw.is_integer else "number", names, codes


def _refuse_no_classes(raw: RawColumn, n_classes: int, n_present: int) -> None:
    column = Sentence("target column '{name}' of '{table}'", name=raw.name, table=raw.table_name)
    if not n_present:
        raise TableError(Sentence("{column} is missing in every row", column=column))
    if n_classes == 1:
        raise TableError(Sentence("{column} holds one class only: there is nothing to tell apart", column=column))
    mostly_different = n_classes > 20 and 2 * n_classes > n_present
    if n_classes > MAX_CLASSES or mostly_different:
        many = Sentence("more than {n:,}", n=MAX_CLASSES) if n_classes > MAX_CLASSES else f"{n_classes:,}"
        raise TableError(
            Sentence(
                "{column} holds {many} different values in {n_present:,} rows: too many to be classes",
                column=column,
                many=many,
                n_present=n_present,
            ),
            do=Sentence("Choose another target, or task regression")
            if raw.kind == "number"
            else Sentence("Choose another target"),
        )
