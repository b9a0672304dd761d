"""Columns that become one scaled number, and one input more that says where it was missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hotloop.errors import TableError
from hotloop.sentence import Sentence, counted
from hotloop.tables.column import Column, Unusable
from hotloop.tables.large_integers import LARGEST_EXACT
from hotloop.tables.raw_column import RawColumn
from hotloop.tables.saved_fields import boolean, exactly, integer, number, positive_number, text
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
        What stands in for a missing value, in the column's units above ``origin``: the mean of the training rows.
    has_indicator : bool
        Whether a second input says that the value was missing.
    scaling : Scaling
        Applied after filling.
    origin : int
        What the numbers are counted from, exactly; not 0 only where they are too large for float64's digits.
    """

    kind: ClassVar[str] = "number"
    name: str
    fill: float
    has_indicator: bool
    scaling: Scaling
    origin: int = 0

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The column's own name, and "... is missing" where there is an indicator."""
        return (self.name, f"{self.name} is missing") if self.has_indicator else (self.name,)

    def values(self, raw: RawColumn) -> NDArray[np.float64]:
        """Read as numbers above the origin, none infinite."""
        return self._read(raw, self.origin)

    @staticmethod
    def _read(raw: RawColumn, origin: int) -> NDArray[np.float64]:
        values = raw.numbers(origin)
        require_finite(values, raw)
        return values

    @staticmethod
    def _alike(seen: Statistics) -> str:
        """Say how closely values that look the same have been compared, where it is not to the last digit."""
        return Sentence(", to the 16 digits that are kept") if abs(seen.low) > LARGEST_EXACT else ""

    @staticmethod
    def _fit_scaling(seen: Statistics, scaling: ScalingName) -> Scaling:
        return fit_scaling(seen, scaling)

    @classmethod
    def fit(cls, raw: RawColumn, rows: NDArray[np.int64], scaling: ScalingName) -> tuple[NumberColumn, str]:
        """Fit fill and scaling to the training rows."""
        origin = raw.origin(rows)
        seen = describe(cls._read(raw, origin), rows)
        if not seen.n_present:
            raise Unusable(Sentence("is missing in every training row"))
        if not seen.n_missing and seen.low == seen.high:
            alike = Sentence("is the same in every training row{closeness}", closeness=cls._alike(seen))
            raise Unusable(alike)
        column = cls(raw.name, seen.mean, seen.n_missing > 0, cls._fit_scaling(seen, scaling), origin)
        if not seen.n_missing:
            return column, ""
        return column, Sentence(
            "'{name}' is missing in {n:,} of {rows:,} training rows: filled with {value:.6g}.",
            name=raw.name,
            n=seen.n_missing,
            rows=len(rows),
            value=origin + seen.mean,
        )

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
        return counted(
            "'{name}' is missing in {n:,} row, in training in none: filled with {value:.6g}.",
            "'{name}' is missing in {n:,} rows, in training in none: filled with {value:.6g}.",
            count,
            name=self.name,
            value=self.origin + self.fill,
        )

    def to_json(self) -> dict[str, Any]:
        """Return kind, name, fill, indicator, the scaling's three numbers, and the origin where there is one."""
        fitted = {"name": self.name, "fill": self.fill, "has_indicator": self.has_indicator}
        origin = {"origin": self.origin} if self.origin else {}
        return {"kind": self.kind, **fitted, **asdict(self.scaling), **origin}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> NumberColumn:
        """Restore from :meth:`to_json`."""
        optional = ("origin",) if "origin" in saved else ()
        exactly(saved, "kind", "name", "fill", "has_indicator", "shift", "scale", "offset", *optional)
        scaling = Scaling(number(saved, "shift"), positive_number(saved, "scale"), number(saved, "offset"))
        origin = integer(saved, "origin") if optional else 0
        return cls(text(saved, "name"), number(saved, "fill"), boolean(saved, "has_indicator"), scaling, origin)


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
    def _read(raw: RawColumn, origin: int) -> NDArray[np.float64]:
        return raw.days()

    @staticmethod
    def _alike(seen: Statistics) -> str:
        return Sentence(", to the microsecond") if seen.low % 1 else ""

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
        found = Sentence("infinity")
        if not np.isinf(values[row]):
            found = Sentence("{value:g}, too large a number,", value=values[row])
        raise TableError(
            Sentence(
                "column '{name}' of '{table}' holds {found} in row {row:,}",
                name=raw.name,
                table=raw.table_name,
                found=found,
                row=row + 1,
            ),
            do=Sentence("Correct it, or leave it empty if the value is missing"),
        )
