"""A file or a frame to arrays, and a schema that can be saved, checked and undone.

::

    table = read("data.csv")             # bytes to named columns: csv_*.py, read.py
    prepared = prepare(table)            # split.py, then columns and target fitted to the training rows
    prepared.schema.transform(other)     # raw columns to network inputs again
"""

from __future__ import annotations

from hotloop.tables.prepare import prepare
from hotloop.tables.prepared_table import PreparedTable
from hotloop.tables.read import read
from hotloop.tables.schema import Schema
from hotloop.tables.table import Table

__all__ = ["PreparedTable", "Schema", "Table", "prepare", "read"]
