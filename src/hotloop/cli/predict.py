"""``hotloop predict``: a saved run and a table in, predictions out."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hotloop.language import _, shown
from hotloop.language.one_line import one_line

__all__ = ["predict"]


def predict(
    run: Path,
    table: str,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    json: bool = False,
) -> None:
    """Predict the rows of a table with a saved run.

    Parameters
    ----------
    run
        Directory of a run, such as runs/iris.
    table
        A file with the columns that the run was trained on.
    out
        CSV file to write; standard output by default.
    json
        Print JSON instead of CSV.
    """
    from hotloop import tables
    from hotloop.files import check_writable
    from hotloop.runs import load

    if out is not None:
        check_writable(out.parent)
    predictor = load(run)
    prediction = predictor.predict(tables.read(table))
    for note in prediction.notes:
        print(f"hotloop: {one_line(_('note: {note}').format(note=shown(note)))}", file=sys.stderr)
    if out is not None:
        prediction.write_csv(out)
    if json:
        print(json_module.dumps(prediction.to_json(), indent=2))
    elif out is None:
        _write_data(prediction.to_csv())


def _write_data(text: str) -> None:
    """Write to standard output in UTF-8: whoever reads data must get all of it, whatever a console can show."""
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.write(text)
        return
    sys.stdout.flush()
    binary.write(text.encode("utf-8", "backslashreplace"))
    binary.flush()
