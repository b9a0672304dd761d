"""What every kind of column can do: be fitted, write its inputs, be saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hotloop.tables.raw_column import RawColumn
    from hotloop.tables.scaling import ScalingName

__all__ = ["Column", "Unusable"]


class Unusable(Exception):
    """A column has nothing to learn from; the message is the reason, to follow the column's name."""


class Column(ABC):
    """One raw column, fitted: how its values become ``width`` inputs of the network."""

    kind: ClassVar[str]
    name: str

    @property
    @abstractmethod
    def feature_names(self) -> tuple[str, ...]:
        """Names of the inputs."""

    @property
    def width(self) -> int:
        """Number of inputs."""
        return len(self.feature_names)

    @abstractmethod
    def values(self, raw: RawColumn) -> Any:
        """Read the raw column as this kind's values; raises TableError where that cannot be."""

    @classmethod
    @abstractmethod
    def fit(cls, raw: RawColumn, rows: NDArray[np.int64], scaling: ScalingName) -> tuple[Column, str]:
        """Fit to the training rows.

        Parameters
        ----------
        raw : RawColumn
            All rows.
        rows : int64 array of shape (training rows,)
            Which of them to fit to.
        scaling : {"minmax", "standard", "none"}
            For the kinds that are scaled.

        Returns
        -------
        column, note : Column, str
            The note is a sentence to print, or empty.

        Raises
        ------
        Unusable
            When the training rows teach nothing.
        """

    @abstractmethod
    def write(self, values: Any, out: NDArray[np.float32]) -> int:
        """Write the inputs into zeroed ``out`` (rows, width); return how many values had to be made up."""

    @abstractmethod
    def surprise(self, count: int) -> str:
        """Say in a sentence what became of ``count`` values unlike those in training, if anything."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return what was fitted, as JSON-able values."""

    @classmethod
    @abstractmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Column:
        """Restore from :meth:`to_json`; raises SavedRunError on anything odd."""
