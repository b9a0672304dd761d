"""Columns that become one scaled number, and one input more that says where it was missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hotloop.errors import TableError
from hotloop.tables.column import Column, Unusable
from hotloop.tables.raw_column import RawColumn
from hotloop.tables.saved_fields import boolean, exactly, number, positive_number, text
from hotloop.tables.scaling import Scaling, ScalingName, fit_scaling
from hotloop.tables.statistics import Statistics, describe

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BooleanColumn", "DateColumn", "NumberColumn", "require_finite"]

# Squares of larger numbers, and with them a standard deviation, leave the range of float64.
_LARGEST = 1e150


@dataclass(frozen=True)
class NumberColumn(Column):
    """A column of numbers.

    Parameters
    ----------
    name : str
        The raw column.
    fill : float
        What stands in for a missing value, in the column's units: the mean of the training rows.
    has_indicator : bool
        Whether a second input says that the value was missing.
    scaling : Scaling
        Applied after filling.
    """

    kind: ClassVar[str] = "number"
    name: str
    fill: float
    has_indicator: bool
    scaling: Scaling

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The column's own name, and "... is missing" where there is an indicator."""
        return (self.name, f"{self.name} is missing") if self.has_indicator else (self.name,)

    @staticmethod
    def values(raw: RawColumn) -> NDArray[np.float64]:
        """Read as numbers, none infinite."""
        values = raw.numbers()
        require_finite(values, raw)
        return values

    @staticmethod
    def _fit_scaling(seen: Statistics, scaling: ScalingName) -> Scaling:
        return fit_scaling(seen, scaling)

    @classmethod
    def fit(cls, raw: RawColumn, rows: NDArray[np.int64], scaling: ScalingName) -> tuple[NumberColumn, str]:
        """Fit fill and scaling to the training rows."""
        seen = describe(cls.values(raw), rows)
        if not seen.n_present:
            raise Unusable("is missing in every training row")
        if not seen.n_missing and seen.low == seen.high:
            raise Unusable("is the same in every training row")
        column = cls(raw.name, seen.mean, seen.n_missing > 0, cls._fit_scaling(seen, scaling))
        if not seen.n_missing:
            return column, ""
        missing = f"{seen.n_missing:,} of {len(rows):,} training rows"
        return column, f"'{raw.name}' is missing in {missing}: filled with {seen.mean:.6g}."

    def write(self, values: NDArray[np.float64], out: NDArray[np.float32]) -> int:
        """Write the scaled numbers, and 1 into the indicator where they are missing."""
        gone = np.isnan(values)
        n_gone = int(gone.sum())
        if n_gone:
            values = np.where(gone, self.fill, values)
            if self.has_indicator:
                out[:, 1] = gone
        # What leaves float32's range becomes infinite here; Schema names it.
        with np.errstate(over="ignore"):
            out[:, 0] = self.scaling.apply(values)
        return 0 if self.has_indicator else n_gone

    def surprise(self, count: int) -> str:
        """Say that values were filled in a column which had none missing in training."""
        return (
            f"'{self.name}' is missing in {count:,} row{'s' * (count != 1)}, in training in none: "
            f"filled with {self.fill:.6g}."
        )

    def to_json(self) -> dict[str, Any]:
        """Return kind, name, fill, indicator and the scaling's three numbers."""
        fitted = {"name": self.name, "fill": self.fill, "has_indicator": self.has_indicator}
        return {"kind": self.kind, **fitted, **asdict(self.scaling)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> NumberColumn:
        """Restore from :meth:`to_json`."""
        exactly(saved, "kind", "name", "fill", "has_indicator", "shift", "scale", "offset")
        scaling = Scaling(number(saved, "shift"), positive_number(saved, "scale"), number(saved, "offset"))
        return cls(text(saved, "name"), number(saved, "fill"), boolean(saved, "has_indicator"), scaling)


@dataclass(frozen=True)
class BooleanColumn(NumberColumn):
    """A column of truth values: 0 or 1, never scaled."""

    kind: ClassVar[str] = "boolean"

    @staticmethod
    def _fit_scaling(seen: Statistics, scaling: ScalingName) -> Scaling:
        return Scaling()


@dataclass(frozen=True)
class DateColumn(NumberColumn):
    """A column of dates: days since a fitted origin, scaled like a number."""

    kind: ClassVar[str] = "date"

    @staticmethod
    def values(raw: RawColumn) -> NDArray[np.float64]:
        """Read as days since 1970."""
        return raw.days()

    @staticmethod
    def _fit_scaling(seen: Statistics, scaling: ScalingName) -> Scaling:
        return fit_scaling(seen, scaling, origin=True)


def require_finite(values: NDArray[np.float64], raw: RawColumn) -> None:
    """Raise a TableError naming column and row when a value is infinite or beyond 1e150.

    Parameters
    ----------
    values : float64 array of shape (rows,)
        NaN means missing and is fine.
    raw : RawColumn
        Where they come from.
    """
    # fmin and fmax pass over NaN and allocate nothing.
    if len(values) and max(np.fmax.reduce(values), -np.fmin.reduce(values)) > _LARGEST:
        row = int(np.argmax(np.abs(np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf)) > _LARGEST))
        found = "infinity" if np.isinf(values[row]) else f"{values[row]:g}, too large a number,"
        raise TableError(
            f"column '{raw.name}' of '{raw.table_name}' holds {found} in row {row + 1:,}",
            do="Correct it, or leave it empty if the value is missing",
        )
