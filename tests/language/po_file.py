"""A catalogue as a file: read with all that translators see, brought up to date, written in one form."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from extract_messages import SOURCES, Message

from hotloop.language.catalogue import entries as entries_of

__all__ = ["CATALOGUE", "Entry", "read_po", "updated", "write_po"]

CATALOGUE = SOURCES / "language" / "locales" / "zh" / "LC_MESSAGES" / "hotloop.po"

_HEADER = """\
# hotloop in Chinese. Written by `make messages`, translated by hand.
msgid ""
msgstr ""
"Project-Id-Version: hotloop\\n"
"Language: zh\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"
"""
_LIKE = 0.75


@dataclass(frozen=True)
class Entry:
    """A message with its translation; a fuzzy one was made for another text and waits for a person."""

    message: Message
    translation: str = ""
    is_fuzzy: bool = False


def read_po(path: Path) -> list[Entry]:
    """Return the entries of a catalogue, without its header."""
    return [
        Entry(Message(english, plural or None), translation, "fuzzy" in flags)
        for flags, english, plural, translation in entries_of(path.read_text(encoding="utf-8"))
        if english
    ]


def updated(entries: Iterable[Entry], messages: Mapping[str, Message]) -> list[Entry]:
    """Return an entry for each message; a changed text takes the translation of the one nearest to it, as fuzzy."""
    translated = {entry.message.text: entry for entry in entries if entry.translation}
    left = [text for text in translated if text not in messages]
    result = []
    for message in messages.values():
        entry = translated.get(message.text)
        if entry is None:
            near = difflib.get_close_matches(message.text, left, n=1, cutoff=_LIKE)
            result.append(Entry(message, translated[near[0]].translation, True) if near else Entry(message))
        else:
            result.append(Entry(message, entry.translation, entry.is_fuzzy))
    return result


def write_po(path: Path, entries: Iterable[Entry]) -> None:
    """Write a catalogue."""
    path.write_text("\n".join([_HEADER, *map(_block, entries)]), encoding="utf-8", newline="\n")


def _block(entry: Entry) -> str:
    message = entry.message
    lines = [f"#: {file}" for file in message.files]
    flags = ["fuzzy"] * entry.is_fuzzy + ["python-brace-format"] * ("{" in message.text)
    lines += [f"#, {', '.join(flags)}"] if flags else []
    lines.append(f"msgid {_quoted(message.text)}")
    if message.plural is not None:
        lines.append(f"msgid_plural {_quoted(message.plural)}")
    lines.append(f"msgstr{'' if message.plural is None else '[0]'} {_quoted(entry.translation)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
