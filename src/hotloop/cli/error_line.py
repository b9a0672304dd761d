"""An error on one line: in the reader's language where its texts are sentences, its hints in the words of options."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hotloop.errors import HotloopError, as_line
from hotloop.language import _, shown

__all__ = ["error_line"]

# A word, and what it is set to; neither a part of a path nor of a dotted name.
_SETTING = re.compile(r'(?<![\w.:/-])([a-z]+(?:_[a-z]+)*)(=(?:"[^"]*"|\w*))?(?![\w/-]|\.[a-z])', re.ASCII)

# A setting that a clause begins with, such as "record_every is 0".
_NAMED = re.compile(r"(?:(?<=^)|(?<=; )|(?<=；))[a-z]+(?:_[a-z]+)*(?= )", re.ASCII)


def error_line(error: HotloopError, command: str | None = None, options: Mapping[str, str] | None = None) -> str:
    """Return what an error says, for standard error.

    Parameters
    ----------
    error : HotloopError
    command : str, optional
        Such as "hotloop train": its help is pointed to instead of a function's.
    options : mapping of str, optional
        How the command spells a setting, by its name in Python: with "--device" for device, ``device="cpu"`` in a hint
        is written as ``--device cpu``. A hint at settings none of which the command has is left out.
    """
    what, why, do, see = (part and shown(part) for part in (error.what, error.why, error.do, error.see))
    if command and see and see.startswith("help("):
        see = f"{command} --help"
    if options is not None:
        what = _NAMED.sub(lambda found: options.get(found[0], found[0]), what or "")
        do = do and _with_options(do, options)
    return as_line(what or "", why, do, see and _("See {where}").format(where=see), stop=_(". "))


def _with_options(hint: str, options: Mapping[str, str]) -> str | None:
    names_values = any(len(found[2] or "") > 1 for found in _SETTING.finditer(hint))
    written = _SETTING.sub(lambda found: _with_option(found, options), hint)
    return None if names_values and written == hint else written


def _with_option(found: re.Match[str], options: Mapping[str, str]) -> str:
    name, value = found[1], (found[2] or "")[1:].strip('"')
    # "rows" may be any rows, batch_size can only be the setting.
    if name not in options or (found[2] is None and "_" not in name):
        return found[0]
    return f"{options[name]} {value}".rstrip()
