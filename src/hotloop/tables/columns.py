"""How raw columns become network inputs: one class per kind of column, each fitted on the training rows.

======== ============================================ =====================================================
kind     values                                       network inputs
======== ============================================ =====================================================
number   float64, NaN where missing                   one scaled; one "is missing", if any was in training
boolean  float64 0 or 1, NaN where missing            as above, not scaled
date     float64 days, NaN where missing              as above, counted from a fitted origin
category polars texts, null where missing             one per category of the training rows; one "is unseen"
======== ============================================ =====================================================

A new kind is one class here, one row of :data:`COLUMN_KINDS` and one type in ``RawColumn.kind``.
"""

from __future__ import annotations

from collections.abc import Mapping

from hotloop.tables.category_column import CategoryColumn
from hotloop.tables.column import Column
from hotloop.tables.number_columns import BooleanColumn, DateColumn, NumberColumn
from hotloop.tables.saved_fields import odd, text

__all__ = ["COLUMN_KINDS", "column_from_json"]

COLUMN_KINDS: dict[str, type[Column]] = {
    kind.kind: kind for kind in (NumberColumn, BooleanColumn, DateColumn, CategoryColumn)
}


def column_from_json(saved: object) -> Column:
    """Restore a column of any kind; raises SavedRunError on anything odd."""
    if not isinstance(saved, Mapping):
        raise odd("a column is no object")
    return COLUMN_KINDS[text(saved, "kind", one_of=tuple(COLUMN_KINDS))].from_json(saved)
