"""``python -m hotloop``: the command line, where the script ``hotloop`` is not on the path."""

from __future__ import annotations

from hotloop.cli import main

if __name__ == "__main__":
    main()
