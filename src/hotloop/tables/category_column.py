"""Columns of texts, which become one input per category."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hotloop.sentence import Sentence, counted
from hotloop.tables.column import Column, Unusable
from hotloop.tables.raw_column import RawColumn
from hotloop.tables.saved_fields import exactly, text, texts

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from hotloop.tables.scaling import ScalingName

__all__ = ["MAX_CATEGORIES", "CategoryColumn"]

MAX_CATEGORIES = 64
_IDS_FROM_ROWS = 20


@dataclass(frozen=True)
class CategoryColumn(Column):
    """A column of texts: one input per category, and one for everything else.

    Parameters
    ----------
    name : str
        The raw column.
    categories : tuple of str
        At most 64, the most frequent of the training rows first.
    """

    kind: ClassVar[str] = "category"
    name: str
    categories: tuple[str, ...]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """``name=category`` for each, then "name is unseen" for missing, rare and new ones."""
        return (*(f"{self.name}={category}" for category in self.categories), f"{self.name} is unseen")

    def values(self, raw: RawColumn) -> pl.Series:
        """Read as texts."""
        return raw.texts()

    @classmethod
    def fit(cls, raw: RawColumn, rows: NDArray[np.int64], scaling: ScalingName) -> tuple[CategoryColumn, str]:
        """Collect the categories of the training rows."""
        seen = raw.texts()[rows]
        by_count = seen.drop_nulls().rename("category").value_counts(name="count")
        by_count = by_count.sort("count", "category", descending=[True, False])
        _refuse_unteachable(by_count.height, len(seen) - seen.null_count(), len(rows))
        kept = by_count["category"].head(MAX_CATEGORIES)
        pooled = by_count.height - len(kept)
        note = Sentence(
            "'{name}' has {n:,} categories: the rarest {pooled:,} count as unseen.",
            name=raw.name,
            n=by_count.height,
            pooled=pooled,
        )
        return cls(raw.name, tuple(kept)), note if pooled else ""

    def write(self, values: pl.Series, out: NDArray[np.float32]) -> int:
        """Write 1 into the input of each row's category."""
        import polars as pl

        unseen = len(self.categories)
        codes = values.replace_strict(
            list(self.categories), list(range(unseen)), default=unseen, return_dtype=pl.Int64
        ).to_numpy()
        out[np.arange(len(out)), codes] = 1.0
        # Where rare categories are pooled, others than those kept are nothing new.
        pooled = unseen == MAX_CATEGORIES
        return 0 if pooled else int(((codes == unseen) & values.is_not_null().to_numpy()).sum())

    def surprise(self, count: int) -> str:
        """Say that rows hold categories that have no input of their own."""
        return counted(
            "'{name}' holds a category not known from training in {n:,} row.",
            "'{name}' holds a category not known from training in {n:,} rows.",
            count,
            name=self.name,
        )

    def to_json(self) -> dict[str, Any]:
        """Return kind, name and categories."""
        return {"kind": self.kind, "name": self.name, "categories": list(self.categories)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> CategoryColumn:
        """Restore from :meth:`to_json`."""
        exactly(saved, "kind", "name", "categories")
        return cls(text(saved, "name"), texts(saved, "categories", most=MAX_CATEGORIES))


def _refuse_unteachable(n_categories: int, n_present: int, n_rows: int) -> None:
    if not n_present:
        raise Unusable(Sentence("is missing in every training row"))
    if n_categories == 1 and n_present == n_rows:
        raise Unusable(Sentence("is the same in every training row"))
    all_different = n_categories == n_present >= _IDS_FROM_ROWS
    if all_different or (n_categories > MAX_CATEGORIES and 2 * n_categories > n_present):
        raise Unusable(
            Sentence(
                "looks like a name or an id ({n_categories:,} different texts in {n_present:,} rows)",
                n_categories=n_categories,
                n_present=n_present,
            )
        )
