"""An error on one line: in the reader's language where its texts are sentences, its hints in the words of options."""

from __future__ import annotations

import re

from hotloop.errors import HotloopError, as_line
from hotloop.language import _, shown

__all__ = ["error_line"]

_ARGUMENT = re.compile(r'\b([a-z_]+)="([^"]*)"')


def error_line(error: HotloopError, command: str | None = None) -> str:
    """Return what an error says, for standard error.

    Parameters
    ----------
    error : HotloopError
    command : str, optional
        Such as "hotloop train": its help is pointed to instead of a function's, and ``device="cpu"`` is written as
        ``--device cpu``.
    """
    what, why, do, see = (part and shown(part) for part in (error.what, error.why, error.do, error.see))
    if command and see and see.startswith("help("):
        see = f"{command} --help"
    if command and do:
        do = _ARGUMENT.sub(lambda found: f"--{found[1].replace('_', '-')} {found[2]}", do)
    return as_line(what or "", why, do, see and _("See {where}").format(where=see), stop=_(". "))
