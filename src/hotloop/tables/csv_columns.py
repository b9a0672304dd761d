"""What the texts of a CSV column spell: an ordered list of kinds, the first that fits every value wins.

Adding a kind is one entry of :data:`KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

__all__ = ["KINDS", "MISSING_SPELLINGS", "TEXT", "TextKind", "clean", "kind_after", "parse"]

# Compared without regard to case.
MISSING_SPELLINGS = ("", "na", "n/a", "#n/a", "nan", "nat", "null", "none", "?")

_DATE_FORMATS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
)


@dataclass(frozen=True)
class TextKind:
    """One way to spell values in text.

    Parameters
    ----------
    name : str
        For messages and tests.
    parse : callable
        Cleaned texts to values, null where a text does not spell one.
    dtype : str
        The polars type of those values.
    fast : bool
        Whether polars' CSV parser can produce the type by itself.
    separator : str, optional
        The one field separator with which this spelling occurs.
    """

    name: str
    parse: Callable[[pl.Series], pl.Series]
    dtype: str
    fast: bool = False
    separator: str | None = None

    def fits(self, texts: pl.Series) -> bool:
        """Tell whether every text spells a value of this kind."""
        # A sample first: most kinds fail at once, without a pass over the column.
        sample = texts.head(100)
        return self._fits(sample) and (len(texts) <= len(sample) or self._fits(texts))

    def _fits(self, texts: pl.Series) -> bool:
        return self.parse(texts).null_count() == texts.null_count()


def _cast(texts: pl.Series, dtype: str) -> pl.Series:
    import polars as pl

    return texts.cast(getattr(pl, dtype), strict=False)


def _decimal_comma(texts: pl.Series) -> pl.Series:
    spelled = texts.str.contains(r"^[+-]?\d+(,\d+)?$")
    return _cast(texts.set(~spelled, None).str.replace(",", ".", literal=True), "Float64")


def _boolean(texts: pl.Series) -> pl.Series:
    import polars as pl

    words = {"true": True, "false": False}
    return texts.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)


def _date(texts: pl.Series, pattern: str) -> pl.Series:
    import polars as pl

    parsed = texts.str.strptime(pl.Datetime("us"), pattern, strict=False)
    return parsed.dt.replace_time_zone(None) if pattern.endswith("z") else parsed


KINDS = (
    TextKind("integer", partial(_cast, dtype="Int64"), "Int64", fast=True),
    TextKind("number", partial(_cast, dtype="Float64"), "Float64", fast=True),
    TextKind("decimal comma", _decimal_comma, "Float64", separator=";"),
    TextKind("boolean", _boolean, "Boolean"),
    *(TextKind(f"date {pattern}", partial(_date, pattern=pattern), "Datetime") for pattern in _DATE_FORMATS),
    TextKind("text", lambda texts: texts, "String"),
)
TEXT = KINDS[-1]

# A column of whole numbers may go on in these without a value read so far being lost.
_WIDENS_TO = {"integer": ("number", "decimal comma")}


def clean(texts: pl.Series) -> pl.Series:
    """Strip white space around the texts; make null of those that mean a missing value."""
    texts = texts.str.strip_chars()
    return texts.set(texts.str.to_lowercase().is_in(list(MISSING_SPELLINGS)), None)


def kind_after(texts: pl.Series, known: TextKind | None, separator: str) -> TextKind | None:
    """Return the kind of a column once it goes on with ``texts``, or None when that does not go together.

    Parameters
    ----------
    texts : polars.Series of String
        Cleaned; at least one is not null.
    known : TextKind, optional
        The kind of what came before, if anything did.
    separator : str
        The file's field separator.
    """
    allowed = None if known is None else (known.name, *_WIDENS_TO.get(known.name, ()))
    for kind in KINDS:
        possible = kind.separator in (None, separator) and (allowed is None or kind.name in allowed)
        if possible and kind.fits(texts):
            return kind
    return None


def parse(texts: pl.Series, kind: TextKind) -> pl.Series:
    """Turn cleaned texts into the values they spell."""
    return kind.parse(texts).cast(polars_type(kind))


def polars_type(kind: TextKind) -> Any:
    """Return the polars type of a kind's values."""
    import polars as pl

    return pl.Datetime("us") if kind.dtype == "Datetime" else getattr(pl, kind.dtype)
