"""``make messages``: bring the catalogue up to date with the sources, and say what is left to translate."""

from __future__ import annotations

import sys

from extract_messages import messages_of_sources
from po_file import CATALOGUE, read_po, updated, write_po


def main() -> None:
    entries = updated(read_po(CATALOGUE) if CATALOGUE.exists() else [], messages_of_sources())
    write_po(CATALOGUE, entries)
    open_ones = [entry for entry in entries if entry.is_fuzzy or not entry.translation]
    for entry in open_ones:
        print(f"{'fuzzy' if entry.is_fuzzy else 'new  '}  {entry.message.files[0]}: {entry.message.text}")
    print(f"{len(entries)} messages, {len(open_ones)} to translate in {CATALOGUE}", file=sys.stderr)


if __name__ == "__main__":
    main()
