"""Look a processor up in the table of generations."""

from __future__ import annotations

import re

from hotloop.hardware.generations import ARM, X86, Generation

__all__ = ["at_least", "find_generation"]


def find_generation(
    vendor: str | None,
    family: int | None,
    model: int | None,
    stepping: int | None,
    brand: str | None,
    llvm_name: str | None,
) -> Generation | None:
    """Return the generation that the marks name, or None where the table knows none, or several."""
    if family is not None and model is not None:
        x86 = (row for row in X86 if row.vendor == vendor)
        return next((row for row in x86 if row.matches(family, model, stepping, brand)), None)
    by_brand = [row for row in ARM if row.brand and re.search(row.brand, brand or "")]
    if by_brand or (brand or "").startswith("Apple M"):
        return by_brand[0] if by_brand else None
    return next((row for row in ARM if row.llvm_name == llvm_name), None)


def at_least(vendor: str | None, features: frozenset[str]) -> Generation | None:
    """Return the vendor's earliest generation that normally has all these features of FEATURE_WORDS."""
    able = [row for row in X86 if row.vendor == vendor and row.features >= features]
    return min(able, key=lambda row: row.year, default=None)
