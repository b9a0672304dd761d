"""Read a gettext catalogue in its text form: what translators edit is what is used, and nothing can drift from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["entries", "read_catalogue"]

# A flags line, then strings that may go on over several lines each. Obsolete entries begin with "#~".
_ENTRY = re.compile(
    r"""^(?:\#,(.*)\n)?
        msgid[ ]((?:".*"\n)+)
        (?:msgid_plural[ ]((?:".*"\n)+))?
        msgstr(?:\[0\])?[ ]((?:".*"(?:\n|\Z))+)""",
    re.MULTILINE | re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t"}


def read_catalogue(path: Path) -> dict[str, str]:
    """Return the translations of a .po file by their English text; some 3 us each.

    Fuzzy and empty ones are left out, as gettext does. Both English forms of a plural lead to the only form of the
    other language.
    """
    texts: dict[str, str] = {}
    for flags, english, plural, translation in entries(path.read_text(encoding="utf-8")):
        if translation and english and "fuzzy" not in flags:
            texts[english] = translation
            if plural:
                texts[plural] = translation
    return texts


def entries(catalogue: str) -> Iterator[tuple[str, str, str, str]]:
    """Return flags, English, its plural and the translation of each entry, the header's among them."""
    for flags, english, plural, translation in _ENTRY.findall(catalogue):
        yield flags, _text(english), _text(plural), _text(translation)


def _text(lines: str) -> str:
    text = lines.rstrip("\n")[1:-1]
    if "\n" in text:
        text = text.replace('"\n"', "")
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text) if "\\" in text else text
